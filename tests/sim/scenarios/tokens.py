# SPDX-License-Identifier: BSD-3-Clause
"""Tokens: who holds one is alone, or shares; who blocks lets go; who waits gets its turn.

Covers    kernel/lwkt/token.py T1 to T4, sched.py R3, R4
"""
from typing import Final

from kpy import Atomic, Errno, Ptr, address_of, panic, ref, u32, u64, zeroed

from kernel.lwkt import intr, ipiq, sched, sleepq, token
from kernel.lwkt.globaldata import find
from tests.sim import world

UNSAFE: Final = True        # storage of tokens begins as zero: free tokens; idents are addresses

VECTOR: Final = 5

tok: token.Token = zeroed(token.Token)
other: token.Token = zeroed(token.Token)
count: u64 = 0              # protected by tok
second: u64 = 0             # protected by other
stage: Atomic[u32]
sharers: Atomic[u32]
most: Atomic[u32]
info: intr.IntrInfo = zeroed(intr.IntrInfo)
handler: intr.Handler = zeroed(intr.Handler)


def _free() -> None:
    assert tok.count.load() & ~token.EXCLREQ == 0 and tok.ref.load() is None
    assert other.count.load() & ~token.EXCLREQ == 0 and other.ref.load() is None


# --- Two CPUs count under one token ---------------------------------------------------------


def _add(times: u64) -> None:
    global count
    for _ in range(times):
        token.gettoken(tok)
        count += 1
        token.reltoken(tok)


def exclusive() -> None:
    """Two CPUs count under one token."""
    world.thread(_add, 1, 0)
    world.thread(_add, 1, 1)
    world.check(_two)


def _two() -> None:
    assert count == 2
    _free()


def exclusive_many() -> None:
    """Three CPUs, one of them with two threads, count under one token, and do so again."""
    world.thread(_add, 2, 0)
    world.thread(_add, 2, 0)
    world.thread(_add, 2, 1)
    world.thread(_add, 2, 2)
    world.check(_eight)


def _eight() -> None:
    assert count == 8
    _free()


# --- Readers share, writers do not ----------------------------------------------------------


def _read(times: u64) -> None:
    for _ in range(times):
        token.gettoken_shared(tok)
        now = sharers.add(1) + 1
        if now > most.load():
            most.store(now)
        first = count
        assert stage.load() == 0, "a writer is at it"
        assert count == first
        sharers.sub(1)
        token.reltoken(tok)


def _write(times: u64) -> None:
    global count
    for _ in range(times):
        token.gettoken(tok)
        assert sharers.load() == 0, "a reader is at it"
        stage.store(1)
        count += 1
        stage.store(0)
        token.reltoken(tok)


def shared() -> None:
    """Two readers and a writer on three CPUs."""
    world.thread(_read, 1, 0)
    world.thread(_read, 1, 1)
    world.thread(_write, 1, 2)
    world.check(_one)


def _one() -> None:
    assert count == 1
    _free()


def writer_waits() -> None:
    """Readers that come again and again on two CPUs do not keep a writer out for good."""
    world.thread(_read, 4, 0)
    world.thread(_read, 4, 1)
    world.thread(_write, 2, 0)
    world.check(_twice)


def _twice() -> None:
    assert count == 2
    _free()


# --- Recursion ------------------------------------------------------------------------------


def _nest(unused: u64) -> None:
    global count
    with tok:
        with tok:
            count += 1
            with tok.shared():
                assert token.held(tok)
        assert token.held(tok)
        count += 1
    assert not token.held(tok)


def recursive() -> None:
    """A token taken again by its holder, exclusively and shared, is free only at the end."""
    world.thread(_nest, 0, 0)
    world.thread(_nest, 0, 1)
    world.check(_four)


def _four() -> None:
    assert count == 4
    _free()


def _try(unused: u64) -> None:
    global count
    if token.trytoken(tok):
        count += 1
        token.reltoken(tok)
        stage.add(1)
    if token.trytoken_shared(tok):
        assert count <= 4
        token.reltoken(tok)


def tried() -> None:
    """trytoken() holds it or does not, never half."""
    world.thread(_try, 0, 0)
    world.thread(_try, 0, 1)
    world.thread(_add, 1, 1)
    world.check(_tried)


def _tried() -> None:
    assert count == 1 + stage.load()
    _free()


def _read_apart(times: u64) -> None:
    for _ in range(times):
        token.gettoken_shared(tok)
        before = count
        world.point()
        assert count == before, "a writer is at it"
        token.reltoken(tok)


def _nest_twice(unused: u64) -> None:
    global count
    with tok:
        with tok:
            count += 1
        with tok.shared():
            assert token.held_any(tok) and not token.held_any(other)


def recursive_beside_readers() -> None:
    """The holder takes it again while readers and a writer try."""
    world.thread(_nest_twice, 0, 0)
    world.thread(_read_apart, 1, 1)
    world.thread(_nest_twice, 0, 2)
    world.check(_two)


