# SPDX-License-Identifier: BSD-3-Clause
"""Configuration space: reading, writing, and the lists of capabilities in it.

What is read is the device's to say, and may be nonsense: all ones once it is gone, lists that run
in circles.  Nothing here takes more than a bounded number of steps.

Tests     tests/unit/bus/test_scan.py
"""
from kpy import u16, u32

from kernel import machine
from kernel.bus.pci import regs
from kernel.machine.types import PciAddress


def read8(at: PciAddress, offset: u32) -> u32:
    """A byte; 0xFF where nothing answers."""
    return machine.pci_read(at, offset, 1)


def read16(at: PciAddress, offset: u32) -> u16:
    """Two bytes."""
    return u16(machine.pci_read(at, offset, 2))


def read32(at: PciAddress, offset: u32) -> u32:
    """Four bytes."""
    return machine.pci_read(at, offset, 4)


def write16(at: PciAddress, offset: u32, value: u16) -> None:
    machine.pci_write(at, offset, 2, value)


def write32(at: PciAddress, offset: u32, value: u32) -> None:
    machine.pci_write(at, offset, 4, value)


def answers(at: PciAddress) -> bool:
    """Whether there is a function, still or again."""
    return read16(at, regs.VENDOR_ID) != regs.NO_VENDOR


def capability(at: PciAddress, wanted: u32) -> u32:
    """Where a capability is; 0 if the function has none of that kind."""
    offset = read8(at, regs.CAPABILITIES_POINTER) & regs.CAP_POINTER_MASK
    for _ in range(regs.CAP_MAX):
        if offset < regs.CAP_FIRST:
            return 0
        if read8(at, offset + regs.CAP_ID) == wanted:
            return offset
        offset = read8(at, offset + regs.CAP_NEXT) & regs.CAP_POINTER_MASK
    return 0
