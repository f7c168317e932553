# SPDX-License-Identifier: BSD-3-Clause
"""Objects of one type: circles of free pointers, slabs that wait before they serve another."""
from __future__ import annotations

import itertools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.mem.conftest import MIB, run_machine
from toolchain import host

SLAB = 128 * 1024
BIG = {"regions": [(1 * MIB, 127 * MIB)], "space": 128 * MIB}


def make(mem, size=1000, name="thing", limit=100 * MIB):
    kind = mem.module.ObjType()
    kind.kind.name, kind.kind.limit = name, limit
    mem.kmalloc_obj.create(kind, size)
    return kind


def get(mem, kind):
    return mem.kmalloc_obj.alloc(kind, mem.NOWAIT)


def slab_of(mem, item):
    return mem.module.at(mem.module.ObjSlab, item & -SLAB)


def walk(queue):
    item, found = queue.first, []
    while item is not None:
        found.append(item)
        item = item.link.next
    return found


def every_slab(mem, kind, cpus):
    """All slabs of a type, each on one place (B2)."""
    found = walk(kind.partial) + walk(kind.full) + walk(kind.empty)
    assert len(walk(kind.full)) == kind.nfull
    for cpu in range(cpus):
        found += [s for s in (kind.mine[cpu].active, kind.mine[cpu].alternate) if s is not None]
    assert len({s.address for s in found}) == len(found) == kind.nslabs
    return found


def check(mem, kind, cpus, taken):
    """B1, B5 and what is free in each slab."""
    total = 0
    for slab in every_slab(mem, kind, cpus):
        a, x, f = slab.aindex, slab.xindex, slab.findex
        assert a <= x == f and f - a <= slab.count
        pointers = mem.module.at("u64", slab.fobjs[0] and address_of(slab)).slice(slab.count)
        free = [pointers[n % slab.count] for n in range(a, x)]
        assert len(set(free)) == len(free)
        used = {slab.objects + n * kind.size for n in range(slab.count)} - set(free)
        assert used == {item for item in taken if item & -SLAB == slab.address}
        total += len(used)
    assert total == len(taken)


def address_of(slab):
    """Where the circle of a slab begins."""
    return slab.address + 128 + (slab.count + 63) // 64 * 8


@pytest.mark.parametrize("size", [1, 8, 24, 64, 100, 208, 1000, 4096, 20000, 100_000])
def test_a_slab_is_used_to_the_last_object(mem, size):
    mem.start(**BIG)
    kind = make(mem, size)
    items = [get(mem, kind) for _ in range(kind.per_slab)]
    assert len({item & -SLAB for item in items}) == 1
    slab = items[0] & -SLAB
    spans = sorted((i, i + max(size, 8)) for i in items)
    assert spans[0][0] >= address_of(slab_of(mem, items[0])) + 8 * kind.per_slab
    assert spans[-1][1] <= slab + SLAB
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert SLAB - kind.per_slab * (kind.size + 8.125) < kind.size + 8 + 4096 + 256


def test_too_large_an_object_is_refused(mem):
    mem.start()
    with pytest.raises(host.Panic):
        make(mem, SLAB)


def test_the_circle_goes_round(mem):
    mem.start(**BIG)
    kind = make(mem)
    first = get(mem, kind)
    for _ in range(3 * kind.per_slab):
        mem.kmalloc_obj.free(kind, first)
        first = get(mem, kind)
    check(mem, kind, 1, {first})


def test_any_cpu_frees_without_a_message(mem):
    mem.start(cpus=2, **BIG)
    kind = make(mem)
    items = {get(mem, kind) for _ in range(20)}
    mem.machine.on(1)
    for item in items:
        mem.kmalloc_obj.free(kind, item)
    assert not mem.machine.waiting(0)
    check(mem, kind, 2, set())
    assert mem.malloc_type.sum(kind.kind).inuse == 0


def test_a_used_up_slab_comes_back_when_there_is_nothing_better(mem):
    mem.start(**BIG)
    kind = make(mem, 20000)
    items = [get(mem, kind) for _ in range(3 * kind.per_slab)]
    assert len(walk(kind.empty)) == 1 and kind.nslabs == 3
    victims = [i for i in items if i & -SLAB == walk(kind.empty)[0].address]
    mem.kmalloc_obj.free(kind, victims[2])
    assert get(mem, kind) == victims[2]
    assert kind.nslabs == 3


def test_four_full_slabs_are_kept_and_the_rest_retired(mem):
    mem.start(**BIG)
    kind = make(mem, 20000)
    items = [get(mem, kind) for _ in range(10 * kind.per_slab)]
    for item in items:
        mem.kmalloc_obj.free(kind, item)
    mem.kmalloc_obj.poll()
    assert kind.nfull == 4 and kind.nslabs == 6             # and the CPU's own two
    local = mem.var("kmalloc_obj.local")
    assert local.retired == 4
    mem.kmalloc_obj.poll()
    assert local.nfree == 4
    check(mem, kind, 1, set())


