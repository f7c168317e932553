# SPDX-License-Identifier: BSD-3-Clause
"""Interrupts: where they arrive, and the threads that serve them.

The machine calls arrived() with the source acknowledged.  If the interrupted thread is in a
critical section, or a handler runs, the vector is noted and nothing else happens.  Otherwise it is
served at once: a fast handler here and now; for any other the thread of the vector is scheduled,
and preempts what was interrupted.

A vector that comes more often than `livelock_limit` times a second is throttled: its thread is
woken by a timer at that rate only, until the rate has fallen below half of it for a second.

Invariants
  N1  A handler runs in a critical section, with intr_nesting_level > 0 and interrupts enabled:
      what arrives meanwhile is noted and runs after it, so frames nest at most two deep.
  N2  A level-triggered source stays masked from arrival until its thread has run its handlers.
  N3  `running` is cleared before the handlers are called: an interrupt that comes while they run
      makes them run again.
  N4  Each vector belongs to the CPU in whose table it is.
Tests     tests/unit/lwkt/test_intr.py, tests/guest/interrupts.py
Source    DragonFly sys/kern/kern_intr.c (design)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Fn,
    NoBlock,
    Ptr,
    Slice,
    Str,
    VirtAddr,
    address_of,
    ctz,
    i32,
    implements,
    inline,
    no_block,
    pointer_at,
    struct,
    throws,
    u8,
    u32,
    u64,
    wrapping,
)

from kernel import machine
from kernel.lib import queue
from kernel.lib.errno import EBUSY, EINVAL
from kernel.lwkt import crit, globaldata, ipiq, ktr, sched, sleepq, splz, systimer
from kernel.lwkt.globaldata import (
    RQF_INTPEND,
    RQF_IPIQ,
    RQF_PENDING,
    RQF_TIMER,
    curthread,
    find,
    gd,
)
from kernel.lwkt.thread import Pri, Thread, ThreadFlag
from kernel.machine import upcalls
from kernel.machine.types import Frame

UNSAFE: Final = True     # vectors travel to timers and threads as numbers

VECTORS: Final = 192
LIVELOCK_MIN: Final = 100
LIVELOCK_MAX: Final = 500_000

livelock_limit: u64 = 40_000        # [a] interrupts a second for each vector


@struct
class Handler:
    """One driver's handler on a vector; storage is the driver's."""
    link: queue.Link["Handler"]             # [o]
    func: Fn[[Ptr["Handler"]], None]        # [I] may block
    arg: u64                                # [I] the driver's
    name: Str                               # [I]
    nopoll: bool                            # [I] not to be called by emergency polling


@struct
class FastHandler:
    """The one handler of a vector that is served in the interrupt itself."""
    func: NoBlock[Fn[[Ptr["FastHandler"]], None]]
    arg: u64                                # the driver's


@struct
class IntrInfo:
    """A vector of a CPU."""
    handlers: queue.TailQueue[Handler, "link"]      # [o]
    thread: Ptr[Thread] | None                      # [o]
    fast: Ptr[FastHandler] | None                   # [o]
    running: bool                                   # [o] N3
    throttled: bool                                 # [o] livelock
    vector: u32                                     # [I]
    count: u64                                      # [o] since boot
    recent: u64                                     # [o] in this second
    window: u64                                     # [o] when this second began
    checked: u64                                    # [o] throttled: when last looked at
    count_checked: u64                              # [o] throttled: `count` then
    timer: systimer.Systimer                        # [o] wakes the thread while throttled


@struct
class IntrState:
    """The vectors of a CPU."""
    info: Array[Ptr[IntrInfo] | None, VECTORS]      # [o]
    pending: Array[Atomic[u64], VECTORS // 64]      # [o] noted, not served
    spurious: u64                                   # [o] nobody's
    emergency: Ptr[Thread] | None                   # [o] polls all handlers
    emergency_timer: systimer.Systimer              # [o]


# --- Arrival -------------------------------------------------------------------------------


@implements(upcalls.interrupt)
@no_block
def arrived(frame: Ptr[Frame], vector: u32) -> None:
    """A device's interrupt: note it, and serve it unless that is deferred."""
    gd.counters.interrupts += 1
    _note(vector)
    _serve_pending()


