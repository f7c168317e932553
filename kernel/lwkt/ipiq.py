# SPDX-License-Identifier: BSD-3-Clause
"""Messages between CPUs: a matrix of FIFOs, and the doorbell.

CPU a sends to CPU b by writing a slot of the FIFO that only a writes and only b reads, setting a's
bit in b's ipimask, and ringing b's doorbell (a hardware interrupt) unless b is looking already.

The doorbell interlock, `npoll` of the target: 0, ring; 1, somebody has rung, or the target polls.
The receiver takes the mask, drains, looks at the mask again, releases npoll, and after a full fence
looks once more: a message whose sender saw npoll 1 before the release is seen by that last look.

A sender that finds its FIFO more than half full drains its own messages, interrupts enabled,
until it is less than a quarter full: any loop that waits for another CPU must do so.

Invariants
  P1  windex is written by the sender only, rindex and xindex by the receiver only; all run
      freely and are masked for access.  0 <= windex - rindex <= depth.
  P2  rindex moves before a callback is called, the slot being copied; xindex reaches it after the
      callback, and only when no callback of this FIFO is under way: xindex never overtakes a
      callback that an inner drain left unfinished.
  P3  A message whose doorbell was not rung is found: see above.
  P4  Callbacks run in a critical section, intr_nesting_level > 0; they never block.
  P5  Who turns npoll from 0 to 1 rings before any handler runs on its CPU.
Tests     tests/unit/lwkt/test_ipiq.py, tests/guest/ipi.py
Source    DragonFly sys/kern/lwkt_ipiq.c (design)
Decision  docs/decisions/0005-fifo-depth-follows-the-number-of-cpus.md
"""
from typing import Final, TypeAlias

from kpy import (
    Atomic,
    Fn,
    MPtr,
    NoBlock,
    Ptr,
    Slice,
    address_of,
    copy,
    fence,
    i32,
    inline,
    kassert,
    kprintf,
    panic,
    pause,
    recursive,
    ref,
    struct,
    trunc,
    u32,
    u64,
    wrapping,
    zeroed,
)

from kernel import machine
from kernel.lwkt import crit, ktr
from kernel.lwkt.cpumask import Cpumask
from kernel.lwkt.globaldata import RQF_IPIQ, Globaldata, curthread, find, gd, mycpu

UNSAFE: Final = True      # the slots of a FIFO are raw memory, always accessed through its mask

MAX_DEPTH_SLOTS: Final = 256
MAX_NESTING: Final = 20
WARN_S: Final = 1
PANIC_S: Final = 10

IpiFn: TypeAlias = NoBlock[Fn[[u64, u64], None]]


@struct(size=32)
class IpiMessage:
    """One slot."""
    func: IpiFn
    arg1: u64
    arg2: u64
    unused: u64


@struct(align=64)
class Ipiq:
    """A FIFO from one CPU to another; `depth` is a power of two."""
    windex: Atomic[u32]         # [a] the sender's
    depth: u32                  # [I]
    slots: MPtr[IpiMessage]     # [I]
    rindex: Atomic[u32]         # [a] the receiver's: fetched
    xindex: Atomic[u32]         # [a] the receiver's: executed
    running: u32                # the receiver's: callbacks under way
    pad: u32

    @inline
    def fill(self) -> u32:
        return wrapping(self.windex.load_relaxed() - self.rindex.load_acquire())


def depth_for(cpus: u32) -> u32:
    """Slots of each FIFO: 256, or as many as keep a CPU's FIFOs within 128 KiB."""
    depth: u32 = MAX_DEPTH_SLOTS
    while depth > 16 and depth * cpus > 4096:
        depth //= 2
    return depth


def init(queues: Slice[Ipiq], slots: MPtr[IpiMessage], depth: u32) -> None:
    """Make `queues`, one a target, of `slots`, `depth` for each."""
    for i, q in enumerate(queues):
        q.depth = depth
        q.slots = slots + i * depth


