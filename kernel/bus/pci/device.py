# SPDX-License-Identifier: BSD-3-Clause
"""What is known of a function of a PCI device, and what its driver has taken for it.

Invariants
  D1  A Device is in `devices` from its discovery until its function has gone; its bridge, in
      `parent`, stays at least as long.
  D2  Everything on `mappings`, `memories` and `lines` belongs to the driver in `driver`; where
      that is None they are empty, but for a port's, which kernel/bus/slot.py
      drives.
  D3  While `gone` is not 0 the function does not answer any more: it neither reads nor writes
      memory, and interrupts no more.
Locking   [t] token `tree` to change, and to read on any thread but the bus thread
          [b] the bus thread   [a] atomic   [I] fixed after discovery
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Fn,
    Ptr,
    Slice,
    Str,
    ThrowsFn,
    struct,
    u16,
    u32,
    u64,
    zeroed,
)

from kernel.bus import dma, msi
from kernel.bus.pci import regs
from kernel.lib import queue
from kernel.lwkt import token
from kernel.machine.types import PciAddress
from kernel.mem.malloc_type import MallocType

UNSAFE: Final = True     # the token begins as zeroed storage

ANY: Final[u16] = 0xFFFF


@struct
class Match:
    """Which functions a driver is for: by vendor and device, ANY for all, or by class."""
    vendor: u16
    device: u16
    class_code: u32         # base class, subclass, interface: 0x010802
    class_mask: u32         # the bits of it that are to be the same


@struct
class Driver:
    """A driver; static storage."""
    link: queue.Link["Driver"]                      # [t] among all drivers
    name: Str                                       # [I]
    matches: Slice[Match]                           # [I]
    attach: ThrowsFn[[Ptr["Device"]], None]         # [I]
    detach: Fn[[Ptr["Device"]], None]               # [I]


@struct
class Bar:
    """A base address: a range of memory, or of ports."""
    base: u64               # [b] 0: none, or none was to be had
    size: u64               # [I] bytes; 0: the function does not have it
    io: bool                # [I]
    wide: bool              # [I] 64 bits
    prefetchable: bool      # [I]


@struct
class Window:
    """Addresses that a bridge passes on."""
    base: u64               # [I]
    size: u64               # [I]


@struct
class Mapping:
    """Registers that a driver has mapped."""
    link: queue.Link["Mapping"]     # [b]
    base: u64                       # [I]
    bytes: u64                      # [I]


@struct
class Device:
    """A function."""
    link: queue.Link["Device"]                      # [t]
    parent: Ptr["Device"] | None                    # [I] the bridge above it; None on a root bus
    address: PciAddress                             # [I]
    vendor: u16                                     # [I]
    device: u16                                     # [I]
    subsystem_vendor: u16                           # [I]
    subsystem: u16                                  # [I]
    class_code: u32                                 # [I]
    revision: u32                                   # [I]
    layout: u32                                     # [I] regs.LAYOUT_DEVICE or _BRIDGE
    bars: Array[Bar, regs.BARS]                     # [b]
    cap_pcie: u32                                   # [I] where its capability is; 0: none
    cap_msi: u32                                    # [I] the same
    cap_msix: u32                                   # [I] the same
    secondary: u32                                  # [I] of a bridge: the bus below it
    subordinate: u32                                # [I] of a bridge: the last bus below it
    memory: Window                                  # [I] of a bridge
    prefetchable: Window                            # [I] of a bridge
    driver: Ptr[Driver] | None                      # [t]
    soft: u64                                       # [b] address of the driver's own; 0: none
    soft_bytes: u64                                 # [b]
    gone: Atomic[u32]                               # [a] D3
    scanned: bool                                   # [b] of a bridge: what is below it is known
    mappings: queue.TailQueue[Mapping, "link"]      # [b] D2
    memories: queue.TailQueue[dma.Memory, "link"]   # [b] D2
    lines: queue.TailQueue[msi.Line, "link"]        # [b] D2
    msix_table: u64                                 # [b] where its MSI-X table is mapped; 0: not
    msix_messages: u32                              # [b] entries of the table that are mapped


M_DEVICE: MallocType = MallocType(name="device")
tree: token.Token = zeroed(token.Token)
devices: queue.TailQueue[Device, "link"]            # [t] in order of discovery
drivers: queue.TailQueue[Driver, "link"]            # [t]
