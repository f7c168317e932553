# SPDX-License-Identifier: BSD-3-Clause
"""Physical memory, a page at a time: one small struct for every frame.

Frames lie in sections of 128 MiB; a section's structs are one array, and a table finds the section
of an address, so holes in the memory map cost nothing.  The arrays are cut off the end of the
largest region.

A frame's colour is its number, folded to 8 bits by xor: neighbours differ, and so do frames that a
cache would put in one set.  There are two queues for each colour, free and cache, under one
spinlock; each CPU allocates from its own slice of the colours, so that two CPUs rarely meet.
A cached frame still holds what its last user left: reuse() gives it back to him, if it has not
been allocated to somebody else meanwhile.

How much is left is one atomic number, to which each CPU adds what it gathered; only near a
threshold are the queues counted.  The last pages are for those who say so: see enough().

Invariants
  F1  A frame is FREE or CACHE exactly while it is on that queue of its colour.
  F2  of(addr(page)) is page, for every frame of memory_regions() but those of the arrays.
  F3  generation changes whenever a frame is allocated, so (page, generation) names one use of it.
  F4  free_pages plus every CPU's delta is the length of all queues.
  F5  An allocation never takes the last `free_reserved` pages without USE_RESERVE, nor the last
      `interrupt_free_min` without USE_INTERRUPT_RESERVE, but for pages that several CPUs take in
      the same instant.
  F6  alloc_contig() gives naturally aligned runs, or leaves the queues as they were.
Locking   [q] the spinlock of its colour   [u] who allocated the frame   [o] the CPU, in a critical
          section   [a] atomic   [I] fixed after init
Tests     tests/unit/mem/test_page.py, tests/guest/memory.py
Source    DragonFly sys/vm/vm_page.c (design: colours, per-CPU slices, reserves)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    MPtr,
    PerCpu,
    PhysAddr,
    Ptr,
    Slice,
    Str,
    VirtAddr,
    address_of,
    cast,
    enum,
    fault_site,
    hook,
    i32,
    i64,
    inline,
    kprintf,
    memset,
    panic,
    pointer_at,
    ref,
    sizeof,
    struct,
    trunc,
    u8,
    u16,
    u32,
    u64,
    wrapping,
)

from kernel import machine
from kernel.lib import queue
from kernel.lwkt import crit, globaldata, sleepq, spin
from kernel.machine.types import PAGE_SHIFT, PAGE_SIZE, MemoryKind, Region
from kernel.mem.flags import M

UNSAFE: Final = True     # frames are found by address, and their contents have no type

COLOURS: Final = 256
SECTION_SHIFT: Final = 27
SECTION_PAGES: Final = 32768
MAX_SECTIONS: Final = 4096              # 512 GiB
LIMIT_4G: Final[u64] = 1 << 32
NO_LIMIT: Final[u64] = 1 << 63
MAX_BATCH: Final = 32                   # what a CPU's delta may grow to
WAIT_TICKS: Final = 100                 # a sleeper looks again after a second


@enum(u8)
class PageState:
    """Where a frame is."""
    ABSENT = 0      # not memory, or not ours to give
    FREE = 1
    CACHE = 2
    USED = 3


@struct(size=32)
class Page:
    """A frame of physical memory."""
    link: queue.Link["Page"]    # [q] free or cache queue; the user's while USED
    slot: i32                   # [u] kmalloc: pages of the request that begins here, or -(cpu + 1)
    wire_count: u32             # [u] reasons not to free or page it out
    generation: u32             # [q] F3
    state: PageState            # [q]
    colour: u8                  # [I]
    section: u16                # [I] where addr() finds it


@struct(align=64)
class Colour:
    """The queues of one colour."""
    lock: spin.Spinlock
    free: queue.TailQueue[Page, "link"]     # [q]
    cache: queue.TailQueue[Page, "link"]    # [q] least recently cached first
    free_count: u32                         # [q] also read without the lock, as a hint
    cache_count: u32                        # [q]


@struct
class Section:
    """128 MiB of physical address space."""
    pages: MPtr[Page]       # [I] the structs of frames first .. first + count
    first: u32              # [I] frame number within the section
    count: u32              # [I] 0: no memory here


@struct
class Local:
    """A CPU's part in this."""
    start: u32              # [I] first colour of its slice
    width: u32              # [I] colours in it
    rover: u32              # [o] next colour, counted from start
    delta: i32              # [o] pages freed less pages allocated, not yet in free_pages


