# SPDX-License-Identifier: BSD-3-Clause
"""Memory that goes back: slabs that retire, types and caches that end, batches, the last frames.

Covers    kernel/mem/kmalloc_obj.py B1 to B5, objcache.py O1 to O3, kva.py V1 to V6,
          page.py F1, F4, F6, slab.py Z3, Z5
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    PhysAddr,
    Ptr,
    VirtAddr,
    address_of,
    i64,
    pointer_at,
    ref,
    sizeof,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel import machine
from kernel.lwkt import crit, ipiq
from kernel.lwkt.globaldata import find, gd
from kernel.lwkt.thread import Thread, ThreadFlag
from kernel.mem import kmalloc_obj, kva, malloc_type, objcache, page, slab
from kernel.mem.flags import NOWAIT, M
from tests.sim import heap, world
from tests.sim.scenarios import memory

UNSAFE: Final = True        # memory is made of numbers

LARGE: Final = 60_000       # two objects to a slab
OBJECTS: Final = 7          # the fourth slab is looked for among those that are used up
CPUS: Final = 3
ITEMS: Final = 8
DEVICE: Final = 0x10_0000_0000
FAR: Final = 4181           # pages between addresses that the hash of ranges often puts together
SECOND: Final = 1_000_000   # of the clock

obj: kmalloc_obj.ObjType = zeroed(kmalloc_obj.ObjType)
kinds: Array[kmalloc_obj.ObjType, 2] = zeroed(Array[kmalloc_obj.ObjType, 2])
held: Array[u64, 20]                # objects that CPU 0 has taken
stage: Atomic[u32]
done: Atomic[u32]
cache: objcache.ObjCache = zeroed(objcache.ObjCache)
store: Array[u64, ITEMS]            # the objects of `cache`
used: Array[Atomic[u32], ITEMS]     # which of them there are
refuses: Array[Atomic[u32], 2]      # the constructor fails once on each CPU
pages_of: Array[Ptr[page.Local] | None, CPUS]
first: u64 = 0                      # two ranges in one chain of the hash
second: u64 = 0
frame: Ptr[page.Page] | None = None     # the last one that may go
asleep: Atomic[u32]
went: Atomic[u32]                   # frames handed to another CPU


# --- Slabs of objects -----------------------------------------------------------------------


def _ready_slabs(number: u64) -> None:
    """Free slabs that this CPU has before the run begins."""
    for _ in range(number):
        va = kva.alloc(kmalloc_obj.SLAB_PAGES, NOWAIT, kmalloc_obj.SLAB_PAGES)
        assert va != 0
        kmalloc_obj.local.free.push_front(pointer_at(kmalloc_obj.ObjSlab, VirtAddr(va)))
        kmalloc_obj.local.nfree += 1


def _eight_full() -> None:
    """CPU 0 has taken and freed the objects of ten slabs; CPU 1 has free slabs."""
    heap.here()
    world.owned(u64(address_of(ref(obj.mine[gd.cpuid]))), sizeof(kmalloc_obj.Mine))
    if gd.cpuid != 0:
        _ready_slabs(3)
        return
    obj.kind.name = "large"
    obj.kind.limit = 2 * heap.MIB
    malloc_type.attach(obj.kind)
    kmalloc_obj.create(obj, LARGE)
    _ready_slabs(10)
    for i in range(20):
        held[i] = kmalloc_obj.alloc(obj, NOWAIT)
    for i in range(20):
        kmalloc_obj.free(obj, held[i])
    kmalloc_obj._sort(obj)
    assert obj.nfull == 8


def _poll_and_drain(unused: u64) -> None:
    kmalloc_obj._sort(obj)
    while stage.load_relaxed() == 0:        # relaxed: the type's lock alone puts them in order
        world.wait()
    kmalloc_obj.poll()
    kmalloc_obj.drain()
    crit.crit_enter()
    grace = ref(kmalloc_obj.local.grace)
    assert not grace.flying and grace.next.first is None and grace.waiting.first is None
    assert kmalloc_obj.local.nfree == 0 and kmalloc_obj.local.retired >= 1
    assert kmalloc_obj.local.returned == kmalloc_obj.local.retired
    crit.crit_exit()
    done.add(1)


def _use_five(times: u64) -> None:
    items: Array[u64, 5]
    for _ in range(times):
        for i in range(5):
            items[i] = kmalloc_obj.alloc(obj, NOWAIT)
            memory._take(items[i])
        stage.store_relaxed(1)
        for i in range(5):
            memory._drop(items[i])
            kmalloc_obj.free(obj, items[i])
    done.add(1)


def objects_retired() -> None:
    """One CPU sorts slabs and gives the surplus back while another uses the type."""
    heap.needed(3 * heap.MIB)
    world.on_each(_eight_full)
    world.thread(_poll_and_drain, 0, 0)
    world.thread(_use_five, 2, 1)
    world.check(_each_slab_somewhere)


def _each_slab_somewhere() -> None:
    found: u64 = 0
    full: u32 = 0
    for each in obj.partial:
        found += 1
    for each in obj.empty:
        found += 1
    for each in obj.full:
        assert kmalloc_obj.available(each) == each.count
        found += 1
        full += 1
    for cpu in range(2):
        mine = ref(obj.mine[cpu])
        found += 1 if mine.active is not None else 0
        found += 1 if mine.alternate is not None else 0
    assert found == obj.nslabs and full == obj.nfull and done.load() == 2


def _slabs_here() -> None:
    heap.here()
    _ready_slabs(8 if gd.cpuid == 1 else 7)


def _use_type(times: u64) -> None:
    """A type of this CPU's: begun, used, ended; CPU 0 also looks at all types."""
    kind = ref(kinds[gd.cpuid])
    items: Array[u64, OBJECTS]
    for _ in range(times):
        kind.kind.name = "passing"
        kind.kind.limit = heap.MIB
        kmalloc_obj.create(kind, LARGE)
        for i in range(OBJECTS):
            items[i] = kmalloc_obj.alloc(kind, NOWAIT)
            assert items[i] != 0
        for i in range(OBJECTS):
            kmalloc_obj.free(kind, items[i])
        if gd.cpuid == 0:
            kmalloc_obj._sort(kind)
        assert unwrap(kmalloc_obj.types[kind.number]) is kind, "two types have one number"
        kmalloc_obj.destroy(kind)


