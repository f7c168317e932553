# SPDX-License-Identifier: BSD-3-Clause
"""Everything at once: tokens, messages, sleep, locks, memory, timers and migration, on all CPUs.

A crew for each mechanism works until the time is over (`seconds=` of the command line, else 10 s);
a monitor sees that each makes progress, and at the end that nothing was lost or leaked.
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Ptr,
    Str,
    address_of,
    kprintf,
    ref,
    table,
    u8,
    u32,
    u64,
    zeroed,
)

from kernel import machine, mem
from kernel.lib import words
from kernel.lwkt import cpusync, msgport, sched, sleepq, spin, token
from kernel.lwkt.cpumask import Cpumask
from kernel.lwkt.globaldata import curthread, find
from kernel.lwkt.msgport import Msg, Port
from tests.guest import support

UNSAFE: Final = True        # tokens and ports begin as zeroed storage

CREWS: Final = 7
HELD: Final = 16
NAMES: Final[Array[Str, CREWS]] = ["tokens", "messages", "sleep", "spinlocks", "memory",
                                   "migration", "births"]

stop: Atomic[u32]
rounds: Array[Atomic[u64], CREWS]
first: token.Token = zeroed(token.Token)
second: token.Token = zeroed(token.Token)
under_both: u64 = 0                         # protected by first and second
guard: spin.Spinlock
under_guard: u64 = 0                        # protected by guard
port: Port = zeroed(Port)
turn: Atomic[u64]
kind: mem.MallocType = mem.MallocType(name="soak")
born: Atomic[u64]


def _tokens(seed: u64) -> None:
    global under_both
    random = support.Random(state=seed + 1)
    while stop.load_relaxed() == 0:
        forward = random.next(2) == 0
        token.gettoken(ref(first) if forward else ref(second))
        token.gettoken(ref(second) if forward else ref(first))
        if random.next(100) == 0:
            support.pause_ticks(1)
        under_both += 1
        token.reltoken(ref(second) if forward else ref(first))
        token.reltoken(ref(first) if forward else ref(second))
        rounds[0].add(1)
    support.done()


def _serve(unused: u64) -> None:
    while True:
        msg = msgport.waitport(port)
        last = msg.command == 0
        msg.result += 1
        msgport.replymsg(msg, 0)
        if last:
            break
    support.done()


def _ask(seed: u64) -> None:
    msg: Msg = zeroed(Msg)
    msgport.init(msg, curthread().msgport)
    msg.command = 1
    while stop.load_relaxed() == 0:
        msgport.domsg(port, msg)
        rounds[1].add(1)
    support.done()


def _sleep(me: u64) -> None:
    while stop.load_relaxed() == 0:
        sleepq.tsleep_interlock(u64(address_of(turn)))
        if turn.load() % 2 == me % 2:
            sleepq.tsleep_remove()
            turn.add(1)
            rounds[2].add(1)
            sleepq.wakeup(u64(address_of(turn)))
        else:
            sleepq.tsleep(u64(address_of(turn)), sleepq.SleepFlag.PINTERLOCKED, "turn", 2)
    support.done()


def _spin(seed: u64) -> None:
    global under_guard
    while stop.load_relaxed() == 0:
        for _ in range(100):
            with guard:
                under_guard += 1
        rounds[3].add(100)
        sched.yield_()
    support.done()


def _allocate(seed: u64) -> None:
    random = support.Random(state=seed + 99)
    held: Array[Ptr[u8] | None, HELD]
    while stop.load_relaxed() == 0:
        at = random.next(HELD)
        old = held[at]
        if old is not None:
            mem.kfree(old, kind)
            held[at] = None
        else:
            held[at] = mem.kmalloc(1 + random.next(5000), kind, mem.NOWAIT)
        if random.next(200) == 0:           # what this CPU allocated another frees
            sched.setcpu_self(find(u32(random.next(support.cpus()))))
        rounds[4].add(1)
        sched.yield_()
    for item in held:
        if item is not None:
            mem.kfree(item, kind)
    support.done()


def _migrate(seed: u64) -> None:
    random = support.Random(state=seed + 7)
    mask: Cpumask
    for cpu in range(support.cpus()):
        mask.add(cpu)
    while stop.load_relaxed() == 0:
        sched.setcpu_self(find(u32(random.next(support.cpus()))))
        if random.next(500) == 0:
            cpusync.simple(mask, _nothing, 0)
        rounds[5].add(1)
        sched.yield_()
    support.done()


def _nothing(unused: u64, also: u64) -> None:
    pass


def _brief(unused: u64) -> None:
    born.sub(1)
    support.done()


def _births(seed: u64) -> None:
    random = support.Random(state=seed + 3)
    while stop.load_relaxed() == 0:
        if born.load_relaxed() < 64:
            born.add(1)
            support.spawn(_brief, 0, u32(random.next(support.cpus())))
            rounds[6].add(1)
        else:
            support.pause_ticks(1)
        sched.yield_()
    support.done()


@table("guest_test", 200)
def soak() -> None:
    """All mechanisms at once, for `seconds=`."""
    seconds, given = words.number(words.value_of(machine.command_line(), b"seconds"))
    if not given:
        seconds = 10
    stop.store(0)
    token.init(first, "first")
    token.init(second, "second")
    msgport.init_spin_port(port)
    cpus = support.cpus()
    for cpu in range(min(cpus, 8)):
        support.spawn(_tokens, cpu, cpu)
        support.spawn(_serve, cpu, cpu)
        support.spawn(_ask, cpu, (cpu + 1) % cpus)
        support.spawn(_sleep, cpu, cpu)
        support.spawn(_spin, cpu, cpu)
        support.spawn(_allocate, cpu, cpu)
        support.spawn(_migrate, cpu, cpu)
        support.spawn(_births, cpu, cpu)
    began = machine.cputimer_count()
    last: Array[u64, CREWS]
    while support.elapsed_ms(began) < seconds * 1000:
        support.pause_ticks(500)
        for i in range(CREWS):
            now = rounds[i].load()
            assert now > last[i], f"{NAMES[i]} made no progress for five seconds"
            last[i] = now
    stop.store(1)
    support.join(min(cpus, 8))          # all but the servers: nobody asks any more
    msg: Msg = zeroed(Msg)
    msgport.init(msg, curthread().msgport)
    for _ in range(min(cpus, 8)):
        msg.command = 0
        msgport.domsg(port, msg)
    support.join()
    assert under_both == rounds[0].load() and under_guard == rounds[3].load()
    assert first.count.load() == 0 and second.count.load() == 0 and born.load() == 0
    kprintf(f"{seconds} s on {cpus} CPUs:")
    for i in range(CREWS):
        kprintf(f" {rounds[i].load()} {NAMES[i]}")
    kprintf("\n")