colours: Array[Colour, COLOURS]
sections: Array[Section, MAX_SECTIONS]
section_count: u32 = 0                  # [I] sections below the highest address
free_pages: Atomic[i64]                 # [a] F4
waiters: Atomic[u32]                    # [a] threads in wait()
total_pages: u64 = 0                    # [I] frames that can be allocated
free_reserved: i64 = 0                  # [I] F5
interrupt_free_min: i64 = 0             # [I] F5
batch: i32 = 1                          # [I] when a delta is added to free_pages
local: PerCpu[Local]


def init(regions: Slice[Region], cpus: u32) -> None:
    """Take over all of `regions`, for `cpus` CPUs.  Boot CPU, once.

    Panics   there is not even room for the structs.
    """
    global total_pages, free_reserved, interrupt_free_min, batch
    for i in range(COLOURS):
        colours[i].lock.name = "page colour"
    _lay_out_sections(regions)
    taken = _place_arrays(regions)
    for region in regions:
        if region.kind == MemoryKind.USABLE:
            _add_region(region, taken)
    total_pages = count_free()
    free_pages.store(i64(total_pages))
    free_reserved = i64(min(max(total_pages // 64, 32), 4096))
    interrupt_free_min = i64(min(max(total_pages // 1024, 4), 64))
    batch = i32(min(max(total_pages // (u64(cpus) * 64), 1), MAX_BATCH))


def init_cpu(cpu: u32, cpus: u32) -> None:
    """Give this CPU its slice of the colours."""
    local.start = cpu * COLOURS // cpus % COLOURS
    local.width = max(COLOURS // cpus, 1)


@fault_site("alloc")
def alloc(how: M) -> Ptr[Page] | None:
    """A frame, or None if none is left to who asks (F5).  Of WAITOK the caller takes care: wait().

    Context  any but an IPI callback; spinlocks may be held.
    """
    if not enough(how, 1):
        return None
    crit.crit_enter()
    page = _take_any()
    if page is not None:
        _account(-1)
    crit.crit_exit()
    if page is not None and M.ZERO in how:
        zero(page)
    return page


@fault_site("alloc")
def alloc_contig(count: u64, how: M, below: u64 = NO_LIMIT) -> Ptr[Page] | None:
    """`count` frames in a row, a power of two, aligned to its size, all below address `below`
    (LIMIT_4G for devices that know no more); the first of them.

    Context  any but an IPI callback; spinlocks may be held.  Searches: not for every day.
    """
    assert count != 0 and count & (count - 1) == 0 and count <= SECTION_PAGES
    if not enough(how, count):
        return None
    number = min(u64(section_count), (below + (1 << SECTION_SHIFT) - 1) >> SECTION_SHIFT)
    while number > 0:
        number -= 1
        if sections[number].count != 0:
            page = _search(u32(number), u32(count), below)
            if page is not None:
                if M.ZERO in how:
                    for i in range(count):
                        zero(nth(page, i))
                return page
    return None


def free(page: Ptr[Page]) -> None:
    """Give a frame back.

    Context  any, but with a spinlock held or in an IPI callback only while nobody can be waiting.
    """
    assert page.state == PageState.USED and page.wire_count == 0
    page.slot = 0
    crit.crit_enter()
    place = ref(colours[page.colour])
    with place.lock:
        page.state = PageState.FREE
        place.free.push_front(page)
        place.free_count += 1
    _account(1)
    crit.crit_exit()
    _tell()


def free_contig(page: Ptr[Page], count: u64) -> None:
    """Give back what alloc_contig() gave."""
    for i in range(count):
        free(nth(page, i))


def cache(page: Ptr[Page]) -> u32:
    """free(), but with a chance to get the contents back: reuse(page, the number returned)."""
    assert page.state == PageState.USED and page.wire_count == 0
    crit.crit_enter()
    place = ref(colours[page.colour])
    with place.lock:
        page.state = PageState.CACHE
        place.cache.push_back(page)
        place.cache_count += 1
        generation = page.generation
    _account(1)
    crit.crit_exit()
    _tell()
    return generation


def reuse(page: Ptr[Page], generation: u32) -> bool:
    """Have a cached frame again, with its contents; False if it has gone to somebody else (F3)."""
    crit.crit_enter()
    place = ref(colours[page.colour])
    with place.lock:
        mine = page.state == PageState.CACHE and page.generation == generation
        if mine:
            place.cache.remove(page)
            place.cache_count -= 1
            page.state = PageState.USED
    if mine:
        _account(-1)
    crit.crit_exit()
    return mine


def wire(page: Ptr[Page]) -> None:
    """One more reason to keep a frame where it is."""
    page.wire_count += 1


def unwire(page: Ptr[Page]) -> None:
    page.wire_count -= 1


@hook("page_wait")
def wait(pages: u64, wmesg: Str) -> None:
    """Sleep until there may be `pages` pages, or for a second.  The one place where allocators
    sleep; always, if only for a tick: what is short may be something else than pages, and others
    must run that they can be freed.

    Context  thread, no spinlock.
    """
    waiters.add(1)
    sleepq.tsleep_interlock(_ident())
    ticks: u64 = 1 if enough(M.WAITOK, pages) else WAIT_TICKS
    sleepq.tsleep(_ident(), sleepq.SleepFlag.PINTERLOCKED, wmesg, ticks)
    waiters.sub(1)


def enough(how: M, count: u64) -> bool:
    """Whether `count` pages may be taken by who asks so (F5)."""
    floor = free_reserved
    if M.USE_INTERRUPT_RESERVE in how:
        floor = 0
    elif M.USE_RESERVE in how:
        floor = interrupt_free_min
    wanted = i64(count) + floor
    slack = i64(batch) * i64(globaldata.ncpus)
    if free_pages.load_relaxed() >= wanted + slack:
        return True
    return i64(count_free()) >= wanted


def count_free() -> u64:
    """The frames on all queues, as of about now."""
    total: u64 = 0
    for i in range(COLOURS):
        total += colours[i].free_count + colours[i].cache_count  # races: as of about now
    return total


@inline
def addr(page: Ptr[Page]) -> PhysAddr:
    """The physical address of a frame."""
    section = ref(sections[page.section])
    # safe: both lie in the section's array
    index = (u64(address_of(page)) - u64(address_of(section.pages))) // sizeof(Page)
    return PhysAddr((u64(page.section) << SECTION_SHIFT) + ((section.first + index) << PAGE_SHIFT))


@inline
def virt(page: Ptr[Page]) -> VirtAddr:
    """Where the kernel sees a frame."""
    return machine.phys_to_virt(addr(page))


def of(pa: PhysAddr) -> Ptr[Page] | None:
    """The frame of a physical address; None if it is none that we manage."""
    number = u64(pa) >> SECTION_SHIFT
    if number >= section_count:
        return None
    section = ref(sections[number])
    index = wrapping(((u64(pa) >> PAGE_SHIFT) & (SECTION_PAGES - 1)) - section.first)
    if index >= section.count:
        return None
    page = ref(section.pages[index])
    # races: ABSENT stays so, and the other states are all the same here
    return None if page.state == PageState.ABSENT else page


@inline
def nth(page: Ptr[Page], n: u64) -> Ptr[Page]:
    """The n-th frame of a run."""
    # safe: a run lies in one section
    return ref(cast(MPtr[Page], page)[n])


def zero(page: Ptr[Page]) -> None:
    """Clear a frame's memory."""
    # safe: who allocated the frame owns the memory
    memset(cast(MPtr[u8], pointer_at(u8, virt(page))), 0, PAGE_SIZE)


def _lay_out_sections(regions: Slice[Region]) -> None:
    """Find which frames of each section there are structs for: from its first to its last."""
    global section_count
    for region in regions:
        if region.kind != MemoryKind.USABLE or region.size == 0:
            continue
        frame = u64(region.base) >> PAGE_SHIFT
        end = frame + (region.size >> PAGE_SHIFT)
        if end > MAX_SECTIONS * SECTION_PAGES:
            kprintf(f"memory above {MAX_SECTIONS >> 3} GiB is not used\n")
            end = max(frame, MAX_SECTIONS * SECTION_PAGES)
        while frame < end:
            number = frame // SECTION_PAGES
            stop = min(end, (number + 1) * SECTION_PAGES)
            section = ref(sections[number])
            low, high = u32(frame % SECTION_PAGES), u32(stop - number * SECTION_PAGES)
            if section.count != 0:
                high = max(high, section.first + section.count)
                low = min(low, section.first)
            section.first = low
            section.count = high - low
            section_count = max(section_count, u32(number + 1))
            frame = stop


def _place_arrays(regions: Slice[Region]) -> u64:
    """Put the structs at the end of the largest region; the address where they begin."""
    largest = ref(regions[0])
    needed: u64 = 0
    for region in regions:
        if region.kind == MemoryKind.USABLE and (
                largest.kind != MemoryKind.USABLE or region.size > largest.size):
            largest = region
    for i in range(section_count):
        needed += u64(sections[i].count) * sizeof(Page)
    needed = (needed + PAGE_SIZE - 1) & ~u64(PAGE_SIZE - 1)
    end = min(u64(largest.base) + largest.size, MAX_SECTIONS << SECTION_SHIFT)
    if end < u64(largest.base) + needed + PAGE_SIZE:
        panic(f"no memory: the largest region has {largest.size} bytes, {needed} are needed")
    begin = end - needed
    # safe: the memory is ours by contract, and nobody else has it yet
    at = cast(MPtr[u8], pointer_at(u8, machine.phys_to_virt(PhysAddr(begin))))
    memset(at, 0, needed)
    for i in range(section_count):
        sections[i].pages = cast(MPtr[Page], at)
        at = at + u64(sections[i].count) * sizeof(Page)
    return begin


def _add_region(region: Ptr[Region], taken: u64) -> None:
    """Put the frames of `region` on the free queues, but those from `taken` on if it is there."""
    frame = u64(region.base) >> PAGE_SHIFT
    end = frame + (region.size >> PAGE_SHIFT)
    if u64(region.base) < taken <= u64(region.base) + region.size:
        end = taken >> PAGE_SHIFT
    end = min(end, u64(section_count) * SECTION_PAGES)
    while frame < end:
        number = frame // SECTION_PAGES
        section = ref(sections[number])
        page = ref(section.pages[frame % SECTION_PAGES - section.first])
        page.section = u16(number)
        page.colour = colour_of(frame)
        page.state = PageState.FREE
        place = ref(colours[page.colour])
        place.free.push_front(page)
        place.free_count += 1
        frame += 1


@inline
def colour_of(frame: u64) -> u8:
    """The number of a frame, folded to 8 bits."""
    folded = frame ^ (frame >> 8) ^ (frame >> 16) ^ (frame >> 24)
    return trunc(u8, folded)


def _take_any() -> Ptr[Page] | None:
    """A frame of this CPU's colours, else of any; free ones first, then cached ones."""
    at = local.rover
    local.rover = at + 1 if at + 1 < local.width else 0
    for i in range(COLOURS):
        step = (at + u32(i)) % local.width if i < local.width else u32(i)
        place = ref(colours[(local.start + step) % COLOURS])
        if place.free_count != 0:  # races: a hint; _pop() looks again
            page = _pop(place, False)
            if page is not None:
                return page
    for i in range(COLOURS):
        place = ref(colours[(local.start + u32(i)) % COLOURS])
        if place.cache_count != 0:  # races: a hint; _pop() looks again
            page = _pop(place, True)
            if page is not None:
                return page
    return None


def _pop(place: Ptr[Colour], cached: bool) -> Ptr[Page] | None:
    with place.lock:
        page = place.cache.first if cached else place.free.first
        if page is None:
            return None
        _claim(place, page)
        return page


def _claim(place: Ptr[Colour], page: Ptr[Page]) -> None:
    """Take a frame off its queue.  Lock held."""
    if page.state == PageState.CACHE:
        place.cache.remove(page)
        place.cache_count -= 1
    else:
        place.free.remove(page)
        place.free_count -= 1
    page.state = PageState.USED
    page.generation = wrapping(page.generation + 1)
    page.slot = 0
    page.wire_count = 0


def _search(number: u32, count: u32, below: u64) -> Ptr[Page] | None:
    """Take an aligned run of frames in one section."""
    section = ref(sections[number])
    base = u64(number) * SECTION_PAGES
    stop = min(u64(section.first + section.count), (below >> PAGE_SHIFT) - min(
        base, below >> PAGE_SHIFT))
    at = (u64(section.first) + count - 1) // count * count
    while at + count <= stop:
        page = ref(section.pages[at - section.first])
        if _claim_run(page, count):
            return page
        at += count
    return None


def _claim_run(first: Ptr[Page], count: u32) -> bool:
    """Take `count` frames from `first` on, or none (F6)."""
    for i in range(count):
        state = nth(first, i).state  # races: a hint; looked at again under the lock
        if state != PageState.FREE and state != PageState.CACHE:
            return False
    crit.crit_enter()
    for i in range(count):
        page = nth(first, i)
        place = ref(colours[page.colour])
        got = False
        with place.lock:
            if page.state == PageState.FREE or page.state == PageState.CACHE:
                _claim(place, page)
                got = True
        if not got:                             # somebody was quicker
            for j in range(i):
                _put_back(nth(first, j))
            crit.crit_exit()
            return False
    _account(-i32(count))
    crit.crit_exit()
    return True


def _put_back(page: Ptr[Page]) -> None:
    place = ref(colours[page.colour])
    with place.lock:
        page.state = PageState.FREE
        place.free.push_front(page)
        place.free_count += 1


def _account(change: i32) -> None:
    """Pages were freed, or allocated if `change` is negative (F4).  Critical section."""
    local.delta += change
    if local.delta >= batch or local.delta <= -batch:
        free_pages.add(i64(local.delta), order="relaxed")
        local.delta = 0


def _tell() -> None:
    """Wake those who wait for pages."""
    if waiters.load_relaxed() != 0 and enough(M.WAITOK, 1):
        sleepq.wakeup(_ident())


@inline
def _ident() -> u64:
    return u64(address_of(ref(waiters)))
