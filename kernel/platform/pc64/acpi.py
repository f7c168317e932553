# SPDX-License-Identifier: BSD-3-Clause
"""The firmware's tables: which CPUs, interrupt controllers and timers there are.

Tables are bytes that others wrote.  Each is looked at through a slice of just its length, after
its checksum was found right; an entry that is cut short ends its table; a number that leads
nowhere is as if it were not there.  So wrong tables make a smaller machine, not a fault.

    RSDP -> XSDT or RSDT -> MADT  CPUs, IO-APICs, how ISA interrupts are wired, NMI inputs
                            HPET, FADT  timers, switching off
                            MCFG  where the configuration space of PCI Express is

Tests     tests/unit/platform/test_acpi.py
Source    ACPI 6.5, 5.2 "ACPI System Description Tables"; IA-PC HPET Specification 1.0a, 3.2.4;
          PCI Firmware Specification 3.0, 4.1.2 "MCFG Table Description"
"""
from typing import Final

from kpy import (
    Array,
    PhysAddr,
    Ptr,
    Slice,
    Type,
    TypeVar,
    address_of,
    from_bits,
    pointer_at,
    ref,
    sizeof,
    struct,
    u8,
    u16,
    u32,
    u64,
    upcall,
)

from kernel.machine.types import MAX_CPUS, MemoryKind, Region
from kernel.platform.pc64 import regs

T = TypeVar("T")

UNSAFE: Final = True     # view() reads a struct from bytes, once they are known to be there
MAX_IO_APICS: Final = 16
MAX_OVERRIDES: Final = 32
MAX_NMIS: Final = 16
MAX_ECAMS: Final = 8
MAX_TABLE_BYTES: Final = 1 << 20
MAX_TABLES: Final = 256
RSDP_STEP: Final = 16
ALL_CPUS: Final[u32] = 0xFFFF_FFFF


@struct
class IoApic:
    """An interrupt controller for devices."""
    address: u64         # physical
    gsi_base: u32        # the global number of its first input
    id: u32


@struct
class Override:
    """How an ISA interrupt is wired, where not as on the first PC."""
    irq: u32
    gsi: u32
    flags: regs.IntiFlags


@struct
class LocalNmi:
    """An input of the local APIC that brings non-maskable interrupts."""
    uid: u32             # the processor's number in these tables, or ALL_CPUS
    lint: u32
    flags: regs.IntiFlags


@struct
class Ecam:
    """Configuration space of PCI Express."""
    base: u64
    segment: u32
    start_bus: u32
    end_bus: u32


@struct
class Tables:
    """What the tables said."""
    cpu_count: u32
    apic_id: Array[u32, MAX_CPUS]
    uid: Array[u32, MAX_CPUS]
    cpus_left_out: u32                       # usable ones beyond MAX_CPUS
    local_apic: u64                          # physical address of the xAPIC registers
    io_apic_count: u32
    io_apics: Array[IoApic, MAX_IO_APICS]
    override_count: u32
    overrides: Array[Override, MAX_OVERRIDES]
    nmi_count: u32
    nmis: Array[LocalNmi, MAX_NMIS]
    ecam_count: u32
    ecams: Array[Ecam, MAX_ECAMS]
    hpet: u64                                # physical address; 0: none
    pm_timer: u16                            # port; 0: none
    pm_timer_wide: bool                      # 32 bits, else 24
    pm1a_control: u16                        # port; 0: none
    pm1b_control: u16
    smi_command: u16                         # port; 0: none
    acpi_enable: u8                          # what to write there to enter ACPI mode
    can_switch_off: bool                     # the two below were found
    off_type_a: u8                           # SLP_TYP of the state S5, for PM1a and PM1b
    off_type_b: u8


tables: Tables


@upcall
def see(pa: PhysAddr, size: u64) -> Slice[u8]:
    """Physical memory as bytes; none if the address cannot be."""


def read(hint: u64, regions: Slice[Region]) -> bool:
    """Find the tables and take from them what we use.

    hint     where the loader says the RSDP is, or 0
    Returns  False if there is no RSDP, or no MADT with a CPU in it.
    """
    rsdp = _find_rsdp(hint, regions)
    if rsdp is None:
        return False
    root = _root(rsdp)
    entry_bytes: u64 = 8 if root[0] == 88 else 4         # "XSDT" has 64-bit addresses
    at: u64 = sizeof(regs.TableHeader)
    for _ in range(MAX_TABLES):
        if at + entry_bytes > len(root):
            break
        _table(_address(root[at:at + entry_bytes]))
        at += entry_bytes
    return tables.cpu_count > 0


