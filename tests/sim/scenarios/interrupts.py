# SPDX-License-Identifier: BSD-3-Clause
"""Interrupts and their threads: none lost, preemption invisible but to the clock.

Covers    kernel/lwkt/intr.py N1, N3, N4, sched.py R4, crit.py C1, C2, splz.py Z1, Z2
"""
from typing import Final

from kpy import Atomic, Errno, Ptr, panic, u32, u64, zeroed

from kernel.lwkt import crit, globaldata, intr, sched
from kernel.lwkt.globaldata import gd
from kernel.lwkt.thread import ThreadFlag
from tests.sim import world
from tests.sim.scenarios import ipi

UNSAFE: Final = True        # what is registered begins as zero

SLOW: Final = 5
FAST: Final = 9

slow: intr.IntrInfo = zeroed(intr.IntrInfo)
fast: intr.IntrInfo = zeroed(intr.IntrInfo)
handler: intr.Handler = zeroed(intr.Handler)
fast_handler: intr.FastHandler = zeroed(intr.FastHandler)
raised: Atomic[u32]
seen: Atomic[u32]           # how many of them the last call of the handler knew of
calls: Atomic[u32]
fast_calls: Atomic[u32]
stage: Atomic[u32]


def _serve(self: Ptr[intr.Handler]) -> None:
    assert ThreadFlag.INTTHREAD in globaldata.curthread().flags and gd.intr_nesting_level == 0
    seen.store(raised.load())
    calls.add(1)


def _serve_fast(self: Ptr[intr.FastHandler]) -> None:
    assert gd.intr_nesting_level > 0
    fast_calls.add(1)


def _register() -> None:
    handler.func = _serve
    handler.name = "serve"
    fast_handler.func = _serve_fast
    try:
        intr.register(slow, 0, SLOW, b"serve")
        intr.register_fast(fast, 0, FAST, fast_handler)
    except Errno:
        panic("no interrupt thread")
    intr.add_handler(slow, 0, handler)


def _raise(times: u64) -> None:
    for _ in range(times):
        raised.add(1)
        world.interrupt(0, SLOW)
        world.point()


def _idle(unused: u64) -> None:
    pass


def level() -> None:
    """An interrupt that comes while its handler runs makes it run again."""
    world.start_with(_register)
    world.thread(_idle, 0, 0)
    world.thread(_raise, 3, 1)
    world.to_quiescence()
    world.check(_all_seen)


def _all_seen() -> None:
    assert seen.load() == 3 and calls.load() >= 1 and calls.load() <= 3


def _work(times: u64) -> None:
    for _ in range(times):
        crit.crit_enter()
        before = calls.load() + fast_calls.load()
        world.interrupt(0, FAST)
        world.interrupt(0, SLOW)
        world.point()
        assert calls.load() + fast_calls.load() == before, "served in a critical section"
        crit.crit_exit()
        assert globaldata.curthread().critcount == 0
    stage.store(1)


def deferred() -> None:
    """What comes in a critical section is served at its end."""
    world.start_with(_register)
    world.thread(_work, 2, 0)
    world.to_quiescence()
    world.check(_both_served)


def _both_served() -> None:
    assert calls.load() >= 1 and fast_calls.load() >= 1


def _count_steps(times: u64) -> None:
    """Its own variables and its priority survive being preempted anywhere."""
    total: u64 = 0
    for i in range(times):
        total += i
        world.point()
        assert ThreadFlag.RUNNING in globaldata.curthread().flags
    assert total == times * (times - 1) // 2
    stage.store(1)


def preemption() -> None:
    """Interrupts from two CPUs at a thread that computes, which goes on each time."""
    world.start_with(_register)
    world.thread(_count_steps, 6, 0)
    world.thread(_raise, 2, 1)
    world.to_quiescence()
    world.check(_two_seen)


def _two_seen() -> None:
    assert seen.load() == 2 and stage.load() == 1


def _spawn_below(unused: u64) -> None:
    """Threads that end and begin while interrupt threads preempt."""
    try:
        sched.create(_count_steps, 2, b"below", 0)
    except Errno:
        panic("no storage")
    sched.switch()


def preemption_of_switches() -> None:
    """Interrupts while threads are switched, created and ended."""
    world.start_with(_register)
    world.thread(_spawn_below, 0, 0)
    world.thread(_raise, 2, 1)
    world.to_quiescence()
    world.check(_two_seen)


def _wait_for_handler(unused: u64) -> None:
    """Removes the handler while it may be called."""
    intr.remove_handler(slow, 0, handler)
    stage.store(1)


def removal() -> None:
    """A handler is taken out from another CPU while its interrupt comes."""
    world.start_with(_register)
    world.thread(_idle, 0, 0)
    world.thread(_wait_for_handler, 0, 1)
    world.thread(_raise, 1, 2)
    world.to_quiescence()


# --- Beside a standstill --------------------------------------------------------------------


def _stop_once(unused: u64) -> None:
    ipi._stop_all(1)


def _interrupt_thrice(unused: u64) -> None:
    """Each when the one before has been served."""
    for _ in range(3):
        before = fast_calls.load()
        world.interrupt(0, FAST)
        while fast_calls.load() == before:
            world.wait()


def masters_interrupted() -> None:
    """No interrupt is lost while a master looks after a standstill that waits for its own."""
    world.start_with(_register)
    world.thread(_stop_once, 0, 0)
    world.thread(_stop_once, 0, 1)
    world.thread(_interrupt_thrice, 0, 2)


# --- Beside ticks ---------------------------------------------------------------------------


def _until_all_came(unused: u64) -> None:
    while fast_calls.load() < 3:
        world.wait()


def ticks_interrupted() -> None:
    """No interrupt is lost while a tick is worked off."""
    world.clocks(hasty=12)
    world.start_with(_register)
    world.thread(_until_all_came, 0, 0)
    world.thread(_interrupt_thrice, 0, 1)
