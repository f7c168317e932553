# SPDX-License-Identifier: BSD-3-Clause
"""Tracing: what each CPU did last, in a ring of its own, without locks.

`ktr.log(Event.SWITCH, a, b)` writes one entry: when, which thread, what, two values.  A CPU
writes to its own ring only; an interrupt between two stores of one entry takes the next slot,
because the index moves first.  ddb shows a ring; `make trace` (toolchain/trace) reads those of a
stopped machine and merges them by time.

What two CPUs say of one thing is logged so that the order of the times is the order of the events:
before what another CPU may see (a message sent, a token let go of), after what it did (a message
taken, a token got).

Invariants
  K1  An entry is written by one CPU, in the slot that its own `index += 1` took.
  K2  Classes that are off cost one load and one branch.
  K3  An entry whose `sequence` is not its place in the order is torn: it is being written.
Tests     tests/unit/lwkt/test_ktr.py, tests/qemu/test_trace.py
Source    DragonFly sys/sys/ktr.h (design)
"""
from typing import Final

from kpy import (
    Atomic,
    MPtr,
    Ptr,
    Slice,
    Str,
    address_of,
    cold,
    compiler_fence,
    enum,
    hook,
    inline,
    noinline,
    ref,
    struct,
    trunc,
    u8,
    u16,
    u32,
    u64,
)

from kernel import machine
from kernel.lwkt.globaldata import curthread, gd

UNSAFE: Final = True     # rings are raw memory; the index is masked, so always in range
USUAL: Final[u32] = 0xDFE       # the classes that are on from the start
EVERY: Final[u32] = 0xFFE       # and each token taken and let go of
SLOT_SHIFT: Final = 32          # of IPI_SEND and IPI_RECEIVE: the slot's number, above the CPU's
QUEUE_SHIFT: Final = 32         # of SWITCH: the length of the run queue, above the priority
TEXT_SHIFT: Final = 48          # of text(): the length, above the address
LAPSED: Final[u64] = 16         # of TOKEN_RELEASE: let go of at a switch, to be regained


@enum(u16)
class Event:
    """What happened; the high byte is the class.  In the comment: what a and b are."""
    SWITCH = 0x0101          # next thread, its priority and the length of the run queue
    PREEMPT = 0x0102         # the thread that preempts, the preempted one
    SCHEDULE = 0x0103        # thread, the length of the run queue it joined
    CREATE = 0x0104          # thread, the first eight bytes of its name
    EXIT = 0x0105            # thread, the first eight bytes of its name
    MIGRATE = 0x0106         # thread, target CPU
    IDLE_HALT = 0x0107       # -, -
    IDLE_WAKE = 0x0108       # reqflags, -
    TOKEN_WAIT = 0x0203      # token, its count: to the scheduler
    TOKEN_DROP = 0x0204      # number let go of at a switch, -
    TOKEN_REGAIN = 0x0205    # number regained at a switch, the thread
    TOKEN_SPIN = 0x0206      # token, its count: somebody else has it, try again for a while
    IPI_SEND = 0x0301        # target CPU and slot, function
    IPI_RECEIVE = 0x0302     # source CPU and slot, function
    IPI_FULL = 0x0303        # target CPU, fill
    CPUSYNC_BEGIN = 0x0304   # cpusync, -
    CPUSYNC_END = 0x0305     # cpusync, -
    MSG_SEND = 0x0401        # message, port
    MSG_INLINE = 0x0402      # message, port
    MSG_REPLY = 0x0403       # message, port
    MSG_GET = 0x0404         # message, port
    MSG_ABORT = 0x0405       # message, port
    MSG_DONE = 0x0406        # message, reply port: its sender has waited for the answer, and has it
    MSG_FORWARD = 0x0407     # message, port
    INTR = 0x0501            # vector, whether deferred
    INTR_THREAD = 0x0502     # vector, -
    TIMER = 0x0503           # -, whether deferred
    LIVELOCK = 0x0504        # vector, whether entered
    DOORBELL = 0x0505        # -, whether deferred
    SLEEP = 0x0601           # wait channel or 0, why: text()
    WAKEUP = 0x0602          # wait channel, number woken here
    ALLOC = 0x0701           # address, size
    FREE = 0x0702            # address, size
    FREE_REMOTE = 0x0703     # address, owner CPU
    MARK = 0x0801            # whatever a test wants to say
    TOKEN_GET = 0x0901       # token, thread | token.Tokref.mode
    TOKEN_RELEASE = 0x0902   # token, thread | mode, perhaps | LAPSED
    BUF_MISS = 0x0A01        # offset in the buffer object, bytes: it is to be read
    BUF_DONE = 0x0A02        # offset, error: it has been read
    BIO_START = 0x0A03       # request, the first eight bytes of the disk's name
    BIO_DONE = 0x0A04        # request, error
    NAME_MISS = 0x0B01       # the first eight bytes of a name that is not cached, the directory
    NAME_RESOLVED = 0x0B02   # the same, the vnode that it stands for or 0
    XOP_BEGIN = 0x0B03       # what a worker is to do: text(), the inode's number
    XOP_END = 0x0B04         # error, -
    CHAIN_LOAD = 0x0B05      # media address of an inode or an array of blockrefs, its key
    BLOCK_READ = 0x0B06      # media address of a block that is as its check code says, its key


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
    cleared: u64            # [a] those up to here are not wanted any more
    mask: u32               # [a] bit n: class n is on; 0 before start()


@hook("ktr_on")
@inline
def on(event: Event) -> bool:
    """Whether the class of `event` is on, on this CPU."""
    return (gd.ktr.mask >> (u32(event) >> 8)) & 1 != 0


@inline
def log(event: Event, a: u64, b: u64) -> None:
    """Note that `event` happened.  Any context.  Where a or b cost something, ask on() first."""
    if on(event):
        _write(event, a, b)


@cold
@noinline
def text(words: Str) -> u64:
    """A text that stays, as one value: its length above its address, of which a kernel's upper
    bits are all ones."""
    if len(words) == 0:
        return 0
    return (u64(address_of(ref(words[0]))) & ((1 << TEXT_SHIFT) - 1)) | len(words) << TEXT_SHIFT


@cold
@noinline
def short(name: Slice[u8]) -> u64:
    """The first eight bytes of a name, as one value."""
    value: u64 = 0
    for i in range(min(len(name), 8)):
        value |= u64(name[i]) << 8 * i
    return value


def start(ring: Ptr[Ring], storage: MPtr[Entry], size: u64, mask: u32) -> None:
    """Give a CPU its ring of `size` entries, a power of two; the classes of `mask` are on."""
    ring.entries = storage
    ring.size = size
    ring.mask = mask


@hook("ktr_write")
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
    compiler_fence()                        # K3: the clock, read above, is a fence as well
    entry.sequence = at
