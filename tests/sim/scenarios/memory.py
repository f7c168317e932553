# SPDX-License-Identifier: BSD-3-Clause
"""Memory: nothing is handed out twice, nothing is lost, nobody uses a translation that is gone.

Covers    kernel/mem/slab.py Z1 to Z5, objcache.py O1 to O4, kmalloc_obj.py B1 to B5,
          page.py F1, F3, F4, kva.py V1, V3, V4
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    PhysAddr,
    Ptr,
    VirtAddr,
    address_of,
    i64,
    panic,
    pointer_at,
    ref,
    sizeof,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel import machine
from kernel.lwkt import intr, ipiq
from kernel.lwkt.globaldata import find, gd
from kernel.machine.types import Prot
from kernel.mem import kmalloc_obj, kva, malloc_type, objcache, page, slab
from kernel.mem.flags import NOWAIT, M
from tests.sim import heap, world

UNSAFE: Final = True        # memory is made of numbers, caches and types begin as zero

BIG: Final = 7000           # four chunks to a zone
CHUNKS: Final = 4
MAX: Final = 8
VECTOR: Final = 5

obj: kmalloc_obj.ObjType = zeroed(kmalloc_obj.ObjType)
cache: objcache.ObjCache = zeroed(objcache.ObjCache)
shared: Array[Atomic[u64], MAX]     # addresses that one CPU hands to another
live: Array[Atomic[u64], MAX]       # addresses that somebody has
stage: Atomic[u32]
finished: Atomic[u32]
made: Atomic[u32]
info: intr.IntrInfo = zeroed(intr.IntrInfo)
handler: intr.Handler = zeroed(intr.Handler)
handled: Atomic[u32]
subject: u32 = 0                    # what an interrupt thread meddles with
storage: Array[u64, MAX]            # of the objects of `cache`
scarce: bool = False                # there may be one of them at a time


def _take(address: u64) -> None:
    """Somebody was given this: nobody else may have it."""
    assert address != 0
    for i in range(MAX):
        assert live[i].load_relaxed() != address, "handed out twice"
    for i in range(MAX):
        if live[i].load_relaxed() == 0 and live[i].cas(0, address):
            return


def _drop(address: u64) -> None:
    for i in range(MAX):
        if live[i].load_relaxed() == address:
            live[i].store_relaxed(0)


def _other() -> u32:
    return 1 - gd.cpuid


def _nothing(unused1: u64, unused2: u64) -> None:
    pass


def _after_messages() -> None:
    """Whatever this CPU has sent to the other, passively too, is executed there."""
    ipiq.wait(find(_other()), ipiq.send(find(_other()), _nothing, 0, 0))


# --- kmalloc --------------------------------------------------------------------------------


def _new(size: u64) -> u64:
    memory = slab.kmalloc_nowait(size, heap.kind, NOWAIT)
    assert memory is not None
    address = u64(address_of(memory))
    _take(address)
    return address


def _free(address: u64) -> None:
    _drop(address)
    slab.free_address(address, heap.kind)


def _fill_zone(more: u64) -> None:
    """All chunks of a zone for another CPU to free; meanwhile `more` others of this size."""
    for i in range(CHUNKS):
        shared[i].store(_new(BIG))
    stage.store(1)
    for i in range(more):
        shared[CHUNKS + i].store(_new(BIG))
    for i in range(more):
        _free(shared[CHUNKS + i].load())
    while stage.load() != 2:
        world.wait()
    slab.drain()
    # races: nobody interrupts
    assert slab.slab.nzones == 0 and slab.slab.nfree_zones == 0, "a zone was lost"
    assert slab.slab.off.first is None  # races: nobody interrupts


def _free_zone(unused: u64) -> None:
    while stage.load() == 0:
        world.wait()
    for i in range(CHUNKS):
        _free(shared[i].load())
    _after_messages()
    stage.store(2)


def remote_free() -> None:
    """A zone without free chunks has all of them freed by another CPU: its owner learns of it."""
    heap.needed()
    world.thread(_fill_zone, 1, 0)
    world.thread(_free_zone, 0, 1)


def _fill_and_sweep(unused: u64) -> None:
    """Sweeps while others free: the zone is retired under them, or not yet."""
    for i in range(CHUNKS - 1):
        shared[i].store(_new(BIG))
    shared[CHUNKS - 1].store(0)
    stage.store(1)
    own = _new(BIG)
    _free(own)
    slab.trim()
    slab.drain()
    while stage.load() != 2:
        world.wait()
    slab.drain()
    assert slab.slab.nzones == 0, "a zone was lost"  # races: nobody interrupts


def _free_three(unused: u64) -> None:
    while stage.load() == 0:
        world.wait()
    for i in range(CHUNKS - 1):
        _free(shared[i].load())
    _after_messages()
    stage.store(2)


def retirement() -> None:
    """Remote frees against the retirement of their zone."""
    heap.needed()
    world.thread(_fill_and_sweep, 0, 0)
    world.thread(_free_three, 0, 1)


def _swap_chunks(times: u64) -> None:
    """Each CPU frees what the other has allocated."""
    for _ in range(times):
        before = shared[_other()].swap(_new(BIG))
        if before != 0:
            _free(before)
    before = shared[gd.cpuid].swap(0)
    if before != 0:
        _free(before)
    _after_messages()
    finished.add(1)
    while finished.load() < 2:
        world.wait()
    slab.drain()


def cross_frees() -> None:
    """Two CPUs allocate, and free each other's."""
    heap.needed()
    world.thread(_swap_chunks, 5, 0)
    world.thread(_swap_chunks, 5, 1)
    world.check(_nothing_live)


