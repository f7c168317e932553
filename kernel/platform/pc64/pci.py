# SPDX-License-Identifier: BSD-3-Clause
"""The configuration space of PCI devices, by the ways a PC has to it.

    ECAM       a window of memory for a range of buses, 4 KiB a function (the firmware's MCFG)
    ports      mechanism #1: an address, then a datum; segment 0, the first 256 bytes only

A bus that lies in a window is mapped when it is first written to, or asked for what the ports do
not reach; until then it is merely probed, by ports, so a window of 256 buses that are mostly empty
costs no page tables.

Invariants
  P1  mapped[w][b] is 0, or where bus b of window w is mapped, for good; set once.
Locking   window_lock: CONFIG_ADDRESS and CONFIG_DATA together; `mapped` is written under it [w]
Tests     tests/qemu/test_pci.py
Source    PCI Local Bus Specification 3.0, 3.2.2.3.2; PCI Express Base Specification 5.0, 7.2.2
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Mmio,
    PhysAddr,
    VirtAddr,
    bits_of,
    cast,
    pointer_at,
    ref,
    u8,
    u16,
    u32,
    u64,
)

from kernel.arch.x86_64 import port
from kernel.machine.types import PciAddress
from kernel.platform.pc64 import acpi, lock, pmap, regs

UNSAFE: Final = True     # windows are found by address
BUSES: Final = 256
BUS_BYTES: Final = 1 << 20
PORT_SPACE: Final = 256          # bytes of a function that mechanism #1 reaches
ECAM_SPACE: Final = 4096
NO_WINDOW: Final[u32] = 0xFFFF_FFFF

window_lock: lock.RegisterLock
mapped: Array[Array[Atomic[u64], BUSES], acpi.MAX_ECAMS]     # [w] P1


def pci_window(index: u32) -> tuple[u32, u32, u32]:
    """(segment, first bus, last bus) of a range of PCI buses that can be reached; first > last
    where there is none of this number.  They are numbered from 0 without a gap."""
    if index < acpi.tables.ecam_count:
        ecam = ref(acpi.tables.ecams[index])
        return ecam.segment, ecam.start_bus, ecam.end_bus
    if index == 0 and _has_ports():
        return 0, 0, BUSES - 1
    return 0, 1, 0


def pci_read(address: PciAddress, offset: u32, size: u32) -> u32:
    """Read `size` (1, 2 or 4) bytes of a function's configuration space, at an aligned offset.

    Context  any but an NMI.
    Returns  all ones where nothing answers, or the machine has no way to that register.
    """
    window = _window_of(address)
    if window == NO_WINDOW or (_by_port(address, offset) and _mapping(window, address) == 0):
        return _port_read(address, offset, size)
    at = _map_bus(window, address)
    if at == 0 or offset >= ECAM_SPACE:
        return u32.MAX >> (32 - 8 * size)
    function = _function(at, address)
    match size:
        case 1:
            return function.BYTE[offset]
        case 2:
            return function.WORD[offset >> 1]
        case _:
            return function.DWORD[offset >> 2]


def pci_write(address: PciAddress, offset: u32, size: u32, value: u32) -> None:
    """As pci_read(), the other way.  Nothing happens where nothing answers."""
    window = _window_of(address)
    if window == NO_WINDOW:
        _port_write(address, offset, size, value)
        return
    at = _map_bus(window, address)
    if at == 0 or offset >= ECAM_SPACE:
        return
    function = _function(at, address)
    match size:
        case 1:
            function.BYTE[offset] = u8(value)
        case 2:
            function.WORD[offset >> 1] = u16(value)
        case _:
            function.DWORD[offset >> 2] = value


def _window_of(address: PciAddress) -> u32:
    """The window in which a bus lies, or NO_WINDOW."""
    bus = u32(address.BUS)
    for i in range(acpi.tables.ecam_count):
        ecam = ref(acpi.tables.ecams[i])
        if ecam.segment == address.SEGMENT and ecam.start_bus <= bus <= ecam.end_bus:
            return i
    return NO_WINDOW


def _mapping(window: u32, address: PciAddress) -> u64:
    return mapped[window][u32(address.BUS)].load_acquire()


def _map_bus(window: u32, address: PciAddress) -> u64:
    """Where a bus is mapped; 0 if there is no memory or no room for it."""
    at = _mapping(window, address)
    if at != 0:
        return at
    with window_lock:
        at = _mapping(window, address)
        if at == 0:
            start = acpi.tables.ecams[window].base + (u64(address.BUS) << regs.ECAM_BUS_SHIFT)
            at = bits_of(pmap.map_late(PhysAddr(start), BUS_BYTES))
            mapped[window][u32(address.BUS)].store_release(at)
    return at


def _function(bus: u64, address: PciAddress) -> Mmio[regs.EcamFunction]:
    number = u64(address.DEVICE) << 3 | address.FUNCTION
    # safe: within the MiB that _map_bus() mapped
    return cast(Mmio[regs.EcamFunction],
                pointer_at(u32, VirtAddr(bus + (number << regs.ECAM_FUNCTION_SHIFT))))


def _by_port(address: PciAddress, offset: u32) -> bool:
    return address.SEGMENT == 0 and offset < PORT_SPACE


def _has_ports() -> bool:
    """Whether mechanism #1 answers: its address register keeps what it is given."""
    with window_lock:
        probe = bits_of(regs.ConfigAddress(ENABLE=1))
        port.outl(regs.CONFIG_ADDRESS, probe)
        return port.inl(regs.CONFIG_ADDRESS) == probe


def _select(address: PciAddress, offset: u32) -> u16:
    """Address a register; the port that its bytes are at."""
    word = regs.ConfigAddress(REGISTER=u8(offset >> 2), FUNCTION=address.FUNCTION,
                              DEVICE=address.DEVICE, BUS=address.BUS, ENABLE=1)
    port.outl(regs.CONFIG_ADDRESS, bits_of(word))
    return regs.CONFIG_DATA + u16(offset & 3)


def _port_read(address: PciAddress, offset: u32, size: u32) -> u32:
    if not _by_port(address, offset):
        return u32.MAX >> (32 - 8 * size)
    with window_lock:
        at = _select(address, offset)
        match size:
            case 1:
                return port.inb(at)
            case 2:
                return port.inw(at)
            case _:
                return port.inl(at)


def _port_write(address: PciAddress, offset: u32, size: u32, value: u32) -> None:
    if not _by_port(address, offset):
        return
    with window_lock:
        at = _select(address, offset)
        match size:
            case 1:
                port.outb(at, u8(value))
            case 2:
                port.outw(at, u16(value))
            case _:
                port.outl(at, value)