def test_a_retired_slab_waits_for_every_cpu(mem):
    mem.start(cpus=3, **BIG)
    kind, other = make(mem, 20000), make(mem, 64, "other")
    items = [get(mem, kind) for _ in range(8 * kind.per_slab)]
    for item in items:
        mem.kmalloc_obj.free(kind, item)
    mem.kmalloc_obj.poll()
    local = mem.var("kmalloc_obj.local")
    retired = {slab.address for slab in walk(local.grace.waiting)}
    assert len(retired) == 2 and local.nfree == 0
    mem.machine.poll(1)
    mem.kmalloc_obj.poll()
    assert local.nfree == 0
    assert get(mem, other) & -SLAB not in retired
    mem.machine.poll(2)                                     # now all have been elsewhere
    mem.kmalloc_obj.poll()
    assert local.nfree == 2
    items = [get(mem, other) for _ in range(2 * other.per_slab)]
    assert {item & -SLAB for item in items} & retired


def test_the_end_of_a_type_gives_all_memory_back(mem):
    mem.start(cpus=3, **BIG)
    free = mem.page.count_free()
    kind = make(mem, 500)
    for cpu in range(3):
        mem.machine.on(cpu)
        for _ in range(2 * kind.per_slab + 5):
            get(mem, kind)
    mem.machine.on(1)
    mem.kmalloc_obj.destroy(kind)                           # with all its objects
    mem.kmalloc_obj.drain()
    mem.machine.each(lambda cpu: mem.kva.drain())
    assert mem.machine.mapped == {}
    assert mem.page.count_free() >= free - 2
    assert kind.kind.index == 0


def test_a_double_free_is_found(mem):
    mem.start(**BIG)
    kind = make(mem)
    item = get(mem, kind)
    mem.kmalloc_obj.free(kind, item)
    with pytest.raises(host.Panic, match="_unmark"):
        mem.kmalloc_obj.free(kind, item)


def test_what_is_no_object_of_the_type_cannot_be_freed(mem):
    mem.start(**BIG)
    kind, other = make(mem), make(mem, 64, "other")
    item = get(mem, kind)
    with pytest.raises(host.Panic, match="_unmark"):
        mem.kmalloc_obj.free(kind, item + 8)
    with pytest.raises(host.Panic, match=r"kmalloc_obj\.free"):
        mem.kmalloc_obj.free(other, item)


def test_the_limit_holds(mem):
    mem.start(**BIG)
    kind = make(mem, 1000, limit=100_000)
    items = [get(mem, kind) for _ in range(120)]
    assert items.count(0) == 20


def test_zeroed_when_asked(mem):
    mem.start(**BIG)
    kind = make(mem, 64)
    item = get(mem, kind)
    mem.module.at("u8", item).slice(64)[:] = b"\xff" * 64
    slab = slab_of(mem, item)
    mem.kmalloc_obj.free(kind, item)
    for _ in range(slab.count):
        again = mem.kmalloc_obj.alloc(kind, mem.NOWAIT | mem.M.ZERO)
    assert again == item
    assert bytes(mem.module.at("u8", again).slice(64)) == bytes(64)


def test_every_allocation_may_fail(mem):
    mem.start(**BIG)
    kind = make(mem)
    free, failures = None, 0
    for n in range(100):
        calls = iter([False] * n + [True])
        with mem.module.provide(fault=lambda site, calls=calls: next(calls, False)):
            item = get(mem, kind)
        if item != 0:
            break
        failures += 1
        mem.kva.drain()
        assert mem.machine.mapped == {} and kind.nslabs == 0
        assert free in {None, mem.page.count_free()}
        free = mem.page.count_free()
    assert failures > 32


class Objects(RuleBasedStateMachine):
    """Random use on random CPUs, against a set."""

    mem = None

    @initialize(cpus=st.sampled_from([1, 3]), size=st.sampled_from([3000, 9000, 40000]))
    def start(self, cpus, size):
        self.mem.start(cpus=cpus, **BIG)
        self.cpus, self.taken = cpus, set()
        self.kind = make(self.mem, size)

    @rule(cpu=st.integers(0, 2), count=st.integers(1, 60))
    def alloc(self, cpu, count):
        self.mem.machine.on(cpu % self.cpus)
        for _ in range(count):
            item = get(self.mem, self.kind)
            assert item != 0 and item not in self.taken
            self.taken.add(item)

    @rule(cpu=st.integers(0, 2), count=st.integers(1, 80), pick=st.randoms(use_true_random=False))
    def free(self, cpu, count, pick):
        self.mem.machine.on(cpu % self.cpus)
        order = sorted(self.taken)
        pick.shuffle(order)
        for item in order[:count]:
            self.taken.remove(item)
            self.mem.kmalloc_obj.free(self.kind, item)

    @rule(cpu=st.integers(0, 2))
    def poll(self, cpu):
        self.mem.machine.on(cpu % self.cpus)
        self.mem.kmalloc_obj.poll()

    @rule()
    def answer(self):
        self.mem.machine.poll_all()

    @invariant()
    def slabs_are_whole(self):
        if self.mem.machine is not None:
            check(self.mem, self.kind, self.cpus, self.taken)

    def teardown(self):
        if self.mem.machine is not None and hasattr(self, "taken"):
            self.mem.machine.on(0)
            self.mem.kmalloc_obj.destroy(self.kind)
            for _ in range(2):
                self.mem.machine.each(lambda cpu: self.mem.kmalloc_obj.drain())
            self.mem.machine.each(lambda cpu: self.mem.kva.drain())
            assert self.mem.machine.mapped == {}
        super().teardown()


def test_random_use_against_a_model(mem):
    run_machine(mem, Objects, examples=25, steps=20)
