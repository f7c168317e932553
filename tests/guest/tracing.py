# SPDX-License-Identifier: BSD-3-Clause
"""What `make trace` shows when it is told nothing else, and what the tours follow.

trace_workload   about a second of everything at once, on all CPUs: threads of equal priority, two
                 tokens, a server that takes messages, an interrupt thread, one that migrates
tour_token       two CPUs, one token (docs/tours/token.md)
tour_message     a message from one CPU to another and back (docs/tours/message.md)

Each CPU's threads wake at the same tick, so that there is a crowd every 10 ms and calm in between.
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Fn,
    Ptr,
    Slice,
    i32,
    kprintf,
    may_block,
    pause,
    ref,
    table,
    u8,
    u32,
    u64,
    unwrap,
    volatile_load,
    zeroed,
)

from kernel import machine
from kernel.lwkt import intr, msgport, sched, sleepq, systimer, token
from kernel.lwkt.globaldata import curthread, find, gd
from kernel.lwkt.msgport import Msg, Port
from kernel.lwkt.thread import Pri, Thread, ThreadFlag
from tests.guest import interrupts, support

UNSAFE: Final = True        # tokens and messages begin as zeroed storage

RUN_MS: Final = 1000
ROUNDS: Final = 3           # between two sleeps
INTERRUPT_HZ: Final = 300
COMMAND_QUIT: Final = 0
COMMAND_ADD: Final = 1

ledger: token.Token = zeroed(token.Token)       # one at a time
index: token.Token = zeroed(token.Token)        # readers share it
timer: systimer.Systimer = zeroed(systimer.Systimer)
server: Atomic[Ptr[Port] | None]
tour: token.Token = zeroed(token.Token)
asker: Atomic[Ptr[Thread] | None]
other: Atomic[Ptr[Thread] | None]
began: u64 = 0
entries: Atomic[u64]                            # written under `ledger`
reads: Atomic[u64]
stage: Atomic[u32]


@may_block
def start(func: Fn[[u64], None], argument: u64, name: Slice[u8], cpu: u32,
          pri: Pri = Pri.KERN_DAEMON) -> None:
    """A thread of the crew with a name of its own."""
    support.running.add(1)
    while True:
        try:
            sched.create(func, argument, name, i32(cpu), pri)
            return
        except Errno:
            support.pause_ticks(1)


def work_us(count: u64) -> None:
    """Keep the CPU busy for `count` microseconds; an interrupt's time counts."""
    until = machine.cputimer_count() + count * machine.cputimer_hz() // 1_000_000
    while machine.cputimer_count() < until:
        pause()


def over() -> bool:
    return support.elapsed_ms(began) >= RUN_MS


# --- Everything at once --------------------------------------------------------------------


def _clerk(seed: u64) -> None:
    """Writes to the ledger, under its token; now and then falls asleep over it."""
    random = support.Random(state=seed * 77 + 5)
    while not over():
        for _ in range(ROUNDS):
            work_us(20 + random.next(60))
            with ledger:
                work_us(30 + random.next(80))
                entries.add(1)
                match random.next(24):
                    case 0:
                        support.pause_ticks(1)
                    case 1:
                        work_us(2000)       # the others give up spinning
                    case _:
                        pass
        support.pause_ticks(1)
    support.done()


def _reader(seed: u64) -> None:
    """Reads the index, together with other readers."""
    random = support.Random(state=seed * 99 + 7)
    while not over():
        for _ in range(ROUNDS):
            with index.shared():
                work_us(30 + random.next(50))
                reads.add(1)
            work_us(random.next(40))
        support.pause_ticks(1)
    support.done()


def _writer(seed: u64) -> None:
    """Changes the index, alone."""
    while not over():
        work_us(60)
        with index:
            work_us(40)
        support.pause_ticks(1)
    support.done()


def _server(unused: u64) -> None:
    """Answers messages until it is told to quit."""
    port = ref(curthread().msgport)
    server.store(port)
    while True:
        msg = msgport.waitport(port)
        last = msg.command == COMMAND_QUIT
        if not last:
            work_us(15)
            msg.result += 1
        msgport.replymsg(msg, 0)
        if last:
            break
    support.done()


@may_block
def _ask(rounds: u64, command: u64) -> u64:
    """Send the server `rounds` messages, one after the other."""
    msg: Msg = zeroed(Msg)
    msgport.init(msg, curthread().msgport)
    msg.command = command
    for _ in range(rounds):
        msgport.domsg(unwrap(server.load()), msg)
    return msg.result


def _client(seed: u64) -> None:
    while not over():
        work_us(20 + 10 * seed)
        _ask(ROUNDS, COMMAND_ADD)
        support.pause_ticks(1)
    support.done()


def _migrant(unused: u64) -> None:
    """Goes from CPU to CPU."""
    cpu: u32 = 0
    while not over():
        cpu = (cpu + 1) % support.cpus()
        sched.setcpu_self(find(cpu))
        work_us(25)
        support.pause_ticks(2)
    support.done()


