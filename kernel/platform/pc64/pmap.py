# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's page tables.

    0xffff800000000000  physical memory      RW-    2 MiB or 1 GiB pages
    0xffffa00000000000  kernel_space()       as pmap_enter() is told, 64 GiB
    0xffffb00000000000  device registers     RW-    uncached; map_device()
    0xffffffff80000000  the kernel's image   R-X text, R-- rodata, RW- data; 4 KiB pages

Nothing is mapped in the lower half, and the page below the boot stack is not mapped.  Where the
kernel's text and read-only data show up in the physical map they are read-only there too.

An application processor comes up on the tables of boot/entry.py, which still map low memory, and
takes these at its first instruction in the higher half.

Invariants
  V1  No page is both writable and executable.
  V2  The entries of the upper half's top table never change after build(): address spaces made
      later may copy them.
  V3  An entry of a middle table goes from 0 to a table once and stays (cas), so a lookup needs
      no lock.
Tests     tests/qemu/test_pmap.py
Source    Intel SDM vol. 3A, 4.5 "4-Level Paging and 5-Level Paging", 4.6 "Access Rights",
          4.10.4 "Invalidation of TLBs and Paging-Structure Caches"
"""
from typing import Final

from kpy import (
    Atomic,
    MPtr,
    PhysAddr,
    Slice,
    VirtAddr,
    bits_of,
    cast,
    from_bits,
    implements,
    inline,
    make_slice,
    memcpy,
    pointer_at,
    ref,
    symbol_address,
    u8,
    u64,
)

from kernel.arch.x86_64 import cpu, features
from kernel.arch.x86_64.regs import TABLE_ENTRIES, Pte
from kernel.machine import upcalls
from kernel.machine.types import PAGE_SIZE, MemoryKind, Prot
from kernel.platform.pc64 import acpi, physical

UNSAFE: Final = True     # page tables are memory found by physical address

KERNEL_BASE: Final[u64] = 0xFFFF_FFFF_8000_0000
SPACE_BASE: Final[u64] = 0xFFFF_A000_0000_0000
SPACE_BYTES: Final[u64] = 64 << 30
DEVICE_BASE: Final[u64] = 0xFFFF_B000_0000_0000
DEVICE_BYTES: Final[u64] = 1 << 30
PAGE_2MB: Final[u64] = 1 << 21
PAGE_1GB: Final[u64] = 1 << 30
FRAME_SHIFT: Final = 12
LEVELS: Final = 4

root: u64 = 0            # physical address of the top table
device_next: u64 = DEVICE_BASE
spare: Atomic[u64]       # a page for a table that was not needed after all; 0 if there is none


def build() -> None:
    """Make the kernel's page tables and take them into use.  Boot CPU, once."""
    global root
    root = bits_of(_new_table())
    _map_physical()
    _map_image()
    _table_below(_top(), _index(SPACE_BASE, 4))
    _table_below(_top(), _index(DEVICE_BASE, 4))
    cpu.write_cr3(root)
    physical.see_all()


def load() -> None:
    """Take the kernel's page tables into use on this CPU."""
    cpu.write_cr3(root)


def kernel_space() -> tuple[VirtAddr, u64]:
    """The range (base, bytes) of addresses in which pmap_enter() may map; empty at first."""
    return VirtAddr(SPACE_BASE), SPACE_BYTES


def pmap_enter(va: VirtAddr, pa: PhysAddr, prot: Prot) -> bool:
    """Map one page of kernel_space().  No TLB needs to be told: it was not mapped before.

    Context  any; the caller serializes calls for one 2 MiB range.
    Returns  False where no memory was to be had for a page table (page_table_alloc()).
    """
    at = bits_of(va)
    assert SPACE_BASE <= at < SPACE_BASE + SPACE_BYTES
    assert not (Prot.WRITE in prot and Prot.EXECUTE in prot)                           # V1
    return _enter(at, _leaf(bits_of(pa), Prot.WRITE in prot, Prot.EXECUTE in prot,
                            Prot.UNCACHED in prot))


def pmap_remove(va: VirtAddr) -> PhysAddr:
    """Unmap one page.  Other CPUs may still have it in their TLB: see pmap_invalidate().

    Returns  what was mapped there; 0 if nothing was.
    """
    at = bits_of(va)
    assert SPACE_BASE <= at < SPACE_BASE + SPACE_BYTES
    table = _top()
    level: u64 = LEVELS
    while level > 1:
        entry = from_bits(Pte, table[_index(at, level)])
        if not entry.P:
            return PhysAddr(0)
        table = _table(u64(entry.FRAME) << FRAME_SHIFT)
        level -= 1
    old = from_bits(Pte, table[_index(at, 1)])
    if not old.P:
        return PhysAddr(0)
    table[_index(at, 1)] = 0
    cpu.invlpg(va)
    return PhysAddr(u64(old.FRAME) << FRAME_SHIFT)


def pmap_extract(va: VirtAddr) -> PhysAddr:
    """The physical address of any kernel address; 0 where nothing is mapped."""
    entry, size = _walk(root, bits_of(va))
    if not entry.P:
        return PhysAddr(0)
    return PhysAddr((u64(entry.FRAME) << FRAME_SHIFT) + bits_of(va) % size)


