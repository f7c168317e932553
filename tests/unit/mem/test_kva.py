# SPDX-License-Identifier: BSD-3-Clause
"""Kernel addresses: ranges, mapping, and TLBs that lag behind."""
from __future__ import annotations

import itertools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.mem.conftest import MIB, run_machine
from toolchain import host

PAGE = 4096
WRITE = 1


def segments(mem):
    """The arena as a list of (base, size, taken), checked (V1, V2)."""
    arena = mem.var("kva.arena")
    found, segment, before = [], arena.order.first, None
    while segment is not None:
        assert segment.order.prev == before
        found.append((segment.base, segment.size, segment.taken))
        before, segment = segment, segment.order.next
    at = mem.machine.space
    for base, size, _ in found:
        assert base == at and size > 0
        at = base + size
    assert at == mem.machine.space + mem.machine.space_size
    assert not any(not a[2] and not b[2] for a, b in itertools.pairwise(found))
    assert len(found) == arena.segments
    assert arena.free_bytes == sum(size for _, size, taken in found if not taken)
    lists = {}
    for number, queue in enumerate(arena.free):
        segment = queue.first
        assert (arena.nonempty >> number & 1) == (segment is not None)
        while segment is not None:
            assert segment.size.bit_length() - 1 == number
            lists[segment.base] = segment.size
            segment = segment.link.next
    assert lists == {base: size for base, size, taken in found if not taken}
    return found


def settle(mem):
    """Everything released is in the arena again."""
    for _ in range(2):
        mem.machine.each(lambda cpu: mem.kva.drain())
    return segments(mem)


def test_it_begins_as_one_free_range(mem):
    mem.start(upto="kva")
    assert segments(mem) == [(mem.machine.space, mem.machine.space_size, False)]


@pytest.mark.parametrize("pages", [1, 2, 3, 5, 8, 16, 31, 32, 33, 100])
def test_a_range_comes_back(mem, pages):
    mem.start(upto="kva")
    base = mem.kva.reserve(pages, 1)
    assert mem.machine.space <= base and base % PAGE == 0
    if pages <= 32 and pages & (pages - 1) == 0:
        assert base % (pages * PAGE) == 0
    mem.kva.release(base, pages)
    assert len(settle(mem)) == 1


@pytest.mark.parametrize("align", [1, 2, 32, 64, 512, 4096])
def test_ranges_are_aligned_as_asked(mem, align):
    mem.start(space=256 * MIB, upto="kva")
    bases = [mem.kva.reserve(pages, align) for pages in (1, 3, 32, 40, 7)]
    assert all(base != 0 and base % (align * PAGE) == 0 for base in bases)
    segments(mem)


def test_no_room_is_zero_and_room_comes_back(mem):
    mem.start(space=1 * MIB, upto="kva")
    bases = []
    while (base := mem.kva.reserve(16, 1)) != 0:
        bases.append(base)
    assert len(bases) == len(set(bases)) == 16
    mem.kva.release(bases[3], 16)
    assert mem.kva.reserve(16, 1) == bases[3]                # this CPU's, drained for it
    assert mem.kva.reserve(1, 1) == 0


def test_short_ranges_are_cached(mem):
    mem.start(upto="kva")
    base = mem.kva.reserve(4, 1)
    mem.kva.release(base, 4)
    mem.kva.flush()
    arena = mem.var("kva.arena").free_bytes
    assert mem.kva.reserve(4, 1) == base
    assert mem.var("kva.arena").free_bytes == arena
    assert mem.var("kva.local").counters.from_cache == 1


def test_what_was_not_allocated_cannot_be_given_back(mem):
    mem.start(upto="kva")
    base = mem.kva.reserve(40, 1)
    mem.kva.release(base + PAGE, 1)
    mem.kva.release(base + PAGE, 1)
    with pytest.raises(host.Panic, match="kva"):
        mem.kva.drain()


def test_memory_is_mapped_and_the_guard_is_not(mem):
    mem.start(upto="kva")
    va = mem.kva.alloc(4, mem.M.ZERO, 1, 1)
    for n in range(4):
        assert mem.module.at("u64", va + n * PAGE).value == 0
        mem.module.at("u64", va + n * PAGE).value = n
    assert va - PAGE not in mem.machine.mapped and va in mem.machine.mapped
    free = mem.page.count_free()
    mem.kva.free(va, 4, 1)
    assert mem.page.count_free() == free + 4
    assert mem.machine.mapped == {}
    assert len(settle(mem)) == 1


