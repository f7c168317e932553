# SPDX-License-Identifier: BSD-3-Clause
"""Frames of physical memory: queues, colours, runs, reserves."""
from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.mem.conftest import MIB, run_machine
from toolchain import host

GIB = 1 << 30
ANYWHERE = 1 << 63
HOLES = [(0x1000, 0x9E000), (1 * MIB, 15 * MIB), (32 * MIB, 30 * MIB), (3 * GIB, 7 * MIB),
         (5 * GIB, 40 * MIB)]


def pages_of(regions):
    return sum(size for _, size in regions) // 4096


def queued(mem):
    """Every frame on a queue, by walking the queues."""
    found = {}
    for number, colour in enumerate(mem.var("page.colours")):
        for state, queue, count in ((1, colour.free, colour.free_count),
                                    (2, colour.cache, colour.cache_count)):
            page, before, length = queue.first, None, 0
            while page is not None:
                assert (page.state, page.colour) == (state, number)
                assert page.link.prev == before
                found[page.address] = page
                before, page, length = page, page.link.next, length + 1
            assert queue.last == before
            assert length == count
    return found


def take_all(mem, how):
    taken = []
    while (page := mem.page.alloc(how)) is not None:
        taken.append(page)
    return taken


@pytest.mark.parametrize("regions", [[(1 * MIB, 63 * MIB)], HOLES], ids=["64M", "holes"])
def test_every_page_of_the_map_can_be_allocated_once(mem, regions):
    mem.start(regions=regions, upto="page")
    total = mem.var("page.total_pages")
    arrays = pages_of(regions) - total
    assert 0 < arrays <= pages_of(regions) // 100 + 1
    taken = take_all(mem, mem.M.USE_RESERVE | mem.M.USE_INTERRUPT_RESERVE)
    addresses = {mem.page.addr(page) for page in taken}
    assert len(addresses) == len(taken) == total
    inside = {a for base, size in regions for a in range(base, base + size, 4096)}
    assert addresses <= inside
    for page in taken[:50] + taken[-50:]:
        assert mem.page.of(mem.page.addr(page)) == page
        assert mem.page.virt(page) == mem.machine.physmap + mem.page.addr(page)
    assert mem.page.count_free() == 0


def test_what_is_not_memory_has_no_frame(mem):
    mem.start(regions=HOLES, upto="page")
    for address in (0, 20 * MIB, 2 * GIB, 4 * GIB, 600 * GIB, 1 << 60):
        assert mem.page.of(address) is None
    base, size = HOLES[-1]
    assert mem.page.of(base + size - 4096) is None          # the arrays
    assert mem.page.of(base + 4096) is not None


