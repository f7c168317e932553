# SPDX-License-Identifier: BSD-3-Clause
"""Caches of constructed objects: a constructor's work is kept from one use to the next.

Each CPU has two magazines of pointers, `loaded` and `previous`, which only it touches: to get an
object is to pop one, to put one back is to push it.  When both are empty (or full) whole magazines
are exchanged with the depot, under its spinlock: two are enough that a CPU that gets and puts by
turns never goes there.  Only when the depot has no full magazine is an object made, and only when
it has no empty one is one destroyed.

Invariants
  O1  rounds <= capacity; magazines in the depot are full, or empty.
  O2  Objects in magazines are constructed: the constructor runs when an object is made by the back
      end, the destructor before it goes back there.
  O3  There are never more than `limit` objects; unallocated is the limit less those that there are.
  O4  A CPU's magazines are touched by that CPU only, in a critical section.
Locking   [o] the CPU, in a critical section   [d] depot.lock   [a] atomic
          [I] fixed after create()
Tests     tests/unit/mem/test_objcache.py, tests/guest/memory.py
Source    Bonwick and Adams, "Magazines and Vmem" (USENIX 2001), section 3;
          DragonFly sys/kern/kern_objcache.c (capacity, limit, waiting)
"""
from typing import Final

from kpy import (
    Atomic,
    Fn,
    MPtr,
    NoBlock,
    Ptr,
    Str,
    VirtAddr,
    address_of,
    cast,
    fault_site,
    inline,
    pointer_at,
    ref,
    sizeof,
    struct,
    u32,
    u64,
    unwrap,
)

from kernel.lib import queue
from kernel.lwkt import crit, sleepq, spin
from kernel.lwkt.globaldata import gd
from kernel.mem import page, slab
from kernel.mem.flags import M
from kernel.mem.malloc_type import MallocType

UNSAFE: Final = True     # objects of any type are kept as addresses; arrays follow their heads

MIN_CAPACITY: Final = 4
MAX_CAPACITY: Final = 128
MIN_SPARE: Final = 2            # empty magazines that the depot begins with
WAIT_TICKS: Final = 100


@struct
class Magazine:
    """A stack of objects, `capacity` of them; they follow this head."""
    link: queue.Link["Magazine"]    # [d] while in the depot
    rounds: u64                     # [o] objects in it


@struct(align=64)
class CpuCache:
    """A CPU's part."""
    loaded: Ptr[Magazine]           # [o]
    previous: Ptr[Magazine]         # [o]
    gets: u64                       # [o]
    misses: u64                     # [o] gets that the depot could not serve
    puts: u64                       # [o]


@struct
class Depot:
    """What all CPUs share."""
    lock: spin.Spinlock
    full: queue.TailQueue[Magazine, "link"]     # [d]
    empty: queue.TailQueue[Magazine, "link"]    # [d]
    unallocated: u64                            # [d] O3
    exchanges: u64                              # [d]
    waiters: Atomic[u32]                        # [a] threads that wait for an object


@struct
class ObjCache:
    """A cache; zeroed storage and create() make one."""
    name: Str                                       # [I]
    capacity: u64                                   # [I] of each magazine
    limit: u64                                      # [I] O3
    ncpus: u32                                      # [I]
    alloc: NoBlock[Fn[[u64, M], u64]]               # [I] the back end: memory, or 0
    free: NoBlock[Fn[[u64, u64], None]]             # [I] ... its end, of (object, priv)
    ctor: NoBlock[Fn[[u64, u64, M], bool]]          # [I] of (object, priv, how); False: it failed
    dtor: NoBlock[Fn[[u64, u64], None]]             # [I]
    priv: u64                                       # [I] what those four are given
    kind: Ptr[MallocType]                           # [I] what the magazines are counted as
    cpus: MPtr[CpuCache]                            # [I] one a CPU
    depot: Depot