def test_no_page_table_no_memory_and_nothing_lost(mem):
    mem.start(upto="kva")
    mem.kva.alloc(1, mem.NOWAIT, 1, 0)
    free, before = mem.page.count_free(), segments(mem)
    mem.machine.refuse_tables = True
    assert mem.kva.alloc(8, mem.NOWAIT, 1, 1) == 0
    assert mem.kva.map_device(0xFEC00000, 64) == 0
    assert mem.page.count_free() == free
    assert settle(mem) == before


def test_all_or_no_pages_are_mapped_when_the_nth_is_refused(mem):
    """V6, for every n: the machine is out of page tables, or out of frames, at the n-th."""
    mem.start(upto="kva")
    mem.kva.alloc(1, mem.NOWAIT, 1, 0)
    free, before = mem.page.count_free(), settle(mem)
    enter = mem.machine.pmap_enter
    for n in range(8):
        left = iter([True] * n + [False])
        with mem.module.provide({"kernel.machine.contract.pmap_enter": (
                lambda va, pa, prot, left=left: next(left) and enter(va, pa, prot))}):
            assert mem.kva.alloc(8, mem.NOWAIT, 1, 1) == 0
        assert len(mem.machine.mapped) == 1
        assert mem.page.count_free() == free
        assert settle(mem) == before


def test_every_allocation_may_fail(mem):
    """The n-th call of an allocating function fails, for every n until none is left to fail."""
    mem.start(upto="kva")
    mem.kva.alloc(1, mem.NOWAIT, 1, 0)
    free = mem.page.count_free()
    failures = 0
    for n in range(100):
        calls = iter([False] * n + [True])
        with mem.module.provide(fault=lambda site, calls=calls: next(calls, False)):
            va = mem.kva.alloc(6, mem.NOWAIT, 1, 1)
        if va != 0:
            mem.kva.free(va, 6, 1)
            break
        failures += 1
        assert mem.page.count_free() == free
        assert len(mem.machine.mapped) == 1
    assert failures >= 7                # six frames and the range
    assert mem.page.count_free() == free


def test_a_device_is_mapped_at_its_offset(mem):
    mem.start(upto="kva")
    va = mem.kva.map_device(0x2000010, 0x1000)
    assert va % PAGE == 0x10
    assert mem.machine.mapped[va - 0x10] == 0x2000000
    assert mem.machine.mapped[va - 0x10 + PAGE] == 0x2001000


def test_page_tables_come_from_here_zeroed(mem):
    mem.start(upto="kva")
    pa = mem.kva.page_table_alloc()
    assert mem.module.at("u64", mem.machine.phys_to_virt(pa)).value == 0
    assert mem.page.of(pa).wire_count == 1


def dropped(mem, cpu, base, pages):
    """Whether CPU `cpu` has invalidated all of a range since the last look."""
    return any(who == cpu and va <= base and base + pages * PAGE <= va + n * PAGE
               for who, va, n in mem.machine.invalidations)


def test_others_are_told_a_batch_at_a_time_without_a_doorbell(mem):
    mem.start(cpus=3, upto="kva")
    bases = [mem.kva.reserve(1, 1) for _ in range(64)]
    for base in bases[:-1]:
        mem.kva.release(base, 1)
    assert all(dropped(mem, 0, base, 1) for base in bases[:-1])
    assert not mem.machine.waiting(1) and not mem.machine.waiting(2)
    mem.kva.release(bases[-1], 1)
    assert mem.machine.waiting(1) and mem.machine.waiting(2)
    assert [cpu.rung for cpu in mem.machine.cpus] == [0, 0, 0]
    for cpu in (1, 2):
        assert not any(dropped(mem, cpu, base, 1) for base in bases)
        mem.machine.poll(cpu)
        assert all(dropped(mem, cpu, base, 1) for base in bases)


def test_an_address_is_not_used_again_before_all_have_dropped_it(mem):
    mem.start(cpus=3, space=1 * MIB, upto="kva")
    bases = [mem.kva.reserve(1, 1) for _ in range(256)]
    assert mem.kva.reserve(1, 1) == 0
    for base in bases[:64]:
        mem.kva.release(base, 1)
    mem.machine.poll(1)
    local = mem.var("kva.local")
    assert local.batches[0].flying and local.batches[0].stale.words[0] == 0b100
    again = mem.kva.reserve(1, 1)               # no other room: rings CPU 2 and waits for it
    assert again in bases[:64]
    assert dropped(mem, 2, again, 1)
    assert mem.machine.cpus[2].rung == 1 and mem.machine.cpus[1].rung == 0


