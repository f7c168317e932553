# SPDX-License-Identifier: BSD-3-Clause
"""lspci: the functions of PCI devices that there are.

    00:02.0 NVM controller [0108]: 8086:5845 (rev 02) nvme
    bus:device.function, class, vendor:device, its driver; with -v base addresses and messages

Tests     tests/qemu/test_pci.py
"""
from typing import Final

from kpy import Ptr, kprintf, ref, table, u32

from kernel.bus.pci import device, message, regs
from kernel.bus.pci.device import Device
from kernel.commands import args, pci_classes

CLASS_SHIFT: Final = 8       # lspci shows base class and subclass
USAGE: Final[u32] = 2


@table("command", 100)
def lspci() -> None:
    """lspci [-v]"""
    verbose = args.rest == b"-v"
    if len(args.rest) != 0 and not verbose:
        kprintf("lspci [-v]\n")
        args.fail(USAGE)
        return
    with device.tree:
        for dev in device.devices:              # stable: printing does not block
            _line(dev)
            if verbose:
                _details(dev)


def _line(dev: Ptr[Device]) -> None:
    at = dev.address
    if at.SEGMENT != 0:
        kprintf(f"{at.SEGMENT:04x}:")
    kind = dev.class_code >> CLASS_SHIFT
    kprintf(f"{at.BUS:02x}:{at.DEVICE:02x}.{at.FUNCTION} {pci_classes.name_of(kind)} [{kind:04x}]: "
            f"{dev.vendor:04x}:{dev.device:04x} (rev {dev.revision:02x})")
    attached = dev.driver
    if attached is not None:
        kprintf(f" {attached.name}")
    kprintf("\n")


def _details(dev: Ptr[Device]) -> None:
    if dev.layout == regs.LAYOUT_DEVICE:
        kprintf(f"\tSubsystem: {dev.subsystem_vendor:04x}:{dev.subsystem:04x}\n")
    elif dev.layout == regs.LAYOUT_BRIDGE:
        kprintf(f"\tBus: secondary={dev.secondary:02x}, subordinate={dev.subordinate:02x}\n")
    for index in range(regs.BARS):
        bar = ref(dev.bars[index])
        if bar.size == 0:
            continue
        if bar.io:
            kprintf(f"\tRegion {index}: I/O ports at {bar.base:04x} [size={bar.size}]\n")
        else:
            width: u32 = 64 if bar.wide else 32
            kind = "prefetchable" if bar.prefetchable else "non-prefetchable"
            kprintf(f"\tRegion {index}: Memory at {bar.base:08x} ({width}-bit, {kind}) "
                    f"[size={bar.size:#x}]\n")
    if dev.cap_msix != 0:
        state = "+" if dev.msix_table != 0 else "-"
        kprintf(f"\tCapabilities: [{dev.cap_msix:02x}] MSI-X: Enable{state} "
                f"Count={message.count(dev)}\n")
    if dev.cap_msi != 0:
        kprintf(f"\tCapabilities: [{dev.cap_msi:02x}] MSI\n")
    if dev.cap_pcie != 0:
        kprintf(f"\tCapabilities: [{dev.cap_pcie:02x}] Express\n")
