# SPDX-License-Identifier: BSD-3-Clause
"""Kernel virtual memory: ranges of addresses, and pages mapped in them.

Ranges come from an arena with boundary tags: a segment, free or taken, for each piece of
kernel_space(), linked in order of address; free ones also by size (powers of two), taken ones in a
hash.  Both ends of an operation are found at once, whatever the number of segments.  In front
stands, on each CPU, a cache of short ranges, for which the arena's lock is not taken.

Unmapping is lazy towards other CPUs.  The CPU that releases a range drops it from its own TLB and
notes it in a batch.  A full batch is launched: each other running CPU gets one
passive IPI message, at its next look or tick drops all the batch's pages from its TLB one by one,
and clears its bit in the batch's mask, which so holds the CPUs that may still have a translation.
Ranges whose mask is empty are harvested: only then can they be allocated again.  Nobody is
interrupted for it, nobody waits, unless a CPU has more than BATCHES batches in flight; then it
rings the bells and waits for the oldest.  Frames are freed at once: a stale translation of a freed
range is harmless, as nobody may use a freed address.  Page tables are never freed, so what CPUs
cache of their upper levels stays true.

Invariants
  V1  Segments cover kernel_space() without gap or overlap, in order; no two free ones are
      neighbours.
  V2  A free segment of size s is on list floor(log2 s); the list's bit in `nonempty` says whether
      there is one.
  V3  An address is not handed out again before every CPU that could hold a translation of it has
      dropped it.
  V4  CPU c's bit is in a launched batch's mask until c has invalidated every range of the batch.
  V5  A range of 2**n pages, n <= 5, is aligned to its size.
  V6  map_range() maps all pages, or none.
Locking   [l] arena.lock   [o] the owning CPU, in a critical section   [a] atomic
          [I] fixed after init
Tests     tests/unit/mem/test_kva.py, tests/guest/memory.py
Source    Bonwick and Adams, "Magazines and Vmem" (USENIX 2001), section 4: boundary tags;
          Intel SDM vol. 3A, 4.10.5 "Propagation of Paging-Structure Changes to Multiple Processors"
"""
from typing import Final

from kpy import (
    Array,
    MPtr,
    PerCpu,
    PhysAddr,
    Ptr,
    VirtAddr,
    address_of,
    cast,
    clz,
    ctz,
    fault_site,
    implements,
    inline,
    panic,
    pointer_at,
    ref,
    sizeof,
    struct,
    u32,
    u64,
    wrapping,
)

from kernel import machine
from kernel.lib import queue
from kernel.lwkt import crit, globaldata, ipiq, spin
from kernel.lwkt.cpumask import AtomicCpumask, Cpumask
from kernel.lwkt.globaldata import find, gd
from kernel.machine import upcalls
from kernel.machine.types import MAX_CPUS, PAGE_SHIFT, PAGE_SIZE, Prot
from kernel.mem import page
from kernel.mem.flags import M
from kernel.mem.page import Page

UNSAFE: Final = True     # ranges are numbers; segments and batches travel as such

CACHED_PAGES: Final = 32        # longest range that CPUs cache
CACHE_DEPTH: Final = 8          # of each length
CACHE_REFILL: Final = 4
BATCHES: Final = 4              # of each CPU: one filling, the others in flight
BATCH_RANGES: Final = 64
BATCH_PAGES: Final = 2048       # launch even if there is room: invalidating takes time
HASH: Final = 4096
MAP_LOCKS: Final = 64
SIZES: Final = 64
TRIES: Final = 64              # segments of one size looked at before larger ones
NO_PROT: Final = Prot(0)


@struct
class Segment:
    """A piece of the address space."""
    order: queue.Link["Segment"]    # [l] neighbours
    link: queue.Link["Segment"]     # [l] free list, or hash chain
    base: u64                       # [l]
    size: u64                       # [l] bytes
    taken: bool                     # [l]


@struct
class Arena:
    """All of kernel_space()."""
    lock: spin.Spinlock
    order: queue.TailQueue[Segment, "order"]                    # [l] V1
    free: Array[queue.TailQueue[Segment, "link"], SIZES]        # [l] V2
    nonempty: u64                                               # [l] V2
    taken: Array[queue.TailQueue[Segment, "link"], HASH]        # [l] by base
    spare: Ptr[Segment] | None                                  # [l] linked by link.next
    spares: u32                                                 # [l]
    free_bytes: u64                                             # [l]
    segments: u64                                               # [l]


