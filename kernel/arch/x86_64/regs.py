# SPDX-License-Identifier: BSD-3-Clause
"""Registers and tables of the CPU, as the Intel manual names and numbers them.

Source    Intel SDM vol. 3A: 2.5 "Control Registers", 2.2.1 "Extended Feature Enable Register",
          3.4.5 "Segment Descriptors", 4.5 "4-Level Paging and 5-Level Paging",
          4.7 "Page-Fault Exceptions", 6.14.1 "64-Bit Mode IDT",
          7.2.3 "TSS Descriptor in 64-bit mode", 7.7 "Task Management in 64-bit Mode";
          vol. 2A "CPUID"; vol. 4, 2.1 "Architectural MSRs"
"""
from typing import Final

from kpy import Array, Bit, Bits, bits, sizeof, static_assert, struct, u16, u32, u64

# --- Control registers ---------------------------------------------------------------------


@bits(u64)
class Cr0:
    """CR0."""
    PE: Bit[0]
    MP: Bit[1]
    EM: Bit[2]
    TS: Bit[3]
    NE: Bit[5]
    WP: Bit[16]         # ring 0 too may not write to read-only pages
    AM: Bit[18]
    NW: Bit[29]
    CD: Bit[30]
    PG: Bit[31]


@bits(u64)
class Cr4:
    """CR4."""
    PAE: Bit[5]
    MCE: Bit[6]
    PGE: Bit[7]
    UMIP: Bit[11]
    FSGSBASE: Bit[16]
    PCIDE: Bit[17]
    SMEP: Bit[20]
    SMAP: Bit[21]


@bits(u64)
class Efer:
    """IA32_EFER."""
    SCE: Bit[0]
    LME: Bit[8]
    LMA: Bit[10]
    NXE: Bit[11]


@bits(u64)
class Rflags:
    """RFLAGS."""
    TF: Bit[8]
    IF: Bit[9, bool]
    DF: Bit[10]


# --- Model-specific registers --------------------------------------------------------------

IA32_APIC_BASE: Final[u32] = 0x1B
IA32_TSC_DEADLINE: Final[u32] = 0x6E0
IA32_EFER: Final[u32] = 0xC000_0080
IA32_GS_BASE: Final[u32] = 0xC000_0101
IA32_X2APIC_FIRST: Final[u32] = 0x800     # register at offset n of the xAPIC page: + n / 16


@bits(u64)
class ApicBase:
    """IA32_APIC_BASE."""
    BSP: Bit[8, bool]
    EXTD: Bit[10]                         # x2APIC mode
    EN: Bit[11]
    BASE: Bits[51, 12]                    # page of the xAPIC registers


# --- CPUID ---------------------------------------------------------------------------------

CPUID_FEATURES: Final[u32] = 1
CPUID_EXTENDED_FEATURES: Final[u32] = 7
CPUID_TOPOLOGY: Final[u32] = 0xB
CPUID_EXTENDED_MAX: Final[u32] = 0x8000_0000
CPUID_EXTENDED: Final[u32] = 0x8000_0001
CPUID_POWER: Final[u32] = 0x8000_0007


@bits(u32)
class Features1Ebx:
    """Leaf 1, EBX."""
    APIC_ID: Bits[31, 24]


@bits(u32)
class Features1Ecx:
    """Leaf 1, ECX."""
    X2APIC: Bit[21, bool]
    TSC_DEADLINE: Bit[24, bool]
    HYPERVISOR: Bit[31, bool]             # reserved by Intel and AMD for hypervisors to set


@bits(u32)
class Features1Edx:
    """Leaf 1, EDX."""
    TSC: Bit[4, bool]
    MSR: Bit[5, bool]
    APIC: Bit[9, bool]
    PGE: Bit[13, bool]


@bits(u32)
class Features7Ebx:
    """Leaf 7.0, EBX."""
    FSGSBASE: Bit[0, bool]
    SMEP: Bit[7, bool]
    SMAP: Bit[20, bool]