def _find_rsdp(hint: u64, regions: Slice[Region]) -> Ptr[regs.Rsdp] | None:
    """The RSDP: where the loader says, in the BIOS's areas, or, as started by UEFI with a loader
    that does not say, in the memory that the map gives to ACPI."""
    if hint != 0:
        found = _search(see(PhysAddr(hint), sizeof(regs.Rsdp)))
        if found is not None:
            return found
    segment = see(PhysAddr(regs.EBDA_SEGMENT), 2)
    if len(segment) == 2:
        found = _search(see(PhysAddr(_address(segment) << 4), 1024))
        if found is not None:
            return found
    found = _search(see(PhysAddr(regs.BIOS_AREA), regs.BIOS_AREA_BYTES))
    if found is not None:
        return found
    for region in regions:
        if region.kind == MemoryKind.ACPI:
            found = _search(see(region.base, min(region.size, MAX_TABLE_BYTES)))
            if found is not None:
                return found
    return None


def _search(area: Slice[u8]) -> Ptr[regs.Rsdp] | None:
    """The first valid RSDP in `area`."""
    at: u64 = 0
    while at + regs.RSDP_REVISION_0_BYTES <= len(area):
        if area[at:at + 8] == b"RSD PTR " and _sum(area[at:at + regs.RSDP_REVISION_0_BYTES]) == 0:
            return view(regs.Rsdp, area, at)
        at += RSDP_STEP
    return None


def _root(rsdp: Ptr[regs.Rsdp]) -> Slice[u8]:
    """The XSDT, or the RSDT where there is no valid XSDT; a bare header if neither."""
    if rsdp.revision >= 2:
        root = table_at(rsdp.xsdt_address)
        if len(root) > 0 and root[:4] == b"XSDT":
            return root
    root = table_at(rsdp.rsdt_address)
    if len(root) > 0 and root[:4] == b"RSDT":
        return root
    return b"none"


def table_at(pa: u64) -> Slice[u8]:
    """The table at `pa`, header included; no bytes if it is not one."""
    if pa == 0:
        return b""
    start = see(PhysAddr(pa), sizeof(regs.TableHeader))
    header = view(regs.TableHeader, start, 0)
    if header is None:
        return b""
    length: u64 = header.length
    if not sizeof(regs.TableHeader) <= length <= MAX_TABLE_BYTES:
        return b""
    table = see(PhysAddr(pa), length)
    if len(table) != length or _sum(table) != 0:
        return b""
    return table


def _table(pa: u64) -> None:
    """Read the table at `pa`, if it is one of ours."""
    table = table_at(pa)
    if len(table) == 0:
        return
    body = table[sizeof(regs.TableHeader):]
    match table[:4]:
        case b"APIC":
            read_madt(body)
        case b"HPET":
            read_hpet(body)
        case b"FACP":
            read_fadt(table)
        case b"MCFG":
            read_mcfg(body)
        case _:
            pass


def read_madt(body: Slice[u8]) -> None:
    """CPUs and interrupt controllers."""
    first = view(regs.MadtBody, body, 0)
    if first is None:
        return
    tables.local_apic = first.local_apic_address
    at: u64 = sizeof(regs.MadtBody)
    while True:
        entry = view(regs.MadtEntry, body, at)
        if entry is None or entry.length < sizeof(regs.MadtEntry):
            return
        if entry.length > len(body) - at:
            return
        _madt_entry(entry.type, body[at:at + entry.length])
        at += entry.length


def _madt_entry(kind: u8, entry: Slice[u8]) -> None:
    match kind:
        case regs.MADT_LOCAL_APIC:
            apic = view(regs.MadtLocalApic, entry, 0)
            if apic is not None and apic.apic_id != 0xFF:
                _add_cpu(apic.apic_id, apic.processor_uid, apic.flags)
        case regs.MADT_X2APIC:
            x2apic = view(regs.MadtX2apic, entry, 0)
            if x2apic is not None and x2apic.x2apic_id != ALL_CPUS:
                _add_cpu(x2apic.x2apic_id, x2apic.processor_uid, x2apic.flags)
        case regs.MADT_IO_APIC:
            io = view(regs.MadtIoApic, entry, 0)
            if io is not None and tables.io_apic_count < MAX_IO_APICS:
                new = ref(tables.io_apics[tables.io_apic_count])
                new.address = io.address
                new.gsi_base = io.gsi_base
                new.id = io.io_apic_id
                tables.io_apic_count += 1
        case regs.MADT_OVERRIDE:
            override = view(regs.MadtOverride, entry, 0)
            if override is not None and tables.override_count < MAX_OVERRIDES:
                made = ref(tables.overrides[tables.override_count])
                made.irq = override.source
                made.gsi = override.gsi
                made.flags = from_bits(regs.IntiFlags, override.flags)
                tables.override_count += 1
        case regs.MADT_LOCAL_NMI:
            nmi = view(regs.MadtLocalNmi, entry, 0)
            if nmi is not None:
                _add_nmi(ALL_CPUS if nmi.processor_uid == 0xFF else u32(nmi.processor_uid),
                         nmi.lint, nmi.flags)
        case regs.MADT_X2APIC_NMI:
            wide = view(regs.MadtX2apicNmi, entry, 0)
            if wide is not None:
                _add_nmi(wide.processor_uid, wide.lint, wide.flags)
        case regs.MADT_ADDRESS_OVERRIDE:
            moved = view(regs.MadtAddressOverride, entry, 0)
            if moved is not None:
                tables.local_apic = moved.address
        case _:
            pass


