# SPDX-License-Identifier: BSD-3-Clause
"""MSI and MSI-X: telling a function which message to send where.

MSI-X functions have a table with an address and a datum for each of their messages, so each may go
to a CPU of its own.  With plain MSI we use one message; where a function has neither it has no
interrupts for us.

Locking   the bus thread
Tests     tests/qemu/test_pci.py
Limits    no INTx: which input of which I/O APIC a pin reaches is told only by AML
Source    PCI Local Bus Specification 3.0, 6.8
"""
from typing import Final

from kpy import (
    Errno,
    Mmio,
    PhysAddr,
    Ptr,
    VirtAddr,
    bits_of,
    cast,
    from_bits,
    pointer_at,
    ref,
    throws,
    trunc,
    u16,
    u32,
    u64,
)

from kernel import machine
from kernel.bus.msi import Line
from kernel.bus.pci import config, regs
from kernel.bus.pci.device import Device
from kernel.lib.errno import EINVAL, ENOMEM, ENXIO
from kernel.mem import kva

UNSAFE: Final = True     # the table is mapped by address


def count(dev: Ptr[Device]) -> u32:
    """The messages that a function can send."""
    if dev.cap_msix != 0:
        return u32(_msix_control(dev).TABLE_SIZE) + 1
    return 1 if dev.cap_msi != 0 else 0


@throws
def send_to(dev: Ptr[Device], number: u32, line: Ptr[Line]) -> None:
    """Have message `number` arrive at `line`.

    Errors   EINVAL no such message, ENXIO its table is nowhere, ENOMEM.
    """
    if number >= count(dev):
        raise Errno(EINVAL)
    address, datum = machine.intr_message(line.cpu, line.vector)
    line.message = number
    if dev.cap_msix == 0:
        _set_msi(dev, address, datum)
        return
    if dev.msix_table == 0:
        _map_table(dev)
    table = _table(dev)
    table.CONTROL[number] = regs.MSIX_MASKED
    table.ADDRESS[number] = trunc(u32, address)
    table.ADDRESS_UPPER[number] = u32(address >> 32)
    table.DATA[number] = datum
    table.CONTROL[number] = 0


def mask(dev: Ptr[Device], number: u32) -> None:
    """Have message `number` not sent any more."""
    if dev.msix_table != 0:
        _table(dev).CONTROL[number] = regs.MSIX_MASKED
    elif dev.cap_msi != 0:
        config.write16(dev.address, dev.cap_msi + regs.MSI_CONTROL,
                       bits_of(regs.MsiControl(ENABLE=0)))


def unmap(dev: Ptr[Device]) -> None:
    """No messages any more, and no table mapped."""
    if dev.cap_msix != 0:
        config.write16(dev.address, dev.cap_msix + regs.MSIX_CONTROL,
                       bits_of(regs.MsixControl(ENABLE=0)))
    if dev.msix_table != 0:
        kva.unmap_device(dev.msix_table, u64(dev.msix_messages) * regs.MSIX_ENTRY_BYTES)
        dev.msix_table = 0


def _set_msi(dev: Ptr[Device], address: u64, datum: u32) -> None:
    control = from_bits(regs.MsiControl, config.read16(dev.address, dev.cap_msi + regs.MSI_CONTROL))
    config.write32(dev.address, dev.cap_msi + regs.MSI_ADDRESS, trunc(u32, address))
    if control.WIDE:
        config.write32(dev.address, dev.cap_msi + regs.MSI_ADDRESS_UPPER, u32(address >> 32))
        config.write16(dev.address, dev.cap_msi + regs.MSI_DATA_64, u16(datum))
    else:
        config.write16(dev.address, dev.cap_msi + regs.MSI_DATA_32, u16(datum))
    config.write16(dev.address, dev.cap_msi + regs.MSI_CONTROL, bits_of(regs.MsiControl(ENABLE=1)))


@throws
def _map_table(dev: Ptr[Device]) -> None:
    """Map the MSI-X table, all messages masked, and switch MSI-X on."""
    place = from_bits(regs.MsixTable, config.read32(dev.address, dev.cap_msix + regs.MSIX_TABLE))
    messages = count(dev)
    size = u64(messages) * regs.MSIX_ENTRY_BYTES
    if place.BIR >= regs.BARS:
        raise Errno(ENXIO)
    bar = ref(dev.bars[u32(place.BIR)])
    at = u64(place.OFFSET) << regs.MSIX_OFFSET_SHIFT
    if bar.io or bar.base == 0 or at + size > bar.size:
        raise Errno(ENXIO)
    dev.msix_table = kva.map_device(PhysAddr(bar.base + at), size)
    if dev.msix_table == 0:
        raise Errno(ENOMEM)
    dev.msix_messages = messages
    table = _table(dev)
    for i in range(messages):
        table.CONTROL[i] = regs.MSIX_MASKED
    config.write16(dev.address, dev.cap_msix + regs.MSIX_CONTROL,
                   bits_of(regs.MsixControl(ENABLE=1)))


def _msix_control(dev: Ptr[Device]) -> regs.MsixControl:
    return from_bits(regs.MsixControl, config.read16(dev.address, dev.cap_msix + regs.MSIX_CONTROL))


def _table(dev: Ptr[Device]) -> Mmio[regs.MsixEntries]:
    # safe: _map_table() mapped it
    return cast(Mmio[regs.MsixEntries], pointer_at(u32, VirtAddr(dev.msix_table)))
