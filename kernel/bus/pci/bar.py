# SPDX-License-Identifier: BSD-3-Clause
"""Base addresses: how large, where, and where to put those that firmware did not place.

Firmware places what is there at start.  A function that is plugged in later gets addresses in the
windows of the bridge above it, between its neighbours'.

Locking   the bus thread
Tests     tests/unit/bus/test_scan.py, tests/qemu/test_pci.py
Source    PCI Local Bus Specification 3.0, 6.2.5.1 "Address Maps"; PCI-to-PCI Bridge Architecture
          Specification 1.2, 3.2.5.8, 3.2.5.9
"""
from kpy import Ptr, bits_of, from_bits, ref, trunc, u8, u32, u64

from kernel.bus.pci import config, device, regs
from kernel.bus.pci.device import Bar, Device, Window

LIMIT_32: u64 = 1 << 32


def read_all(dev: Ptr[Device]) -> None:
    """Find the base addresses of a function and their sizes.  It decodes nothing meanwhile."""
    before = config.read16(dev.address, regs.COMMAND)
    quiet = from_bits(regs.Command, before)
    quiet.IO = 0
    quiet.MEMORY = 0
    config.write16(dev.address, regs.COMMAND, bits_of(quiet))
    limit: u32 = regs.BRIDGE_BARS if dev.layout == regs.LAYOUT_BRIDGE else regs.BARS
    index: u32 = 0
    while index < limit:
        index += _read(dev, index, limit)
    config.write16(dev.address, regs.COMMAND, before)


def read_windows(dev: Ptr[Device]) -> None:
    """What a bridge passes on."""
    base = u64(config.read16(dev.address, regs.MEMORY_BASE) & regs.WINDOW_MASK)
    limit = u64(config.read16(dev.address, regs.MEMORY_LIMIT) & regs.WINDOW_MASK)
    _set(dev.memory, base << regs.WINDOW_SHIFT, limit << regs.WINDOW_SHIFT)
    low = config.read16(dev.address, regs.PREFETCHABLE_BASE)
    base = u64(low & regs.WINDOW_MASK) << regs.WINDOW_SHIFT
    limit = u64(config.read16(dev.address, regs.PREFETCHABLE_LIMIT) & regs.WINDOW_MASK)
    limit <<= regs.WINDOW_SHIFT
    if low & regs.WINDOW_64 != 0:
        base |= u64(config.read32(dev.address, regs.PREFETCHABLE_BASE_UPPER)) << 32
        limit |= u64(config.read32(dev.address, regs.PREFETCHABLE_LIMIT_UPPER)) << 32
    _set(dev.prefetchable, base, limit)


def place_all(dev: Ptr[Device]) -> bool:
    """Give addresses to base addresses that have none; False if one cannot be placed."""
    placed = True
    for index in range(regs.BARS):
        bar = ref(dev.bars[index])
        if bar.size == 0 or bar.io or _inside(dev, bar):
            continue
        bar.base = _place(dev, bar)
        if bar.base == 0:
            placed = False
            continue
        offset = regs.BAR0 + 4 * u32(index)
        config.write32(dev.address, offset, trunc(u32, bar.base))
        if bar.wide:
            config.write32(dev.address, offset + 4, u32(bar.base >> 32))
    return placed


def _read(dev: Ptr[Device], index: u32, limit: u32) -> u32:
    """Read one base address; how many registers it took."""
    offset = regs.BAR0 + 4 * index
    low = config.read32(dev.address, offset)
    kind = from_bits(regs.Bar, low)
    bar = ref(dev.bars[index])
    bar.io = kind.IO
    mask = u64(_probe(dev, offset, low))
    if kind.IO:
        bar.base = low & regs.BAR_IO_MASK
        mask &= regs.BAR_IO_MASK
        bar.size = (~mask & 0xFFFF) + 1 if mask != 0 else 0
        return 1
    bar.prefetchable = kind.PREFETCHABLE
    bar.base = low & regs.BAR_MEMORY_MASK
    mask &= regs.BAR_MEMORY_MASK
    if kind.TYPE != regs.BAR_TYPE_64 or index + 1 == limit:
        bar.size = (~mask & u32.MAX) + 1 if mask != 0 else 0
        return 1
    bar.wide = True
    high = config.read32(dev.address, offset + 4)
    bar.base |= u64(high) << 32
    mask |= u64(_probe(dev, offset + 4, high)) << 32
    bar.size = ~mask + 1 if mask != 0 else 0
    return 2