def read_hpet(body: Slice[u8]) -> None:
    """The first high-precision event timer, if its registers are in memory."""
    hpet = view(regs.HpetBody, body, 0)
    if hpet is not None and hpet.base_address.address_space_id == 0 and hpet.hpet_number == 0:
        tables.hpet = hpet.base_address.address


def read_fadt(table: Slice[u8]) -> None:
    """Ports of the PM timer and of switching off."""
    fadt = view(regs.Fadt, table, 0)
    if fadt is None:
        return
    tables.pm_timer = _port(fadt.pm_tmr_blk)
    tables.pm_timer_wide = from_bits(regs.FadtFlags, fadt.flags).TMR_VAL_EXT
    tables.pm1a_control = _port(fadt.pm1a_cnt_blk)
    tables.pm1b_control = _port(fadt.pm1b_cnt_blk)
    tables.smi_command = _port(fadt.smi_cmd)
    tables.acpi_enable = fadt.acpi_enable
    dsdt = table_at(fadt.dsdt)
    if len(dsdt) > 0 and dsdt[:4] == b"DSDT":
        read_off_state(dsdt[sizeof(regs.TableHeader):])


def read_off_state(aml: Slice[u8]) -> None:
    """What switches the machine off: the object _S5_, found without an interpreter of AML."""
    at: u64 = 1
    while at + 7 <= len(aml):
        if aml[at:at + 4] == b"_S5_" and aml[at + 4] == regs.AML_PACKAGE:
            more = aml[at + 5] >> regs.PKG_LENGTH_MORE_SHIFT
            a, next_ = _small_number(aml, at + 7 + more)         # behind PkgLength, NumElements
            b, end = _small_number(aml, next_)
            if end != 0 and a <= 7 and b <= 7:
                tables.off_type_a = a
                tables.off_type_b = b
                tables.can_switch_off = tables.pm1a_control != 0
                return
        at += 1


def _small_number(aml: Slice[u8], at: u64) -> tuple[u8, u64]:
    """(a constant of one byte, where the next thing is); (0, 0) if there is none at `at`."""
    if at == 0 or at >= len(aml):
        return 0, 0
    if aml[at] <= regs.AML_ONE:
        return aml[at], at + 1
    if aml[at] == regs.AML_BYTE and at + 1 < len(aml):
        return aml[at + 1], at + 2
    return 0, 0


def read_mcfg(body: Slice[u8]) -> None:
    """Configuration spaces of PCI Express."""
    at: u64 = regs.MCFG_RESERVED_BYTES
    while tables.ecam_count < MAX_ECAMS:
        entry = view(regs.McfgEntry, body, at)
        if entry is None:
            return
        if entry.start_bus <= entry.end_bus:
            new = ref(tables.ecams[tables.ecam_count])
            new.base = entry.base_address
            new.segment = entry.segment
            new.start_bus = entry.start_bus
            new.end_bus = entry.end_bus
            tables.ecam_count += 1
        at += sizeof(regs.McfgEntry)


def view(cls: Type[T], data: Slice[u8], at: u64) -> Ptr[T] | None:
    """The struct that lies in `data` from `at` on, if all of it does."""
    if at > len(data) or sizeof(cls) > len(data) - at:
        return None
    # safe: checked just now; packed, so any alignment will do.
    return pointer_at(cls, address_of(ref(data[at])))


def _add_cpu(apic_id: u32, uid: u32, flags: u32) -> None:
    if not from_bits(regs.LocalApicFlags, flags).ENABLED:
        return
    for i in range(tables.cpu_count):
        if tables.apic_id[i] == apic_id:     # listed both ways
            return
    if tables.cpu_count == MAX_CPUS:
        tables.cpus_left_out += 1
        return
    tables.apic_id[tables.cpu_count] = apic_id
    tables.uid[tables.cpu_count] = uid
    tables.cpu_count += 1


def _add_nmi(uid: u32, lint: u32, flags: u16) -> None:
    if tables.nmi_count < MAX_NMIS and lint <= 1:
        new = ref(tables.nmis[tables.nmi_count])
        new.uid = uid
        new.lint = lint
        new.flags = from_bits(regs.IntiFlags, flags)
        tables.nmi_count += 1


def _port(address: u32) -> u16:
    """A port, or 0 for a number that is none."""
    return u16(address) if address <= u16.MAX else 0


def _address(data: Slice[u8]) -> u64:
    """A number of 2, 4 or 8 bytes."""
    value: u64 = 0
    for i, byte in enumerate(data):
        value |= u64(byte) << (8 * i)
    return value


def _sum(data: Slice[u8]) -> u8:
    """All bytes added up; a valid table has 0."""
    total: u64 = 0
    for byte in data:
        total += byte
    return u8(total & 0xFF)