def _nothing_live() -> None:
    left = shared[0].load() != 0 or shared[1].load() != 0
    for i in range(MAX):
        assert left or live[i].load() == 0


# --- kmalloc_obj ----------------------------------------------------------------------------


def _objects_here() -> None:
    heap.here()
    world.owned(u64(address_of(ref(obj.mine[gd.cpuid]))), sizeof(kmalloc_obj.Mine))
    if gd.cpuid == 0:
        obj.kind.name = "object"
        obj.kind.limit = heap.MIB
        malloc_type.attach(obj.kind)
        kmalloc_obj.create(obj, 30_000)         # four to a slab


def _with_objects() -> None:
    heap.needed()
    world.on_each(_objects_here)


def _use_objects(times: u64) -> None:
    for i in range(times):
        address = kmalloc_obj.alloc(obj, NOWAIT)
        _take(address)
        before = shared[i % 2].swap(address)
        if before != 0:
            _drop(before)
            kmalloc_obj.free(obj, before)
    finished.add(1)


def objects() -> None:
    """Objects of one type, taken by two CPUs and freed by either."""
    _with_objects()
    world.thread(_use_objects, 3, 0)
    world.thread(_use_objects, 3, 1)
    world.check(_two_objects)


def _two_objects() -> None:
    used: u64 = 0
    for i in range(MAX):
        used += 1 if live[i].load() != 0 else 0
    assert used == 2 and finished.load() == 2


def _free_at_once(at: u64) -> None:
    while stage.load() == 0:
        world.wait()
    address = shared[at].load()
    _drop(address)
    kmalloc_obj.free(obj, address)
    finished.add(1)


def _make_three(unused: u64) -> None:
    for i in range(3):
        shared[i].store(kmalloc_obj.alloc(obj, NOWAIT))
    stage.store(1)
    _free_at_once(2)
    while finished.load() != 3:
        world.wait()
    for _ in range(4):
        _take(kmalloc_obj.alloc(obj, NOWAIT))


def objects_freed_at_once() -> None:
    """Three CPUs free objects of one slab at the same time; then all four are there again."""
    _with_objects()
    world.thread(_make_three, 0, 0)
    world.thread(_free_at_once, 0, 1)
    world.thread(_free_at_once, 1, 2)


# --- Object caches --------------------------------------------------------------------------


def _alloc_item(unused: u64, how: M) -> u64:
    return u64(address_of(ref(storage[made.add(1)])))


def _free_item(item: u64, unused: u64) -> None:
    pass


def _construct(item: u64, unused: u64, how: M) -> bool:
    return True


def _cache_up() -> None:
    heap.up()
    heap.here()
    cache.name = "sim"
    cache.alloc = _alloc_item
    cache.free = _free_item
    cache.ctor = _construct
    cache.dtor = _free_item
    cache.kind = heap.kind
    assert objcache.create(cache, MAX if not scarce else 1, 1, world.cpus, NOWAIT)
    cache.capacity = 1              # every other operation goes to the depot


def _cache_here() -> None:
    heap.here()
    world.owned(u64(address_of(ref(cache.cpus[gd.cpuid]))), sizeof(objcache.CpuCache))


def _get_and_put(times: u64) -> None:
    for i in range(times):
        first = objcache.get_nowait(cache, NOWAIT)
        _take(first)
        second = objcache.get_nowait(cache, NOWAIT)
        _take(second)
        other = shared[0].swap(second)
        _drop(first)
        objcache.put(cache, first)
        if other != 0:
            _drop(other)
            objcache.put(cache, other)