@implements(upcalls.ipi_arrived)
@no_block
def ipi_arrived(frame: Ptr[Frame]) -> None:
    """The doorbell."""
    ktr.log(ktr.Event.DOORBELL, 0, u64(_deferred()))
    gd.reqflags.or_(RQF_IPIQ)
    _serve_pending()


@implements(upcalls.timer_expired)
@no_block
def timer_expired(frame: Ptr[Frame]) -> None:
    """The one-shot timer."""
    ktr.log(ktr.Event.TIMER, 0, u64(_deferred()))
    gd.counters.timer_interrupts += 1
    gd.reqflags.or_(RQF_TIMER)
    _serve_pending()


def post(vector: u32) -> None:
    """Have a vector of this CPU served soon, as if its device had interrupted.  Any context."""
    _note(vector)


def _note(vector: u32) -> None:
    ktr.log(ktr.Event.INTR, vector, u64(_deferred()))
    gd.intr.pending[vector >> 6].or_(u64(1) << (vector & 63), order="relaxed")
    gd.reqflags.or_(RQF_INTPEND)


@inline
def _deferred() -> bool:
    """Whether a critical section or a handler is in the way of what arrives."""
    return curthread().critcount != 0 or gd.intr_nesting_level != 0


def _serve_pending() -> None:
    """In the interrupt, interrupts off: work off what is pending, unless a critical section or a
    handler is in the way; it will do so itself when it ends."""
    td = curthread()
    if _deferred():
        return
    td.critcount = 1
    while True:
        machine.intr_enable()
        while splz.run_pending():
            pass
        machine.intr_disable()
        if gd.reqflags.load() & RQF_PENDING == 0:
            break
    td.critcount -= 1