def types_end() -> None:
    """Two CPUs begin and end types."""
    heap.needed(3 * heap.MIB)
    world.on_each(_slabs_here)
    world.thread(_use_type, 2, 0)
    world.thread(_use_type, 2, 1)


def _look_at_types(unused: u64) -> None:
    """What poll() does about the few types that there may be."""
    kmalloc_obj.poll()


def type_ends_polled() -> None:
    """A type ends while another CPU sorts the slabs of all types."""
    heap.needed(3 * heap.MIB)
    world.on_each(_slabs_here)
    world.thread(_look_at_types, 0, 0)
    world.thread(_use_type, 1, 1)


def _take_four(unused: u64) -> None:
    """All of one slab are taken again while others free them: each is had once."""
    for i in range(3):
        memory.shared[i].store(kmalloc_obj.alloc(memory.obj, NOWAIT))
    memory.stage.store(1)
    active = unwrap(memory.obj.mine[0].active)  # races: this CPU's thread alone uses the type
    taken: u32 = 0
    while taken < 4:
        if kmalloc_obj.available(active) == 0:
            world.wait()
        else:
            memory._take(kmalloc_obj.alloc(memory.obj, NOWAIT))
            taken += 1
    assert kmalloc_obj.available(active) == 0
    for i in range(memory.MAX):
        item = memory.live[i].load()
        assert item == 0 or item & kmalloc_obj.SLAB_MASK == u64(address_of(active))


def objects_taken_while_freed() -> None:
    """Three objects of a slab are freed by two CPUs; a third takes them as they come."""
    memory._with_objects()
    world.thread(_take_four, 0, 0)
    world.thread(_free_two, 0, 1)
    world.thread(_free_one, 2, 2)


def _free_two(unused: u64) -> None:
    _free_one(0)
    _free_one(1)


def _free_one(at: u64) -> None:
    while memory.stage.load() == 0:
        world.wait()
    kmalloc_obj.free(memory.obj, memory.shared[at].load())


# --- Object caches --------------------------------------------------------------------------


def _alloc_item(unused: u64, how: M) -> u64:
    for i in range(ITEMS):
        if used[i].swap(1) == 0:
            return u64(address_of(ref(store[i])))
    return 0


