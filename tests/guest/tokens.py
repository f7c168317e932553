# SPDX-License-Identifier: BSD-3-Clause
"""Tokens: exact counts, sharing, blocking holders, any order."""
from typing import Final

from kpy import Array, Atomic, kprintf, pause, table, u32, u64, zeroed

from kernel import machine
from kernel.ddb import debugger
from kernel.lib import words
from kernel.lwkt import sched, token
from tests.guest import support

UNSAFE: Final = True        # storage of tokens begins as zero: free tokens

THREADS_PER_CPU: Final = 4
ROUNDS: Final = 1_000_000
FAIR_ROUNDS: Final = 5000       # of each thread on average, in which each has one at least
MANY: Final = 8
STOPS: Final = 300          # not one that runs by itself

tok: token.Token = zeroed(token.Token)
other: token.Token = zeroed(token.Token)
many: Array[token.Token, MANY] = zeroed(Array[token.Token, MANY])
counts: Array[u64, MANY]            # each protected by its token
count: u64 = 0                      # protected by tok
sharers: Atomic[u32]
most: Atomic[u32]
torn: Atomic[u64]
stage: Atomic[u32]
progress: Array[Atomic[u64], 64]


def _add(rounds: u64) -> None:
    global count
    for _ in range(rounds):
        token.gettoken(tok)
        count += 1
        token.reltoken(tok)
    support.done()


@table("guest_test", 30)
def counts_are_exact() -> None:
    """2 CPUs x 4 threads x 1e6 increments under one token."""
    global count
    rounds = support.rounds(ROUNDS)
    token.init(tok, "count")
    count = 0
    for i in range(2 * THREADS_PER_CPU):
        support.spawn(_add, rounds, u32(i) % min(support.cpus(), 2))
    support.join()
    assert count == 2 * THREADS_PER_CPU * rounds
    kprintf(f"{count} increments, {tok.collisions.load()} collisions\n")


def _hold_and_sleep(unused: u64) -> None:
    with tok:
        stage.store(1)
        support.pause_ticks(3)          # lets go of tok while it sleeps
        assert token.held(tok)
        stage.add(10)
    support.done()


@table("guest_test", 31)
def blocking_holder_lets_go() -> None:
    """A holder that sleeps does not keep others out, and owns the token again when it wakes."""
    token.init(tok, "hold")
    stage.store(0)
    support.spawn(_hold_and_sleep, 0, support.cpus() - 1)
    while stage.load() == 0:
        support.pause_ticks(1)
    token.gettoken(tok)
    seen = stage.load()
    token.reltoken(tok)
    support.join()
    assert seen == 1, "the token was not to be had while its holder slept"
    assert stage.load() == 11
    kprintf("held by another while its owner slept\n")


def _share(rounds: u64) -> None:
    for _ in range(rounds):
        with tok.shared():
            now = sharers.add(1) + 1
            if now > most.load_relaxed():
                most.store(now)
            for _ in range(50):
                pause()
            if count % 2 != 0:
                torn.add(1)             # a writer was at it
            sharers.sub(1)
    support.done()


def _write(rounds: u64) -> None:
    global count
    for _ in range(rounds):
        with tok:
            if sharers.load() != 0:
                torn.add(1)
            count += 1
            for _ in range(20):
                pause()
            count += 1
        sched.yield_()
    stage.store(1)
    support.done()


@table("guest_test", 32)
def sharers_overlap_writers_do_not() -> None:
    """Readers share, writers exclude all, and readers that never stop do not starve a writer."""
    global count
    token.init(tok, "share")
    count = 0
    sharers.store(0)
    most.store(0)
    torn.store(0)
    readers = min(support.cpus(), 4)
    for i in range(readers):
        support.spawn(_share, 20_000, i)
    support.spawn(_write, 2_000, 0)
    support.join()
    assert torn.load() == 0 and count == 4000
    if support.cpus() > 1:
        assert most.load() > 1, "readers never overlapped"
    kprintf(f"{readers} readers, up to {most.load()} at once; 2000 writes\n")


