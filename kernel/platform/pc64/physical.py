# SPDX-License-Identifier: BSD-3-Clause
"""Physical memory as the firmware describes it, and its use until the kernel takes it over.

The loader's map may be in any order and overlap itself; settle() makes of it one list in order of
address, in which each byte is of one kind, the most cautious one named.  boot_alloc() then cuts
pages off the usable ranges from the bottom up; memory_regions() hands over what is left.

All physical memory can be seen at PHYS_BASE.  The tables that boot/entry.py made show its first
4 GiB there, those of pmap.py all of it: until they are in use, boot_alloc() stays below 4 GiB.

Invariants
  P1  `memory` is sorted, its ranges are disjoint, not empty and page-aligned; USABLE ones are
      rounded inwards, all others outwards.
  P2  The same holds of `free`; it has nothing of the kernel's image, nor page 0.
Tests     tests/unit/platform/test_physical.py
Source    ACPI 6.5, 15.4 "INT 15H, E820H - Query System Address Map" (kinds)
"""
from typing import Final

from kpy import (
    Array,
    MPtr,
    PhysAddr,
    Ptr,
    Slice,
    VirtAddr,
    bits_of,
    cast,
    inline,
    panic,
    pointer_at,
    ref,
    struct,
    symbol_address,
    u32,
    u64,
)

from kernel.machine.types import PAGE_SIZE, MemoryKind, Region

UNSAFE: Final = True     # memory that nobody owns yet is zeroed by address
PHYS_BASE: Final[u64] = 0xFFFF_8000_0000_0000
PHYS_LIMIT: Final[u64] = 1 << 46          # the end of the physical map; more is not used
BOOT_TABLES_LIMIT: Final[u64] = 1 << 32
LOW_MEMORY_END: Final[u64] = 0x10_0000
MAX_RAW: Final = 128
MAX_REGIONS: Final = 2 * MAX_RAW


@struct
class Raw:
    """A range as the loader gave it; any numbers may be in it."""
    base: u64
    end: u64
    kind: u32            # a MemoryKind


@struct
class RegionList:
    """Ranges in order of address."""
    count: u64
    at: Array[Region, MAX_REGIONS]

    def append(self, base: u64, end: u64, kind: MemoryKind) -> None:
        """Add a range behind the last one, or make that one longer; nothing if it is empty."""
        if base >= end or self.count == MAX_REGIONS:
            return
        if self.count > 0:
            last = ref(self.at[self.count - 1])
            if last.kind == kind and bits_of(last.base) + last.size == base:
                last.size += end - base
                return
        new = ref(self.at[self.count])
        new.base = PhysAddr(base)
        new.size = end - base
        new.kind = kind
        self.count += 1

    def cut(self, base: u64, end: u64) -> None:
        """Take [base, end) out."""
        i: u64 = 0
        while i < self.count:
            region = ref(self.at[i])
            first = bits_of(region.base)
            last = first + region.size
            if end <= first or last <= base:
                i += 1
            elif base <= first and last <= end:
                self._remove(i)
            elif base <= first:
                region.base = PhysAddr(end)
                region.size = last - end
                i += 1
            else:
                region.size = base - first
                if end < last and self.count < MAX_REGIONS:
                    self._insert(i + 1, end, last, region.kind)
                i += 1

    def _remove(self, index: u64) -> None:
        self.count -= 1
        for i in range(index, self.count):
            _set(ref(self.at[i]), ref(self.at[i + 1]))

    def _insert(self, index: u64, base: u64, end: u64, kind: MemoryKind) -> None:
        i = self.count
        while i > index:
            _set(ref(self.at[i]), ref(self.at[i - 1]))
            i -= 1
        self.count += 1
        new = ref(self.at[index])
        new.base = PhysAddr(base)
        new.size = end - base
        new.kind = kind


raw: Array[Raw, MAX_RAW]
raw_count: u64 = 0
memory: RegionList       # all that is known
free: RegionList         # usable, and not taken by boot_alloc()
limit: u64 = BOOT_TABLES_LIMIT
handed_over: bool = False


def add(base: u64, size: u64, kind: u32) -> None:
    """Note a range of the loader's map; `kind` by E820's numbers.  What wraps is cut off."""
    global raw_count
    if size == 0 or base >= PHYS_LIMIT or raw_count == MAX_RAW:
        return
    end = PHYS_LIMIT
    if size < PHYS_LIMIT - base:
        end = base + size
    raw[raw_count].base = base
    raw[raw_count].end = end
    raw[raw_count].kind = _known(kind)
    raw_count += 1


def settle() -> None:
    """Make `memory` of the ranges noted, and `free` of what of it is usable (P1, P2)."""
    memory.count = 0
    free.count = 0
    at: u64 = 0
    while at < PHYS_LIMIT:
        following = _next_edge(at)
        kind = _kind_at(at)
        if kind != 0:
            memory.append(at, following, MemoryKind(kind))
        at = following
    for i in range(memory.count):
        region = ref(memory.at[i])
        if region.kind == MemoryKind.USABLE:
            base = bits_of(region.base)
            free.append(max(base, PAGE_SIZE), base + region.size, MemoryKind.USABLE)