def _free_item(item: u64, unused: u64) -> None:
    number = (item - u64(address_of(ref(store[0])))) // 8
    before = used[number].swap(0)
    assert before == 1, "an object was destroyed twice"


def _begin_item(item: u64, unused: u64, how: M) -> bool:
    return refuses[gd.cpuid].swap(0) == 0


def _end_item(item: u64, unused: u64) -> None:
    pass


def _cache_up() -> None:
    heap.up()
    heap.here()
    cache.name = "sim"
    cache.alloc = _alloc_item
    cache.free = _free_item
    cache.ctor = _begin_item
    cache.dtor = _end_item
    cache.kind = heap.kind
    made = objcache.create(cache, ITEMS, 1, 2, NOWAIT)
    assert made
    cache.capacity = 1
    _cache_here()


def _cache_here() -> None:
    heap.here()
    world.owned(u64(address_of(ref(cache.cpus[gd.cpuid]))), sizeof(objcache.CpuCache))


def _three_and_trim(times: u64) -> None:
    items: Array[u64, 3]
    for _ in range(times):
        for i in range(3):
            items[i] = 0
            while items[i] == 0:
                items[i] = objcache.get_nowait(cache, NOWAIT)
            memory._take(items[i])
        for i in range(3):
            memory._drop(items[i])
            objcache.put(cache, items[i])
        if gd.cpuid == 0:
            objcache.trim(cache)
    done.add(1)


def object_cache_trimmed() -> None:
    """Two CPUs exchange magazines with the depot, which one of them empties."""
    world.memory(2 * heap.MIB)
    world.need(2)
    world.start_with(_cache_up)
    world.on_each(_cache_here)
    refuses[0].store(1)
    refuses[1].store(1)
    world.thread(_three_and_trim, 2, 0)
    world.thread(_three_and_trim, 2, 1)
    world.check(_each_item_somewhere)


def _each_item_somewhere() -> None:
    """O1 and O3."""
    there: u64 = 0
    kept: u64 = 0
    magazines: u32 = 0
    for i in range(ITEMS):
        there += 1 if used[i].load() != 0 else 0
    for magazine in cache.depot.full:
        assert magazine.rounds == cache.capacity, "O1"
        kept += magazine.rounds
        magazines += 1
    for magazine in cache.depot.empty:
        assert magazine.rounds == 0, "O1"
        magazines += 1
    for cpu in range(2):
        kept += cache.cpus[cpu].loaded.rounds + cache.cpus[cpu].previous.rounds
    assert magazines == 2 and kept == there and cache.depot.unallocated == ITEMS - there


def _trim_and_end(unused: u64) -> None:
    """Uses the cache, and ends it when the other CPU is done with it."""
    _three_and_trim(1)
    while done.load() != 2:
        world.wait()
    for cpu in range(2):
        world.disown(u64(address_of(ref(cache.cpus[cpu]))))
    objcache.destroy(cache)
    for i in range(ITEMS):
        assert used[i].load() == 0, "an object was left"


def object_cache_ends() -> None:
    """A cache that two CPUs have used ends, and all its objects with it."""
    world.memory(2 * heap.MIB)
    world.need(2)
    world.start_with(_cache_up)
    world.on_each(_cache_here)
    world.thread(_trim_and_end, 0, 0)
    world.thread(_three_and_trim, 1, 1)


# --- Whoever waits is told ------------------------------------------------------------------


def _see(record: u64, unused: u64) -> None:
    """On the waiter's CPU: whether it sleeps."""
    td = pointer_at(Thread, VirtAddr(record))
    if ThreadFlag.TSLEEP_DESCHEDULED in td.flags:
        asleep.store(1)


def _until_asleep() -> None:
    """Return when the waiter, on CPU 1, is asleep."""
    while stage.load() == 0:
        world.wait()
    while asleep.load() == 0:
        ipiq.wait(find(1), ipiq.send(find(1), _see, u64(address_of(world.td_of(1))), 0))


def _give_back(how: u64) -> None:
    item = objcache.get_nowait(cache, NOWAIT)
    assert item != 0
    stage.store(1)
    _until_asleep()
    if how == 0:
        objcache.put(cache, item)
    else:
        objcache.destroy_object(cache, item)


