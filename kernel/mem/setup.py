# SPDX-License-Identifier: BSD-3-Clause
"""Bringing kernel memory up, CPU by CPU, and what each CPU does from time to time.

    init()       CPU 0, once, before the others run
    cpu_init()   each other CPU, before it is ready
    start()      CPU 0, when all run and clocks tick: from then on each CPU has its duties,
                 every second those of kmalloc_obj, every 10 seconds trim()

Tests     tests/unit/mem/test_setup.py, tests/guest/memory.py
"""
from typing import Final

from kpy import PerCpu, Ptr, implements, u32, u64, zeroed

from kernel import machine
from kernel.lwkt import callout, globaldata, ipiq, upcalls
from kernel.lwkt.callout import Callout
from kernel.lwkt.clock import HZ
from kernel.lwkt.globaldata import find
from kernel.machine.types import MemoryKind
from kernel.mem import kmalloc_obj, kva, objcache, page, slab, threads

UNSAFE: Final = True        # timers begin as zeroed storage

TRIM_S: Final = 10

timer: PerCpu[Callout] = zeroed(Callout)
seconds: PerCpu[u32]


def init() -> None:
    """Take over the machine's memory, for all CPUs that it lists."""
    cpus = machine.cpu_count()
    regions = machine.memory_regions()
    memory: u64 = 0
    for region in regions:
        if region.kind == MemoryKind.USABLE:
            memory += region.size
    page.init(regions, cpus)
    page.init_cpu(0, cpus)
    kva.init()
    kva.init_cpu(0)
    slab.init(memory)
    slab.init_cpu(0)
    kmalloc_obj.init_cpu(0)
    threads.init(cpus)


@implements(upcalls.cpu_init)
def cpu_init(cpu: u32) -> None:
    page.init_cpu(cpu, machine.cpu_count())
    kva.init_cpu(cpu)
    slab.init_cpu(cpu)
    kmalloc_obj.init_cpu(cpu)


def start() -> None:
    """Begin the periodic duties, on all CPUs.  CPU 0, once."""
    for cpu in globaldata.numbers():
        if kva.runs(cpu):
            ipiq.send(find(cpu), _start_here, 0, 0)


def _start_here(unused1: u64, unused2: u64) -> None:
    callout.init(timer)
    callout.reset(timer, HZ, _every_second, 0)


def _every_second(c: Ptr[Callout]) -> None:
    """The duties of this CPU.  On its softclock thread."""
    global seconds
    seconds += 1
    kmalloc_obj.poll()
    if seconds % TRIM_S == 0:
        trim()
    callout.reset(c, HZ, _every_second, 0)


def trim() -> None:
    """Give back what this CPU keeps beyond its measure.

    Context  thread, no spinlock.
    """
    slab.trim()
    kva.trim()
    objcache.trim(threads.cache)
