# SPDX-License-Identifier: BSD-3-Clause
"""Bringing memory up in the order of the kernel."""
from __future__ import annotations

import pytest

from tests.unit.mem.conftest import MIB, Machine

GIB = 1 << 30


@pytest.mark.parametrize("cpus", [1, 3])
@pytest.mark.parametrize("regions", [
    [(0x1000, 0x9E000), (1 * MIB, 63 * MIB)],
    [(1 * MIB, 2 * GIB - 1 * MIB), (4 * GIB, 6 * GIB)]], ids=["64M", "8G"])
def test_init_and_then_each_cpu(mem, cpus, regions):
    mem.machine = machine = Machine(regions)
    machine.attach(mem.module, cpus)
    listed = machine.region_list()
    mem.module.provide({"kernel.machine.contract.memory_regions": lambda: listed,
                        "kernel.machine.contract.cpu_count": lambda: cpus})
    mem.setup.init()
    for cpu in range(1, cpus):
        machine.on(cpu)
        mem.setup.cpu_init(cpu)
    kind = mem.type()
    for cpu in range(cpus):
        machine.on(cpu)
        for size in (8, 500, 4096, 100_000):
            item = mem.slab.kmalloc_nowait(size, kind, mem.NOWAIT)
            mem.slab.free_address(item.address, kind)
        assert mem.threads.thread_alloc() is not None
        mem.setup.trim()
    assert mem.malloc_type.sum(kind).inuse == 0