def run_deferred() -> None:
    """Serve all vectors that were noted, the lowest first."""
    gd.reqflags.and_(~RQF_INTPEND)
    for i in range(VECTORS // 64):
        while (bits := gd.intr.pending[i].load_relaxed()) != 0:
            bit = u32(ctz(bits))
            gd.intr.pending[i].and_(~(u64(1) << bit))
            _serve(u32(i) * 64 + bit)


def _serve(vector: u32) -> None:
    info = gd.intr.info[vector]
    if info is None:
        gd.intr.spurious += 1
        return
    info.count += 1
    level = gd.preempt_level
    gd.preempt_level = 1
    gd.intr_nesting_level += 1                      # N1
    if info.fast is not None:
        info.fast.func(info.fast)
        machine.intr_unmask(gd.cpuid, vector)
    else:
        _account(info)
        info.running = True
        td = info.thread
        if td is not None and not info.throttled:
            sched.schedule(td)
    gd.intr_nesting_level -= 1
    gd.preempt_level = level


# --- Registration --------------------------------------------------------------------------


@throws
def register(info: Ptr[IntrInfo], cpu: u32, vector: u32, name: Slice[u8],
             pri: Pri = Pri.INT_MED) -> None:
    """Make `info`, zeroed storage that stays, the vector of `cpu`, with a thread to serve it.

    Context  thread.
    Errors   EINVAL no such vector, EBUSY it is taken, ENOMEM.
    """
    _claim(info, cpu, vector)
    td = sched.create(_thread, u64(address_of(info)), name, i32(cpu), pri,
                      ThreadFlag.NOSTART | ThreadFlag.INTTHREAD | ThreadFlag.FIXEDCPU)
    td.preemptable = True
    info.thread = td
    sched.start_thread(td)


@throws
def register_fast(info: Ptr[IntrInfo], cpu: u32, vector: u32, fast: Ptr[FastHandler]) -> None:
    """As register(), for a handler that is called in the interrupt itself and is short."""
    _claim(info, cpu, vector)
    info.fast = fast


def add_handler(info: Ptr[IntrInfo], cpu: u32, handler: Ptr[Handler]) -> None:
    """Have `handler` called, after those already there.  Returns when it will be."""
    seq = ipiq.send(find(cpu), _add_handler, u64(address_of(info)), u64(address_of(handler)))
    ipiq.wait(find(cpu), seq)


def remove_handler(info: Ptr[IntrInfo], cpu: u32, handler: Ptr[Handler]) -> None:
    """Take a handler out.  It may be running still: the driver waits for that itself."""
    seq = ipiq.send(find(cpu), _remove_handler, u64(address_of(info)), u64(address_of(handler)))
    ipiq.wait(find(cpu), seq)


@throws
def _claim(info: Ptr[IntrInfo], cpu: u32, vector: u32) -> None:
    if vector >= VECTORS:
        raise Errno(EINVAL)
    info.vector = vector
    owner = find(cpu)
    seq = ipiq.send(owner, _claim_here, u64(address_of(info)), 0)
    ipiq.wait(owner, seq)
    if owner.intr.info[vector] is not info:
        raise Errno(EBUSY)


def _claim_here(arg: u64, unused: u64) -> None:
    info = pointer_at(IntrInfo, VirtAddr(arg))      # safe: _claim() waits for this
    if gd.intr.info[info.vector] is None:
        gd.intr.info[info.vector] = info


def _add_handler(arg: u64, handler: u64) -> None:
    # safe: add_handler() waits for this
    pointer_at(IntrInfo, VirtAddr(arg)).handlers.push_back(pointer_at(Handler, VirtAddr(handler)))


def _remove_handler(arg: u64, handler: u64) -> None:
    # safe: remove_handler() waits for this
    pointer_at(IntrInfo, VirtAddr(arg)).handlers.remove(pointer_at(Handler, VirtAddr(handler)))


@throws
def poll_all(hz: u64) -> None:
    """Emergency polling: from now on a thread of each CPU calls every handler that allows it, `hz`
    times a second, whether its interrupt comes or not.  For machines whose routing is broken.

    Errors   ENOMEM.
    """
    for cpu in globaldata.numbers():
        td = sched.create(_emergency, 0, b"emergency", i32(cpu), Pri.INT_LOW,
                          ThreadFlag.NOSTART | ThreadFlag.FIXEDCPU)
        find(cpu).intr.emergency = td
        sched.start_thread(td)
        systimer.add_periodic(find(cpu).intr.emergency_timer, find(cpu), _emergency_tick, 0, hz)


# --- The threads ---------------------------------------------------------------------------


def _thread(arg: u64) -> None:
    """Serves one vector for good."""
    info = pointer_at(IntrInfo, VirtAddr(arg))      # safe: register() says that it stays
    crit.crit_enter()
    while True:
        while info.running:
            info.running = False                    # N3
            ktr.log(ktr.Event.INTR_THREAD, info.vector, 0)
            crit.crit_exit()
            for handler in info.handlers:
                handler.func(handler)
            machine.intr_unmask(gd.cpuid, info.vector)      # N2
            crit.crit_enter()
        sleepq.lwkt_sleep("intr")       # the interrupt cannot come between test and sleep


def _account(info: Ptr[IntrInfo]) -> None:
    """Count an arrival; enter the throttled state when there were too many this second."""
    now = machine.cputimer_count()
    if wrapping(now - info.window) > machine.cputimer_hz():
        info.window = now
        info.recent = 0
    info.recent += 1
    if info.recent > livelock_limit and not info.throttled:
        info.throttled = True
        ktr.log(ktr.Event.LIVELOCK, info.vector, 1)
        rate = min(max(livelock_limit, LIVELOCK_MIN), LIVELOCK_MAX)
        systimer.add_periodic(info.timer, gd.self, _throttled, u64(address_of(info)), rate)
        info.checked = now
        info.count_checked = info.count


def _throttled(timer: Ptr[systimer.Systimer]) -> None:
    """Time for a throttled vector to be served, if something came; once a second see whether
    the storm is over."""
    info = pointer_at(IntrInfo, VirtAddr(timer.data))       # safe: as in _thread()
    td = info.thread
    if td is not None and info.running:
        sched.schedule(td)
    now = machine.cputimer_count()
    if wrapping(now - info.checked) > machine.cputimer_hz():
        if info.count - info.count_checked < livelock_limit // 2:
            info.throttled = False
            ktr.log(ktr.Event.LIVELOCK, info.vector, 0)
            systimer.delete(timer)
        info.checked = now
        info.count_checked = info.count


def _emergency(unused: u64) -> None:
    """Calls all handlers of its CPU at each tick; one that comes meanwhile is left out."""
    while True:
        for vector in range(VECTORS):
            info = gd.intr.info[vector]
            if info is None or info.running:
                continue
            for handler in info.handlers:
                if not handler.nopoll:
                    handler.func(handler)
        sleepq.lwkt_sleep("poll")


def _emergency_tick(timer: Ptr[systimer.Systimer]) -> None:
    td = gd.intr.emergency
    if td is not None:
        sched.schedule(td)
