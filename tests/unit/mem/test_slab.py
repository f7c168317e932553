# SPDX-License-Identifier: BSD-3-Clause
"""kmalloc: sizes, zones, frees from other CPUs, and what debugging finds."""
from __future__ import annotations

import itertools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.mem.conftest import MIB, run_machine
from toolchain import host

KIB = 1024
GIB = 1 << 30
ZERO_LENGTH = 0xFFFF_FFFF_FFFF_F000


def chunk_for(size):
    """The chunk size by the table of the design: steps of 8, then of an eighth of the power of two
    below."""
    if size < 128:
        return (size + 7) // 8 * 8
    step = 1 << (size.bit_length() - 4)
    return (size + step - 1) // step * step


def get(mem, size, kind, how=None):
    found = mem.slab.kmalloc_nowait(size, kind, mem.NOWAIT if how is None else how)
    return 0 if found is None else found.address


def zone_of(mem, address):
    return mem.module.at(mem.module.Zone, address & mem.var("slab.zone_mask"))


def fill(mem, address, size, byte):
    memory = mem.module.at("u8", address)
    memory.slice(size)[:] = bytes([byte]) * size


def contents(mem, address, size):
    return bytes(mem.module.at("u8", address).slice(size))


def walk(queue):
    item, found = queue.first, []
    while item is not None:
        found.append(item)
        item = item.link.next
    return found


def chunks_of(mem, first):
    chunk, found = first, []
    while chunk is not None:
        found.append(chunk.address)
        chunk = chunk.next
    return found


def check(mem, cpus):
    """Z1 to Z6 and Z8 of every zone; the addresses of the chunks in use, by CPU and zone."""
    seen = set()
    for cpu in range(cpus):
        mem.machine.on(cpu)
        slab = mem.var("slab.slab")
        nobody = mem.var("slab.nobody").address
        for zindex, queue in enumerate(slab.zones):
            zones = walk(queue)
            assert slab.quick[zindex].address == (zones[0].address if zones else nobody)
            for zone in zones:
                assert zone.active and zone.zindex == zindex and zone.rsignal == 0
                assert (zone.owner is None) == zone.debug
        off, free = walk(slab.off), walk(slab.free)
        assert len(free) == slab.nfree_zones
        for zone in off:
            assert not zone.active and zone.owner is None and zone.nused == zone.nmax
            assert zone.rsignal == 1
        for zone in free:
            assert not zone.active and zone.nused == 0 and zone.rcount == 0
            assert zone.rchunks is None
        everything = [z for q in slab.zones for z in walk(q)] + off + free
        assert len(everything) == slab.nzones == len({z.address for z in everything})
        for zone in everything:
            assert zone.cpu == cpu and zone.address not in seen
            seen.add(zone.address)
            listed = chunks_of(mem, zone.lchunks) + chunks_of(mem, zone.dchunks)
            assert zone.nmax - zone.nused == len(listed) + zone.unused
            assert len(listed) == len(set(listed))
            assert all((a - zone.base) % zone.chunk_size == 0 for a in listed)
            assert zone.base + zone.nmax * zone.chunk_size <= (
                zone.address + mem.var("slab.zone_size"))
    mem.machine.on(0)
    return seen


def drain_all(mem, cpus):
    """Every message executed, everything given back."""
    for _ in range(2):
        mem.machine.poll_all()
        mem.machine.each(lambda cpu: mem.slab.drain())
    mem.machine.each(lambda cpu: mem.kva.drain())


@pytest.fixture(params=[False, True], ids=["fast", "debug"])
def debug(request):
    return request.param


def test_sizes_follow_the_table(mem):
    mem.start(regions=[(1 * MIB, 255 * MIB)], space=256 * MIB)
    sizes = list(mem.var("slab.CHUNK_SIZES"))
    assert len(sizes) == 80 and sizes[:17] == [*range(8, 129, 8), 144] and sizes[-1] == 32768
    for size in [*range(1, 3000), *range(3000, 32769, 97), 32768]:
        assert sizes[mem.slab.class_of(size)] == chunk_for(size)


@pytest.mark.parametrize(("memory", "zone", "limit", "kept"), [
    (16 * MIB, 32, 8, 32), (64 * MIB, 64, 16, 32), (128 * MIB, 128, 32, 32),
    (4 * GIB, 128, 32, 32), (8 * GIB, 128, 32, 64), (16 * GIB, 128, 32, 128)])
