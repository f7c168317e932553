# SPDX-License-Identifier: BSD-3-Clause
"""What malloc types count, and their limits."""
from __future__ import annotations

import pytest

from tests.unit.mem.conftest import MIB
from toolchain import host

LOOSE = 64 * 1024


def numbers(mem, kind):
    total = mem.malloc_type.sum(kind)
    return total.memuse, total.inuse, total.calls


def test_a_type_gets_its_number_and_limit_at_its_first_use(mem):
    mem.start()
    kind, other = mem.type("a"), mem.type("b", limit=5 * MIB)
    assert kind.index == 0 and numbers(mem, kind) == (0, 0, 0)
    mem.slab.kmalloc_nowait(8, kind, mem.NOWAIT)
    mem.slab.kmalloc_nowait(8, other, mem.NOWAIT)
    assert (kind.index, other.index) == (1, 2)
    assert (kind.limit, other.limit) == (63 * MIB // 10, 5 * MIB)


def test_only_the_sum_over_cpus_means_something(mem):
    mem.start(cpus=3)
    kind = mem.type()
    chunks = []
    for cpu in range(3):
        mem.machine.on(cpu)
        chunks += [mem.slab.kmalloc_nowait(100, kind, mem.NOWAIT).address for _ in range(10)]
    assert numbers(mem, kind) == (30 * 104, 30, 30)
    mem.machine.on(1)
    for chunk in chunks:
        mem.slab.free_address(chunk, kind)
    uses = mem.var("malloc_type.uses")[kind.index]
    assert uses.frees == 30 and uses.calls == 10        # this CPU alone: 20 freed too many
    assert numbers(mem, kind) == (0, 0, 30)


def test_pages_are_counted_whole(mem):
    mem.start()
    kind = mem.type()
    first = mem.slab.kmalloc_nowait(4096, kind, mem.NOWAIT)
    second = mem.slab.kmalloc_nowait(40000, kind, mem.NOWAIT)
    assert numbers(mem, kind) == (11 * 4096, 2, 2)
    mem.slab.free_address(first.address, kind)
    mem.slab.free_address(second.address, kind)
    assert numbers(mem, kind) == (0, 0, 2)


@pytest.mark.parametrize("size", [8, 100, 1000, 2048, 4096, 20000])
@pytest.mark.parametrize("cpus", [1, 3])
def test_the_limit_holds(mem, size, cpus):
    mem.start(cpus=cpus)
    kind, limit = mem.type(limit=MIB), MIB
    chunks, failed = [], set()
    while len(failed) < cpus:
        for cpu in range(cpus):
            mem.machine.on(cpu)
            chunk = mem.slab.kmalloc_nowait(size, kind, mem.NOWAIT)
            if chunk is None:
                failed.add(cpu)
            else:
                chunks.append(chunk.address)
    memuse = numbers(mem, kind)[0]
    assert limit - cpus * LOOSE <= memuse <= limit + cpus * LOOSE
    assert mem.slab.kmalloc_nowait(size, kind, mem.NOWAIT) is None
    for chunk in chunks[len(chunks) // 2:]:
        mem.slab.free_address(chunk, kind)
    assert mem.slab.kmalloc_nowait(size, kind, mem.NOWAIT) is not None


def test_one_cpu_alone_reaches_the_limit_to_the_byte(mem):
    mem.start()
    kind = mem.type(limit=MIB)
    while mem.slab.kmalloc_nowait(128, kind, mem.NOWAIT) is not None:
        pass
    assert numbers(mem, kind)[0] == MIB


def test_the_limit_without_nullok_is_a_panic_that_names_the_type(mem):
    mem.start()
    kind = mem.type("greedy", limit=100_000)
    with pytest.raises(host.Panic, match="greedy"):
        for _ in range(1000):
            mem.slab.kmalloc_nowait(1000, kind, mem.M.RNOWAIT)


def test_a_detached_type_leaves_its_number_to_the_next(mem):
    mem.start(cpus=2)
    kind, other = mem.type("a"), mem.type("b")
    chunk = mem.slab.kmalloc_nowait(8, kind, mem.NOWAIT)
    with pytest.raises(host.Panic, match="in use"):
        mem.malloc_type.detach(kind)
    mem.machine.threads[0].critcount = 0
    mem.slab.free_address(chunk.address, kind)
    mem.malloc_type.detach(kind)
    mem.slab.kmalloc_nowait(8, other, mem.NOWAIT)
    assert other.index == 1 and numbers(mem, other) == (8, 1, 1)


def test_there_is_room_for_255_types(mem):
    mem.start()
    kinds = [mem.type(str(n)) for n in range(256)]
    for kind in kinds[:255]:
        assert mem.slab.kmalloc_nowait(8, kind, mem.NOWAIT) is not None
    with pytest.raises(host.Panic, match="255 already"):
        mem.slab.kmalloc_nowait(8, kinds[255], mem.NOWAIT)
