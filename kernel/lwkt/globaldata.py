# SPDX-License-Identifier: BSD-3-Clause
"""What each CPU has: one Globaldata, reached through %gs.

`gd` is this CPU's own; `mycpu()` is its ordinary address, by which others know it (`find(cpu)`).
A thread may be on another CPU after any call that can switch: never keep mycpu() over one.

Invariants
  G1  Fields are written by the owning CPU only, but for those marked [a].
  G2  gd.self is the address of gd; find(gd.cpuid) is that address once the CPU is known.
Locking   [o] the owning CPU, in a critical section   [a] atomic, any CPU   [I] fixed after init
Tests     tests/unit/lwkt/test_globaldata.py
Source    DragonFly sys/sys/globaldata.h (design)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Iterator,
    PerCpu,
    Ptr,
    Slice,
    inline,
    ref,
    struct,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel.lib import queue
from kernel.lwkt.callout import Wheel
from kernel.lwkt.clock import Clocks
from kernel.lwkt.cpumask import AtomicCpumask
from kernel.lwkt.intr import IntrState
from kernel.lwkt.ipiq import MAX_DEPTH_SLOTS, IpiMessage, Ipiq
from kernel.lwkt.ktr import Ring
from kernel.lwkt.sleepq import HASH_SIZE
from kernel.lwkt.systimer import TimerState
from kernel.lwkt.thread import Thread
from kernel.machine.types import MAX_CPUS

UNSAFE: Final = True     # gd begins as zero and is filled by init() before anything reads it

# Bits of Globaldata.reqflags: what is pending on a CPU.
RQF_IPIQ: Final = 0x1               # messages from other CPUs
RQF_INTPEND: Final = 0x2            # an interrupt that a critical section deferred
RQF_AST_LWKT_RESCHED: Final = 0x20  # somebody better is on the run queue
RQF_TIMER: Final = 0x80             # the timer fired
RQF_RUNNING: Final = 0x100          # the run queue is not empty
RQF_SPINNING: Final = 0x200         # polling for contended tokens
RQF_PENDING: Final = RQF_IPIQ | RQF_INTPEND | RQF_TIMER     # what splz() works off
RQF_WAKE: Final = RQF_PENDING | RQF_AST_LWKT_RESCHED        # what keeps a CPU from halting


@struct
class Counters:
    """Statistics of a CPU; only sums over CPUs mean anything."""
    switch_count: u64
    preempt_hit: u64
    preempt_miss: u64
    preempt_weird: u64
    token_collisions: u64       # failed attempts that went to the scheduler
    token_rounds: u64           # scheduler rounds that passed a contended thread over
    spin_contention: u64
    ipiq_sent: u64
    ipiq_received: u64
    ipiq_fifofull: u64
    ipiq_avoided: u64           # doorbells not rung: the target was looking already
    ipiq_passive: u64
    cpusyncs: u64
    interrupts: u64
    timer_interrupts: u64
    wakeup_ipis: u64
    idle_halts: u64
    migrations: u64
    msgs_sent: u64
    msgs_inline: u64            # answered in the sender's context
    schedclocks: u64
    callouts_run: u64
    idle_ticks: u64             # statistics clock ticks that found it idle
    busy_ticks: u64


@struct(align=64)
class Globaldata:
    self: "Ptr[Globaldata]"             # [I]
    curthread: Ptr[Thread]              # [o]
    reqflags: Atomic[u32]               # [a] RQF_*
    cpuid: u32                          # [I]
    intr_nesting_level: u32             # [o] > 0 in interrupt and IPI handlers: no blocking
    spinlocks: u32                      # [o] spinlocks held now
    processing_ipiq: u32                # [o] nesting while draining
    tdrunqcount: u32                    # [o]
    tdrunq: queue.TailQueue[Thread, "link"]         # [o] sorted by descending priority
    tdallq: queue.TailQueue[Thread, "all_link"]     # [o]
    idlethread: Thread                  # [o] never on the run queue
    freetd: Ptr[Thread] | None          # [o] the last thread that exited here
    npoll: Atomic[u32]                  # [a] 0: ring the doorbell; 1: the CPU will look anyway
    ipimask: AtomicCpumask              # [a] the CPUs that queued something for this one
    ipiq: Slice[Ipiq]                   # [I] this CPU's outgoing queues, one a target
    ipiq_nesting: u32                   # [o] sends under way
    preempt_level: u32                  # [o] critical sections of the handler that runs
    panicked: u32                       # [a] this CPU has panicked or was stopped by a panic
    spin_since: u64                     # [o] when the present wait for a spinlock was first timed
    spin_warned: u64                    # [o] seconds of waiting already complained of
    delayed_depth: u32                  # [o] wakeup_start_delayed() in effect
    delayed_wakeup: Array[u64, 2]       # [o]
    cpusyncq: Ipiq                      # [o] private: cpusyncs that wait to be looked at again
    cpusync_slots: Array[IpiMessage, MAX_DEPTH_SLOTS]
    intr: IntrState                     # [o]
    timers: TimerState                  # [o]
    wheel: Wheel                        # [o]
    tsleep_hash: Array[queue.TailQueue[Thread, "sleep_link"], HASH_SIZE]    # [o]
    ktr: Ring                           # [o]
    clocks: Clocks                      # [o]
    counters: Counters                  # [o]


gd: PerCpu[Globaldata] = zeroed(Globaldata)
ncpus: u32 = 1                                      # [I] CPUs that run, fixed before they do
cpu_limit: u32 = 1                                      # [I] all their numbers are below
cpus: Array[Ptr[Globaldata] | None, MAX_CPUS]       # [I]


@inline
def mycpu() -> Ptr[Globaldata]:
    """This CPU's Globaldata."""
    return gd.self


@inline
def curthread() -> Ptr[Thread]:
    """The running thread."""
    return gd.curthread


@inline
def numbers() -> Iterator[u32]:
    """The CPUs that run.  One that did not start leaves a gap in the numbers."""
    cpu: u32 = 0
    while cpu < cpu_limit:
        if cpus[cpu] is not None:
            yield cpu
        cpu += 1


def runs(cpu: u64) -> bool:
    """Whether there is a CPU of this number, and it runs."""
    return cpu < cpu_limit and cpus[cpu] is not None


def find(cpu: u32) -> Ptr[Globaldata]:
    """The Globaldata of `cpu`, which runs."""
    return unwrap(cpus[cpu])


def init(cpu: u32) -> None:
    """Make this CPU's Globaldata known as that of `cpu`.  On that CPU, before all else."""
    gd.self = ref(gd)
    gd.cpuid = cpu
    cpus[cpu] = gd.self