@struct
class Range:
    """A range that was unmapped."""
    base: u64
    pages: u64


@struct
class Batch:
    """Ranges that wait for the TLBs of other CPUs."""
    stale: AtomicCpumask                    # [a] V4
    count: u32                              # [o]
    pages: u32                              # [o]
    flying: bool                            # [o] launched, not yet harvested
    ranges: Array[Range, BATCH_RANGES]      # [o] read by others while flying


@struct
class Cache:
    """Ranges of one length, for one CPU."""
    count: u32
    bases: Array[u64, CACHE_DEPTH]


@struct
class Counters:
    """Statistics of a CPU."""
    launched: u64           # batches
    waited: u64             # batches that were waited for
    invalidated: u64        # ranges dropped for other CPUs
    from_cache: u64         # allocations


@struct
class Local:
    """What a CPU has of it."""
    filling: u32                                    # [o] the batch that is being filled
    caches: Array[Cache, CACHED_PAGES + 1]          # [o] by number of pages
    batches: Array[Batch, BATCHES]                  # [o]
    counters: Counters                              # [o]


arena: Arena
map_locks: Array[spin.Spinlock, MAP_LOCKS]          # one for each 2 MiB range, hashed
space_base: u64 = 0                                 # [I]
space_size: u64 = 0                                 # [I]
local: PerCpu[Local]
locals: Array[Ptr[Local] | None, MAX_CPUS]          # [I]


def init() -> None:
    """Begin with all of kernel_space() free.  Boot CPU, once, after page.init()."""
    global space_base, space_size
    base, size = machine.kernel_space()
    space_base, space_size = u64(base), size
    arena.lock.name = "kva"
    for i in range(MAP_LOCKS):
        map_locks[i].name = "kva map"
    segment = _segment()
    if segment is None:
        panic("no memory for the first piece of kernel address space")
    segment.base = space_base
    segment.size = size
    arena.order.push_back(segment)
    arena.segments = 1
    _insert_free(segment)
    arena.free_bytes = size


def init_cpu(cpu: u32) -> None:
    """Make this CPU's part known."""
    locals[cpu] = ref(local)


# --- Ranges --------------------------------------------------------------------------------


@fault_site("alloc")
def reserve(pages: u64, align: u64 = 1) -> u64:
    """A range of `pages` pages with nothing mapped, aligned to `align` pages (a power of two).

    Context  thread or critical section; no spinlock, no IPI callback.
    Returns  its address; 0 if there is no room.
    """
    assert pages != 0 and gd.spinlocks == 0
    short = pages <= CACHED_PAGES and align <= natural(pages)
    crit.crit_enter()
    base: u64 = 0
    if short:
        base = _from_cache(u32(pages))
    if base == 0:
        base = _from_arena(pages, max(align, natural(pages) if short else 1))
    if base == 0:
        drain()                                 # what this CPU holds back may make room
        base = _from_arena(pages, max(align, natural(pages) if short else 1))
    crit.crit_exit()
    return base


def release(base: u64, pages: u64) -> None:
    """Give back a range from reserve(), with nothing mapped any more.  See V3.

    Context  as reserve().
    """
    assert gd.spinlocks == 0
    crit.crit_enter()
    machine.pmap_invalidate(VirtAddr(base), pages)      # the batch is for all others
    batch = ref(local.batches[local.filling])
    if batch.count == BATCH_RANGES or batch.flying:
        batch = _next_batch()
    batch.ranges[batch.count].base = base
    batch.ranges[batch.count].pages = pages
    batch.count += 1
    batch.pages += u32(min(pages, BATCH_PAGES))
    if batch.count == BATCH_RANGES or batch.pages >= BATCH_PAGES:
        _launch(batch)
    crit.crit_exit()


def flush() -> None:
    """Launch what this CPU has gathered, and wait until all of it can be used again.

    Context  thread; no spinlock.
    """
    crit.crit_enter()
    filling = ref(local.batches[local.filling])
    if filling.count != 0 and not filling.flying:
        _launch(filling)
    for i in range(BATCHES):
        _wait_for(ref(local.batches[i]))
    crit.crit_exit()


def trim() -> None:
    """Harvest what is done, launch what has waited.  A periodic duty of each CPU."""
    crit.crit_enter()
    for i in range(BATCHES):
        _harvest(ref(local.batches[i]))
    filling = ref(local.batches[local.filling])
    if filling.count != 0 and not filling.flying:
        _launch(filling)
    crit.crit_exit()


