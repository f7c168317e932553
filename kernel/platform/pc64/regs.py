# SPDX-License-Identifier: BSD-3-Clause
"""Registers of a PC's devices, and the tables of its firmware and loaders, by their own names.

Source    named at each part
"""
from typing import Final

from kpy import (
    RO,
    RW,
    Array,
    Bit,
    Bits,
    bits,
    regs,
    sizeof,
    static_assert,
    struct,
    u8,
    u16,
    u32,
    u64,
)

# --- Multiboot Specification 0.6.96, 3.3 "Boot information format" -------------------------

MULTIBOOT_MAGIC: Final[u32] = 0x2BADB002


@bits(u32)
class MultibootFlags:
    """Which fields of MultibootInfo are valid."""
    MEM: Bit[0, bool]
    CMDLINE: Bit[2, bool]
    MODS: Bit[3, bool]
    MMAP: Bit[6, bool]
    LOADER: Bit[9, bool]


@struct
class MultibootInfo:
    """As far as we read it."""
    flags: MultibootFlags
    mem_lower: u32          # KiB from 0
    mem_upper: u32          # KiB from 1 MiB
    boot_device: u32
    cmdline: u32
    mods_count: u32
    mods_addr: u32
    syms0: u32
    syms1: u32
    syms2: u32
    syms3: u32
    mmap_length: u32        # bytes
    mmap_addr: u32
    drives_length: u32
    drives_addr: u32
    config_table: u32
    boot_loader_name: u32


@struct(packed=True, size=24)
class MultibootMmap:
    """A range of memory; the next entry is `size` + 4 bytes further."""
    size: u32
    addr: u64
    len: u64
    type: u32               # E820's numbers


@struct
class MultibootModule:
    """A file the loader put into memory."""
    mod_start: u32
    mod_end: u32
    string: u32
    reserved: u32


static_assert(sizeof(MultibootInfo) == 68)

# --- Xen public/arch-x86/hvm/start_info.h --------------------------------------------------

PVH_MAGIC: Final[u32] = 0x336EC578


@struct
class PvhInfo:
    """hvm_start_info."""
    magic: u32
    version: u32
    flags: u32
    nr_modules: u32
    modlist_paddr: u64
    cmdline_paddr: u64
    rsdp_paddr: u64
    memmap_paddr: u64       # from here on version 1
    memmap_entries: u32
    reserved: u32


@struct
class PvhModule:
    """hvm_modlist_entry."""
    paddr: u64
    size: u64
    cmdline_paddr: u64
    reserved: u64


@struct
class PvhMmap:
    """hvm_memmap_table_entry."""
    addr: u64
    size: u64
    type: u32               # E820's numbers
    reserved: u32


static_assert(sizeof(PvhInfo) == 56)

# --- ACPI Specification 6.5 ----------------------------------------------------------------


@struct(packed=True, size=36)
class Rsdp:
    """5.2.5.3 "Root System Description Pointer (RSDP) Structure"; 20 bytes in revision 0."""
    signature: Array[u8, 8]
    checksum: u8            # of the first 20 bytes
    oemid: Array[u8, 6]
    revision: u8
    rsdt_address: u32
    length: u32
    xsdt_address: u64
    extended_checksum: u8   # of all
    reserved: Array[u8, 3]


RSDP_REVISION_0_BYTES: Final = 20


@struct(packed=True, size=36)
class TableHeader:
    """5.2.6 "System Description Table Header"."""
    signature: Array[u8, 4]
    length: u32             # bytes, this header included
    revision: u8
    checksum: u8
    oemid: Array[u8, 6]
    oem_table_id: Array[u8, 8]
    oem_revision: u32
    creator_id: u32
    creator_revision: u32


@struct(packed=True, size=12)
class GenericAddress:
    """5.2.3.2 "Generic Address Structure (GAS)"."""
    address_space_id: u8    # 0: memory, 1: I/O ports
    register_bit_width: u8
    register_bit_offset: u8
    access_size: u8
    address: u64


@struct(packed=True, size=8)
class MadtBody:
    """5.2.12 "Multiple APIC Description Table (MADT)": what follows the header."""
    local_apic_address: u32
    flags: u32