def _wait_for_item(how: u64) -> None:
    while stage.load() == 0:
        world.wait()
    began = machine.cputimer_count()
    item = objcache.get(cache, M.WAITOK) if how != 0 else 0
    if how == 0:
        objcache._wait(cache)           # what is put goes to a magazine of the other CPU
    assert machine.cputimer_count() - began < SECOND // 2, "it slept its time out"
    if item != 0:
        objcache.put(cache, item)
    assert cache.depot.waiters.load() == 0


def _scarce() -> None:
    _cache_up()
    cache.depot.unallocated = 1
    cache.limit = 1


def _with_scarce(how: u64) -> None:
    world.memory(2 * heap.MIB)
    world.need(2)
    world.start_with(_scarce)
    world.on_each(_cache_here)
    world.clocks()
    world.thread(_give_back, how, 0)
    world.thread(_wait_for_item, how, 1)


def object_put_is_told() -> None:
    """Who sleeps until an object comes back is woken when one is put."""
    _with_scarce(0)


def object_destroyed_is_told() -> None:
    """Who sleeps for an object has it when another is destroyed."""
    _with_scarce(1)


def _wait_too(unused: u64) -> None:
    objcache._wait(cache)
    done.add(1)


def two_wait_for_objects() -> None:
    """Two CPUs begin and end to wait for an object: nobody is counted any more then."""
    world.memory(2 * heap.MIB)
    world.need(2)
    world.start_with(_none_left)
    world.on_each(_cache_here)
    world.clocks(hasty=4)
    world.thread(_wait_too, 0, 0)
    world.thread(_wait_too, 0, 1)
    world.check(_nobody_waits)


def _none_left() -> None:
    _cache_up()
    cache.depot.unallocated = 0


def _nobody_waits() -> None:
    assert done.load() == 2 and cache.depot.waiters.load() == 0 and page.waiters.load() == 0


# --- The last frames ------------------------------------------------------------------------


def _short_here() -> None:
    """One frame more, and who waits for one may have it."""
    global frame
    heap.here()
    if gd.cpuid != 0:
        return
    page.batch = 1
    while page.enough(M.WAITOK, 1):
        frame = page.alloc(NOWAIT)


def _give_frame(how: u64) -> None:
    _until_asleep()
    if how == 1:
        page.cache(unwrap(frame))
    else:
        page.free(unwrap(frame))
    stage.store(2)


def _wait_for_frame(how: u64) -> None:
    stage.store(1)
    began = machine.cputimer_count()
    if how == 2:
        found = slab.kmalloc(page.PAGE_SIZE, heap.kind, M.WAITOK | M.NULLOK)
        assert found is not None, "there was no memory, but it may wait"
    else:
        page.wait(1, "sim")
        assert page.enough(M.WAITOK, 1), "it did not sleep until there is a frame"
    assert machine.cputimer_count() - began < SECOND // 2, "it slept its time out"
    assert page.waiters.load() == 0


def _with_short(how: u64) -> None:
    heap.needed(heap.MIB)
    world.on_each(_short_here)
    world.clocks(hasty=3)
    world.thread(_give_frame, how, 0)
    world.thread(_wait_for_frame, how, 1)


def frame_freed_is_told() -> None:
    """Who sleeps until there are frames is woken when one is freed."""
    _with_short(0)


def frame_cached_is_told() -> None:
    """... and when one is cached."""
    _with_short(1)


def kmalloc_waits() -> None:
    """kmalloc() that may sleep has the frame that another CPU frees."""
    _with_short(2)


def _wait_in_vain(unused: u64) -> None:
    """There are frames: a sleep of one tick."""
    began = machine.cputimer_count()
    page.wait(1, "sim")
    assert machine.cputimer_count() - began < SECOND // 2, "there were frames, but it slept"
    done.add(1)


def two_wait_for_frames() -> None:
    """Two CPUs wait where there are frames: for a tick, and nobody is counted any more then."""
    world.memory(heap.MIB)
    world.start_with(_cache_up)
    world.on_each(heap.here)
    world.clocks(hasty=4)
    world.thread(_wait_in_vain, 0, 0)
    world.thread(_wait_in_vain, 0, 1)
    world.check(_nobody_waits)


# --- Frames in a row ------------------------------------------------------------------------