def send(target: Ptr[Globaldata], func: IpiFn, arg1: u64, arg2: u64) -> u32:
    """Have `target` call func(arg1, arg2); to this CPU it is an ordinary call.

    Context  any with interrupts enabled or enableable; not between descheduling and switching.
    Returns  the sequence number for wait(); 0 to this CPU.
    """
    crit.crit_enter()
    if target is mycpu():
        func(arg1, arg2)                # P4
        crit.crit_exit()
        return 0
    seq = _put(target, func, arg1, arg2)
    _ring(target)
    crit.crit_exit()
    return seq


def send_passive(target: Ptr[Globaldata], func: IpiFn, arg1: u64, arg2: u64) -> u32:
    """send() without the doorbell: executed when `target` next looks, a tick later at most."""
    crit.crit_enter()
    if target is mycpu():
        func(arg1, arg2)                # P4
        crit.crit_exit()
        return 0
    seq = _put(target, func, arg1, arg2)
    gd.counters.ipiq_passive += 1
    crit.crit_exit()
    return seq


def send_nowait(target: Ptr[Globaldata], func: IpiFn, arg1: u64, arg2: u64) -> bool:
    """send() that does not wait for room: False if the FIFO is two thirds full."""
    if target is not mycpu():
        q = ref(gd.ipiq[target.cpuid])
        if q.fill() > q.depth * 2 // 3:
            return False
    send(target, func, arg1, arg2)
    return True


def send_mask(mask: Ptr[Cpumask], func: IpiFn, arg1: u64, arg2: u64) -> None:
    """send() to each CPU of `mask` but those that have panicked."""
    for cpu in mask:
        target = find(cpu)
        if target.panicked == 0:
            send(target, func, arg1, arg2)


def wait(target: Ptr[Globaldata], seq: u32) -> None:
    """Wait until `target` has executed the message that send() numbered `seq`.

    Context  thread, interrupts enabled; executes this CPU's own messages meanwhile.
    """
    if target is mycpu():
        return
    q = ref(gd.ipiq[target.cpuid])
    crit.crit_enter()
    began = machine.cputimer_count()
    warned = False
    while trunc_signed(wrapping(q.xindex.load_acquire() - seq)) < 0:
        process(0)
        pause()
        waited_s = wrapping(machine.cputimer_count() - began) // machine.cputimer_hz()
        if waited_s >= WARN_S and not warned:
            warned = True
            kprintf(f"ipiq: cpu {gd.cpuid} waits for cpu {target.cpuid}\n")
        if waited_s >= PANIC_S and gd.panicked == 0:
            panic(f"cpu {target.cpuid} does not execute its IPI messages")
    crit.crit_exit()


@inline
def trunc_signed(difference: u32) -> i32:
    """The distance between two free-running indices."""
    return trunc(i32, difference)


@recursive(4)
def process(owned: u32) -> None:
    """Execute the messages for this CPU, until there are none (P3).

    `owned` critical sections are this drain's own: a thread that a callback schedules may
    preempt if the interrupted thread has no others.

    Context  a critical section.
    """
    level = gd.preempt_level
    gd.preempt_level = owned
    gd.intr_nesting_level += 1
    gd.processing_ipiq += 1
    kassert(gd.processing_ipiq <= MAX_NESTING)
    mask: Cpumask
    while True:
        gd.ipimask.take(mask)
        for cpu in mask:
            q = ref(find(cpu).ipiq[gd.cpuid])
            while _drain(q, cpu):
                pass
        if gd.cpusyncq.fill() != 0:
            _drain(gd.cpusyncq, gd.cpuid)
            if gd.cpusyncq.fill() != 0:
                if curthread().cscount == 0:
                    pause()
                    continue                    # a master holds this CPU: nothing else to do
                gd.reqflags.or_(RQF_IPIQ)       # a master itself: once a pass, or it would wait
        if not gd.ipimask.empty():              # for somebody who waits for it
            continue

        gd.npoll.store(0, order="release")
        fence("seq_cst")                        # the release before the look: see the header

        if gd.ipimask.empty():
            break
    gd.processing_ipiq -= 1
    gd.intr_nesting_level -= 1
    gd.preempt_level = level