@struct(packed=True, size=2)
class MadtEntry:
    """What each interrupt controller structure begins with."""
    type: u8
    length: u8


MADT_LOCAL_APIC: Final = 0
MADT_IO_APIC: Final = 1
MADT_OVERRIDE: Final = 2
MADT_LOCAL_NMI: Final = 4
MADT_ADDRESS_OVERRIDE: Final = 5
MADT_X2APIC: Final = 9
MADT_X2APIC_NMI: Final = 10


@bits(u32)
class LocalApicFlags:
    """Table 5.22 "Local APIC Flags"."""
    ENABLED: Bit[0, bool]
    ONLINE_CAPABLE: Bit[1, bool]


@bits(u16)
class IntiFlags:
    """Table 5.26 "MPS INTI Flags"."""
    POLARITY: Bits[1, 0]    # 0: as the bus has it, 1: active high, 3: active low
    TRIGGER: Bits[3, 2]     # 0: as the bus has it, 1: edge, 3: level


ACTIVE_LOW: Final = 3
LEVEL_TRIGGERED: Final = 3


@struct(packed=True, size=8)
class MadtLocalApic:
    """5.2.12.2 "Processor Local APIC Structure"."""
    type: u8
    length: u8
    processor_uid: u8
    apic_id: u8
    flags: u32              # LocalApicFlags


@struct(packed=True, size=12)
class MadtIoApic:
    """5.2.12.3 "I/O APIC Structure"."""
    type: u8
    length: u8
    io_apic_id: u8
    reserved: u8
    address: u32
    gsi_base: u32


@struct(packed=True, size=10)
class MadtOverride:
    """5.2.12.5 "Interrupt Source Override Structure"."""
    type: u8
    length: u8
    bus: u8
    source: u8
    gsi: u32
    flags: u16              # IntiFlags


@struct(packed=True, size=6)
class MadtLocalNmi:
    """5.2.12.7 "Local APIC NMI Structure"."""
    type: u8
    length: u8
    processor_uid: u8       # 0xFF: all
    flags: u16              # IntiFlags
    lint: u8


@struct(packed=True, size=12)
class MadtAddressOverride:
    """5.2.12.8 "Local APIC Address Override Structure"."""
    type: u8
    length: u8
    reserved: u16
    address: u64


@struct(packed=True, size=16)
class MadtX2apic:
    """5.2.12.12 "Processor Local x2APIC Structure"."""
    type: u8
    length: u8
    reserved: u16
    x2apic_id: u32
    flags: u32              # LocalApicFlags
    processor_uid: u32


@struct(packed=True, size=12)
class MadtX2apicNmi:
    """5.2.12.13 "Local x2APIC NMI Structure"."""
    type: u8
    length: u8
    flags: u16              # IntiFlags
    processor_uid: u32      # 0xFFFFFFFF: all
    lint: u8
    reserved: Array[u8, 3]


@struct(packed=True, size=116)
class Fadt:
    """5.2.9 "Fixed ACPI Description Table (FADT)", header included, as far as we read it."""
    header: TableHeader
    firmware_ctrl: u32
    dsdt: u32
    reserved0: u8
    preferred_pm_profile: u8
    sci_int: u16
    smi_cmd: u32
    acpi_enable: u8
    acpi_disable: u8
    s4bios_req: u8
    pstate_cnt: u8
    pm1a_evt_blk: u32
    pm1b_evt_blk: u32
    pm1a_cnt_blk: u32
    pm1b_cnt_blk: u32
    pm2_cnt_blk: u32
    pm_tmr_blk: u32
    more: Array[u8, 32]
    flags: u32              # FadtFlags


@bits(u16)
class Pm1Control:
    """4.8.3.2.1 "PM1 Control Registers"."""
    SCI_EN: Bit[0, bool]                 # ACPI mode; else legacy mode
    SLP_TYP: Bits[12, 10]
    SLP_EN: Bit[13]