def _few_here() -> None:
    """Six frames in a row are free, and some far behind; both CPUs begin at the first two."""
    heap.here()
    page.local.start = 2
    page.local.width = 2
    pages_of[gd.cpuid] = ref(page.local)
    if gd.cpuid != 0:
        return
    page.batch = 1
    while page.alloc(NOWAIT | M.USE_RESERVE | M.USE_INTERRUPT_RESERVE) is not None:
        pass
    for number in range(2, 8):
        page.free(unwrap(page.of(PhysAddr(number << page.PAGE_SHIFT))))
    for number in range(200, 240):
        page.free(unwrap(page.of(PhysAddr(number << page.PAGE_SHIFT))))
    heap.begun = page.count_free()


def _use_runs(times: u64) -> None:
    for _ in range(times):
        run = unwrap(page.alloc_contig(2, NOWAIT))
        memory._take(u64(page.addr(run)))
        memory._take(u64(page.addr(page.nth(run, 1))))
        memory._drop(u64(page.addr(run)))
        memory._drop(u64(page.addr(page.nth(run, 1))))
        page.free_contig(run, 2)


def _use_cached(times: u64) -> None:
    for _ in range(times):
        one = unwrap(page.alloc(NOWAIT | M.USE_RESERVE))
        memory._take(u64(page.addr(one)))
        memory._drop(u64(page.addr(one)))
        generation = page.cache(one)
        if page.reuse(one, generation):
            memory._take(u64(page.addr(one)))
            memory._drop(u64(page.addr(one)))
            page.free(one)


def runs() -> None:
    """Two frames in a row, one of which another CPU takes and gives."""
    heap.needed()
    world.on_each(_few_here)
    world.thread(_use_runs, 2, 0)
    world.thread(_use_cached, 4, 1)
    world.check(_counted)


def cached_pages() -> None:
    """Two CPUs cache frames of one colour, and have them again."""
    heap.needed()
    world.on_each(_few_here)
    world.thread(_use_cached, 2, 0)
    world.thread(_use_cached, 2, 1)
    world.check(_counted)


def _counted() -> None:
    """F1 and F4."""
    memory._all_free()
    total = page.free_pages.load()
    for cpu in range(2):
        total += i64(unwrap(pages_of[cpu]).delta)
    assert total == i64(heap.begun), "F4"


# --- Ranges ---------------------------------------------------------------------------------


def _one_to_a_batch() -> None:
    """Each batch of CPU 0 is launched with its first range."""
    heap.here()
    if gd.cpuid == 0:
        for i in range(kva.BATCHES):
            kva.local.batches[i].pages = kva.BATCH_PAGES - 1


def _fill_batches(times: u64) -> None:
    """One range more than there are batches."""
    for i in range(times):
        va = kva.alloc(1, NOWAIT)
        memory._take(va)
        pointer_at(u64, VirtAddr(va)).value = i
        memory.shared[0].store(va)
        while memory.shared[0].load() != 0:
            world.wait()
        memory._drop(va)
        kva.free(va, 1)
    kva.flush()
    crit.crit_enter()
    for i in range(kva.BATCHES):
        assert not kva.local.batches[i].flying and kva.local.batches[i].count == 0
    crit.crit_exit()
    memory.finished.store(1)


def batches() -> None:
    """All batches of a CPU are in flight, and one more range is to go."""
    heap.needed()
    world.on_each(_one_to_a_batch)
    world.thread(_fill_batches, kva.BATCHES + 1, 0)
    world.thread(memory._read_each, 0, 1)


def _release_each(times: u64) -> None:
    for _ in range(times):
        va = kva.reserve(1)
        memory._take(va)
        memory._drop(va)
        kva.release(va, 1)


def _poll_messages(times: u64) -> None:
    for _ in range(times):
        crit.crit_enter()
        ipiq.process(0)
        crit.crit_exit()
        world.point()


def batches_polled() -> None:
    """The same, and the other CPU looks at its messages meanwhile."""
    heap.needed()
    world.on_each(_one_to_a_batch)
    world.thread(_release_each, 2 * kva.BATCHES, 0)
    world.thread(_poll_messages, 4, 1)