def _endless_reader(unused: u64) -> None:
    while stage.load_relaxed() == 0:
        with tok.shared():
            for _ in range(100):
                pause()
        sched.yield_()
    support.done()


@table("guest_test", 33)
def writer_is_not_starved() -> None:
    """With readers on every CPU that never stop, a writer gets its turns."""
    global count
    token.init(tok, "starve")
    stage.store(0)
    sharers.store(0)
    torn.store(0)
    count = 0
    for cpu in range(support.cpus()):
        support.spawn(_endless_reader, 0, cpu)
        support.spawn(_endless_reader, 0, cpu)
    support.spawn(_write, 200, support.cpus() - 1)
    support.join()
    assert count == 400
    kprintf("200 writes among endless readers\n")


@table("guest_test", 34)
def tokens_nest() -> None:
    """Exclusive in exclusive, shared in exclusive, across a sleep; released in reverse order."""
    token.init(tok, "nest")
    token.init(other, "nest2")
    with tok:
        with tok:
            assert token.held(tok)
            with tok.shared(), other:
                support.pause_ticks(1)
                assert token.held(tok) and token.held(other)
            assert token.held(tok) and not token.held(other)
        support.pause_ticks(1)
        assert token.held(tok)
        assert token.trytoken(tok)
        token.reltoken(tok)
        token.gettoken(other)
        token.swap(tok, other)
        token.reltoken(tok)
        assert token.held(other)
        token.gettoken(tok)
        token.swap(tok, other)
        token.reltoken(other)
    assert tok.count.load() == 0 and other.count.load() == 0
    kprintf("nested and swapped\n")


@table("guest_test", STOPS)
def tokens_at_a_breakpoint() -> None:
    """Stops in the debugger with two tokens held, one of them shared."""
    token.init(tok, "stop1")
    token.init(other, "stop2")
    with tok, other.shared():
        debugger.breakpoint()


def _any_order(seed: u64) -> None:
    random = support.Random(state=seed * 77 + 5)
    while stage.load_relaxed() == 0:
        first = random.next(MANY)
        second = random.next(MANY)
        third = random.next(MANY)
        token.gettoken(many[first])
        token.gettoken(many[second])
        token.gettoken(many[third])
        counts[first] += 1
        counts[second] += 1
        counts[third] += 1
        token.reltoken(many[third])
        token.reltoken(many[second])
        token.reltoken(many[first])
        progress[seed].add(1)
        if random.next(64) == 0:
            support.pause_ticks(1)
    support.done()


def _rounds(crew: u32) -> u64:
    """What all of them did so far."""
    total: u64 = 0
    for i in range(crew):
        total += progress[i].load()
    return total


@table("guest_test", 35)
def any_order_makes_progress() -> None:
    """8 tokens, three at a time in random order, by 2 threads a CPU: nobody stops, no count lost.
    For `seconds=` of the command line, else 5 s."""
    seconds, given = words.number(words.value_of(machine.command_line(), b"seconds"))
    if not given:
        seconds = 5
    crew = min(2 * support.cpus(), 16)
    stage.store(0)
    for i in range(MANY):
        token.init(many[i], "many")
        counts[i] = 0
    for i in range(crew):
        progress[i].store(0)
        support.spawn(_any_order, i, u32(i) % support.cpus())
    began = machine.cputimer_count()
    last: Array[u64, 64]
    while support.elapsed_ms(began) < seconds * 1000:
        before = _rounds(crew)
        while _rounds(crew) - before < FAIR_ROUNDS * crew:
            support.pause_ticks(10)         # however long the host takes for that
        for i in range(crew):
            now = progress[i].load()
            assert now > last[i], "a thread had no turn while the others had thousands"
            last[i] = now
    stage.store(1)
    support.join()
    total: u64 = 0
    for i in range(MANY):
        total += counts[i]
        assert many[i].count.load() == 0
    rounds = _rounds(crew)
    assert total == 3 * rounds
    kprintf(f"{rounds} rounds of {crew} threads in {seconds} s\n")