# 20.2 "AML Grammar Definition": as much of it as Name (_S5_, Package () {5, 5, ...}) takes.
AML_NAME: Final = 0x08
AML_PACKAGE: Final = 0x12
AML_BYTE: Final = 0x0A
AML_ONE: Final = 0x01
PKG_LENGTH_MORE_SHIFT: Final = 6         # bits 7:6 of PkgLength: how many bytes more it has


@bits(u32)
class FadtFlags:
    """Table 5.10 "Fixed ACPI Description Table Fixed Feature Flags"."""
    TMR_VAL_EXT: Bit[8, bool]            # the PM timer has 32 bits, else 24


@struct(packed=True, size=20)
class HpetBody:
    """IA-PC HPET Specification 1.0a, 3.2.4 "The ACPI 2.0 HPET Description Table (HPET)"."""
    event_timer_block_id: u32
    base_address: GenericAddress
    hpet_number: u8
    minimum_tick: u16
    attributes: u8


@struct(packed=True, size=16)
class McfgEntry:
    """PCI Firmware Specification 3.0, 4.1.2 "MCFG Table Description", memory mapped space."""
    base_address: u64       # of bus 0, whatever start_bus is
    segment: u16
    start_bus: u8
    end_bus: u8
    reserved: u32


MCFG_RESERVED_BYTES: Final = 8           # between the header and the entries
EBDA_SEGMENT: Final[u64] = 0x40E         # where BIOS keeps the segment of its data area
BIOS_AREA: Final[u64] = 0xE0000
BIOS_AREA_BYTES: Final[u64] = 0x20000

# --- Local APIC: Intel SDM vol. 3A, 11.4.1 "The Local APIC Block Diagram" (registers at 16 * n),
# --- 11.12.1.2 "x2APIC Register Address Space" (the same ones as MSR 0x800 + n) ------------------


@regs(spec="Intel SDM vol. 3A, table 11-1 \"Local APIC Register Address Map\"")
class Xapic:
    """All registers of the xAPIC page, by their number n."""
    REG: RW[u32, 0x00, 64, 16]


APIC_ID: Final = 0x02
APIC_VERSION: Final = 0x03
APIC_TPR: Final = 0x08                   # task priority: 0 lets all through
APIC_EOI: Final = 0x0B
APIC_SVR: Final = 0x0F                   # spurious-interrupt vector
APIC_ESR: Final = 0x28                   # error status; written before it is read
APIC_ICR: Final = 0x30                   # interrupt command, low half; of x2APIC all 64 bits
APIC_ICR_HIGH: Final = 0x31
APIC_LVT_TIMER: Final = 0x32
APIC_LVT_THERMAL: Final = 0x33
APIC_LVT_PERFORMANCE: Final = 0x34
APIC_LVT_LINT0: Final = 0x35
APIC_LVT_LINT1: Final = 0x36
APIC_LVT_ERROR: Final = 0x37
APIC_TIMER_INITIAL: Final = 0x38
APIC_TIMER_CURRENT: Final = 0x39
APIC_TIMER_DIVIDE: Final = 0x3E


@bits(u32)
class ApicVersion:
    """11.4.8 "Local APIC Version Register"."""
    VERSION: Bits[7, 0]                  # 0x10 or more where it is in the CPU
    MAX_LVT: Bits[23, 16]


@bits(u32)
class ApicSvr:
    """11.9 "Spurious Interrupt"."""
    VECTOR: Bits[7, 0]
    ENABLE: Bit[8]


@bits(u32)
class ApicLvt:
    """11.5.1 "Local Vector Table"."""
    VECTOR: Bits[7, 0]
    DELIVERY: Bits[10, 8]
    LOW: Bit[13]                         # active low
    LEVEL: Bit[15]
    MASK: Bit[16]
    TIMER_MODE: Bits[18, 17]


DELIVERY_FIXED: Final = 0
DELIVERY_NMI: Final = 4
DELIVERY_INIT: Final = 5
DELIVERY_STARTUP: Final = 6
TIMER_ONE_SHOT: Final = 0
TIMER_TSC_DEADLINE: Final = 2
DIVIDE_BY_1: Final[u32] = 0b1011         # 11.5.4 "APIC Timer"


