# SPDX-License-Identifier: BSD-3-Clause
"""What `make trace` shows when it is told nothing else, and what the tours follow.

trace_workload   about a second of everything at once, on all CPUs: threads of equal priority, two
                 tokens, a server that takes messages, an interrupt thread, one that migrates

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
    zeroed,
)

from kernel import machine
from kernel.lwkt import intr, msgport, sched, systimer, token
from kernel.lwkt.globaldata import curthread, find, gd
from kernel.lwkt.msgport import Msg, Port
from kernel.lwkt.thread import Pri
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
                work_us(20 + random.next(40))
                entries.add(1)
                if random.next(16) == 0:
                    support.pause_ticks(1)
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
