# SPDX-License-Identifier: BSD-3-Clause
"""Bringing kernel memory up, CPU by CPU, and what each CPU does from time to time.

    init()       CPU 0, once, before the others run
    cpu_init()   each other CPU, before it is ready
    trim()       each CPU, every 10 seconds

Tests     tests/unit/mem/test_setup.py, tests/guest/memory.py
"""
from kpy import implements, u32, u64

from kernel import machine
from kernel.lwkt import upcalls
from kernel.machine.types import MemoryKind
from kernel.mem import slab, kmalloc_obj, kva, objcache, page, threads


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


def trim() -> None:
    """Give back what this CPU keeps beyond its measure.

    Context  thread, no spinlock.
    """
    slab.trim()
    kva.trim()
    objcache.trim(threads.cache)