def test_a_cpu_with_too_many_batches_in_flight_waits_for_the_oldest(mem):
    mem.start(cpus=2, upto="kva")
    bases = [mem.kva.reserve(1, 1) for _ in range(64 * 5)]
    for base in bases[:-1]:
        mem.kva.release(base, 1)
    assert mem.var("kva.local").counters.waited == 1
    assert mem.machine.cpus[1].rung >= 1
    assert all(dropped(mem, 1, base, 1) for base in bases[:64])


def test_a_panicked_cpu_is_not_waited_for(mem):
    mem.start(cpus=3, upto="kva")
    bases = [mem.kva.reserve(1, 1) for _ in range(64)]
    mem.machine.on(2)
    mem.globals.gd.panicked = 1
    mem.machine.on(0)
    for base in bases:
        mem.kva.release(base, 1)
    mem.kva.flush()
    assert not mem.machine.waiting(2)
    assert mem.var("kva.local").batches[0].count == 0


def test_trim_launches_what_waits(mem):
    mem.start(cpus=2, upto="kva")
    mem.kva.release(mem.kva.reserve(1, 1), 1)
    mem.kva.trim()
    assert mem.machine.waiting(1)
    mem.machine.poll(1)
    mem.kva.trim()
    assert mem.var("kva.local").caches[1].count == 1


def test_shootdown_is_done_when_it_returns(mem):
    mem.start(cpus=3, upto="kva")
    mem.machine.on(1)
    mem.kva.shootdown(mem.machine.space, 3)
    assert all(dropped(mem, cpu, mem.machine.space, 3) for cpu in range(3))


class Ranges(RuleBasedStateMachine):
    """Random ranges on random CPUs: none overlap, and none is stale in any TLB (V1, V3, V5)."""

    mem = None

    @initialize(cpus=st.sampled_from([1, 2, 4]), space=st.sampled_from([1, 4]))
    def start(self, cpus, space):
        self.mem.start(cpus=cpus, space=space * MIB, upto="kva")
        self.cpus, self.taken = cpus, {}
        self.stale = {cpu: set() for cpu in range(cpus)}        # pages in its TLB that it must drop
        self.mem.module.provide({"kernel.machine.contract.pmap_invalidate": self.invalidate})

    def invalidate(self, va, pages):
        self.stale[self.mem.machine.current.number].difference_update(
            range(va, va + pages * PAGE, PAGE))

    @rule(cpu=st.integers(0, 3), pages=st.integers(1, 48), order=st.integers(0, 6))
    def reserve(self, cpu, pages, order):
        self.mem.machine.on(cpu % self.cpus)
        base = self.mem.kva.reserve(pages, 1 << order)
        if base == 0:
            return
        assert base % (PAGE << order) == 0
        mine = set(range(base, base + pages * PAGE, PAGE))
        for other, n in self.taken.items():
            assert mine.isdisjoint(range(other, other + n * PAGE, PAGE))
        for pages_left in self.stale.values():
            assert mine.isdisjoint(pages_left)
        self.taken[base] = pages

    @rule(cpu=st.integers(0, 3), pick=st.randoms(use_true_random=False), count=st.integers(1, 70))
    def release(self, cpu, pick, count):
        self.mem.machine.on(cpu % self.cpus)
        for _ in range(min(count, len(self.taken))):
            base = pick.choice(sorted(self.taken))
            pages = self.taken.pop(base)
            for pages_left in self.stale.values():
                pages_left.update(range(base, base + pages * PAGE, PAGE))
            self.mem.kva.release(base, pages)

    @rule(cpu=st.integers(0, 3), count=st.integers(70, 200))
    def churn(self, cpu, count):
        self.mem.machine.on(cpu % self.cpus)
        for _ in range(count):
            base = self.mem.kva.reserve(1, 1)
            if base == 0:
                return
            assert all(base not in pages_left for pages_left in self.stale.values())
            for pages_left in self.stale.values():
                pages_left.add(base)
            self.mem.kva.release(base, 1)

    @rule(cpu=st.integers(0, 3))
    def poll(self, cpu):
        self.mem.machine.poll(cpu % self.cpus)

    @rule(cpu=st.integers(0, 3))
    def trim(self, cpu):
        self.mem.machine.on(cpu % self.cpus)
        self.mem.kva.trim()

    @invariant()
    def segments_are_whole(self):
        if self.mem.machine is not None:
            segments(self.mem)

    def teardown(self):
        if self.mem.machine is not None and hasattr(self, "taken"):
            for base, pages in self.taken.items():
                self.mem.kva.release(base, pages)
            assert len(settle(self.mem)) == 1
        super().teardown()


def test_random_use_against_a_model(mem):
    run_machine(mem, Ranges, examples=40, steps=25)