@bits(u64)
class ApicIcr:
    """11.6.1 "Interrupt Command Register (ICR)"."""
    VECTOR: Bits[7, 0]
    DELIVERY: Bits[10, 8]
    PENDING: Bit[12, bool]               # xAPIC only
    ASSERT: Bit[14]
    LEVEL: Bit[15]
    DESTINATION: Bits[63, 32]            # x2APIC; of xAPIC in bits 63:56


XAPIC_DESTINATION_SHIFT: Final = 24      # within the upper half of the ICR, and within APIC_ID

# --- PCI Local Bus Specification 3.0, 3.2.2.3.2 "Software Generation of Configuration
#     Transactions": configuration mechanism #1

CONFIG_ADDRESS: Final[u16] = 0xCF8
CONFIG_DATA: Final[u16] = 0xCFC


@bits(u32)
class ConfigAddress:
    """What CONFIG_DATA stands for."""
    REGISTER: Bits[7, 2]
    FUNCTION: Bits[10, 8]
    DEVICE: Bits[15, 11]
    BUS: Bits[23, 16]
    ENABLE: Bit[31]


# --- PCI Express Base Specification 5.0, 7.2.2 "PCI Express Enhanced Configuration Access
#     Mechanism (ECAM)"

ECAM_BUS_SHIFT: Final = 20
ECAM_FUNCTION_SHIFT: Final = 12


@regs(spec="PCI Express Base Specification 5.0, 7.2.2, one function")
class EcamFunction:
    """A function's registers, by the width that they are asked for."""
    BYTE: RW[u8, 0, 4096]
    WORD: RW[u16, 0, 2048]
    DWORD: RW[u32, 0, 1024]


# --- 8259A: Intel 8259A data sheet, "Initialization Command Words" -------------------------

PIC_COMMAND: Final[u16] = 0x20           # of the first; the second is at 0xA0
PIC_DATA: Final[u16] = 0x21
PIC2_COMMAND: Final[u16] = 0xA0
PIC2_DATA: Final[u16] = 0xA1
ICW1_INIT: Final[u8] = 0x11              # with ICW4, cascaded
ICW3_FIRST: Final[u8] = 4                # the second is at input 2
ICW3_SECOND: Final[u8] = 2
ICW4_8086: Final[u8] = 1
PIC_MASK_ALL: Final[u8] = 0xFF

# --- I/O APIC: Intel 82093AA data sheet, 3.1 "Memory Mapped Registers", 3.2 "IOAPIC Registers" ---


@regs(spec="Intel 82093AA I/O APIC, section 3.1")
class IoApicPage:
    """3.1: all registers are reached through these two."""
    IOREGSEL: RW[u32, 0x00]
    IOWIN: RW[u32, 0x10]


IOAPIC_VERSION: Final[u32] = 1           # 3.2.2
IOAPIC_REDIRECTION: Final[u32] = 0x10    # 3.2.4: input n at 2 * n, low half first


@bits(u32)
class IoApicVersion:
    """3.2.2 "IOAPICVER"."""
    VERSION: Bits[7, 0]
    MAXIMUM_ENTRY: Bits[23, 16]


@bits(u32)
class Redirection:
    """3.2.4 "IOREDTBL", low half.  The destination's APIC id is in bits 31:24 of the other."""
    VECTOR: Bits[7, 0]
    DELIVERY: Bits[10, 8]
    LOGICAL: Bit[11]
    PENDING: Bit[12]
    LOW: Bit[13]                         # active low
    REMOTE_IRR: Bit[14]
    LEVEL: Bit[15]
    MASK: Bit[16]


REDIRECTION_DESTINATION_SHIFT: Final = 24

# --- HPET: IA-PC HPET Specification 1.0a, 2.3 "Register Definitions" -----------------------


@bits(u64)
class HpetCapabilities:
    """2.3.4 "General Capabilities and ID Register"."""
    COUNT_SIZE: Bit[13, bool]            # the counter has 64 bits, else 32
    PERIOD: Bits[63, 32]                 # femtoseconds a tick