def pmap_invalidate(va: VirtAddr, pages: u64) -> None:
    """Drop `pages` pages from `va` on from this CPU's TLB."""
    for i in range(pages):
        cpu.invlpg(va + i * PAGE_SIZE)


def copy_probe(address: VirtAddr, to: Slice[u8]) -> bool:
    """Copy memory that may not be mapped; False if some of it is not.  For the debugger."""
    done: u64 = 0
    top = cpu.read_cr3() // PAGE_SIZE * PAGE_SIZE
    while done < len(to):
        at = bits_of(address)
        if u64.MAX - at < done or not _canonical(at + done):
            return False
        at += done
        entry, size = _walk(top, at)
        if not entry.P:
            return False
        if entry.US:             # SMAP: a program's page is read by its physical address
            at = physical.PHYS_BASE + (u64(entry.FRAME) << FRAME_SHIFT) + at % size
            entry, _ = _walk(root, at)
            if not entry.P:
                return False
        part = min(len(to) - done, PAGE_SIZE - at % PAGE_SIZE)
        # safe: the page is mapped, and stays so: whoever could unmap it is stopped or is us.
        memcpy(cast(MPtr[u8], ref(to[done])), cast(MPtr[u8], pointer_at(u8, VirtAddr(at))), part)
        done += part
    return True


def map_device(pa: PhysAddr, size: u64) -> VirtAddr:
    """Map a device's registers, uncached, for good.  Boot CPU, before memory_regions()."""
    return _map_for_good(pa, size, True, True)


