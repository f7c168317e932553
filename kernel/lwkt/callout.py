# SPDX-License-Identifier: BSD-3-Clause
"""Callouts: call a function so many ticks from now, on a thread.

Each CPU has a wheel of buckets, one a tick, and a softclock thread that calls what is due.  The
hardclock only advances the tick, and wakes the thread if there is something in its bucket.
A callout belongs to the CPU that reset() it last.

Invariants
  O1  A callout that is ACTIVE is in the bucket `time % WHEEL` of its CPU, and only that CPU
      changes the bucket.
  O2  `softticks` never overtakes `curticks`; what is due at a tick is called before it is passed.
      While a function is called more may be due at its tick: hardclock() passes none then.
  O3  When stop() returns the function is not running and will not run, unless it was called by
      the function itself.
Tests     tests/unit/lwkt/test_callout.py, tests/guest/timers.py
Source    DragonFly sys/kern/kern_timeout.c (design)
"""
from typing import Final

from kpy import (
    Array,
    Fn,
    Ptr,
    VirtAddr,
    address_of,
    kassert,
    may_block,
    pointer_at,
    ref,
    struct,
    u64,
)

from kernel.lib import queue
from kernel.lwkt import crit, ipiq, sched, sleepq
from kernel.lwkt.globaldata import Globaldata, curthread, gd, mycpu
from kernel.lwkt.thread import Thread

UNSAFE: Final = True     # a callout of another CPU travels as a number in an IPI message

WHEEL: Final = 512           # buckets, a power of two


@struct
class Callout:
    """Storage is the caller's; the function may free it."""
    link: queue.Link["Callout"]             # [o]
    time: u64                               # [o] tick
    func: Fn[[Ptr["Callout"]], None]        # [o]
    arg: u64                                # [o] the caller's
    gd: Ptr[Globaldata]                     # [o] whose wheel
    active: bool                            # [o] in a bucket


@struct
class Wheel:
    """The callouts of a CPU."""
    buckets: Array[queue.TailQueue[Callout, "link"], WHEEL]     # [o]
    curticks: u64                           # [o] hardclock ticks so far
    softticks: u64                          # [o] ticks worked off
    running: Ptr[Callout] | None            # [o] whose function is being called
    waited: bool                            # [o] somebody waits for that to end
    thread: Ptr[Thread] | None              # [o] softclock


@struct
class StopRecord:
    """What a CPU answers to one that stops a callout of its wheel."""
    was_active: bool
    running: bool


def init(c: Ptr[Callout]) -> None:
    """A callout that is not set."""
    c.gd = mycpu()
    c.active = False


def reset(c: Ptr[Callout], ticks: u64, func: Fn[[Ptr[Callout]], None], arg: u64) -> None:
    """Call func(c) on this CPU, `ticks` (at least 1) from now; replaces an earlier reset().

    Context  thread or critical section, on the CPU of an earlier reset() if that is pending.
    """
    crit.crit_enter()
    kassert(not c.active or c.gd is mycpu(), "it is set on another CPU: stop it first")
    if c.active:
        _take_out(c)
    c.gd = mycpu()
    c.func = func
    c.arg = arg
    c.time = gd.wheel.curticks + max(ticks, 1)
    c.active = True
    gd.wheel.buckets[c.time % WHEEL].push_back(c)
    crit.crit_exit()


@may_block
def stop(c: Ptr[Callout]) -> bool:
    """Take it back, and wait if it is just being called (O3).

    Returns  whether it was still to be called.
    """
    answer: StopRecord
    was_active = False
    while True:
        owner = c.gd
        sleepq.tsleep_interlock(u64(address_of(c)))
        seq = ipiq.send(owner, _stop_here, u64(address_of(c)), u64(address_of(answer)))
        ipiq.wait(owner, seq)
        was_active = was_active or answer.was_active
        if not answer.running or owner.wheel.thread is curthread():
            break
        sleepq.wait(u64(address_of(c)), sleepq.SleepFlag.PINTERLOCKED, "callout")
    sleepq.tsleep_remove()
    return was_active


def hardclock() -> None:
    """A tick has passed.  Interrupt level."""
    wheel = ref(gd.wheel)
    idle = wheel.softticks == wheel.curticks and wheel.running is None
    wheel.curticks += 1
    if idle and wheel.buckets[wheel.curticks % WHEEL].empty():
        wheel.softticks = wheel.curticks            # O2: nothing to call
        return
    td = wheel.thread
    if td is not None:
        sched.schedule(td)


def softclock(unused: u64) -> None:
    """The thread that calls what is due on its CPU."""
    wheel = ref(gd.wheel)
    wheel.thread = curthread()
    crit.crit_enter()
    while True:
        while wheel.softticks != wheel.curticks:
            wheel.softticks += 1
            _call_due(wheel)
        sleepq.lwkt_sleep("tick")           # hardclock() cannot come between test and sleep


def _call_due(wheel: Ptr[Wheel]) -> None:
    """Call what is due at softticks.  In the caller's critical section, left for each call."""
    bucket = ref(wheel.buckets[wheel.softticks % WHEEL])
    c = bucket.first
    while c is not None:
        if c.time != wheel.softticks:
            c = c.link.next
            continue
        _take_out(c)
        wheel.running = c
        crit.crit_exit()
        c.func(c)                           # from here on c may be gone
        crit.crit_enter()
        wheel.running = None
        gd.counters.callouts_run += 1
        if wheel.waited:
            wheel.waited = False
            sleepq.wakeup(u64(address_of(c)))
        c = bucket.first                    # the bucket may have changed meanwhile


def _take_out(c: Ptr[Callout]) -> None:
    gd.wheel.buckets[c.time % WHEEL].remove(c)
    c.active = False


def _stop_here(arg: u64, result: u64) -> None:
    """On the CPU whose wheel it is."""
    c = pointer_at(Callout, VirtAddr(arg))              # safe: stop() waits for this
    answer = pointer_at(StopRecord, VirtAddr(result))   # safe: likewise
    answer.was_active = c.active
    if c.active:
        _take_out(c)
    answer.running = gd.wheel.running is c
    if answer.running:
        gd.wheel.waited = True