@bits(u64)
class HpetConfiguration:
    """2.3.5 "General Configuration Register"."""
    ENABLE: Bit[0]
    LEGACY: Bit[1]


@regs(spec="IA-PC HPET Specification 1.0a, section 2.3.1")
class Hpet:
    """2.3.1 "Register Overview"."""
    CAPABILITIES: RO[HpetCapabilities, 0x000]
    CONFIGURATION: RW[HpetConfiguration, 0x010]
    COUNTER: RW[u64, 0x0F0]
    COUNTER_LOW: RO[u32, 0x0F0]


HPET_MAX_PERIOD: Final = 100_000_000     # 2.3.4: at most 100 ns
FEMTOSECONDS: Final[u64] = 1_000_000_000_000_000

# --- ACPI 6.5, 4.8.2.1 "Power Management Timer" --------------------------------------------

PM_TIMER_HZ: Final[u64] = 3_579_545

# --- 8254: Intel 82C54 data sheet, "Control Word Format", "Counter Latch Command" ----------

PIT_HZ: Final[u64] = 1_193_182
PIT_CHANNEL2: Final[u16] = 0x42
PIT_CONTROL: Final[u16] = 0x43
PIT_CHANNEL2_RATE: Final[u8] = 0b10_11_010_0     # low then high byte, mode 2
PIT_CHANNEL2_LATCH: Final[u8] = 0b10_00_000_0
SPEAKER: Final[u16] = 0x61                       # IBM PC AT: gate of channel 2, speaker


@bits(u8)
class Speaker:
    """Port B of an IBM PC AT."""
    GATE2: Bit[0]
    DATA: Bit[1]

# --- Messages of devices: Intel SDM vol. 3A, 11.11 "Message Signalled Interrupts" ----------

MSI_ADDRESS: Final[u64] = 0xFEE0_0000
MSI_DESTINATION_SHIFT: Final = 12

# --- 16550: National Semiconductor PC16550D data sheet, 8 "Registers" ----------------------

UART_DATA: Final[u16] = 0                # RBR, THR: receiver buffer, transmitter holding
UART_IER: Final[u16] = 1
UART_IIR: Final[u16] = 2                 # read
UART_FCR: Final[u16] = 2                 # written
UART_LCR: Final[u16] = 3
UART_MCR: Final[u16] = 4
UART_LSR: Final[u16] = 5
UART_FIFO_BYTES: Final = 16
COM1: Final[u16] = 0x3F8
COM1_IRQ: Final = 4


@bits(u8)
class UartIer:
    """8.7 "Interrupt Enable Register"."""
    ERBFI: Bit[0]                        # received data
    ETBEI: Bit[1]                        # transmitter holding register empty


@bits(u8)
class UartIir:
    """8.6 "Interrupt Identification Register"."""
    NONE: Bit[0, bool]                   # no interrupt is pending
    ID: Bits[3, 1]
    FIFOS: Bits[7, 6]                    # 3: FIFOs are on


@bits(u8)
class UartFcr:
    """8.5 "FIFO Control Register"."""
    ENABLE: Bit[0]
    CLEAR_RECEIVER: Bit[1]
    CLEAR_TRANSMITTER: Bit[2]
    TRIGGER: Bits[7, 6]                  # 0: interrupt at one byte received


@bits(u8)
class UartMcr:
    """8.8 "Modem Control Register"."""
    DTR: Bit[0]
    RTS: Bit[1]
    OUT2: Bit[3]                         # on a PC: lets the interrupt line through


@bits(u8)
class UartLsr:
    """8.4 "Line Status Register"."""
    DR: Bit[0, bool]                     # data ready
    THRE: Bit[5, bool]                   # transmitter holding register (or FIFO) empty
    TEMT: Bit[6, bool]                   # all is sent


@bits(u8)
class UartLcr:
    """8.1 "Line Control Register"."""
    WLS: Bits[1, 0]                      # 3: 8 bits
    DLAB: Bit[7]                         # offsets 0 and 1 are the divisor


UART_DIVISOR_115200: Final[u8] = 1       # 8.3 "Programmable Baud Generator", 1.8432 MHz crystal
