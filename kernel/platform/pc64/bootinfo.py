# SPDX-License-Identifier: BSD-3-Clause
"""What the loader told: the memory map, the command line, where the ACPI tables are.

It lies anywhere in the first 4 GiB, also in memory that the map calls usable, so it is read and
copied before anything is allocated.  Nothing in it is trusted further than that: an address or
length that leads beyond 4 GiB is as if it were not there.

Tests     tests/qemu/test_machine.py
Source    Multiboot Specification 0.6.96, 3.3 "Boot information format";
          Xen public/arch-x86/hvm/start_info.h (PVH), "hvm_start_info"
"""
from typing import Final

from kpy import (
    Array,
    PhysAddr,
    Ptr,
    Slice,
    VirtAddr,
    make_slice,
    panic,
    pointer_at,
    u8,
    u32,
    u64,
)

from kernel.platform.pc64 import physical, regs

UNSAFE: Final = True     # the loader hands over addresses
COMMAND_LINE_BYTES: Final = 2048
NAME_BYTES: Final = 64
SPACE: Final = 32
RESERVED: Final[u32] = 2

line: Array[u8, COMMAND_LINE_BYTES]
line_length: u64 = 0
rsdp: u64 = 0            # physical address of the RSDP; 0 if the loader does not know it


def command_line() -> Slice[u8]:
    """What the loader passed."""
    return line[:line_length]


def read(magic: u32, info: u64) -> None:
    """Note what is in the loader's block at `info`.

    Panics   `magic` is of no loader that we know, or there is no memory map.
    """
    if not _reachable(info, 128):
        panic(f"the loader's information is at {info:#x}: beyond 4 GiB")
    match magic:
        case regs.MULTIBOOT_MAGIC:
            _multiboot(pointer_at(regs.MultibootInfo, _see(info)))
        case regs.PVH_MAGIC:
            _pvh(pointer_at(regs.PvhInfo, _see(info)))
        case _:
            panic(f"started by a loader that speaks neither multiboot nor PVH ({magic:#x}); "
                  f"use QEMU's -kernel, or GRUB")
    physical.settle()
    if physical.free.count == 0:
        panic("the loader's memory map has no usable memory in it; check the firmware, or QEMU's "
              "-m")


def _multiboot(info: Ptr[regs.MultibootInfo]) -> None:
    if info.flags.MMAP:
        at: u64 = info.mmap_addr
        end = at + info.mmap_length
        while (at + 24 <= end and _reachable(at, 24)
               and physical.raw_count < physical.MAX_RAW):
            entry = pointer_at(regs.MultibootMmap, _see(at))
            physical.add(entry.addr, entry.len, entry.type)
            at += u64(entry.size) + 4        # `size` does not count itself
    elif info.flags.MEM:
        physical.add(0, u64(info.mem_lower) * 1024, 1)
        physical.add(physical.LOW_MEMORY_END, u64(info.mem_upper) * 1024, 1)
    if info.flags.MODS:
        for i in range(min(info.mods_count, physical.MAX_RAW)):
            at = u64(info.mods_addr) + i * 16
            if _reachable(at, 16):
                module = pointer_at(regs.MultibootModule, _see(at))
                physical.add(module.mod_start, u64(max(module.mod_end, module.mod_start))
                             - module.mod_start, RESERVED)
    if info.flags.CMDLINE:
        _copy_line(info.cmdline)
        if info.flags.LOADER and _text(info.boot_loader_name) == b"qemu":
            _drop_word()                     # QEMU puts the image's name before -append


def _pvh(info: Ptr[regs.PvhInfo]) -> None:
    global rsdp
    if info.version >= 1:
        for i in range(min(info.memmap_entries, physical.MAX_RAW)):
            at = info.memmap_paddr + i * 24
            if not _reachable(at, 24):
                break
            entry = pointer_at(regs.PvhMmap, _see(at))
            physical.add(entry.addr, entry.size, entry.type)
    for i in range(min(info.nr_modules, physical.MAX_RAW)):
        at = info.modlist_paddr + i * 32
        if not _reachable(at, 32):
            break
        module = pointer_at(regs.PvhModule, _see(at))
        physical.add(module.paddr, module.size, RESERVED)
    _copy_line(info.cmdline_paddr)
    rsdp = info.rsdp_paddr


def _copy_line(pa: u64) -> None:
    """Keep the command line at `pa`, a text that ends with a zero byte."""
    global line_length
    line_length = 0
    if pa == 0 or not _reachable(pa, COMMAND_LINE_BYTES):
        return
    text = make_slice(pointer_at(u8, _see(pa)), COMMAND_LINE_BYTES)
    for byte in text:
        if byte == 0:
            break
        line[line_length] = byte
        line_length += 1


def _drop_word() -> None:
    global line_length
    start: u64 = 0
    while start < line_length and line[start] != SPACE:
        start += 1
    while start < line_length and line[start] == SPACE:
        start += 1
    for i in range(start, line_length):
        line[i - start] = line[i]
    line_length -= start


def _text(pa: u64) -> Slice[u8]:
    """The text at `pa`, at most NAME_BYTES of it."""
    if pa == 0 or not _reachable(pa, NAME_BYTES):
        return b""
    text = make_slice(pointer_at(u8, _see(pa)), NAME_BYTES)
    for i in range(NAME_BYTES):
        if text[i] == 0:
            return text[:i]
    return text


def _reachable(pa: u64, size: u64) -> bool:
    """Whether the first page tables show [pa, pa + size)."""
    return pa < physical.BOOT_TABLES_LIMIT and size <= physical.BOOT_TABLES_LIMIT - pa


def _see(pa: u64) -> VirtAddr:
    """Where a physical address is seen."""
    # safe: callers have asked _reachable() for all that they look at.
    return physical.phys_to_virt(PhysAddr(pa))