def create(cache: Ptr[ObjCache], limit: u64, nominal: u64, ncpus: u32, how: M) -> bool:
    """Make a cache of zeroed storage whose name, functions, priv and kind are set.

    It has at most `limit` objects (0: any number), and keeps about `nominal` that are not in use.

    Context  thread, no spinlock.
    Returns  False if there is no memory.
    """
    cache.capacity = min(max(nominal // (u64(ncpus) + 1) // 2 + 1, MIN_CAPACITY), MAX_CAPACITY)
    cache.limit = limit if limit != 0 else u64(1) << 62
    cache.ncpus = ncpus
    cache.depot.lock.name = cache.name
    cache.depot.unallocated = cache.limit
    memory = slab.kmalloc_nowait(ncpus * sizeof(CpuCache), cache.kind, how | M.ZERO)
    if memory is None:
        return False
    cache.cpus = cast(MPtr[CpuCache], memory)       # safe: an array of that many
    spare = max(nominal // cache.capacity, MIN_SPARE)
    for i in range(u64(ncpus) * 2 + spare):
        magazine = _new_magazine(cache, how)
        if magazine is None:
            _free_magazines(cache)
            return False
        cache.depot.empty.push_back(magazine)
    for cpu in range(ncpus):
        cache.cpus[cpu].loaded = unwrap(cache.depot.empty.pop_front())
        cache.cpus[cpu].previous = unwrap(cache.depot.empty.pop_front())
    return True


@fault_site("alloc")
def get(cache: Ptr[ObjCache], how: M) -> u64:
    """A constructed object; 0 if there is none and `how` does not say WAITOK.

    Context  thread, no spinlock.
    Blocks   with WAITOK, at the limit or while memory is short.
    """
    while True:
        found = get_nowait(cache, how)
        if found != 0 or M.RNOWAIT in how or M.WAITOK not in how:
            return found
        _wait(cache)


@fault_site("alloc")
def get_nowait(cache: Ptr[ObjCache], how: M) -> u64:
    """get() that never sleeps.

    Context  any but an IPI callback; no spinlock.
    """
    crit.crit_enter()
    mine = _mine(cache)
    mine.gets += 1
    if mine.loaded.rounds == 0:
        if mine.previous.rounds != 0:
            _swap(mine)
        elif not _take_full(cache, mine):
            mine.misses += 1
            crit.crit_exit()
            return _make(cache, how)
    mine.loaded.rounds -= 1
    found = _objects(mine.loaded)[mine.loaded.rounds]
    crit.crit_exit()
    return found


def put(cache: Ptr[ObjCache], item: u64) -> None:
    """Give an object back, in the state in which the constructor left it.

    Context  any but an IPI callback; no spinlock.
    """
    crit.crit_enter()
    mine = _mine(cache)
    mine.puts += 1
    if mine.loaded.rounds == cache.capacity:
        if mine.previous.rounds != cache.capacity:
            _swap(mine)
        elif not _take_empty(cache, mine):
            crit.crit_exit()
            destroy_object(cache, item)
            return
    _objects(mine.loaded)[mine.loaded.rounds] = item
    mine.loaded.rounds += 1
    crit.crit_exit()
    _tell(cache)


def destroy_object(cache: Ptr[ObjCache], item: u64) -> None:
    """Give an object back that should not be used again.  Context: as put()."""
    cache.dtor(item, cache.priv)
    cache.free(item, cache.priv)
    with cache.depot.lock:
        cache.depot.unallocated += 1
    _tell(cache)


def trim(cache: Ptr[ObjCache]) -> None:
    """Destroy the objects in the depot, but one magazine: a periodic duty of one CPU."""
    while True:
        with cache.depot.lock:
            first = cache.depot.full.first
            if first is not None and first is cache.depot.full.last:
                first = None
            if first is not None:
                cache.depot.full.remove(first)
        if first is None:
            return
        _empty(cache, first)


def destroy(cache: Ptr[ObjCache]) -> None:
    """End a cache that nobody uses any more, on any CPU: all its objects have been put back."""
    for cpu in range(cache.ncpus):
        _empty(cache, cache.cpus[cpu].loaded)
        _empty(cache, cache.cpus[cpu].previous)
    while (magazine := cache.depot.full.pop_front()) is not None:
        _empty(cache, magazine)
    assert cache.depot.unallocated == cache.limit, "objects of this cache are in use"
    _free_magazines(cache)


@inline
def _mine(cache: Ptr[ObjCache]) -> Ptr[CpuCache]:
    assert gd.cpuid < cache.ncpus
    return ref(cache.cpus[gd.cpuid])


@inline
def _objects(magazine: Ptr[Magazine]) -> MPtr[u64]:
    # safe: `capacity` of them follow the head, see _new_magazine()
    return cast(MPtr[u64], pointer_at(u64, VirtAddr(u64(address_of(magazine)) + sizeof(Magazine))))


@inline
def _swap(mine: Ptr[CpuCache]) -> None:
    other = mine.previous
    mine.previous = mine.loaded
    mine.loaded = other


def _take_full(cache: Ptr[ObjCache], mine: Ptr[CpuCache]) -> bool:
    """Both magazines are empty: exchange one for a full one."""
    with cache.depot.lock:
        full = cache.depot.full.pop_front()
        if full is None:
            return False
        cache.depot.empty.push_front(mine.previous)
        cache.depot.exchanges += 1
    mine.previous = mine.loaded
    mine.loaded = full
    return True


def _take_empty(cache: Ptr[ObjCache], mine: Ptr[CpuCache]) -> bool:
    """Both magazines are full: exchange one for an empty one."""
    with cache.depot.lock:
        empty = cache.depot.empty.pop_front()
        if empty is None:
            return False
        cache.depot.full.push_front(mine.previous)
        cache.depot.exchanges += 1
    mine.previous = mine.loaded
    mine.loaded = empty
    return True


def _make(cache: Ptr[ObjCache], how: M) -> u64:
    """A new object from the back end, constructed (O2), if the limit allows (O3)."""
    with cache.depot.lock:
        allowed = cache.depot.unallocated != 0
        if allowed:
            cache.depot.unallocated -= 1
    if not allowed:
        return 0
    made = cache.alloc(cache.priv, how)
    if made != 0 and cache.ctor(made, cache.priv, how):
        return made
    if made != 0:
        cache.free(made, cache.priv)
    with cache.depot.lock:
        cache.depot.unallocated += 1
    return 0


def _empty(cache: Ptr[ObjCache], magazine: Ptr[Magazine]) -> None:
    """Destroy what a magazine holds, and have it among the empty ones."""
    while magazine.rounds != 0:
        magazine.rounds -= 1
        destroy_object(cache, _objects(magazine)[magazine.rounds])
    with cache.depot.lock:
        cache.depot.empty.push_back(magazine)


def _new_magazine(cache: Ptr[ObjCache], how: M) -> Ptr[Magazine] | None:
    size = sizeof(Magazine) + cache.capacity * 8
    memory = slab.kmalloc_nowait(size, cache.kind, how | M.ZERO)
    return cast(Ptr[Magazine] | None, memory)       # safe: zeroed, and so large


def _free_magazines(cache: Ptr[ObjCache]) -> None:
    """Nothing is left of the cache."""
    while (magazine := cache.depot.empty.pop_front()) is not None:
        slab.kfree(magazine, cache.kind)
    slab.kfree(ref(cache.cpus[0]), cache.kind)


def _wait(cache: Ptr[ObjCache]) -> None:
    """Sleep until an object comes back, or memory may be there again."""
    if cache.depot.unallocated != 0:  # races: a hint; who is wrong sleeps, at most for WAIT_TICKS
        page.wait(1, "objcache")
        return
    ident = u64(address_of(ref(cache.depot)))
    cache.depot.waiters.add(1)
    sleepq.tsleep_interlock(ident)
    sleepq.tsleep(ident, sleepq.SleepFlag.PINTERLOCKED, "objcache", WAIT_TICKS)
    cache.depot.waiters.sub(1)


@inline
def _tell(cache: Ptr[ObjCache]) -> None:
    """Wake one who waits for an object."""
    if cache.depot.waiters.load_relaxed() != 0:
        sleepq.wakeup(u64(address_of(ref(cache.depot))))