def _probe(dev: Ptr[Device], offset: u32, keep: u32) -> u32:
    """Which bits of a register can be set."""
    config.write32(dev.address, offset, u32.MAX)
    mask = config.read32(dev.address, offset)
    config.write32(dev.address, offset, keep)
    return mask


def _set(window: Ptr[Window], base: u64, limit: u64) -> None:
    """A window from its registers; a limit below the base means that it is closed."""
    window.base = base
    window.size = limit + regs.WINDOW_BYTES - base if limit >= base and base != 0 else 0


def _inside(dev: Ptr[Device], bar: Ptr[Bar]) -> bool:
    """Whether it has an address, and one that the bridge above passes on."""
    if bar.base == 0:
        return False
    parent = dev.parent
    if parent is None:
        return True
    return _holds(parent.memory, bar.base, bar.size) or _holds(parent.prefetchable, bar.base,
                                                              bar.size)


def _holds(window: Ptr[Window], base: u64, size: u64) -> bool:
    return (window.size != 0 and base >= window.base and size <= window.size
            and base - window.base <= window.size - size)


def _place(dev: Ptr[Device], bar: Ptr[Bar]) -> u64:
    """A free place in a window of the bridge above; 0 if there is none."""
    parent = dev.parent
    if parent is None:
        return 0
    found: u64 = 0
    if bar.prefetchable:
        found = _first_fit(dev, parent.prefetchable, bar)
    return found if found != 0 else _first_fit(dev, parent.memory, bar)


def _first_fit(dev: Ptr[Device], window: Ptr[Window], bar: Ptr[Bar]) -> u64:
    if bar.size > window.size:
        return 0
    at = (window.base + bar.size - 1) & ~(bar.size - 1)
    while _holds(window, at, bar.size):
        if not bar.wide and at + bar.size > LIMIT_32:
            return 0
        taken = _taken_until(dev, at, bar.size)
        if taken == 0:
            return at
        at = (taken + bar.size - 1) & ~(bar.size - 1)
    return 0


def _taken_until(dev: Ptr[Device], at: u64, size: u64) -> u64:
    """The end of what lies in [at, at + size) on the bus of `dev` already; 0 if nothing does."""
    for other in device.devices:
        if other.parent is not dev.parent:
            continue
        if other.layout == regs.LAYOUT_BRIDGE:
            if _meet(other.memory.base, other.memory.size, at, size):
                return other.memory.base + other.memory.size
            if _meet(other.prefetchable.base, other.prefetchable.size, at, size):
                return other.prefetchable.base + other.prefetchable.size
        end = _bars_until(other, at, size)
        if end != 0:
            return end
    return _bars_until(dev, at, size)


def _bars_until(other: Ptr[Device], at: u64, size: u64) -> u64:
    for bar in other.bars:
        if not bar.io and bar.base != 0 and _meet(bar.base, bar.size, at, size):
            return bar.base + bar.size
    return 0


def _meet(base: u64, size: u64, at: u64, other: u64) -> bool:
    return size != 0 and base < at + other and at < base + size


def command(dev: Ptr[Device], io: bool, memory: bool, master: bool) -> None:
    """Let a function decode its addresses and reach memory by itself, or not."""
    value = from_bits(regs.Command, config.read16(dev.address, regs.COMMAND))
    value.IO = u8(io)
    value.MEMORY = u8(memory)
    value.MASTER = u8(master)
    value.INTX_DISABLE = 1
    config.write16(dev.address, regs.COMMAND, bits_of(value))