def drain() -> None:
    """flush(), and give what this CPU caches back to the arena."""
    flush()
    crit.crit_enter()
    for pages in range(1, CACHED_PAGES + 1):
        cache = ref(local.caches[pages])
        while cache.count != 0:
            cache.count -= 1
            _to_arena(cache.bases[cache.count])
    crit.crit_exit()


@inline
def natural(pages: u64) -> u64:
    """The alignment, in pages, that a short range has (V5)."""
    return pages if pages & (pages - 1) == 0 else 1


# --- Pages in ranges -----------------------------------------------------------------------


def map_page(va: u64, frame: Ptr[Page], prot: Prot) -> bool:
    """Map a frame in a reserved range; False where a page table cannot be had."""
    with ref(map_locks[(va >> 21) % MAP_LOCKS]):
        return machine.pmap_enter(VirtAddr(va), page.addr(frame), prot)


def map_range(va: u64, pages: u64, prot: Prot, how: M) -> bool:
    """Map `pages` new frames; all or none (V6)."""
    done: u64 = 0
    while done < pages:
        frame = page.alloc(how)
        if frame is None:
            break
        if not map_page(va + (done << PAGE_SHIFT), frame, prot):
            page.free(frame)
            break
        done += 1
    if done == pages:
        return True
    unmap_range(va, done)
    return False


def unmap_range(va: u64, pages: u64) -> None:
    """Unmap and free frames.  TLBs, this CPU's too, follow when the range is released."""
    for i in range(pages):
        frame = page.of(machine.pmap_remove(VirtAddr(va + (i << PAGE_SHIFT))))
        if frame is None:
            panic(f"nothing is mapped at {va + (i << PAGE_SHIFT):#x}")
        page.free(frame)


@fault_site("alloc")
def alloc(pages: u64, how: M, align: u64 = 1, guard: u64 = 0) -> u64:
    """Memory: `pages` pages, above `guard` unmapped ones; 0 if there is none.

    Context  as reserve().
    """
    base = reserve(pages + guard, align)
    if base == 0:
        return 0
    va = base + (guard << PAGE_SHIFT)
    if map_range(va, pages, Prot.WRITE, how):
        return va
    release(base, pages + guard)
    return 0


def free(va: u64, pages: u64, guard: u64 = 0) -> None:
    """Give back what alloc() gave, called with the same numbers."""
    unmap_range(va, pages)
    release(va - (guard << PAGE_SHIFT), pages + guard)


def map_device(pa: PhysAddr, size: u64) -> u64:
    """Map a device's registers, uncached; 0 if that is not possible."""
    first = u64(pa) & ~u64(PAGE_SIZE - 1)
    pages = (u64(pa) + size - first + PAGE_SIZE - 1) >> PAGE_SHIFT
    base = reserve(pages)
    if base == 0:
        return 0
    for i in range(pages):
        va = base + (i << PAGE_SHIFT)
        with ref(map_locks[(va >> 21) % MAP_LOCKS]):
            done = machine.pmap_enter(VirtAddr(va), PhysAddr(first + (i << PAGE_SHIFT)),
                                      Prot.WRITE | Prot.UNCACHED)
        if not done:
            for j in range(i):
                machine.pmap_remove(VirtAddr(base + (j << PAGE_SHIFT)))
            release(base, pages)
            return 0
    return base + (u64(pa) - first)


def unmap_device(va: u64, size: u64) -> None:
    """Take back what map_device() mapped, called with its result and the same size."""
    first = va & ~u64(PAGE_SIZE - 1)
    pages = (va + size - first + PAGE_SIZE - 1) >> PAGE_SHIFT
    for i in range(pages):
        machine.pmap_remove(VirtAddr(first + (i << PAGE_SHIFT)))
    release(first, pages)


def shootdown(va: u64, pages: u64) -> None:
    """Have every CPU drop these pages from its TLB, now: for a mapping that changes in place.

    Context  thread, interrupts enabled, no spinlock.
    """
    machine.pmap_invalidate(VirtAddr(va), pages)        # this CPU, until the thread switches
    sequence: Array[u32, MAX_CPUS]
    sent: Cpumask
    for cpu in globaldata.numbers():
        if runs(cpu) and cpu != gd.cpuid:
            sequence[cpu] = ipiq.send(find(cpu), _drop, va, pages)
            sent.add(cpu)
    for cpu in sent:
        ipiq.wait(find(cpu), sequence[cpu])