def object_cache() -> None:
    """Two CPUs get and put, also what the other got; magazines of one go to and from the depot."""
    heap.needed()
    world.start_with(_cache_up)
    world.on_each(_cache_here)
    world.thread(_get_and_put, 2, 0)
    world.thread(_get_and_put, 2, 1)
    world.check(_accounted)


def _accounted() -> None:
    assert cache.depot.unallocated + made.load() >= cache.limit
    magazines: u32 = 0
    magazine = cache.depot.full.first
    while magazine is not None:
        assert magazine.rounds == cache.capacity, "O1"
        magazines += 1
        magazine = magazine.link.next
    magazine = cache.depot.empty.first
    while magazine is not None:
        assert magazine.rounds == 0, "O1"
        magazines += 1
        magazine = magazine.link.next
    assert magazines == 2, "a magazine was lost"


def _get_scarce(unused: u64) -> None:
    item = objcache.get(cache, M.WAITOK)
    _take(item)
    world.point()
    _drop(item)
    objcache.destroy_object(cache, item)
    finished.add(1)


def scarce_objects() -> None:
    """One object may exist: who waits for it has it when it is destroyed."""
    global scarce
    scarce = True
    heap.needed()
    world.start_with(_cache_up)
    world.on_each(_cache_here)
    world.clocks()
    world.thread(_get_scarce, 0, 0)
    world.thread(_get_scarce, 0, 1)
    world.check(_both_had_it)


def _both_had_it() -> None:
    assert finished.load() == 2 and cache.depot.unallocated == 1


# --- Translations ---------------------------------------------------------------------------


def _remap(unused: u64) -> None:
    """Another frame in place of one that the other CPU may have a translation of."""
    va = kva.alloc(1, NOWAIT)
    world.frame_of(va)
    shared[0].store(va)
    while stage.load() == 0:
        world.wait()
    fresh = unwrap(page.alloc(NOWAIT))
    before = machine.pmap_remove(VirtAddr(va))
    assert kva.map_page(va, fresh, Prot.WRITE)
    kva.shootdown(va, 1)
    assert world.frame_of(va) == u64(page.addr(fresh))
    shared[1].store(u64(page.addr(fresh)))
    assert u64(before) != u64(page.addr(fresh))
    stage.store(2)


def _translate(unused: u64) -> None:
    while shared[0].load() == 0:
        world.wait()
    va = shared[0].load()
    world.frame_of(va)
    stage.store(1)
    while stage.load() != 2:
        world.frame_of(va)
        world.wait()
    assert world.frame_of(va) == shared[1].load(), "a stale translation after the shootdown"


def shootdown() -> None:
    """When shootdown() has returned no CPU has the old translation."""
    heap.needed()
    world.thread(_remap, 0, 0)
    world.thread(_translate, 0, 1)


def _map_again(times: u64) -> None:
    """A range is given back and handed out again; the other CPU reads it each time."""
    for i in range(times):
        va = kva.alloc(1, NOWAIT)
        _take(va)
        pointer_at(u64, VirtAddr(va)).value = i
        shared[0].store(va)
        while shared[0].load() != 0:
            world.wait()
        _drop(va)
        kva.free(va, 1)
        assert page.alloc(NOWAIT) is not None       # the frame, so that the next is another
        kva.flush()
    finished.store(1)


def _read_each(unused: u64) -> None:
    seen: u64 = 0
    while finished.load() == 0:
        va = shared[0].load()
        if va != 0:
            assert pointer_at(u64, VirtAddr(va)).value == seen
            seen += 1
            shared[0].store(0)
        world.wait()


def reused_range() -> None:
    """An address is handed out again when no CPU has a translation of its last use any more."""
    heap.needed()
    world.thread(_map_again, 2, 0)
    world.thread(_read_each, 0, 1)


# --- Pages ----------------------------------------------------------------------------------


def _one_colour() -> None:
    """All CPUs begin at the same colour, so that they meet."""
    heap.here()
    page.local.start = 7
    page.local.width = 1


def _use_pages(times: u64) -> None:
    for _ in range(times):
        first = unwrap(page.alloc(NOWAIT))
        _take(u64(page.addr(first)))
        second = unwrap(page.alloc(NOWAIT))
        _take(u64(page.addr(second)))
        _drop(u64(page.addr(first)))
        page.free(first)
        _drop(u64(page.addr(second)))
        page.free(second)


def pages() -> None:
    """Two CPUs take and give frames of one colour."""
    heap.needed()
    world.on_each(_one_colour)
    world.thread(_use_pages, 2, 0)
    world.thread(_use_pages, 2, 1)
    world.check(_all_free)