def _arrived(h: Ptr[intr.Handler]) -> None:
    work_us(5)


def _raise(t: Ptr[systimer.Systimer]) -> None:
    intr.post(interrupts.VECTOR)


@table("guest_test", 100)
def trace_workload() -> None:
    """Something of everything for RUN_MS, on all CPUs."""
    global began
    token.init(ledger, "ledger")
    token.init(index, "index")
    entries.store(0)
    reads.store(0)
    server.store(None)
    start(_server, 0, b"server", 0)
    while server.load() is None:
        support.pause_ticks(1)
    began = machine.cputimer_count()
    interrupts.register_with(_arrived)
    systimer.add_periodic(timer, gd.self, _raise, 0, INTERRUPT_HZ)
    name: Array[u8, 8]
    for cpu in range(min(support.cpus(), 10)):
        start(_clerk, cpu, _named(name, b"clerk 0", cpu), cpu)
        start(_reader, cpu, _named(name, b"reader0", cpu), cpu)
        start(_client, cpu, _named(name, b"client0", cpu), cpu)
    start(_writer, 0, b"writer", support.cpus() - 1)
    start(_migrant, 0, b"migrant", 0)
    support.join(1)
    systimer.delete(timer)
    interrupts.register_with(interrupts.serve)
    _ask(1, COMMAND_QUIT)
    support.join()
    assert ledger.count.load() == 0 and index.count.load() == 0
    kprintf(f"{entries.load()} entries, {reads.load()} reads in {support.elapsed_ms(began)} ms\n")


def _named(to: Slice[u8], name: Slice[u8], cpu: u32) -> Slice[u8]:
    """`name`, whose last letter becomes the number of the CPU."""
    last = len(name) - 1
    to[:last].copy_from(name[:last])
    to[last] = u8(48 + cpu)
    return to[:last + 1]


# --- Tours -----------------------------------------------------------------------------------


def _first(unused: u64) -> None:
    """On CPU 0: has the token, keeps it until the second has tried, and sleeps over it."""
    token.gettoken(tour)
    stage.store(1)
    while stage.load() < 2:             # until another thread runs in the second's place
        pause()
    while stage.load() < 3:
        support.pause_ticks(1)          # lets go of the token, and has it again afterwards
    token.reltoken(tour)
    support.done()


def _second(unused: u64) -> None:
    """On CPU 1: wants the token, has it while the first sleeps, until that one wants it again."""
    while stage.load() < 1 or other.load() is None:
        support.pause_ticks(1)
    sched.schedule(unwrap(other.load()))    # runs as soon as we do not
    token.gettoken(tour)
    stage.store(3)
    before = find(0).counters.token_rounds
    while find(0).counters.token_rounds == before:
        pause()
    token.reltoken(tour)
    support.done()


def _other(unused: u64) -> None:
    """On CPU 1: has nothing to do with the token, and runs while the second waits for it."""
    other.store(curthread())
    sleepq.lwkt_sleep("turn")
    stage.store(2)
    while tour.count.load() & token.EXCLUSIVE != 0:
        pause()
    support.done()


@table("guest_test", 101)
def tour_token() -> None:
    """Two CPUs, one token."""
    if support.cpus() < 2:
        kprintf("needs two CPUs\n")
        return
    token.init(tour, "tour")
    stage.store(0)
    other.store(None)
    start(_first, 0, b"first", 0)
    start(_second, 0, b"second", 1)
    start(_other, 0, b"other", 1)
    support.join()
    assert tour.count.load() == 0 and tour.collisions.load() == 1
    kprintf("held by both, one after the other\n")


def _answer(unused: u64) -> None:
    """On CPU 1: answers each message once its sender is asleep."""
    port = ref(curthread().msgport)
    server.store(port)
    while True:
        msg = msgport.waitport(port)
        sender = unwrap(asker.load())
        while ThreadFlag.RUNNING in volatile_load(sender.flags):
            pause()
        last = msg.command == COMMAND_QUIT
        msg.result += 1
        msgport.replymsg(msg, 0)
        if last:
            break
    support.done()


def _ask_thrice(unused: u64) -> None:
    """On CPU 0: sends a message and waits for the answer, three times."""
    asker.store(curthread())
    for i in range(3):
        support.pause_ticks(1)          # the other is back at its port, and asleep
        _ask(1, 2 - i)
    support.done()


@table("guest_test", 102)
def tour_message() -> None:
    """A message to a thread of another CPU, and back."""
    if support.cpus() < 2:
        kprintf("needs two CPUs\n")
        return
    server.store(None)
    start(_answer, 0, b"answerer", 1)
    while server.load() is None:
        support.pause_ticks(1)
    start(_ask_thrice, 0, b"asker", 0)
    support.join()
    kprintf("asked and answered three times\n")