@bits(u32)
class Features7Ecx:
    """Leaf 7.0, ECX."""
    UMIP: Bit[2, bool]


@bits(u32)
class ExtendedEdx:
    """Leaf 0x80000001, EDX."""
    NX: Bit[20, bool]
    PAGE_1GB: Bit[26, bool]


@bits(u32)
class PowerEdx:
    """Leaf 0x80000007, EDX."""
    INVARIANT_TSC: Bit[8, bool]


# --- Paging --------------------------------------------------------------------------------

TABLE_ENTRIES: Final = 512


@bits(u64)
class Pte:
    """An entry of a paging structure of any level; PS and G as far as the level has them."""
    P: Bit[0, bool]
    RW: Bit[1, bool]
    US: Bit[2, bool]
    PWT: Bit[3]
    PCD: Bit[4]
    A: Bit[5]
    D: Bit[6]
    PS: Bit[7, bool]                      # of PDPTE and PDE: maps a page of 1 GiB or 2 MiB
    G: Bit[8]
    FRAME: Bits[51, 12]                   # physical address / 4096
    XD: Bit[63, bool]


@bits(u64)
class PageFault:
    """The error code of #PF."""
    P: Bit[0, bool]                       # a protection was violated; else not mapped
    WR: Bit[1, bool]
    US: Bit[2, bool]
    RSVD: Bit[3, bool]
    ID: Bit[4, bool]                      # an instruction fetch


# --- Segments, gates, tasks ----------------------------------------------------------------

KERNEL_CODE: Final[u16] = 0x08            # in this order and distance for SYSCALL and SYSRET
KERNEL_DATA: Final[u16] = 0x10
USER_DATA: Final[u16] = 0x18
USER_CODE: Final[u16] = 0x20
TASK: Final[u16] = 0x28                   # two entries long

CODE_64: Final[u64] = 0x00AF_9A00_0000_FFFF
DATA: Final[u64] = 0x00CF_9200_0000_FFFF
CODE_64_USER: Final[u64] = 0x00AF_FA00_0000_FFFF
DATA_USER: Final[u64] = 0x00CF_F200_0000_FFFF


@bits(u64)
class TaskDescriptor:
    """The lower half of a TSS descriptor; the upper half is bits 63:32 of the base."""
    LIMIT_LOW: Bits[15, 0]
    BASE_LOW: Bits[39, 16]                # bits 23:0
    TYPE: Bits[43, 40]
    DPL: Bits[46, 45]
    P: Bit[47]
    BASE_HIGH: Bits[63, 56]               # bits 31:24


TYPE_TSS: Final = 9                       # available 64-bit TSS
TYPE_INTERRUPT_GATE: Final = 14


@struct(packed=True, size=104)
class Tss:
    """The task-state segment: where the CPU finds stacks."""
    reserved0: u32
    rsp: Array[u64, 3]                    # for rings 0 to 2
    reserved1: u64
    ist: Array[u64, 7]                    # IST1 is ist[0]
    reserved2: u64
    reserved3: u16
    iomap: u16


@bits(u64)
class Gate:
    """The lower half of an IDT entry; the upper half is bits 63:32 of the offset."""
    OFFSET_LOW: Bits[15, 0]
    SELECTOR: Bits[31, 16]
    IST: Bits[34, 32]
    TYPE: Bits[43, 40]
    DPL: Bits[46, 45]
    P: Bit[47]
    OFFSET_HIGH: Bits[63, 48]             # bits 31:16


@struct(packed=True, size=10)
class TablePointer:
    """What LGDT and LIDT read."""
    limit: u16
    base: u64


# --- Exceptions: 6.3.1 "External Interrupts" and table 6-1 ---------------------------------

NMI: Final = 2
DOUBLE_FAULT: Final = 8
PAGE_FAULT: Final = 14
MACHINE_CHECK: Final = 18
EXCEPTIONS: Final = 32                    # vectors below are the CPU's

static_assert(sizeof(Tss) == 104, "7.7: without I/O map")