def test_zones_grow_with_memory(mem, memory, zone, limit, kept):
    mem.slab.init(memory)
    assert mem.var("slab.zone_size") == zone * KIB
    assert mem.var("slab.zone_limit") == limit * KIB
    assert mem.var("slab.zones_kept") == kept


def test_chunks_are_where_their_size_says(mem, debug):
    mem.start(regions=[(1 * MIB, 255 * MIB)], space=256 * MIB, debug=debug)
    kind = mem.type()
    for size in mem.var("slab.CHUNK_SIZES"):
        if size >= 32768 or size % 4096 == 0:
            continue
        for _ in range(3):
            address = get(mem, size, kind)
            assert address % (size & -size) == 0
            zone = zone_of(mem, address)
            assert zone.chunk_size == size and zone.cpu == 0
            frame = mem.page.of(mem.machine.pmap_extract(address))
            assert frame.slot == -1
    check(mem, 1)


@pytest.mark.parametrize("size", [4096, 8192, 16384, 20000, 70000, 1 << 20])
def test_whole_pages_and_long_requests_are_pages(mem, size):
    mem.start(cpus=2)
    kind = mem.type()
    free = mem.page.count_free()
    address = get(mem, size, kind)
    assert address % 4096 == 0
    pages = -(-size // 4096)
    assert mem.page.of(mem.machine.pmap_extract(address)).slot == pages
    fill(mem, address, size, 0x5A)
    mem.machine.on(1)
    mem.slab.free_address(address, kind)
    assert mem.page.count_free() >= free - 1            # one may have become segments
    assert mem.var("slab.slab").nzones == 0


def test_nothing_is_something_special(mem):
    mem.start()
    kind = mem.type()
    assert get(mem, 0, kind) == ZERO_LENGTH
    mem.slab.free_address(ZERO_LENGTH, kind)
    assert mem.malloc_type.sum(kind).inuse == 0


def test_powers_of_two_when_asked(mem):
    mem.start()
    kind = mem.type()
    for size in (1, 9, 33, 65, 100, 129, 1025, 3000):
        address = get(mem, size, kind, mem.NOWAIT | mem.M.POWEROF2)
        wanted = max(8, 1 << (size - 1).bit_length())
        assert address % min(wanted, 4096) == 0


@pytest.mark.parametrize("size", [1, 8, 100, 3000, 4096, 50000])
def test_zeroed_when_asked(mem, debug, size):
    mem.start(debug=debug)
    kind = mem.type()
    first = get(mem, size, kind)
    fill(mem, first, size, 0xFF)
    mem.slab.free_address(first, kind)
    again = get(mem, size, kind, mem.NOWAIT | mem.M.ZERO)
    assert contents(mem, again, size) == bytes(size)


def test_the_first_used_chunk_slides_from_zone_to_zone(mem):
    mem.start()
    kind = mem.type()
    starts = []
    for size in (64, 80, 96):
        address = get(mem, size, kind)
        zone = zone_of(mem, address)
        starts.append((address - zone.base) // zone.chunk_size)
    assert starts == [0, 20, 40]


def test_the_last_chunk_freed_is_the_first_given(mem, debug):
    mem.start(debug=debug)
    kind = mem.type()
    a, b = get(mem, 64, kind), get(mem, 64, kind)
    mem.slab.free_address(a, kind)
    mem.slab.free_address(b, kind)
    assert (get(mem, 64, kind), get(mem, 64, kind)) == (b, a)


def test_a_full_zone_leaves_the_list_and_comes_back_with_its_first_free_chunk(mem, debug):
    mem.start(debug=debug)
    kind = mem.type()
    first = get(mem, 2048, kind)
    zone = zone_of(mem, first)
    chunks = [first, *(get(mem, 2048, kind) for _ in range(zone.nmax - 1))]
    assert len(set(chunks)) == zone.nmax and zone.active
    other = get(mem, 2048, kind)
    assert zone_of(mem, other) != zone and not zone.active and zone.rsignal == 1
    check(mem, 1)
    mem.slab.free_address(chunks[3], kind)
    assert zone.active and zone.rsignal == 0
    assert get(mem, 2048, kind) == chunks[3]
    check(mem, 1)


def test_an_empty_zone_is_kept_for_any_size_but_the_last_of_its_size(mem, debug):
    mem.start(debug=debug)
    kind = mem.type()
    one = get(mem, 1024, kind)
    zone = zone_of(mem, one)
    chunks = [one] + [get(mem, 1024, kind) for _ in range(zone.nmax)]
    slab = mem.var("slab.slab")
    assert slab.nzones == 2
    for chunk in chunks:
        mem.slab.free_address(chunk, kind)
    assert (slab.nzones, slab.nfree_zones) == (2, 1)
    check(mem, 1)
    get(mem, 24, kind)
    assert (slab.nzones, slab.nfree_zones) == (2, 0)
    check(mem, 1)


def test_trim_returns_what_is_beyond_those_kept_and_drain_all(mem):
    mem.start(regions=[(1 * MIB, 31 * MIB)])
    kind = mem.type(limit=32 * MIB)
    slab, free = mem.var("slab.slab"), mem.page.count_free()
    chunks = [get(mem, 2048, kind) for _ in range(15 * 45)]
    assert slab.nzones == 45
    for chunk in chunks:
        mem.slab.free_address(chunk, kind)
    mem.slab.trim()
    assert (slab.nzones, slab.nfree_zones) == (32, 32)
    assert slab.counters.zones_returned == 13
    mem.slab.drain()
    assert (slab.nzones, slab.nfree_zones) == (0, 0)
    assert mem.page.count_free() >= free - 1
    assert mem.machine.mapped == {}


def test_too_many_free_zones_go_back_when_allocating(mem):
    mem.start(regions=[(1 * MIB, 31 * MIB)])
    kind = mem.type(limit=32 * MIB)
    chunks = [get(mem, 2048, kind) for _ in range(15 * 45)]
    for chunk in chunks:
        mem.slab.free_address(chunk, kind)
    slab = mem.var("slab.slab")
    assert slab.nfree_zones == 44
    get(mem, 40, kind)
    assert slab.nfree_zones == 31


# --- Other CPUs ----------------------------------------------------------------------------


def test_a_chunk_freed_elsewhere_waits_without_a_message(mem, debug):
    mem.start(cpus=2, debug=debug)
    kind = mem.type()
    chunks = [get(mem, 64, kind) for _ in range(10)]
    zone = zone_of(mem, chunks[0])
    mem.machine.on(1)
    for chunk in chunks:
        mem.slab.free_address(chunk, kind)
    assert not mem.machine.waiting(0)
    assert zone.rcount == 0 and zone.nused == 10
    assert chunks_of(mem, zone.rchunks) == chunks[::-1]
    mem.machine.on(0)
    mem.slab.trim()
    assert zone.nused == 0 and zone.rchunks is None
    check(mem, 2)


def test_an_owner_that_runs_out_collects_before_it_makes_a_zone(mem):
    mem.start(cpus=2)
    kind = mem.type()
    first = get(mem, 2048, kind)
    zone = zone_of(mem, first)
    chunks = [first, *(get(mem, 2048, kind) for _ in range(zone.nmax - 1))]
    mem.machine.on(1)
    mem.slab.free_address(chunks[5], kind)
    mem.machine.on(0)
    assert get(mem, 2048, kind) == chunks[5]
    assert mem.var("slab.slab").nzones == 1


def test_a_zone_off_the_list_is_signalled_once(mem, debug):
    mem.start(cpus=2, debug=debug)
    kind = mem.type()
    first = get(mem, 2048, kind)
    zone = zone_of(mem, first)
    chunks = [first, *(get(mem, 2048, kind) for _ in range(zone.nmax - 1))]
    get(mem, 2048, kind)
    assert not zone.active
    mem.machine.on(1)
    for n, chunk in enumerate(chunks[:5]):
        mem.slab.free_address(chunk, kind)
        assert zone.rcount == 1, n                          # held by the message
    assert mem.var("slab.slab").counters.remote_signals == 1
    assert mem.var("slab.slab").counters.remote_frees == 5
    assert mem.machine.waiting(0) and mem.machine.cpus[0].rung == 0
    mem.machine.poll(0)
    assert zone.active and zone.rcount == 0 and zone.nused == zone.nmax - 5
    check(mem, 2)


def test_a_pinned_zone_is_not_taken_away(mem):
    mem.start(cpus=2)
    kind = mem.type()
    first = get(mem, 2048, kind)
    zone = zone_of(mem, first)
    chunks = [first, *(get(mem, 2048, kind) for _ in range(zone.nmax - 1))]
    spare = get(mem, 2048, kind)
    mem.machine.on(1)
    for chunk in chunks[1:]:
        mem.slab.free_address(chunk, kind)
    mem.machine.on(0)
    mem.slab.free_address(chunks[0], kind)               # active again; the message under way
    mem.slab.trim()
    assert zone.nused == 0 and zone.active and zone.rcount == 1
    mem.machine.poll(0)                                     # no pin: now it is free
    assert not zone.active and zone.rcount == 0
    mem.slab.free_address(spare, kind)
    check(mem, 2)


def test_a_push_between_the_owners_two_looks_is_seen(mem):
    """The owner takes a zone off its list just when another CPU frees: at every atomic operation
    of the owner, the other frees a chunk; none is lost (Z4)."""
    mem.start(cpus=2)
    kind = mem.type()
    for step in range(12):
        first = get(mem, 2048, kind)
        zone = zone_of(mem, first)
        chunks = [first, *(get(mem, 2048, kind) for _ in range(zone.nmax - 1))]
        left = iter([False] * step + [True])
        busy = False

        def before(left=left, chunk=chunks[7]):
            nonlocal busy
            if not busy and next(left, False):
                busy = True
                mem.machine.on(1)
                mem.slab.free_address(chunk, kind)
                mem.machine.on(0)
                busy = False

        result = interleaved(mem, before, lambda: get(mem, 2048, kind))
        mem.machine.poll_all()
        assert zone.rcount == 0
        for chunk in {result, *chunks} - ({chunks[7]} if result != chunks[7] else set()):
            mem.slab.free_address(chunk, kind)
        check(mem, 2)
        drain_all(mem, 2)
        assert mem.var("slab.slab").nzones == 0
    assert mem.malloc_type.sum(kind).inuse == 0


def interleaved(mem, before, call):
    """call(), with before() before each of its atomic operations."""
    def atomic(kind, address, size, a, b, order):
        before()
        if kind == 10:                  # a fence
            return 0
        word = mem.module.at(f"u{size * 8}", address)
        old, mask = word.value, (1 << size * 8) - 1
        new = {0: old, 1: a, 2: a, 3: old + a, 4: old - a, 5: old & a, 6: old | a, 7: old ^ a,
               8: b if old == a else old, 9: b if old == a else old}[kind] & mask
        word.value = new
        return old

    with mem.module.provide({"kpy.hook.atomic": atomic}):
        return call()


class Heap(RuleBasedStateMachine):
    """Random sizes on random CPUs, freed anywhere; contents stay; everything comes back."""

    mem = None

    @initialize(cpus=st.sampled_from([1, 2, 4]), debug=st.booleans())
    def start(self, cpus, debug):
        self.mem.start(cpus=cpus, space=64 * MIB, debug=debug)
        self.cpus = cpus
        self.kinds = [self.mem.type("a"), self.mem.type("b")]
        self.taken, self.count = {}, 0
        self.before = self.mem.page.count_free()

    @rule(cpu=st.integers(0, 3), count=st.integers(1, 60), which=st.integers(0, 1),
          size=st.one_of(st.integers(0, 300), st.integers(1, 20000), st.sampled_from(
              [2048, 2000, 1024])))
    def alloc(self, cpu, count, which, size):
        self.mem.machine.on(cpu % self.cpus)
        for _ in range(count):
            self.count += 1
            address = get(self.mem, size, self.kinds[which])
            assert address != 0 and address not in self.taken
            if size:
                fill(self.mem, address, size, self.count & 0xFF)
                self.taken[address] = (size, which, self.count & 0xFF)

    @rule(cpu=st.integers(0, 3), pick=st.randoms(use_true_random=False), count=st.integers(1, 200))
    def free(self, cpu, pick, count):
        self.mem.machine.on(cpu % self.cpus)
        order = sorted(self.taken)
        pick.shuffle(order)
        for address in order[:count]:
            size, which, byte = self.taken.pop(address)
            assert contents(self.mem, address, size) == bytes([byte]) * size
            self.mem.slab.free_address(address, self.kinds[which])

    @rule(cpu=st.integers(0, 3))
    def poll(self, cpu):
        self.mem.machine.poll(cpu % self.cpus)

    @rule(cpu=st.integers(0, 3))
    def trim(self, cpu):
        self.mem.machine.on(cpu % self.cpus)
        self.mem.slab.trim()

    @invariant()
    def zones_are_whole(self):
        if self.mem.machine is None:
            return
        check(self.mem, self.cpus)
        ends = sorted((a, a + max(s, 1)) for a, (s, _, _) in self.taken.items())
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(ends))
        for n, kind in enumerate(self.kinds):
            assert self.mem.malloc_type.sum(kind).inuse == sum(
                1 for _, which, _ in self.taken.values() if which == n)

    def teardown(self):
        if self.mem.machine is not None and hasattr(self, "taken"):
            for address, (_, which, _) in self.taken.items():
                self.mem.slab.free_address(address, self.kinds[which])
            drain_all(self.mem, self.cpus)
            assert check(self.mem, self.cpus) == set()
            assert self.mem.machine.mapped == {}
            assert self.mem.page.count_free() >= self.before - 8       # what became segments
            for kind in self.kinds:
                assert self.mem.malloc_type.sum(kind).memuse == 0
        super().teardown()


def test_random_use_against_a_model(mem):
    run_machine(mem, Heap, examples=30, steps=25)


# --- Failure -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [64, 4096, 30000])
def test_every_allocation_may_fail(mem, size):
    """The n-th call of an allocating function fails, for every n until none is left to fail."""
    mem.start()
    kind = mem.type()
    mem.slab.free_address(get(mem, size, kind), kind)
    mem.slab.drain()
    mem.kva.drain()
    free, failures = mem.page.count_free(), 0
    for n in range(200):
        calls = iter([False] * n + [True])
        with mem.module.provide(fault=lambda site, calls=calls: next(calls, False)):
            address = get(mem, size, kind)
        if address != 0:
            mem.slab.free_address(address, kind)
            break
        failures += 1
        check(mem, 1)
        mem.kva.drain()
        assert mem.page.count_free() == free and mem.machine.mapped == {}
        assert mem.malloc_type.sum(kind).inuse == 0
    assert failures >= {64: 9, 4096: 1, 30000: 9}[size]
    mem.slab.drain()
    mem.kva.drain()
    assert mem.page.count_free() == free


def test_waitok_sleeps_until_memory_comes(mem):
    mem.start()
    kind, hog = mem.type(), []
    while (page := mem.page.alloc(mem.NOWAIT)) is not None:
        hog.append(page)
    assert get(mem, 64, kind) == 0

    def while_asleep():
        if mem.machine.sleeps == 3:
            for page in hog:
                mem.page.free(page)

    mem.machine.while_asleep = while_asleep
    address = mem.slab._kmalloc_wait(64, kind, mem.M.WAITOK).address
    assert mem.machine.sleeps == 3 and zone_of(mem, address).nused == 1


def test_at_the_limit_waitok_with_nullok_does_not_sleep(mem):
    mem.start()
    kind = mem.type(limit=100_000)
    while mem.slab._kmalloc_wait(1000, kind, mem.M.WAITOK | mem.M.NULLOK) is not None:
        pass
    assert mem.machine.sleeps == 0


def test_what_was_not_allocated_cannot_be_freed(mem):
    mem.start()
    kind = mem.type()
    page = mem.page.alloc(mem.NOWAIT)
    with pytest.raises(host.Panic, match="slab"):
        mem.slab.free_address(mem.page.virt(page), kind)
    with pytest.raises(host.Panic, match="slab"):
        mem.slab.free_address(0, kind)
    large = get(mem, 8192, kind)
    mem.slab.free_address(large, kind)
    with pytest.raises(host.Panic, match="slab"):
        mem.slab.free_address(large, kind)


# --- Debugging -----------------------------------------------------------------------------


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_double_free_is_found(mem, cpus):
    mem.start(cpus=cpus, debug=True)
    kind = mem.type()
    get(mem, 64, kind)
    address = get(mem, 64, kind)
    mem.slab.free_address(address, kind)
    mem.machine.on(cpus - 1)
    with pytest.raises(host.Panic, match=r"slab\._mark_free"):
        mem.slab.free_address(address, kind)
        mem.machine.on(0)
        mem.slab.trim()


def test_freed_memory_is_poisoned_and_a_write_to_it_found(mem):
    mem.start(debug=True)
    kind = mem.type()
    address = get(mem, 64, kind)
    mem.slab.free_address(address, kind)
    assert contents(mem, address + 8, 56) == bytes.fromhex("dec0adde") * 14
    mem.module.at("u32", address + 60).value = 1
    with pytest.raises(host.Panic, match="_check_poison"):
        get(mem, 64, kind)


def test_the_middle_of_a_chunk_cannot_be_freed(mem):
    mem.start(debug=True)
    kind = mem.type()
    address = get(mem, 64, kind)
    with pytest.raises(host.Panic, match="slab"):
        mem.slab.free_address(address + 8, kind)