@implements(upcalls.page_table_alloc)
def page_table_alloc() -> PhysAddr:
    frame = page.alloc(M.ZERO | M.USE_RESERVE | M.USE_INTERRUPT_RESERVE)
    if frame is None:
        return PhysAddr(0)
    page.wire(frame)
    return page.addr(frame)


# --- Batches -------------------------------------------------------------------------------


def _next_batch() -> Ptr[Batch]:
    """An empty batch; waits for the oldest if all are in flight."""
    number = (local.filling + 1) % BATCHES
    batch = ref(local.batches[number])
    if batch.flying and not _harvest(batch):
        _wait_for(batch)
    local.filling = number
    return batch


def _launch(batch: Ptr[Batch]) -> None:
    """Let every other CPU know of a batch.  Its own TLB this CPU has seen to."""
    batch.flying = True
    local.counters.launched += 1
    for cpu in globaldata.numbers():
        if cpu != gd.cpuid and runs(cpu):
            batch.stale.add(cpu)

    for cpu in globaldata.numbers():             # after the mask: V4
        if cpu != gd.cpuid and cpu in batch.stale:
            ipiq.send_passive(find(cpu), _invalidate, u64(address_of(batch)), 0)
    if batch.stale.empty():
        _harvest(batch)


def _invalidate(record: u64, unused: u64) -> None:
    """On another CPU: drop the batch's pages, then say so."""
    # safe: the batch is not touched until our bit is clear
    batch = pointer_at(Batch, VirtAddr(record))
    for i in range(batch.count):
        machine.pmap_invalidate(VirtAddr(batch.ranges[i].base), batch.ranges[i].pages)
    local.counters.invalidated += batch.count

    batch.stale.discard(gd.cpuid)                   # V4: a locked operation, after all of them


def _drop(va: u64, pages: u64) -> None:
    """shootdown() on another CPU."""
    machine.pmap_invalidate(VirtAddr(va), pages)


def _harvest(batch: Ptr[Batch]) -> bool:
    """Free the ranges of a batch that every CPU has done with; False if some have not."""
    if not batch.flying:
        return True
    if not batch.stale.empty():
        return False
    for i in range(batch.count):
        _put(batch.ranges[i].base, batch.ranges[i].pages)
    batch.count = 0
    batch.pages = 0
    batch.flying = False
    return True


def _wait_for(batch: Ptr[Batch]) -> None:
    """Ring the bells of those who have not done with a batch, and wait for them."""
    if _harvest(batch):
        return
    local.counters.waited += 1
    stale: Cpumask
    batch.stale.read(stale)
    for cpu in stale:
        if runs(cpu):
            ipiq.wait(find(cpu), ipiq.send(find(cpu), _ring, 0, 0))     # after the batch: in order
        else:
            batch.stale.discard(cpu)                # it has panicked, and translates no more
    harvested = _harvest(batch)
    assert harvested, "who has executed a message has executed those before"


def _ring(unused1: u64, unused2: u64) -> None:
    """A message that does nothing but come after others."""


def runs(cpu: u32) -> bool:
    """Whether a CPU executes messages."""
    other = globaldata.cpus[cpu]
    return other is not None and other.panicked == 0


# --- Caches and the arena ------------------------------------------------------------------


def _from_cache(pages: u32) -> u64:
    """A cached range; filled from finished batches, then from the arena.  0: none there."""
    cache = ref(local.caches[pages])
    if cache.count == 0:
        for i in range(BATCHES):
            if local.batches[i].flying:
                _harvest(ref(local.batches[i]))
    if cache.count == 0:
        return 0
    cache.count -= 1
    local.counters.from_cache += 1
    return cache.bases[cache.count]


def _put(base: u64, pages: u64) -> None:
    """A range may be used again: keep it here, or give it to the arena."""
    if pages <= CACHED_PAGES and (base >> PAGE_SHIFT) & (natural(pages) - 1) == 0:
        cache = ref(local.caches[pages])
        if cache.count < CACHE_DEPTH:
            cache.bases[cache.count] = base
            cache.count += 1
            return
    _to_arena(base)


