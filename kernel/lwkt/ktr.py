# SPDX-License-Identifier: BSD-3-Clause
"""Tracing: what each CPU did last, in a ring of its own, without locks.

`ktr.log(Event.SWITCH, a, b)` writes one entry: when, which thread, what, two values.  A CPU
writes to its own ring only; an interrupt between two stores of one entry takes the next slot,
because the index moves first.  Rings are merged by time when they are read (tests/harness, ddb,
`make trace`).

Invariants
  K1  An entry is written by one CPU, in the slot that its own `index += 1` took.
  K2  Classes that are off cost one load and one branch.
Tests     tests/unit/lwkt/test_ktr.py, tests/qemu/test_trace.py
Source    DragonFly sys/sys/ktr.h (design)
"""
from typing import Final

from kpy import Atomic, MPtr, Ptr, address_of, enum, inline, noinline, ref, struct, trunc, u16, u32, u64

from kernel import machine
from kernel.lwkt.globaldata import curthread, gd

UNSAFE: Final = True     # rings are raw memory; the index is masked, so always in range
ALL_CLASSES: Final[u32] = 0x1FE


@enum(u16)
class Event:
    """What happened; the high byte is the class.  In the comment: what a and b are."""
    SWITCH = 0x0101          # next thread, its priority
    PREEMPT = 0x0102         # the thread that preempts, the preempted one
    SCHEDULE = 0x0103        # thread, its CPU
    CREATE = 0x0104          # thread, its CPU
    EXIT = 0x0105            # thread, -
    MIGRATE = 0x0106         # thread, target CPU
    IDLE_HALT = 0x0107       # -, -
    IDLE_WAKE = 0x0108       # reqflags, -
    TOKEN_GET = 0x0201       # token, mode
    TOKEN_RELEASE = 0x0202   # token, mode
    TOKEN_WAIT = 0x0203      # token, its count: to the scheduler
    TOKEN_DROP = 0x0204      # number let go of at a switch, -
    TOKEN_REGAIN = 0x0205    # number regained at a switch, -
    IPI_SEND = 0x0301        # target CPU, function
    IPI_RECEIVE = 0x0302     # source CPU, function
    IPI_FULL = 0x0303        # target CPU, fill
    CPUSYNC_BEGIN = 0x0304   # cpusync, -
    CPUSYNC_END = 0x0305     # cpusync, -
    MSG_SEND = 0x0401        # message, port
    MSG_INLINE = 0x0402      # message, port
    MSG_REPLY = 0x0403       # message, port
    MSG_GET = 0x0404         # message, port
    MSG_ABORT = 0x0405       # message, port
    INTR = 0x0501            # vector, whether deferred
    INTR_THREAD = 0x0502     # vector, -
    TIMER = 0x0503           # -, -
    LIVELOCK = 0x0504        # vector, whether entered
    SLEEP = 0x0601           # wait channel, -
    WAKEUP = 0x0602          # wait channel, number woken here
    ALLOC = 0x0701           # address, size
    FREE = 0x0702            # address, size
    FREE_REMOTE = 0x0703     # address, owner CPU
    MARK = 0x0801            # whatever a test wants to say


@struct(size=48)
class Entry:
    time: u64               # cputimer_count()
    thread: u64             # the running thread
    a: u64
    b: u64
    sequence: u64           # Ring.index when it was written, from 1
    event: Event
    depth: u16              # critcount
    unused: u32


@struct
class Ring:
    """A CPU's entries."""
    entries: MPtr[Entry]    # [I] `size` of them, once start() was called
    size: u64               # [I] a power of two
    index: Atomic[u64]      # [o] entries written so far
    mask: u32               # [a] bit n: class n is on; 0 before start()


@inline
def log(event: Event, a: u64, b: u64) -> None:
    """Note that `event` happened.  Any context."""
    if (gd.ktr.mask >> (u32(event) >> 8)) & 1 != 0:
        _write(event, a, b)


def start(ring: Ptr[Ring], storage: MPtr[Entry], size: u64, mask: u32) -> None:
    """Give a CPU its ring, of `size` entries (a power of two), and turn the classes of `mask` on."""
    ring.entries = storage
    ring.size = size
    ring.mask = mask


@noinline
def _write(event: Event, a: u64, b: u64) -> None:
    at = gd.ktr.index.add(1, order="relaxed") + 1
    entry = ref(gd.ktr.entries[at & (gd.ktr.size - 1)])
    td = curthread()
    entry.sequence = 0                      # a reader that sees it change skips the entry
    entry.time = machine.cputimer_count()
    entry.thread = u64(address_of(td))
    entry.a = a
    entry.b = b
    entry.event = event
    entry.depth = trunc(u16, td.critcount)
    entry.sequence = at