def requeue_cpusync(func: IpiFn, arg: u64) -> None:
    """Look at a cpusync again, on this CPU, at the next pass.  In a callback."""
    q = ref(gd.cpusyncq)
    at = q.windex.load_relaxed()
    slot = ref(q.slots[at & (q.depth - 1)])
    slot.func = func
    slot.arg1 = arg
    slot.arg2 = 0
    q.windex.store(wrapping(at + 1), order="release")


def _put(target: Ptr[Globaldata], func: IpiFn, arg1: u64, arg2: u64) -> u32:
    """Write a slot of our FIFO to `target`, and set our bit there.  In a critical section."""
    gd.intr_nesting_level += 1
    kassert(gd.intr_nesting_level <= MAX_NESTING)
    q = ref(gd.ipiq[target.cpuid])
    if q.fill() > q.depth // 2:
        _make_room(target, q)
    at = q.windex.load_relaxed()
    kassert(wrapping(at - q.rindex.load_relaxed()) < q.depth)
    slot = ref(q.slots[at & (q.depth - 1)])
    slot.func = func
    slot.arg1 = arg1
    slot.arg2 = arg2
    ktr.log(ktr.Event.IPI_SEND, target.cpuid | u64(at) << ktr.SLOT_SHIFT, u64(address_of(func)))

    q.windex.store(wrapping(at + 1), order="release")       # after the slot

    target.ipimask.add(gd.cpuid)
    gd.counters.ipiq_sent += 1
    gd.intr_nesting_level -= 1
    return wrapping(at + 1)


def _ring(target: Ptr[Globaldata]) -> None:
    """Ring the doorbell, unless somebody has or the target looks.

    Context  a critical section: a handler that interrupts us between claiming npoll and ringing
             could wait for this target in _make_room(), and would not ring either (P5).
    """
    if target.npoll.load_relaxed() == 0 and target.npoll.swap(1) == 0:
        machine.ipi_send(target.cpuid)
    else:
        gd.counters.ipiq_avoided += 1


def _make_room(target: Ptr[Globaldata], q: Ptr[Ipiq]) -> None:
    """Wait until our FIFO to `target` is less than a quarter full."""
    gd.counters.ipiq_fifofull += 1
    ktr.log(ktr.Event.IPI_FULL, target.cpuid, q.fill())
    enabled = machine.intr_enabled()
    machine.intr_enable()
    while q.fill() > q.depth // 4:
        _ring(target)
        process(0)
        pause()
    if not enabled:
        machine.intr_disable()


def _drain(q: Ptr[Ipiq], source: u32) -> bool:
    """Execute what is in `q` now; False if there was nothing."""
    end = q.windex.load_acquire()
    if end == q.rindex.load_relaxed():
        return False
    message: IpiMessage = zeroed(IpiMessage)
    q.running += 1
    while True:
        at = q.rindex.load_relaxed()
        if trunc_signed(wrapping(end - at)) <= 0:       # an inner drain may have gone further
            break
        copy(message, q.slots[at & (q.depth - 1)])

        q.rindex.store(wrapping(at + 1), order="release")   # P2: the slot is copied, now free

        gd.counters.ipiq_received += 1
        if source != gd.cpuid:              # else a cpusync that waits, looked at once more
            ktr.log(ktr.Event.IPI_RECEIVE, source | u64(at) << ktr.SLOT_SHIFT,
                    u64(address_of(message.func)))
        message.func(message.arg1, message.arg2)
    q.running -= 1
    if q.running == 0:
        q.xindex.store(q.rindex.load_relaxed(), order="release")
    return True
