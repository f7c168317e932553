# SPDX-License-Identifier: BSD-3-Clause
"""Timers: each fires as often as it should, on its CPU, in the order of their times.

Covers    kernel/lwkt/systimer.py I1 to I3
"""
from typing import Final

from kpy import Array, Atomic, Ptr, no_block, u32, u64, zeroed

from kernel import machine
from kernel.lwkt import systimer
from kernel.lwkt.globaldata import find, gd
from kernel.lwkt.systimer import Systimer, TimerFlag
from tests.sim import world

UNSAFE: Final = True        # timers begin as zeroed storage

TIMERS: Final = 4
HZ: Final = 5000            # 200 ticks of the clock, or steps
LONG: Final[u64] = 400
SHORT: Final[u64] = 150

timers: Array[Systimer, TIMERS] = zeroed(Array[Systimer, TIMERS])
fired: Array[Atomic[u32], TIMERS]
deleted: Atomic[u32]


@no_block
def _fire(timer: Ptr[Systimer]) -> None:
    """On its CPU, not before its time, the first of all (I1), nothing within another (I3)."""
    assert gd.cpuid == 0 and gd.timers.nested == 1 and gd.intr_nesting_level > 0
    if TimerFlag.ONESHOT in timer.state:
        assert machine.cputimer_count() >= timer.time, "too early"
        following = gd.timers.queue.first
        assert following is None or following.time >= timer.time, "out of order"
    fired[timer.data].add(1)


@no_block
def _fire_twice(timer: Ptr[Systimer]) -> None:
    """A periodic one that ends itself."""
    _fire(timer)
    if fired[timer.data].load() == 2:
        systimer.delete(timer)
        deleted.store(1)


def _wait_for(which: u64, times: u32) -> None:
    while fired[which].load() < times:
        world.wait()


def _sorted() -> None:
    """I1, I2 at the end."""
    owner = find(0)
    timer = owner.timers.queue.first
    while timer is not None:
        following = timer.link.next
        assert TimerFlag.ONQUEUE in timer.state
        assert following is None or following.time >= timer.time
        timer = following


def _set_two(base: u64) -> None:
    """The later one first; from either CPU."""
    systimer.add_oneshot(timers[base], find(0), _fire, base, LONG)
    systimer.add_oneshot(timers[base + 1], find(0), _fire, base + 1, SHORT)
    _wait_for(base, 1)
    _wait_for(base + 1, 1)


def one_shots() -> None:
    """Two CPUs set timers of one: each fires once, in order."""
    world.thread(_set_two, 0, 0)
    world.thread(_set_two, 2, 1)
    world.check(_each_once)


def _each_once() -> None:
    for i in range(TIMERS):
        assert fired[i].load() == 1
        assert TimerFlag.ONQUEUE not in timers[i].state
    assert find(0).timers.queue.empty()
    _sorted()


def _run_until_deleted(unused: u64) -> None:
    systimer.add_periodic(timers[0], find(0), _fire_twice, 0, HZ)
    while deleted.load() == 0:
        world.wait()


def _set_one(unused: u64) -> None:
    systimer.add_oneshot(timers[1], find(0), _fire, 1, SHORT)
    _wait_for(1, 1)


def periodic() -> None:
    """A timer fires at each period until it takes itself out; others come and go beside it."""
    world.thread(_run_until_deleted, 0, 1)
    world.thread(_set_one, 0, 0)
    world.check(_twice)


def _twice() -> None:
    assert fired[0].load() == 2 and fired[1].load() == 1
    assert find(0).timers.queue.empty()


def _delete_own(unused: u64) -> None:
    """Its owner deletes a timer that may just fire; it does not fire afterwards."""
    systimer.add_periodic(timers[0], find(0), _fire, 0, HZ)
    systimer.add_oneshot(timers[1], find(0), _fire, 1, LONG)
    world.point()
    systimer.delete(timers[0])
    before = fired[0].load()
    _wait_for(1, 1)
    assert fired[0].load() == before, "it fired after it was deleted"


def deleted_by_owner() -> None:
    """A timer is deleted while it, or another CPU's message, comes."""
    world.thread(_delete_own, 0, 0)
    world.thread(_set_late, 0, 1)
    world.check(_gone)


def _set_late(unused: u64) -> None:
    systimer.add_oneshot(timers[2], find(0), _fire, 2, SHORT)
    _wait_for(2, 1)


def _gone() -> None:
    assert fired[1].load() == 1 and fired[2].load() == 1
    assert find(0).timers.queue.empty()


def _catch_up(unused: u64) -> None:
    """One that is QUEUED runs for each period that went by; the other skips them."""
    systimer.add_periodic(timers[0], find(0), _fire, 0, HZ, TimerFlag.QUEUED)
    systimer.add_periodic(timers[1], find(0), _fire, 1, HZ)
    _wait_for(0, 3)
    _wait_for(1, 1)
    systimer.delete(timers[0])
    systimer.delete(timers[1])


def late_timers() -> None:
    """Of two that come late one runs for each period."""
    world.clocks(hasty=4)
    world.thread(_catch_up, 0, 0)
    world.check(_caught_up)


def _caught_up() -> None:
    assert fired[0].load() >= 3 and fired[1].load() >= 1
    _sorted()
