# SPDX-License-Identifier: BSD-3-Clause
"""Threads: what the scheduler knows of one.

A thread belongs to the CPU in `gd`.  Only that CPU changes its flags and links; any other sends
it an IPI message.  There is no lock on a thread and none on a run queue.

States are implied, not stored: running (RUNNING, usually RUNQ too), runnable (RUNQ), preempted
(PREEMPT_LOCK), asleep (TSLEEPQ and TSLEEP_DESCHEDULED), blocked (BLOCKED), migrating, exiting.

Invariants
  H1  Owner-only fields are written by the CPU `gd`, in a critical section where an interrupt
      could write them too.
  H2  RUNNING is cleared by the successor, on its own stack, never by the thread itself.
  H3  A thread is on at most one of run queue, sleep queue (descheduled), block queue.
  H4  critcount is at least 1 whenever a thread is switched to.
Locking   [o] the owner CPU   [s] the thread itself while it runs   [a] atomic   [I] fixed
Tests     tests/unit/lwkt/test_sched.py, tests/guest/threads.py
Source    DragonFly sys/sys/thread.h (design)
"""
from typing import Final

from kpy import Array, Atomic, Fn, Ptr, Str, enum, flags, struct, u8, u32, u64

from kernel.lib import queue
from kernel.lwkt.globaldata import Globaldata
from kernel.lwkt.msgport import Port
from kernel.lwkt.token import Token

MAX_TOKENS: Final = 32
NAME_BYTES: Final = 24
HAVE_ALL: Final[u32] = 0xFFFF_FFFF     # Thread.toks_have: every token up to toks_stop


@flags(u32)
class ThreadFlag:
    """Owner-only flags; the numbers are DragonFly's."""
    RUNNING = 0x1                # on a CPU, or about to be
    RUNQ = 0x2                   # on its CPU's run queue
    PREEMPT_LOCK = 0x4           # interrupted by a thread that is to return to it
    PREEMPT_DONE = 0x8           # that thread has returned
    NOSTART = 0x10               # created, not to be scheduled yet
    MIGRATING = 0x20             # between two CPUs: no queue will have it
    SINTR = 0x40                 # an interruptible sleep
    TSLEEPQ = 0x80               # on a sleep queue
    SYSTHREAD = 0x100            # may eat the memory reserve
    TIMEOUT_RUNNING = 0x4000     # the sleep's callout is being executed
    TIMEOUT = 0x8000             # the sleep ended by it
    INTTHREAD = 0x10000          # an interrupt thread
    TSLEEP_DESCHEDULED = 0x20000
    BLOCKED = 0x40000            # waiting for a direct schedule()
    BLOCKQ = 0x100000            # on a block queue
    FORCE_SPINPORT = 0x200000
    EXITING = 0x400000
    USINGFP = 0x800000
    FIXEDCPU = 0x4000000         # never migrates
    USERMODE = 0x8000000


@flags(u32)
class MpFlag:
    """Flags that any CPU may set."""
    STOPREQ = 1
    WAKEREQ = 2
    EXITWAIT = 4                 # somebody waits for EXITSIG
    EXITSIG = 8                  # off its stack for good
    DIDYIELD = 32


@enum(u32)
class Pri:
    """Priorities: 0 to 31, higher is better."""
    IDLE_THREAD = 0
    IDLE_WORK = 1
    USER_HELPER = 2
    USER_IDLE = 4
    USER_NORMAL = 6
    USER_REALTIME = 8
    KERN_LPSCHED = 9             # contended kernel threads are polled down to here
    KERN_USER = 10
    KERN_DAEMON = 12
    SOFT_NORMAL = 14
    SOFT_TIMER = 16
    INT_SUPPORT = 20
    INT_LOW = 27
    INT_MED = 28
    INT_HIGH = 29
    MAX = 31


@struct
class Tokref:
    """One reference to a token, in the array of the thread that holds or wants it."""
    tok: Ptr[Token] | None       # [s]
    mode: u64                    # [s] token.EXCLUSIVE | EXCLREQ, or token.SHARED_STEP


@struct(align=64)
class Thread:
    """An LWKT."""
    link: queue.Link["Thread"]           # [o] run queue or block queue
    all_link: queue.Link["Thread"]       # [o] Globaldata.tdallq
    sleep_link: queue.Link["Thread"]     # [o] sleep queue
    sp: u64                              # [s] stack pointer while switched out
    gd: Ptr[Globaldata]                  # [o] the CPU that owns this thread
    migrate_gd: Ptr[Globaldata] | None   # [s] where it goes, until the successor has sent it
    pri: u32                             # [o]
    upri: u32                            # [o] hint of the user scheduler, among equals
    critcount: u32                       # [s] depth of critical sections
    flags: ThreadFlag                    # [o]
    mpflags: Atomic[MpFlag]              # [a]
    toks_stop: u32                       # [s] tokens held or wanted
    toks_have: u32                       # [s] HAVE_ALL, or how many of those are held
    cscount: u32                         # [s] cpusyncs this thread masters
    preempted: Ptr[Thread] | None        # [o] whom I interrupted and must return to
    preemptable: bool                    # [I] may preempt at schedule time
    nest_count: u32                      # [s] depth of splz()
    refs: Atomic[u32]                    # [a] keep the structure, not the CPU
    stack_base: u64                      # [I] lowest address of the stack
    stack_size: u64                      # [I] bytes
    start: Fn[[u64], None]               # [I] what it executes
    argument: u64                        # [I]
    wchan: u64                           # [o] what it sleeps on, 0 if on nothing
    wmesg: Str                           # [o] why, for people
    wdomain: u32                         # [o]
    wakeups: u32                         # [o] wakeups taken, counted for statistics
    switches: u64                        # [o] times switched to
    ticks_used: u64                      # [o] scheduler ticks that found it running
    msgport: Port                        # its reply port
    name: Array[u8, NAME_BYTES]          # [I] for people, zero-padded
    toks: Array[Tokref, MAX_TOKENS]      # [s] a stack