def _map_and_drain(times: u64) -> None:
    """A device, and a page; then nothing is kept."""
    for _ in range(times):
        va = kva.map_device(PhysAddr(DEVICE), 16)
        assert va != 0
        memory._take(va)
        memory._drop(va)
        kva.unmap_device(va, 16)
    kva.trim()
    kva.drain()
    done.add(1)


def devices() -> None:
    """Two CPUs map devices, and drain what they keep of kernel addresses."""
    heap.needed()
    world.thread(_map_and_drain, 1, 0)
    world.thread(_map_and_drain, 1, 1)
    world.check(_space_in_order)


def _space_in_order() -> None:
    """V1 and V2."""
    at = kva.space_base
    free: u64 = 0
    before_taken = True
    for segment in kva.arena.order:
        assert segment.base == at, "V1"
        assert segment.taken or before_taken, "V1: two free ones are neighbours"
        at += segment.size
        free += 0 if segment.taken else segment.size
        before_taken = segment.taken
    assert at == kva.space_base + kva.space_size and free == kva.arena.free_bytes


def _two_in_a_chain() -> None:
    """Ranges so far apart that one chain of the hash has both; a free piece at an odd address."""
    global first, second
    heap.here()
    while True:
        first = kva._from_arena(FAR, 1)
        second = kva._from_arena(1, 1)
        assert first != 0 and second != 0
        if kva._hash(first) == kva._hash(second):
            break
        kva._to_arena(second)
        kva._to_arena(first)
        kept = kva._from_arena(1, 1)        # the next attempt begins a page later
        assert kept != 0
    hole = kva._from_arena(2, 1)
    last = kva._from_arena(1, 1)
    if hole & page.PAGE_SIZE == 0:
        hole = kva._from_arena(2, 1)
        last = kva._from_arena(1, 1)
    assert last != 0 and hole & page.PAGE_SIZE != 0
    kva._to_arena(hole)


def _free_far(unused: u64) -> None:
    aligned = kva.reserve(2)
    assert aligned & page.PAGE_SIZE == 0, "V5"
    kva.release(first, FAR)
    kva.release(aligned, 2)
    kva.drain()


def one_chain() -> None:
    """Ranges in one chain of the hash are told apart; a piece aligned wrongly is not taken."""
    world.memory(heap.MIB, 20 * heap.MIB)
    world.start_with(heap.up)
    world.on_each(_two_in_a_chain)
    world.thread(_free_far, 0, 0)
    world.check(_first_is_free)


def _first_is_free() -> None:
    _space_in_order()
    for segment in kva.arena.order:
        assert segment.taken or not segment.base <= second < segment.base + segment.size
        assert not segment.taken or segment.base != first


# --- kmalloc --------------------------------------------------------------------------------


def _executed(unused1: u64, unused2: u64) -> None:
    stage.store(1)


def _small_and_large(unused: u64) -> None:
    """After kmalloc() what came meanwhile is executed, whatever the thread does then."""
    small = slab.kmalloc(64, heap.kind, NOWAIT)
    assert small is not None
    slab.kfree(small, heap.kind)
    large = slab.kmalloc(2 * page.PAGE_SIZE, heap.kind, NOWAIT)
    assert large is not None
    slab.kfree(large, heap.kind)
    again = slab.kmalloc(64, heap.kind, NOWAIT)
    while stage.load() == 0:
        world.wait()
    assert again is not None
    slab.kfree(again, heap.kind)


def _send_one(unused: u64) -> None:
    ipiq.wait(find(0), ipiq.send(find(0), _executed, 0, 0))


def kmalloc_lets_messages_in() -> None:
    """A message that comes in the critical section of kmalloc() is executed at its end."""
    heap.needed()
    world.thread(_small_and_large, 0, 0)
    world.thread(_send_one, 0, 1)


def _free_some(begin: u64) -> None:
    while memory.stage.load() == 0:
        world.wait()
    for i in range(begin, memory.CHUNKS, 2):
        memory._free(memory.shared[i].load())
    ipiq.wait(find(0), ipiq.send(find(0), memory._nothing, 0, 0))
    if went.add(1) == 1:
        memory.stage.store(2)


def remote_free_by_two() -> None:
    """Two CPUs free the chunks of a third one's zone: it has all of them again."""
    heap.needed()
    world.thread(memory._fill_zone, 1, 0)
    world.thread(_free_some, 0, 1)
    world.thread(_free_some, 1, 2)