def _from_arena(pages: u64, align: u64) -> u64:
    with arena.lock:
        return _take(pages << PAGE_SHIFT, align << PAGE_SHIFT)


def _to_arena(base: u64) -> None:
    with arena.lock:
        _give(base)


def _take(size: u64, align: u64) -> u64:
    """Cut a range out of a free segment.  Lock held.

    Of the lists, the first from which some segment is large enough for certain never needs a
    search; in shorter ones a few are tried before.
    """
    if not _enough_spares():
        return 0
    lists = arena.nonempty & ~((u64(1) << _log2(size)) - 1)
    while lists != 0:
        number = ctz(lists)
        lists &= lists - 1
        left: u32 = TRIES
        for segment in arena.free[number]:
            base = (segment.base + align - 1) & ~(align - 1)
            if base + size <= segment.base + segment.size:
                _cut(segment, base, size)
                return base
            if lists != 0:
                left -= 1
                if left == 0:
                    break
    return 0


def _cut(segment: Ptr[Segment], base: u64, size: u64) -> None:
    """Make `segment` the taken range base .. base + size, its rests free.  Lock held."""
    _remove_free(segment)
    arena.free_bytes -= size
    if base != segment.base:
        front = _spare()
        front.base = segment.base
        front.size = base - segment.base
        arena.order.insert_before(segment, front)
        _insert_free(front)
    end = segment.base + segment.size
    if base + size != end:
        back = _spare()
        back.base = base + size
        back.size = end - back.base
        following = segment.order.next
        if following is None:
            arena.order.push_back(back)
        else:
            arena.order.insert_before(following, back)
        _insert_free(back)
    segment.base = base
    segment.size = size
    segment.taken = True
    arena.taken[_hash(base)].push_front(segment)


def _give(base: u64) -> None:
    """Free the range that begins at `base`, and join it with free neighbours.  Lock held."""
    chain = ref(arena.taken[_hash(base)])
    segment = chain.first
    while segment is not None and segment.base != base:
        segment = segment.link.next
    if segment is None:
        panic(f"kernel address {base:#x} was not allocated")
    chain.remove(segment)
    segment.taken = False
    arena.free_bytes += segment.size
    before = segment.order.prev
    if before is not None and not before.taken:
        _remove_free(before)
        segment.base = before.base
        segment.size += before.size
        _drop_segment(before)
    after = segment.order.next
    if after is not None and not after.taken:
        _remove_free(after)
        segment.size += after.size
        _drop_segment(after)
    _insert_free(segment)


def _insert_free(segment: Ptr[Segment]) -> None:
    number = _log2(segment.size)
    arena.free[number].push_front(segment)
    arena.nonempty |= u64(1) << number


def _remove_free(segment: Ptr[Segment]) -> None:
    number = _log2(segment.size)
    arena.free[number].remove(segment)
    if arena.free[number].first is None:
        arena.nonempty &= ~(u64(1) << number)


def _drop_segment(segment: Ptr[Segment]) -> None:
    """A segment has been joined with another: keep its struct."""
    arena.order.remove(segment)
    segment.link.next = arena.spare
    arena.spare = segment
    arena.spares += 1
    arena.segments -= 1


def _enough_spares() -> bool:
    """Have two structs ready, which is what a cut needs; a page of them at a time."""
    if arena.spares >= 2:
        return True
    frame = page.alloc(M.ZERO | M.USE_RESERVE)
    if frame is None:
        return False
    # safe: the frame is ours from now on
    fresh = cast(MPtr[Segment], pointer_at(Segment, page.virt(frame)))
    for i in range(PAGE_SIZE // sizeof(Segment)):
        fresh[i].link.next = arena.spare
        arena.spare = ref(fresh[i])
        arena.spares += 1
    return True


def _segment() -> Ptr[Segment] | None:
    """A struct for init()."""
    if not _enough_spares():
        return None
    segment = _spare()
    arena.segments -= 1
    return segment


def _spare() -> Ptr[Segment]:
    segment = arena.spare
    if segment is None:
        panic("kva: _enough_spares() was not asked")
    arena.spare = segment.link.next
    arena.spares -= 1
    arena.segments += 1
    segment.taken = False
    return segment


@inline
def _log2(size: u64) -> u64:
    return 63 - u64(clz(size))


@inline
def _hash(base: u64) -> u64:
    return wrapping((base >> PAGE_SHIFT) * 0x9E37_79B9_7F4A_7C15) >> 52