def _nobody_asks(unused1: u64, unused2: u64) -> None:
    stage.add(1)


def _hold_and_ask(unused: u64) -> None:
    global count
    token.gettoken(tok)
    ipiq.wait(find(0), ipiq.send(find(0), _nobody_asks, 0, 0))
    count += 1
    token.reltoken(tok)


def holder_asks() -> None:
    """A holder waits for a message's end on a CPU that waits for its token."""
    world.thread(_add, 1, 0)
    world.thread(_hold_and_ask, 0, 1)
    world.check(_two)


def _hold_and_ask_later(unused: u64) -> None:
    """Asks when the other has given up spinning, and left the token to its scheduler."""
    global count
    token.gettoken(tok)
    while tok.collisions.load() == 0:
        world.wait()
    world.point()
    ipiq.wait(find(0), ipiq.send(find(0), _nobody_asks, 0, 0))
    count += 1
    token.reltoken(tok)


def _add_when_held(unused: u64) -> None:
    while tok.count.load() == 0:
        world.wait()
    _add(1)


def holder_asks_later() -> None:
    """A holder waits for a message's end on a CPU whose scheduler waits for the token."""
    world.thread(_add_when_held, 0, 0)
    world.thread(_hold_and_ask_later, 0, 1)
    world.check(_two)


# --- A holder that blocks -------------------------------------------------------------------


def _hold_and_sleep(unused: u64) -> None:
    global count
    ident = u64(address_of(ref(count)))
    token.gettoken(tok)
    while stage.load() == 0:
        sleepq.tsleep_interlock(ident)
        if stage.load() == 0:
            sleepq.wait(ident, sleepq.SleepFlag.PINTERLOCKED, "stage")
        assert token.held(tok), "a thread that continues owns its tokens again"
    count += 1
    token.reltoken(tok)
    sleepq.tsleep_remove()


def _take_and_wake(unused: u64) -> None:
    global count
    token.gettoken(tok)
    count += 1
    stage.store(1)
    token.reltoken(tok)
    sleepq.wakeup(u64(address_of(ref(count))))


def blocked_holder() -> None:
    """A holder that sleeps lets go of its token, and has it again when it is woken."""
    world.thread(_hold_and_sleep, 0, 0)
    world.thread(_take_and_wake, 0, 1)
    world.check(_two)


# --- Two tokens in any order ----------------------------------------------------------------


def _both(order: u64) -> None:
    global count, second
    first = ref(tok) if order == 0 else ref(other)
    last = ref(other) if order == 0 else ref(tok)
    token.gettoken(first)
    token.gettoken(last)
    assert token.held(tok) and token.held(other)
    count += 1
    second += 1
    token.reltoken(last)
    token.reltoken(first)


def any_order() -> None:
    """Two CPUs take two tokens in opposite orders: no deadlock, no count lost."""
    world.thread(_both, 0, 0)
    world.thread(_both, 1, 1)
    world.check(_two_each)


def sorted_reacquire() -> None:
    """Three CPUs, four threads, two tokens in both orders: whoever is switched out gets all of
    its tokens or none."""
    world.thread(_both, 0, 0)
    world.thread(_both, 1, 0)
    world.thread(_both, 1, 1)
    world.thread(_both, 0, 2)
    world.check(_four_each)


def _two_each() -> None:
    assert count == 2 and second == 2
    _free()


def _four_each() -> None:
    assert count == 4 and second == 4
    _free()


def _swap(unused: u64) -> None:
    global count, second
    token.gettoken(tok)
    token.gettoken(other)
    token.swap(tok, other)
    count += 1
    token.reltoken(tok)
    assert token.held(other) and not token.held(tok)
    second += 1
    token.reltoken(other)


def swapped() -> None:
    """Tokens released in the order in which they were taken, by swap()."""
    world.thread(_swap, 0, 0)
    world.thread(_swap, 0, 1)
    world.check(_two_each)


# --- A holder that is preempted -------------------------------------------------------------


def _serve(self: Ptr[intr.Handler]) -> None:
    global count
    token.gettoken(tok)             # the thread that we preempted may hold it
    count += 1
    token.reltoken(tok)
    stage.store(1)


def _register() -> None:
    handler.func = _serve
    handler.name = "serve"
    try:
        intr.register(info, 0, VECTOR, b"serve")
    except Errno:
        panic("no interrupt thread")
    intr.add_handler(info, 0, handler)


def _hold_interrupted(unused: u64) -> None:
    global count
    token.gettoken(tok)
    world.interrupt(0, VECTOR)
    before = count
    count = before + 1
    assert token.held(tok) and count == before + 1, "preemption is visible"
    token.reltoken(tok)
    while stage.load() == 0:
        sched.switch()
        world.wait()


def preempted_holder() -> None:
    """An interrupt thread wants the token of the thread that it preempts, and another CPU does."""
    world.start_with(_register)
    world.thread(_hold_interrupted, 0, 0)
    world.thread(_add, 1, 1)
    world.check(_three)


def _three() -> None:
    assert count == 3
    _free()
