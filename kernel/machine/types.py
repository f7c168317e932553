# SPDX-License-Identifier: BSD-3-Clause
"""What the machine contract speaks of: memory ranges, page protections, interrupted contexts.

Source    Intel SDM vol. 3A, 6.14 "Exception and Interrupt Handling in 64-bit Mode" (the frame);
          PCI Local Bus Specification 3.0, 3.2.2.3 "Configuration Space Decoding" (addresses)
"""
from typing import Final

from kpy import Bits, PhysAddr, bits, enum, flags, struct, u32, u64

MAX_CPUS: Final = 256
PAGE_SIZE: Final = 4096
PAGE_SHIFT: Final = 12


@enum(u32)
class MemoryKind:
    """What a range of physical addresses is."""
    USABLE = 1
    RESERVED = 2
    ACPI = 3            # tables that the kernel may overwrite once it has read them
    NVS = 4
    BAD = 5


@struct
class Region:
    """A range of physical memory."""
    base: PhysAddr
    size: u64           # bytes
    kind: MemoryKind
    unused: u32


@flags(u32)
class Prot:
    """What may be done with a page of kernel memory.  Reading is always allowed."""
    WRITE = 1
    EXECUTE = 2
    UNCACHED = 4        # device memory


@enum(u32)
class Trigger:
    """How a device signals an interrupt."""
    EDGE = 0
    LEVEL = 1


@bits(u32)
class PciAddress:
    """Which function of which device of a PCI bus; buses are numbered within a segment."""
    FUNCTION: Bits[2, 0]
    DEVICE: Bits[7, 3]
    BUS: Bits[15, 8]
    SEGMENT: Bits[31, 16]


@struct
class Frame:
    """The registers of interrupted code, as the interrupt entry pushed them."""
    r15: u64
    r14: u64
    r13: u64
    r12: u64
    r11: u64
    r10: u64
    r9: u64
    r8: u64
    rbp: u64
    rdi: u64
    rsi: u64
    rdx: u64
    rcx: u64
    rbx: u64
    rax: u64
    vector: u64         # pushed by the stub
    error: u64          # pushed by the CPU, or 0
    rip: u64            # from here on pushed by the CPU
    cs: u64
    rflags: u64
    rsp: u64
    ss: u64
