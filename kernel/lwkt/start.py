# SPDX-License-Identifier: BSD-3-Clause
"""Bringing the core up, CPU by CPU.

Each CPU enters on the stack that becomes its idle thread's, interrupts off.  The memory for its
queues was set aside by CPU 0: lwkt never allocates.

    prepare()          CPU 0, once: say where the memory of each CPU is
    init_cpu()         each CPU: its Globaldata, its idle thread
    cpu_entered()      the others, from the machine: init_cpu(), be ready, idle
    run()              CPU 0, when all are there: clocks, softclock threads

Tests     tests/qemu/test_cpus.py
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    MPtr,
    Never,
    VirtAddr,
    cast,
    clz,
    i32,
    implements,
    make_slice,
    pause,
    pointer_at,
    ref,
    sizeof,
    throws,
    u32,
    u64,
)

from kernel import machine
from kernel.lwkt import callout, clock, globaldata, ipiq, ktr, msgport, sched
from kernel.lwkt import upcalls as lwkt_upcalls
from kernel.lwkt.globaldata import find, gd, mycpu
from kernel.lwkt.ipiq import MAX_DEPTH_SLOTS, IpiMessage, Ipiq
from kernel.lwkt.ktr import Entry
from kernel.lwkt.thread import HAVE_ALL, Pri, ThreadFlag
from kernel.machine import upcalls
from kernel.machine.types import MAX_CPUS

UNSAFE: Final = True         # makes queues and rings of raw memory

IDLE_STACK: Final = 16 * 1024
KTR_ENTRIES: Final = 4096    # for each CPU, unless set_ring_entries() says otherwise
KTR_ENTRIES_MANY: Final = 512
KTR_ENTRIES_MOST: Final = 1 << 20
MANY_CPUS: Final = 16

_areas: Array[VirtAddr, MAX_CPUS]       # [I] memory of each CPU: idle stack, queues, ring
_wanted_entries: u64 = 0                # [I] of each trace ring; 0: nobody said
_cpus: u32 = 0                          # [I] CPUs that there may be
_go: Atomic[u32]                        # [a] 1 once all CPUs are known


def set_ring_entries(wanted: u64) -> None:
    """Have each trace ring of about `wanted` entries; 0: as many as cost little.

    Context  CPU 0, before area_bytes().
    """
    global _wanted_entries
    _wanted_entries = min(wanted, KTR_ENTRIES_MOST)


def area_bytes(cpus: u32) -> u64:
    """The memory that each of `cpus` CPUs needs."""
    return IDLE_STACK + _queue_bytes(cpus) + _ring_entries(cpus) * sizeof(Entry)


def prepare(cpu: u32, cpus: u32, area: VirtAddr) -> None:
    """`area`, area_bytes() of zeroed memory, is for `cpu`."""
    global _cpus
    _cpus = cpus
    _areas[cpu] = area


def init_cpu(cpu: u32) -> None:
    """Make this CPU's Globaldata, and the code that runs its idle thread."""
    globaldata.init(cpu)
    td = ref(gd.idlethread)
    td.stack_base = u64(_areas[cpu])
    td.stack_size = IDLE_STACK
    td.toks_have = HAVE_ALL
    td.critcount = 1
    td.pri = 0
    td.flags = ThreadFlag.RUNNING | ThreadFlag.FIXEDCPU | ThreadFlag.SYSTHREAD
    td.gd = mycpu()
    td.name[:4].copy_from(b"idle")
    msgport.init_thread_port(td.msgport, td)
    gd.curthread = td
    gd.tdallq.push_back(td)
    _make_queues(_areas[cpu] + IDLE_STACK)
    ring = _areas[cpu] + IDLE_STACK + _queue_bytes(_cpus)
    # safe: the ring's memory follows the queues in the area
    ktr.start(gd.ktr, cast(MPtr[Entry], pointer_at(Entry, ring)), _ring_entries(_cpus),
              ktr.USUAL)


@implements(upcalls.idle_stack)
def idle_stack(cpu: u32) -> VirtAddr:
    return _areas[cpu] + IDLE_STACK


@implements(upcalls.cpu_entered)
def cpu_entered(cpu: u32) -> Never:
    """An application processor's first kernel code."""
    init_cpu(cpu)
    lwkt_upcalls.cpu_init(cpu)
    machine.cpu_ready()
    while _go.load_acquire() == 0:
        pause()
    machine.intr_enable()
    sched.idle()


@throws
def run(running: u32) -> None:
    """`running` CPUs have called cpu_ready(): start their clocks.  Others are forgotten.

    Errors   ENOMEM.
    """
    globaldata.ncpus = running
    for cpu in range(_cpus):
        if machine.cpu_running(cpu):
            globaldata.cpu_limit = cpu + 1
        else:
            globaldata.cpus[cpu] = None
    _go.store(1, order="release")
    for cpu in globaldata.numbers():
        clock.start(find(cpu))
        sched.create(callout.softclock, 0, b"softclock", i32(cpu), Pri.SOFT_TIMER,
                     ThreadFlag.FIXEDCPU)


def _queue_bytes(cpus: u32) -> u64:
    return cpus * (sizeof(Ipiq) + ipiq.depth_for(cpus) * sizeof(IpiMessage))


def _ring_entries(cpus: u32) -> u64:
    """The size of each ring: a power of two."""
    if _wanted_entries == 0:
        return KTR_ENTRIES if cpus <= MANY_CPUS else KTR_ENTRIES_MANY
    return u64(1) << 63 - u32(clz(_wanted_entries))


def _make_queues(at: VirtAddr) -> None:
    """The outgoing FIFOs, and the private one of cpusyncs."""
    # safe: area_bytes() has room for both
    queues = make_slice(cast(MPtr[Ipiq], pointer_at(Ipiq, at)), u64(_cpus))
    slots = pointer_at(IpiMessage, at + _cpus * sizeof(Ipiq))
    gd.ipiq = queues
    ipiq.init(queues, cast(MPtr[IpiMessage], slots), ipiq.depth_for(_cpus))
    gd.cpusyncq.depth = MAX_DEPTH_SLOTS
    gd.cpusyncq.slots = cast(MPtr[IpiMessage], ref(gd.cpusync_slots[0]))