def _all_free() -> None:
    """F1 and F4."""
    counted: u64 = 0
    for i in range(len(page.colours)):
        at = ref(page.colours[i])
        number: u32 = 0
        frame = at.free.first
        while frame is not None:
            assert frame.state == page.PageState.FREE and frame.colour == i
            number += 1
            frame = frame.link.next
        frame = at.cache.first
        while frame is not None:
            assert frame.state == page.PageState.CACHE and frame.colour == i
            counted += 1
            frame = frame.link.next
        assert number == at.free_count
        counted += number
    assert counted == heap.begun, "a frame was lost"
    if world.cpus == 1:
        assert page.free_pages.load() + i64(page.local.delta) == i64(counted)


def _cache_and_reuse(unused: u64) -> None:
    frame = unwrap(page.alloc(NOWAIT))
    _take(u64(page.addr(frame)))
    _drop(u64(page.addr(frame)))
    generation = page.cache(frame)
    shared[0].store(u64(page.addr(frame)))
    world.point()
    if page.reuse(frame, generation):
        _take(u64(page.addr(frame)))
        _drop(u64(page.addr(frame)))
        page.free(frame)


def _take_contig(unused: u64) -> None:
    """The run that the cached frame begins."""
    while shared[0].load() == 0:
        world.wait()
    frame = unwrap(page.of(PhysAddr(shared[0].load())))
    if page._claim_run(frame, 1):
        _take(u64(page.addr(frame)))
        _drop(u64(page.addr(frame)))
        page.free(frame)


def cached_page() -> None:
    """A cached frame is had again by its last user, or by somebody else: never by both."""
    heap.needed()
    world.thread(_cache_and_reuse, 0, 0)
    world.thread(_take_contig, 0, 1)
    world.check(_all_free)


# --- Interrupted ----------------------------------------------------------------------------


def _use_chunks(times: u64) -> None:
    for _ in range(times):
        first = _new(BIG)
        second = _new(BIG)
        _free(first)
        third = _new(64)
        _free(second)
        _free(third)


def _use_ranges(times: u64) -> None:
    for _ in range(times):
        va = kva.reserve(1)
        _take(va)
        _drop(va)
        kva.release(va, 1)


def _do(times: u64) -> None:
    if subject == 0:
        _use_pages(times)
    elif subject == 1:
        _use_objects(times)
    elif subject == 2:
        _get_and_put(times)
    elif subject == 3:
        _use_chunks(times)
    elif subject == 4:
        _use_ranges(times)
    else:
        _reuse_page(times)


def _reuse_page(times: u64) -> None:
    for _ in range(times):
        frame = unwrap(page.alloc(NOWAIT))
        generation = page.cache(frame)
        if page.reuse(frame, generation):
            page.free(frame)


def _handle(self: Ptr[intr.Handler]) -> None:
    _do(1)
    handled.store(1)


def _handler_up() -> None:
    if subject == 2:
        _cache_up()
    else:
        heap.up()
    handler.func = _handle
    handler.name = "memory"
    try:
        intr.register(info, 0, VECTOR, b"memory")
    except Errno:
        panic("no interrupt thread")
    intr.add_handler(info, 0, handler)


def _interrupted(times: u64) -> None:
    world.interrupt(0, VECTOR)
    _do(times)
    while handled.load() == 0:
        world.wait()


def _with_interrupts(what: u32) -> None:
    global subject
    subject = what
    heap.needed()
    world.start_with(_handler_up)
    world.thread(_interrupted, 2, 0)


def pages_preempted() -> None:
    """An interrupt thread takes and gives frames of the colour that it interrupts."""
    _with_interrupts(0)
    world.on_each(_one_colour)
    world.check(_all_free)


def objects_preempted() -> None:
    """The same with objects of one type."""
    _with_interrupts(1)
    world.on_each(_objects_here)


def object_cache_preempted() -> None:
    """The same with an object cache."""
    _with_interrupts(2)
    world.check(_accounted)


def chunks_preempted() -> None:
    """The same with kmalloc."""
    _with_interrupts(3)
    world.check(_no_chunk_used)


def _no_chunk_used() -> None:
    """Z2."""
    for i in range(len(slab.slab.zones)):
        for zone in slab.slab.zones[i]:
            assert zone.nused == 0
            free: u32 = 0
            chunk = zone.lchunks
            while chunk is not None:
                free += 1
                chunk = chunk.next
            assert free + zone.unused == zone.nmax
    assert slab.slab.off.first is None


def ranges_preempted() -> None:
    """The same with ranges of kernel addresses."""
    _with_interrupts(4)


def cached_page_preempted() -> None:
    """The same with a frame that is cached and had again."""
    _with_interrupts(5)
    world.on_each(_one_colour)
    world.check(_all_free)