def reserve(base: u64, size: u64) -> None:
    """Take what is in use out of what boot_alloc() may give."""
    free.cut(base // PAGE_SIZE * PAGE_SIZE, _round_up(base + size, PAGE_SIZE))


def reserve_image() -> None:
    """Take the kernel itself out of what boot_alloc() may give."""
    first = bits_of(symbol_address("__load_start"))
    reserve(first, bits_of(symbol_address("__load_bss_end")) - first)


def see_all() -> None:
    """The physical map is complete: boot_alloc() may use memory above 4 GiB from now on."""
    global limit
    limit = PHYS_LIMIT


def boot_alloc(size: u64, align: u64) -> PhysAddr:
    """Zeroed physical memory for good, mapped at phys_to_virt().  Before memory_regions().

    Panics   there is no memory left.
    """
    assert not handed_over and size > 0
    pa = take(size, align, LOW_MEMORY_END, limit)
    if bits_of(pa) == 0:
        panic(f"this machine has too little memory: {size // 1024 + 1} KiB more are needed to "
              f"start; give it at least 64 MiB")
    words = cast(MPtr[u64], pointer_at(u64, phys_to_virt(pa)))     # safe: just taken, ours
    for i in range((size + 7) // 8):
        words[i] = 0
    return pa


def take(size: u64, align: u64, above: u64, below: u64) -> PhysAddr:
    """Whole pages from [above, below) out of `free`; not zeroed.  0 if there are none."""
    rounded = _round_up(size, PAGE_SIZE)
    step = max(align, PAGE_SIZE)
    for i in range(free.count):
        region = ref(free.at[i])
        first = _round_up(max(bits_of(region.base), above), step)
        last = min(bits_of(region.base) + region.size, below)
        if first < last and rounded <= last - first:
            free.cut(first, first + rounded)
            return PhysAddr(first)
    return PhysAddr(0)


def memory_regions() -> Slice[Region]:
    """The usable memory that boot_alloc() has left, in order of address, page-aligned.

    The first call ends boot_alloc(): the caller owns the memory from now on.
    """
    global handed_over
    handed_over = True
    return free.at[:free.count]


def usable_bytes() -> u64:
    """How much memory there is."""
    total: u64 = 0
    for i in range(memory.count):
        if memory.at[i].kind == MemoryKind.USABLE:
            total += memory.at[i].size
    return total


@inline
def phys_to_virt(pa: PhysAddr) -> VirtAddr:
    """Where the kernel sees physical memory; one addition."""
    return VirtAddr(bits_of(pa) + PHYS_BASE)


@inline
def virt_to_phys(va: VirtAddr) -> PhysAddr:
    """The physical address behind phys_to_virt(); of such addresses only."""
    return PhysAddr(bits_of(va) - PHYS_BASE)


def _next_edge(at: u64) -> u64:
    """The lowest page-aligned address above `at` where a range noted begins or ends."""
    lowest = PHYS_LIMIT
    for i in range(raw_count):
        start, end = _edges(ref(raw[i]))
        if at < start < lowest:
            lowest = start
        if at < end < lowest:
            lowest = end
    return lowest


def _edges(range_: Ptr[Raw]) -> tuple[u64, u64]:
    """Where a range begins and ends, in whole pages (P1)."""
    if range_.kind == u32(MemoryKind.USABLE):
        return _round_up(range_.base, PAGE_SIZE), range_.end // PAGE_SIZE * PAGE_SIZE
    return range_.base // PAGE_SIZE * PAGE_SIZE, _round_up(range_.end, PAGE_SIZE)


def _kind_at(at: u64) -> u32:
    """The kind of the page at `at`: the one that is most cautious, 0 if none covers it."""
    found: u32 = 0
    for i in range(raw_count):
        start, end = _edges(ref(raw[i]))
        if start <= at < end and _caution(raw[i].kind) > _caution(found):
            found = raw[i].kind
    return found


def _known(kind: u32) -> u32:
    """`kind`, or RESERVED for a number that has no name."""
    if u32(MemoryKind.USABLE) <= kind <= u32(MemoryKind.BAD):
        return kind
    return u32(MemoryKind.RESERVED)


def _caution(kind: u32) -> u32:
    match kind:
        case 0:
            return 0
        case 1:                 # USABLE
            return 1
        case 3:                 # ACPI
            return 2
        case 4:                 # NVS
            return 3
        case 5:                 # BAD
            return 5
        case _:
            return 4


def _set(to: Ptr[Region], source: Ptr[Region]) -> None:
    to.base = source.base
    to.size = source.size
    to.kind = source.kind


def _round_up(value: u64, to: u64) -> u64:
    return (value + to - 1) // to * to
