# SPDX-License-Identifier: BSD-3-Clause
"""Finding functions: root buses, the buses below bridges, devices of several functions.

Firmware has numbered the buses.  Those that no bridge leads to are root buses: 0, and more where a
machine has several host bridges, which no register tells; so each bus of a window that was not
reached through a bridge is looked at.

Locking   the bus thread; [t] of device.py while `devices` changes
Tests     tests/unit/bus/test_scan.py, tests/qemu/test_pci.py
Limits    a bridge that is plugged in while the machine runs gets no bus numbers: what is below it
          is not seen
"""
from kpy import Errno, Ptr, from_bits, kprintf, throws, u8, u16, u32

from kernel import machine
from kernel.bus.pci import bar, config, device, regs
from kernel.bus.pci.device import M_DEVICE, Device
from kernel.lib.errno import ENOMEM
from kernel.machine.types import PciAddress
from kernel.mem import slab
from kernel.mem.flags import NOWAIT


@throws
def everything() -> None:
    """Find all functions of all windows.

    Errors   ENOMEM.
    """
    index: u32 = 0
    while True:
        segment, first, last = machine.pci_window(index)
        if first > last:
            return
        bus = first
        while bus <= last:
            if not _reached(segment, bus):
                _bus(segment, bus, None)
                _below_new_bridges()
            bus += 1
        index += 1


@throws
def below(bridge: Ptr[Device]) -> None:
    """Find the functions on the bus below a bridge that are not known yet.

    Errors   ENOMEM.
    """
    if bridge.secondary != 0:
        _bus(u32(bridge.address.SEGMENT), bridge.secondary, bridge)


def forget(dev: Ptr[Device]) -> None:
    """A function has gone, and has no driver any more."""
    with device.tree:
        device.devices.remove(dev)
    slab.kfree(dev, M_DEVICE)


def is_below(dev: Ptr[Device], bridge: Ptr[Device]) -> bool:
    """Whether `dev` is reached through `bridge`."""
    bus = u32(dev.address.BUS)
    return (dev.address.SEGMENT == bridge.address.SEGMENT and bridge.secondary != 0
            and bridge.secondary <= bus <= bridge.subordinate)


def _reached(segment: u32, bus: u32) -> bool:
    """Whether a bridge that we know leads to a bus."""
    for dev in device.devices:
        if (segment == dev.address.SEGMENT and dev.secondary != 0
                and dev.secondary <= bus <= dev.subordinate):
            return True
    return False


@throws
def _below_new_bridges() -> None:
    """Look below each bridge, also those that are found on the way."""
    dev = device.devices.first
    while dev is not None:
        if dev.secondary != 0 and not dev.scanned:
            dev.scanned = True
            below(dev)
        dev = dev.link.next


@throws
def _bus(segment: u32, bus: u32, parent: Ptr[Device] | None) -> None:
    for number in range(regs.DEVICES):
        at = PciAddress(SEGMENT=u16(segment), BUS=u8(bus), DEVICE=u8(number))
        if not config.answers(at):
            continue
        _function(at, parent)
        kind = from_bits(regs.HeaderType, u16(config.read8(at, regs.HEADER_TYPE)))
        if kind.MULTI_FUNCTION:
            for function in range(1, regs.FUNCTIONS):
                at.FUNCTION = u8(function)
                if config.answers(at):
                    _function(at, parent)


@throws
def _function(at: PciAddress, parent: Ptr[Device] | None) -> None:
    """Make a function known, unless it is."""
    for known in device.devices:
        if known.address == at:
            return
    dev = slab.new(Device, M_DEVICE, NOWAIT)
    if dev is None:
        raise Errno(ENOMEM)
    dev.address = at
    dev.parent = parent
    _identify(dev)
    if dev.layout == regs.LAYOUT_DEVICE or dev.layout == regs.LAYOUT_BRIDGE:
        bar.read_all(dev)
        if not bar.place_all(dev):
            kprintf(f"pci: {dev.vendor:04x}:{dev.device:04x}: no room for a base address\n")
    with device.tree:
        device.devices.push_back(dev)


def _identify(dev: Ptr[Device]) -> None:
    at = dev.address
    dev.vendor = config.read16(at, regs.VENDOR_ID)
    dev.device = config.read16(at, regs.DEVICE_ID)
    word = config.read32(at, regs.REVISION_ID)
    dev.class_code = word >> regs.CLASS_SHIFT
    dev.revision = word & 0xFF
    kind = from_bits(regs.HeaderType, u16(config.read8(at, regs.HEADER_TYPE)))
    dev.layout = kind.LAYOUT
    status = from_bits(regs.Status, config.read16(at, regs.STATUS))
    if status.CAPABILITIES:
        dev.cap_pcie = config.capability(at, regs.CAP_ID_PCIE)
        dev.cap_msi = config.capability(at, regs.CAP_ID_MSI)
        dev.cap_msix = config.capability(at, regs.CAP_ID_MSIX)
    if dev.layout == regs.LAYOUT_DEVICE:
        dev.subsystem_vendor = config.read16(at, regs.SUBSYSTEM_VENDOR_ID)
        dev.subsystem = config.read16(at, regs.SUBSYSTEM_ID)
    elif dev.layout == regs.LAYOUT_BRIDGE:
        dev.secondary = config.read8(at, regs.SECONDARY_BUS)
        dev.subordinate = config.read8(at, regs.SUBORDINATE_BUS)
        if dev.secondary <= at.BUS or dev.subordinate < dev.secondary:
            dev.secondary = 0               # not numbered, or nonsense: a bridge to nowhere
        bar.read_windows(dev)
