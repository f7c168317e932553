# SPDX-License-Identifier: BSD-3-Clause
"""The configuration space of PCI and PCI Express functions.

Offsets are bytes from the start of the space, or of the capability where it says so.

Source    PCI Local Bus Specification 3.0 (PCI); PCI-to-PCI Bridge Architecture Specification 1.2
          (bridge); PCI Express Base Specification 5.0 (PCIe)
"""
from typing import Final

from kpy import RW, Bit, Bits, bits, regs, u16, u32

# --- PCI 6.1 "Configuration Space Organization" --------------------------------------------

VENDOR_ID: Final = 0x00
DEVICE_ID: Final = 0x02
COMMAND: Final = 0x04
STATUS: Final = 0x06
REVISION_ID: Final = 0x08         # one byte; above it the class code, three bytes
HEADER_TYPE: Final = 0x0E
BAR0: Final = 0x10
SUBSYSTEM_VENDOR_ID: Final = 0x2C
SUBSYSTEM_ID: Final = 0x2E
CAPABILITIES_POINTER: Final = 0x34

NO_VENDOR: Final[u32] = 0xFFFF    # 6.2.1 "Device Identification": nothing answers
DEVICES: Final = 32
FUNCTIONS: Final = 8
BARS: Final = 6                   # of a device; a bridge has two
BRIDGE_BARS: Final = 2
CLASS_SHIFT: Final = 8


@bits(u16)
class Command:
    """PCI 6.2.2 "Device Control"."""
    IO: Bit[0]
    MEMORY: Bit[1]
    MASTER: Bit[2]
    INTX_DISABLE: Bit[10]


@bits(u16)
class Status:
    """PCI 6.2.3 "Device Status"."""
    CAPABILITIES: Bit[4, bool]


@bits(u16)
class HeaderType:
    """PCI 6.2.1, "Header Type"; one byte."""
    LAYOUT: Bits[6, 0]
    MULTI_FUNCTION: Bit[7, bool]


LAYOUT_DEVICE: Final = 0
LAYOUT_BRIDGE: Final = 1


@bits(u32)
class Bar:
    """PCI 6.2.5.1 "Address Maps"."""
    IO: Bit[0, bool]
    TYPE: Bits[2, 1]              # of memory
    PREFETCHABLE: Bit[3, bool]    # of memory


BAR_TYPE_64: Final = 2
BAR_MEMORY_MASK: Final[u32] = 0xFFFF_FFF0
BAR_IO_MASK: Final[u32] = 0xFFFF_FFFC

# --- Bridge 3.2 "PCI-to-PCI Bridge Configuration Space Header Format" ----------------------

PRIMARY_BUS: Final = 0x18
SECONDARY_BUS: Final = 0x19
SUBORDINATE_BUS: Final = 0x1A
MEMORY_BASE: Final = 0x20         # 3.2.5.8: the upper 12 of 16 bits are bits 31-20 of an address
MEMORY_LIMIT: Final = 0x22
PREFETCHABLE_BASE: Final = 0x24   # 3.2.5.9: the same; bit 0 says that the upper 32 bits exist
PREFETCHABLE_LIMIT: Final = 0x26
PREFETCHABLE_BASE_UPPER: Final = 0x28
PREFETCHABLE_LIMIT_UPPER: Final = 0x2C
WINDOW_MASK: Final[u32] = 0xFFF0
WINDOW_SHIFT: Final = 16
WINDOW_BYTES: Final = 1 << 20
WINDOW_64: Final[u32] = 1

# --- PCI appendix D "Class Codes" ----------------------------------------------------------

CLASS_BRIDGE_HOST: Final[u32] = 0x06_00_00
CLASS_BRIDGE_PCI: Final[u32] = 0x06_04_00

# --- PCI 6.7 "Capabilities List", appendix H "Capability IDs" ------------------------------

CAP_ID: Final = 0
CAP_NEXT: Final = 1
CAP_POINTER_MASK: Final[u32] = 0xFC
CAP_FIRST: Final = 0x40
CAP_MAX: Final = 48               # as many as fit: a list that is longer runs in a circle
CAP_ID_MSI: Final = 0x05
CAP_ID_PCIE: Final = 0x10
CAP_ID_MSIX: Final = 0x11

# --- PCI 6.8.1 "MSI Capability Structure", offsets from it ---------------------------------

MSI_CONTROL: Final = 2
MSI_ADDRESS: Final = 4
MSI_ADDRESS_UPPER: Final = 8      # 64-bit capable only
MSI_DATA_32: Final = 8
MSI_DATA_64: Final = 12


@bits(u16)
class MsiControl:
    """PCI 6.8.1.3 "Message Control for MSI"."""
    ENABLE: Bit[0]
    MULTIPLE_CAPABLE: Bits[3, 1]  # the logarithm
    MULTIPLE_ENABLE: Bits[6, 4]
    WIDE: Bit[7, bool]            # 64-bit address capable


