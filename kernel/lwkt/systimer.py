# SPDX-License-Identifier: BSD-3-Clause
"""Timers of a CPU, at interrupt level: a list sorted by time, and one-shot hardware for its head.

A periodic timer puts itself in again; one that came too late runs once and skips the periods it
missed, or, if QUEUED, runs for each.  Timers of one frequency fire together: the phase is that of
multiples of the period, so that one interrupt serves them all.

Invariants
  I1  The list is sorted by time; only the owner CPU touches it.
  I2  If the list is not empty the hardware is armed for its head, or TIMER is pending.
  I3  run() is never entered from within a timer function.
Tests     tests/unit/lwkt/test_systimer.py, tests/guest/timers.py
Source    DragonFly sys/kern/kern_systimer.c (design)
"""
from typing import Final, TypeAlias

from kpy import (
    Fn,
    NoBlock,
    Ptr,
    VirtAddr,
    address_of,
    flags,
    i64,
    kassert,
    pointer_at,
    struct,
    trunc,
    u32,
    u64,
    wrapping,
)

from kernel import machine
from kernel.lib import queue
from kernel.lwkt import crit, ipiq
from kernel.lwkt.globaldata import Globaldata, gd, mycpu

UNSAFE: Final = True     # a timer for another CPU travels as a number in an IPI message


TimerFn: TypeAlias = NoBlock[Fn[[Ptr["Systimer"]], None]]


@flags(u32)
class TimerFlag:
    ONQUEUE = 1
    QUEUED = 2          # run once for each period, even if late
    ONESHOT = 4


@struct
class Systimer:
    """Storage is the caller's, and stays until delete() or the one shot."""
    link: queue.Link["Systimer"]            # [o]
    time: u64                               # [o] when, in cputimer ticks
    period: u64                             # [I] cputimer ticks; 0 of a one-shot
    func: TimerFn                           # [I] called in a critical section
    data: u64                               # [I] the caller's
    gd: Ptr[Globaldata]                     # [I] the CPU it fires on
    state: TimerFlag                        # [o]


@struct
class TimerState:
    """The timers of a CPU."""
    queue: queue.TailQueue[Systimer, "link"]
    nested: u32
    armed: u64                              # the time the hardware is armed for


def add_periodic(timer: Ptr[Systimer], cpu: Ptr[Globaldata], func: TimerFn, data: u64, hz: u64,
                 how: TimerFlag = TimerFlag(0)) -> None:
    """Call func(timer) `hz` times a second on `cpu`."""
    timer.period = machine.cputimer_hz() // hz
    now = machine.cputimer_count()
    timer.time = now - now % timer.period + timer.period        # the common phase
    timer.func = func
    timer.data = data
    timer.state = how
    _place(timer, cpu)


def add_oneshot(timer: Ptr[Systimer], cpu: Ptr[Globaldata], func: TimerFn, data: u64,
                ticks: u64) -> None:
    """Call func(timer) once, `ticks` of the cputimer from now."""
    timer.period = 0
    timer.time = machine.cputimer_count() + ticks
    timer.func = func
    timer.data = data
    timer.state = TimerFlag.ONESHOT
    _place(timer, cpu)


def delete(timer: Ptr[Systimer]) -> None:
    """Take out a timer of this CPU; nothing happens if it is not in."""
    crit.crit_enter()
    if TimerFlag.ONQUEUE in timer.state:
        kassert(timer.gd is mycpu(), "only the owner deletes")
        gd.timers.queue.remove(timer)
        timer.state &= ~TimerFlag.ONQUEUE
    timer.period = 0
    crit.crit_exit()


def run() -> None:
    """Call what is due.  In a critical section, interrupts enabled or not."""
    if gd.timers.nested != 0:
        return                                  # I3: the outer one looks again
    gd.timers.nested = 1
    gd.intr_nesting_level += 1
    while True:
        timer = gd.timers.queue.first
        if timer is None or _until(timer.time) > 0:
            break
        gd.timers.queue.remove(timer)
        timer.state &= ~TimerFlag.ONQUEUE
        period = timer.period
        if period != 0:
            _again(timer, period)
        timer.func(timer)
    gd.intr_nesting_level -= 1
    gd.timers.nested = 0
    _arm()


def _again(timer: Ptr[Systimer], period: u64) -> None:
    """Put a periodic timer in for its next time."""
    timer.time += period
    late = machine.cputimer_count()
    if TimerFlag.QUEUED not in timer.state and timer.time < late:
        timer.time += (late - timer.time + period - 1) // period * period
    _insert(timer)


def _place(timer: Ptr[Systimer], cpu: Ptr[Globaldata]) -> None:
    timer.gd = cpu
    ipiq.send(cpu, _add_here, u64(address_of(timer)), 0)


def _add_here(arg: u64, unused: u64) -> None:
    """On the timer's CPU, in a critical section as all messages are."""
    timer = pointer_at(Systimer, VirtAddr(arg))     # safe: storage stays until delete()
    _insert(timer)
    if gd.timers.nested == 0:
        _arm()


def _insert(timer: Ptr[Systimer]) -> None:
    """I1: behind those of the same time."""
    timer.state |= TimerFlag.ONQUEUE
    after = gd.timers.queue.last
    while after is not None and after.time > timer.time:
        after = after.link.prev
    following = gd.timers.queue.first if after is None else after.link.next
    if following is None:
        gd.timers.queue.push_back(timer)
    else:
        gd.timers.queue.insert_before(following, timer)


def _arm() -> None:
    """I2."""
    timer = gd.timers.queue.first
    if timer is not None:
        left = _until(timer.time)
        machine.cputimer_arm(u64(left) if left > 0 else 1)


def _until(time: u64) -> i64:
    """Cputimer ticks from now to `time`; at most 0 if it has come."""
    return trunc(i64, wrapping(time - machine.cputimer_count()))
