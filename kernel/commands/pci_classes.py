# SPDX-License-Identifier: BSD-3-Clause
"""What lspci calls a class of PCI functions.

Source    PCI Code and ID Assignment Specification 1.11, 1 "Class Codes"
"""
from typing import Final

from kpy import Array, Str, struct, u32


@struct
class PciClass:
    code: u32           # base class and subclass
    name: Str


CLASSES: Final[Array[PciClass, 33]] = [
    PciClass(code=0x0001, name="VGA compatible device, old"),
    PciClass(code=0x0100, name="SCSI controller"),
    PciClass(code=0x0101, name="IDE controller"),
    PciClass(code=0x0104, name="RAID controller"),
    PciClass(code=0x0105, name="ATA controller"),
    PciClass(code=0x0106, name="SATA controller"),
    PciClass(code=0x0107, name="SAS controller"),
    PciClass(code=0x0108, name="NVM controller"),
    PciClass(code=0x0200, name="Ethernet controller"),
    PciClass(code=0x0280, name="Network controller"),
    PciClass(code=0x0300, name="VGA compatible controller"),
    PciClass(code=0x0302, name="3D controller"),
    PciClass(code=0x0380, name="Display controller"),
    PciClass(code=0x0400, name="Video device"),
    PciClass(code=0x0401, name="Audio device"),
    PciClass(code=0x0403, name="HD Audio device"),
    PciClass(code=0x0500, name="RAM"),
    PciClass(code=0x0600, name="Host bridge"),
    PciClass(code=0x0601, name="ISA bridge"),
    PciClass(code=0x0604, name="PCI bridge"),
    PciClass(code=0x0680, name="Bridge"),
    PciClass(code=0x0700, name="Serial controller"),
    PciClass(code=0x0780, name="Communication controller"),
    PciClass(code=0x0800, name="Interrupt controller"),
    PciClass(code=0x0801, name="DMA controller"),
    PciClass(code=0x0802, name="Timer"),
    PciClass(code=0x0806, name="IOMMU"),
    PciClass(code=0x0880, name="System peripheral"),
    PciClass(code=0x0900, name="Keyboard controller"),
    PciClass(code=0x0C03, name="USB controller"),
    PciClass(code=0x0C05, name="SMBus"),
    PciClass(code=0x1200, name="Processing accelerator"),
    PciClass(code=0x00FF, name="Unclassified device"),
]


def name_of(code: u32) -> Str:
    """By base class and subclass."""
    for known in CLASSES:
        if known.code == code:
            return known.name
    return "Device"