# --- PCI 6.8.2 "MSI-X Capability and Table Structures", offsets from it --------------------

MSIX_CONTROL: Final = 2
MSIX_TABLE: Final = 4


@bits(u16)
class MsixControl:
    """PCI 6.8.2.3 "Message Control for MSI-X"."""
    TABLE_SIZE: Bits[10, 0]       # less one
    FUNCTION_MASK: Bit[14]
    ENABLE: Bit[15]


@bits(u32)
class MsixTable:
    """PCI 6.8.2.4 "Table Offset/Table BIR for MSI-X"."""
    BIR: Bits[2, 0]
    OFFSET: Bits[31, 3]           # in 8 bytes


MSIX_OFFSET_SHIFT: Final = 3
MSIX_ENTRY_BYTES: Final = 16
MSIX_ENTRIES: Final = 2048


@regs(spec="PCI Local Bus Specification 3.0, 6.8.2.6 to 6.8.2.9")
class MsixEntries:
    """The table, entry n at 16 * n."""
    ADDRESS: RW[u32, 0, MSIX_ENTRIES, MSIX_ENTRY_BYTES]
    ADDRESS_UPPER: RW[u32, 4, MSIX_ENTRIES, MSIX_ENTRY_BYTES]
    DATA: RW[u32, 8, MSIX_ENTRIES, MSIX_ENTRY_BYTES]
    CONTROL: RW[u32, 12, MSIX_ENTRIES, MSIX_ENTRY_BYTES]


MSIX_MASKED: Final[u32] = 1

# --- PCIe 7.5.3 "PCI Express Capability Structure", offsets from it ------------------------

PCIE_CAPABILITIES: Final = 0x02
PCIE_LINK_STATUS: Final = 0x12
PCIE_SLOT_CAPABILITIES: Final = 0x14
PCIE_SLOT_CONTROL: Final = 0x18
PCIE_SLOT_STATUS: Final = 0x1A


@bits(u16)
class PcieCapabilities:
    """PCIe 7.5.3.2 "PCI Express Capabilities Register"."""
    PORT_TYPE: Bits[7, 4]
    SLOT: Bit[8, bool]            # Slot Implemented
    MESSAGE: Bits[13, 9]          # Interrupt Message Number: which message hot-plug sends


PORT_ROOT: Final = 4
PORT_DOWNSTREAM: Final = 6


@bits(u16)
class LinkStatus:
    """PCIe 7.5.3.8 "Link Status Register"."""
    DLLLA: Bit[13, bool]          # Data Link Layer Link Active


@bits(u32)
class SlotCapabilities:
    """PCIe 7.5.3.9 "Slot Capabilities Register"."""
    ABP: Bit[0, bool]             # Attention Button Present
    PCP: Bit[1, bool]             # Power Controller Present
    PIP: Bit[4, bool]             # Power Indicator Present
    HPC: Bit[6, bool]             # Hot-Plug Capable
    NCCS: Bit[18, bool]           # No Command Completed Support
    PSN: Bits[31, 19]             # Physical Slot Number


@bits(u16)
class SlotControl:
    """PCIe 7.5.3.10 "Slot Control Register"."""
    ABPE: Bit[0]                  # Attention Button Pressed Enable
    PDCE: Bit[3]                  # Presence Detect Changed Enable
    CCIE: Bit[4]                  # Command Completed Interrupt Enable
    HPIE: Bit[5]                  # Hot-Plug Interrupt Enable
    PIC: Bits[9, 8]               # Power Indicator Control
    PCC: Bit[10]                  # Power Controller Control: 1 is off
    DLLSCE: Bit[12]               # Data Link Layer State Changed Enable


INDICATOR_ON: Final = 1
INDICATOR_BLINK: Final = 2
INDICATOR_OFF: Final = 3


@bits(u16)
class SlotStatus:
    """PCIe 7.5.3.11 "Slot Status Register"; events are written 1 to be cleared."""
    ABP: Bit[0, bool]             # Attention Button Pressed
    PDC: Bit[3, bool]             # Presence Detect Changed
    CC: Bit[4, bool]              # Command Completed
    PDS: Bit[6, bool]             # Presence Detect State
    DLLSC: Bit[8, bool]           # Data Link Layer State Changed


SLOT_EVENTS: Final[u16] = 0x0119  # ABP, PDC, CC, DLLSC
COMMAND_TIMEOUT_MS: Final = 1000  # PCIe 6.7.3.2 "Command Completed Events": 1 second
LINK_TIMEOUT_MS: Final = 1000     # PCIe 6.7.3.3 "Data Link Layer State Changed Events": 1 second
POWER_OFF_MS: Final = 1000        # PCIe 6.7.1.8 "Power Controller": wait 1 second after power off
RESET_MS: Final = 100             # PCIe 6.6.1 "Conventional Reset": first access after link up