def map_late(pa: PhysAddr, size: u64) -> VirtAddr:
    """map_device() at any time, by whoever serializes such calls; 0 if there is no memory or no
    room for it."""
    if size > DEVICE_BASE + DEVICE_BYTES - device_next - 2 * PAGE_SIZE:
        return VirtAddr(0)
    first = device_next // PAGE_SIZE
    for i in range((size + PAGE_SIZE - 1) // PAGE_SIZE):
        if not _enter((first + i) * PAGE_SIZE, _leaf(bits_of(pa) + i * PAGE_SIZE, True, False,
                                                     True)):
            return VirtAddr(0)          # what is mapped stays so: the next try maps it again
    return _advance(size)


@implements(acpi.see)
def see(pa: PhysAddr, size: u64) -> Slice[u8]:
    """Firmware's memory, mapped for good if the physical map does not show it."""
    at = bits_of(pa)
    if at >= physical.PHYS_LIMIT or size > physical.PHYS_LIMIT - at:
        return b""
    page = at // PAGE_SIZE * PAGE_SIZE
    shown = True
    while page < at + size:
        entry, _ = _walk(root, physical.PHYS_BASE + page)
        if not entry.P:
            shown = False
        page += PAGE_SIZE
    va = physical.phys_to_virt(pa)
    if not shown:
        if size > DEVICE_BASE + DEVICE_BYTES - device_next - 2 * PAGE_SIZE:
            return b""
        va = _map_for_good(pa, size, False, False)
    # safe: mapped, all of it, as was just seen to.
    return make_slice(pointer_at(u8, va), size)


def _map_for_good(pa: PhysAddr, size: u64, writable: bool, uncached: bool) -> VirtAddr:
    global device_next
    first = bits_of(pa) // PAGE_SIZE * PAGE_SIZE
    end = bits_of(pa) + size
    start = device_next
    while first < end:
        assert device_next < DEVICE_BASE + DEVICE_BYTES and _enter(
            device_next, _leaf(first, writable, False, uncached)), "no room for a device"
        device_next += PAGE_SIZE
        first += PAGE_SIZE
    return VirtAddr(start + bits_of(pa) % PAGE_SIZE)


def _advance(size: u64) -> VirtAddr:
    global device_next
    start = device_next
    device_next += (size + PAGE_SIZE - 1) // PAGE_SIZE * PAGE_SIZE
    return VirtAddr(start)


def _map_physical() -> None:
    """Show memory at PHYS_BASE: what is usable, and what firmware's tables lie in."""
    text = bits_of(symbol_address("__boot_start"))
    data = bits_of(symbol_address("__data_start")) - KERNEL_BASE
    _show(0, PAGE_2MB)                       # the BIOS area, with the RSDP
    done = PAGE_2MB
    for i in range(physical.memory.count):
        region = ref(physical.memory.at[i])
        if region.kind in (MemoryKind.USABLE, MemoryKind.ACPI, MemoryKind.NVS):
            first = max(done, bits_of(region.base) // PAGE_2MB * PAGE_2MB)
            end = (bits_of(region.base) + region.size + PAGE_2MB - 1) // PAGE_2MB * PAGE_2MB
            _show(first, end)
            done = max(done, end)
    page = text
    while page < data:                       # the image's alias: small pages, read-only
        _enter(physical.PHYS_BASE + page, _leaf(page, False, False, False))
        page += PAGE_SIZE


def _show(first: u64, end: u64) -> None:
    """Map [first, end) at PHYS_BASE, in pages as large as can be."""
    at = first
    image_end = bits_of(symbol_address("__kernel_end")) - KERNEL_BASE
    while at < end:
        if at < image_end:                   # its text gets an alias of its own
            for i in range(TABLE_ENTRIES):
                _enter(physical.PHYS_BASE + at + i * PAGE_SIZE,
                       _leaf(at + i * PAGE_SIZE, True, False, False))
            at += PAGE_2MB
        elif features.page_1gb and at % PAGE_1GB == 0 and at + PAGE_1GB <= end:
            _enter_large(at, 3)
            at += PAGE_1GB
        else:
            _enter_large(at, 2)
            at += PAGE_2MB


def _enter_large(pa: u64, level: u64) -> None:
    entry = _leaf(pa, True, False, False)
    entry.PS = True
    at = physical.PHYS_BASE + pa
    table = _top()
    above: u64 = LEVELS
    while above > level:
        table = _table(_table_below(table, _index(at, above)))
        above -= 1
    table[_index(at, level)] = bits_of(entry)


def _map_image() -> None:
    """Map the kernel where it is linked, each section with its own rights (V1)."""
    text = bits_of(symbol_address("__text_start"))
    rodata = bits_of(symbol_address("__rodata_start"))
    data = bits_of(symbol_address("__data_start"))
    end = bits_of(symbol_address("__kernel_end"))
    guard = bits_of(symbol_address("boot_stack_guard"))
    page = text
    while page < end:
        if page != guard:
            _enter(page, _leaf(page - KERNEL_BASE, page >= data, page < rodata, False))
        page += PAGE_SIZE


def _leaf(pa: u64, writable: bool, executable: bool, uncached: bool) -> Pte:
    """The entry for a page of the kernel."""
    entry = Pte(P=True, RW=writable, G=1, A=1, FRAME=pa >> FRAME_SHIFT)
    entry.D = 1 if writable else 0
    entry.XD = features.nx and not executable
    if uncached:
        entry.PCD = 1
        entry.PWT = 1
    return entry


def _enter(va: u64, entry: Pte) -> bool:
    """Make `entry` the one that maps the 4 KiB page at `va`; False if a table could not be had."""
    table = _top()
    level: u64 = LEVELS
    while level > 1:
        below = _table_below(table, _index(va, level))
        if below == 0:
            return False
        table = _table(below)
        level -= 1
    table[_index(va, 1)] = bits_of(entry)
    return True


def _table_below(table: MPtr[u64], index: u64) -> u64:
    """The physical address of the table in entry `index`, made if there is none (V3); 0 on lack
    of memory."""
    slot = cast(MPtr[Atomic[u64]], table + index)      # safe: an atomic is the number it holds
    old = from_bits(Pte, slot[0].load_acquire())
    if old.P:
        return u64(old.FRAME) << FRAME_SHIFT
    made = bits_of(_new_table())
    if made == 0:
        return 0
    entry = Pte(P=True, RW=True, FRAME=made >> FRAME_SHIFT)
    if slot[0].cas_acq_rel(0, bits_of(entry)):
        return made
    spare.store(made)            # another CPU was first; a spare already there is lost
    return u64(from_bits(Pte, slot[0].load_acquire()).FRAME) << FRAME_SHIFT


def _new_table() -> PhysAddr:
    """A zeroed page for a table, or 0."""
    kept = spare.swap(0)
    if kept != 0:
        return PhysAddr(kept)
    if not physical.handed_over:
        return physical.boot_alloc(PAGE_SIZE, PAGE_SIZE)
    return upcalls.page_table_alloc()


def _walk(top: u64, va: u64) -> tuple[Pte, u64]:
    """The entry that maps `va`, and the size of its page; one without P if there is none."""
    if not _canonical(va):
        return from_bits(Pte, 0), PAGE_SIZE
    table = _table(top)
    level: u64 = LEVELS
    user = True
    while True:
        entry = from_bits(Pte, table[_index(va, level)])
        user = user and entry.US
        if not entry.P:
            return entry, PAGE_SIZE
        if level == 1 or entry.PS:
            size = u64(1) << (3 + 9 * level)
            frame = u64(entry.FRAME) << FRAME_SHIFT
            entry.FRAME = frame // size * size >> FRAME_SHIFT      # bit 12 is PAT in large ones
            entry.US = user
            return entry, size
        table = _table(u64(entry.FRAME) << FRAME_SHIFT)
        level -= 1


@inline
def _canonical(va: u64) -> bool:
    return va < 1 << 47 or va >= u64.MAX - (1 << 47) + 1


@inline
def _top() -> MPtr[u64]:
    return _table(root)


@inline
def _table(pa: u64) -> MPtr[u64]:
    """The page table at `pa`."""
    # safe: table pages are ours, and shown in the physical map.
    return cast(MPtr[u64], pointer_at(u64, physical.phys_to_virt(PhysAddr(pa))))


@inline
def _index(va: u64, level: u64) -> u64:
    """Which entry of a table of `level` is for `va`; the top table is of level 4."""
    return va >> (3 + 9 * level) & (TABLE_ENTRIES - 1)