def test_memory_of_many_gigabytes_needs_few_bytes(mem):
    regions = [(1 * MIB, 2 * GIB - 1 * MIB), (4 * GIB, 6 * GIB)]
    mem.start(regions=regions, upto="page")
    total = mem.var("page.total_pages")
    assert pages_of(regions) - total == -(-pages_of(regions) * 32 // 4096)
    page = mem.page.alloc(mem.NOWAIT)
    assert mem.page.of(mem.page.addr(page)) == page


def test_colours_of_neighbours_differ(mem):
    colours = [mem.page.colour_of(n) for n in range(1 << 16)]
    for at in range(0, 1 << 16, 4096):
        assert len(set(colours[at:at + 256])) == 256
    assert len({mem.page.colour_of(n << 8) for n in range(256)}) == 256


def test_each_cpu_begins_in_its_own_slice(mem):
    mem.start(cpus=4, upto="page")
    seen = []
    for cpu in range(4):
        mem.machine.on(cpu)
        seen.append({mem.page.alloc(mem.NOWAIT).colour for _ in range(64)})
    mem.machine.on(0)
    assert [len(colours) for colours in seen] == [64] * 4
    assert len(set.union(*seen)) == 256


def test_a_cpu_takes_others_colours_when_its_own_are_used_up(mem):
    mem.start(cpus=4, regions=[(1 * MIB, 2 * MIB)], upto="page")
    taken = take_all(mem, mem.M.USE_RESERVE | mem.M.USE_INTERRUPT_RESERVE)
    assert len({page.colour for page in taken}) == 256


def test_the_last_pages_are_for_those_who_say_so(mem):
    mem.start(upto="page")
    reserved, last = mem.var("page.free_reserved"), mem.var("page.interrupt_free_min")
    assert 0 < last < reserved
    ordinary = take_all(mem, mem.NOWAIT)
    assert len(ordinary) == mem.var("page.total_pages") - reserved
    assert len(take_all(mem, mem.NOWAIT | mem.M.USE_RESERVE)) == reserved - last
    assert len(take_all(mem, mem.NOWAIT | mem.M.USE_INTERRUPT_RESERVE)) == last
    mem.page.free(ordinary[0])
    assert mem.page.alloc(mem.NOWAIT) is None
    assert mem.page.alloc(mem.NOWAIT | mem.M.USE_INTERRUPT_RESERVE) is not None


def test_zeroed_pages_are_zero(mem):
    mem.start(upto="page")
    page = mem.page.alloc(mem.NOWAIT)
    memory = mem.module.at("u64", mem.page.virt(page))
    memory.value = 5
    mem.page.free(page)
    assert mem.module.at("u64", mem.page.virt(mem.page.alloc(mem.M.ZERO))).value == 0


def test_a_cached_page_comes_back_with_its_contents(mem):
    mem.start(upto="page")
    page = mem.page.alloc(mem.NOWAIT)
    mem.module.at("u64", mem.page.virt(page)).value = 77
    generation = mem.page.cache(page)
    assert mem.page.reuse(page, generation)
    assert mem.module.at("u64", mem.page.virt(page)).value == 77
    assert not mem.page.reuse(page, generation)             # it is in use


def test_a_cached_page_that_went_to_another_does_not(mem):
    mem.start(upto="page")
    page = mem.page.alloc(mem.NOWAIT)
    generation = mem.page.cache(page)
    taken = take_all(mem, mem.M.USE_INTERRUPT_RESERVE)
    assert taken[-1] == page                                # cached ones go last
    assert not mem.page.reuse(page, generation)
    again = mem.page.cache(page)
    assert again != generation and not mem.page.reuse(page, generation)
    assert mem.page.reuse(page, again)


@pytest.mark.parametrize("count", [1, 2, 16, 64, 1024])
def test_runs_are_aligned_and_in_a_row(mem, count):
    mem.start(regions=HOLES, upto="page")
    before = mem.page.count_free()
    runs = []
    while (page := mem.page.alloc_contig(count, mem.NOWAIT, ANYWHERE)) is not None:
        runs.append(page)
        if len(runs) == 40:
            break
    assert runs
    for page in runs:
        addresses = [mem.page.addr(mem.page.nth(page, n)) for n in range(count)]
        assert addresses[0] % (count * 4096) == 0
        assert addresses == [addresses[0] + n * 4096 for n in range(count)]
    for page in runs:
        mem.page.free_contig(page, count)
    assert mem.page.count_free() == before == len(queued(mem))


def test_a_run_below_a_limit_lies_below_it(mem):
    mem.start(regions=HOLES, upto="page")
    assert mem.page.addr(mem.page.alloc_contig(16, mem.NOWAIT, ANYWHERE)) >= 4 * GIB
    low = mem.page.alloc_contig(16, mem.NOWAIT, 4 * GIB)
    assert mem.page.addr(low) + 16 * 4096 <= 4 * GIB
    isa = mem.page.alloc_contig(16, mem.NOWAIT, 16 * MIB)
    assert mem.page.addr(isa) + 16 * 4096 <= 16 * MIB


def test_no_run_leaves_the_queues_as_they_were(mem):
    mem.start(regions=[(1 * MIB, 7 * MIB)], upto="page")
    for page in take_all(mem, mem.NOWAIT)[::3]:
        mem.page.free(page)
    before = queued(mem).keys()
    assert mem.page.alloc_contig(512, mem.NOWAIT, ANYWHERE) is None
    assert queued(mem).keys() == before


def test_a_freed_page_cannot_be_freed_again(mem):
    mem.start(upto="page")
    page = mem.page.alloc(mem.NOWAIT)
    mem.page.free(page)
    with pytest.raises(host.Panic, match=r"kernel\.mem\.page\.free"):
        mem.page.free(page)


def test_the_generation_tells_one_use_from_the_next(mem):
    mem.start(upto="page")
    page = mem.page.alloc_contig(1, mem.NOWAIT, ANYWHERE)
    first = page.generation
    mem.page.free(page)
    while mem.page.alloc(mem.NOWAIT) != page:
        pass
    assert page.generation == first + 1


class Pages(RuleBasedStateMachine):
    """Random allocations on random CPUs, against a Python set (F1, F4, F6)."""

    mem = None

    @initialize(cpus=st.sampled_from([1, 3, 4]))
    def start(self, cpus):
        self.mem.start(cpus=cpus, regions=HOLES[:3], upto="page")
        self.cpus = cpus
        self.total = self.mem.page.count_free()
        self.taken, self.cached = {}, {}

    def use(self, page):
        address = self.mem.page.addr(page)
        assert address not in self.taken
        self.cached.pop(address, None)
        self.taken[address] = page

    @rule(cpu=st.integers(0, 3), count=st.integers(1, 40))
    def alloc(self, cpu, count):
        self.mem.machine.on(cpu % self.cpus)
        for _ in range(count):
            self.use(self.mem.page.alloc(self.mem.NOWAIT))

    @rule(order=st.integers(0, 6))
    def contig(self, order):
        page = self.mem.page.alloc_contig(1 << order, self.mem.NOWAIT, ANYWHERE)
        for n in range(1 << order if page is not None else 0):
            self.use(self.mem.page.nth(page, n))

    @rule(cpu=st.integers(0, 3), pick=st.randoms(use_true_random=False), count=st.integers(1, 40),
          cache=st.booleans())
    def free(self, cpu, pick, count, cache):
        self.mem.machine.on(cpu % self.cpus)
        for _ in range(min(count, len(self.taken))):
            address = pick.choice(sorted(self.taken))
            page = self.taken.pop(address)
            if cache:
                self.cached[address] = (page, self.mem.page.cache(page))
            else:
                self.mem.page.free(page)

    @rule(pick=st.randoms(use_true_random=False))
    def reuse(self, pick):
        if self.cached:
            address = pick.choice(sorted(self.cached))
            page, generation = self.cached.pop(address)
            assert self.mem.page.reuse(page, generation)
            self.taken[address] = page

    @invariant()
    def everything_is_somewhere(self):
        if self.mem.machine is None:
            return
        found = queued(self.mem)
        assert len(found) + len(self.taken) == self.total
        deltas = 0
        for cpu in range(self.cpus):
            self.mem.machine.on(cpu)
            deltas += self.mem.var("page.local").delta
        assert self.mem.var("page.free_pages") + deltas == len(found)


def test_random_use_against_a_model(mem):
    run_machine(mem, Pages, examples=25, steps=20)
