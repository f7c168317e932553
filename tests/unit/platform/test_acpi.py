# SPDX-License-Identifier: BSD-3-Clause
"""The firmware's tables: what right ones say is found; wrong ones never fault."""
from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toolchain import host

BASE = 0x7FE0_0000
SIZE = 16384
HEADER = 36
MAX_CPUS = 256


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def acpi(request):
    return host.build("kernel/platform/pc64/acpi.py", release=request.param)


class Memory:
    """Physical memory: SIZE bytes at BASE, and the first MiB if it was given."""

    def __init__(self, module, data: bytes, low: bytes = b"") -> None:
        self.parts = [(BASE, module.array("u8", data.ljust(SIZE, b"\0")[:SIZE]))]
        if low:
            self.parts.append((0, module.array("u8", low)))

    def see(self, pa: int, size: int):
        for base, data in self.parts:
            if base <= pa and pa + size <= base + len(data):
                return data[pa - base : pa - base + size]
        return b""


def read(module, data: bytes, *, hint: int = BASE, low: bytes = b"", regions=()):
    """(what read() says, the tables as a dict of plain values)."""
    before = module.snapshot()
    try:
        with module.provide(Memory(module, data, low)):
            okay = module.read(hint, list(regions))
            return okay, plain(module.globals.tables)
    finally:
        module.restore(before)


def plain(tables) -> dict[str, object]:
    return {
        "cpus": [tables.apic_id[i] for i in range(tables.cpu_count)],
        "left_out": tables.cpus_left_out,
        "local_apic": tables.local_apic,
        "io_apics": [(io.id, io.address, io.gsi_base) for io in
                     (tables.io_apics[i] for i in range(tables.io_apic_count))],
        "overrides": [(o.irq, o.gsi, o.flags.POLARITY, o.flags.TRIGGER) for o in
                      (tables.overrides[i] for i in range(tables.override_count))],
        "nmis": [(n.uid, n.lint) for n in (tables.nmis[i] for i in range(tables.nmi_count))],
        "ecams": [(e.base, e.start_bus, e.end_bus) for e in
                  (tables.ecams[i] for i in range(tables.ecam_count))],
        "off": (tables.can_switch_off, tables.off_type_a, tables.off_type_b),
        "hpet": tables.hpet, "pm_timer": (tables.pm_timer, tables.pm_timer_wide),
    }


# ---- making tables


def checked(data: bytes, at: int) -> bytes:
    """`data` with the byte at `at` such that all add up to 0."""
    data = data[:at] + b"\0" + data[at + 1 :]
    return data[:at] + bytes([-sum(data) & 0xFF]) + data[at + 1 :]


def table(signature: bytes, body: bytes) -> bytes:
    head = struct.pack("<4sIBB6s8sIII", signature, HEADER + len(body), 1, 0, b"TESTER",
                       b"TABLES  ", 1, 1, 1)
    return checked(head + body, 9)


def rsdp(rsdt: int, xsdt: int = 0) -> bytes:
    first = checked(struct.pack("<8sB6sBI", b"RSD PTR ", 0, b"TESTER", 2 if xsdt else 0, rsdt), 8)
    return checked(first + struct.pack("<IQB3x", 36, xsdt, 0), 32)


def madt(*entries: bytes) -> bytes:
    return table(b"APIC", struct.pack("<II", 0xFEE00000, 1) + b"".join(entries))


def local(uid: int, apic: int, flags: int = 1) -> bytes:
    return struct.pack("<BBBBI", 0, 8, uid, apic, flags)


def x2(uid: int, apic: int, flags: int = 1) -> bytes:
    return struct.pack("<BBHIII", 9, 16, 0, apic, flags, uid)


def system(*tables: bytes, wide: bool = True) -> bytes:
    """RSDP, root table and tables, laid out from BASE."""
    at, places, body = 64 + HEADER + 8 * len(tables), [], b""
    for item in tables:
        places.append(BASE + at + len(body))
        body += item
    letter = "Q" if wide else "I"
    root = table(b"XSDT" if wide else b"RSDT", struct.pack(f"<{len(places)}{letter}", *places))
    top = rsdp(0 if wide else BASE + 64, BASE + 64 if wide else 0)
    return (top.ljust(64, b"\0") + root).ljust(at, b"\0") + body


ONE = madt(local(0, 0))

# ---- right ones


@pytest.mark.parametrize("wide", [False, True], ids=["RSDT", "XSDT"])
def test_what_the_madt_says_is_found(acpi, wide):
    entries = [
        local(0, 0), local(1, 2), local(2, 4, flags=0), local(3, 6, flags=2), x2(1, 2),
        x2(9, 0x1234), struct.pack("<BBBBII", 1, 12, 5, 0, 0xFEC00000, 0),
        struct.pack("<BBBBIH", 2, 10, 0, 9, 21, 0b1111), struct.pack("<BBBHB", 4, 6, 0xFF, 0, 1),
        struct.pack("<BBHQ", 5, 12, 0, 0x1_FEE0_0000), b"\x7f\x04ab",
    ]
    okay, found = read(acpi, system(madt(*entries), wide=wide))
    assert okay
    assert found["cpus"] == [0, 2, 0x1234]
    assert found["io_apics"] == [(5, 0xFEC00000, 0)]
    assert found["overrides"] == [(9, 21, 3, 3)]
    assert found["nmis"] == [(0xFFFFFFFF, 1)]
    assert found["local_apic"] == 0x1_FEE0_0000


def test_timers_and_configuration_spaces_are_found(acpi):
    hpet = table(b"HPET", struct.pack("<IBBBBQBHB", 0, 0, 64, 0, 0, 0xFED00000, 0, 0, 0))
    mcfg = table(b"MCFG", bytes(8) + struct.pack("<QHBBI", 0xB0000000, 0, 0, 255, 0))
    fadt = bytearray(table(b"FACP", bytes(208)))
    struct.pack_into("<I", fadt, 76, 0x608)
    struct.pack_into("<I", fadt, 112, 1 << 8)
    _, found = read(acpi, system(ONE, hpet, mcfg, checked(bytes(fadt), 9)))
    assert found["hpet"] == 0xFED00000
    assert found["ecams"] == [(0xB0000000, 0, 255)]
    assert found["pm_timer"] == (0x608, True)


def test_more_cpus_than_there_is_room_for_are_counted(acpi):
    _, found = read(acpi, system(madt(*[x2(n, n + 1) for n in range(MAX_CPUS + 3)])))
    assert (len(found["cpus"]), found["left_out"]) == (MAX_CPUS, 3)


@pytest.mark.parametrize("at", [0x9FC00, 0xE0000, 0xFFFE0 - 16])
def test_the_rsdp_is_found_in_the_areas_of_the_bios(acpi, at):
    data = system(ONE)
    low = bytearray(1 << 20)
    struct.pack_into("<H", low, 0x40E, 0x9FC0)
    low[at : at + 36] = data[:36]
    okay, _ = read(acpi, bytes(64) + data[64:], hint=0, low=bytes(low))
    assert okay


def test_the_rsdp_is_found_in_memory_of_acpi(acpi):
    data = system(ONE)
    moved = bytearray(SIZE)
    moved[64 : len(data)] = data[64:]
    moved[SIZE - 48 : SIZE - 12] = data[:36]
    region = acpi.Region(base=BASE, size=SIZE, kind=acpi.MemoryKind.ACPI)
    assert read(acpi, bytes(moved), hint=0, regions=[region])[0]


S5 = b"\x08_S5_\x12"


@pytest.mark.parametrize(("aml", "off"), [
    (b"junk" + S5 + b"\x06\x04\x0a\x05\x0a\x07\x00\x00", (True, 5, 7)),
    (S5 + b"\x46\x00\x04\x00\x01", (True, 0, 1)),
    (S5 + b"\x06\x04\x0a\x55\x00", (False, 0, 0)),
    (S5 + b"\x06\x04\x0a", (False, 0, 0)),
    (S5 + b"\x06\x04\x0b\x05\x00\x00", (False, 0, 0)),
    (S5, (False, 0, 0)),
], ids=["bytes", "constants", "too large", "cut short", "a word", "no package"])
def test_how_to_switch_off_is_found_in_the_dsdt(acpi, aml, off):
    fadt = bytearray(table(b"FACP", bytes(208)))
    dsdt = table(b"DSDT", aml)
    struct.pack_into("<I", fadt, 40, BASE + SIZE - len(dsdt))
    struct.pack_into("<I", fadt, 64, 0x604)
    data = system(ONE, checked(bytes(fadt), 9))
    _, found = read(acpi, data.ljust(SIZE - len(dsdt), b"\0") + dsdt)
    assert found["off"] == off


# ---- wrong ones


@pytest.mark.parametrize("data", [
    b"", system(), system(madt()), system(table(b"HPET", bytes(20))),
    system(ONE).replace(b"RSD PTR ", b"RSD PTR_"),
    rsdp(0, BASE + 64).ljust(64) + table(b"RSDT", struct.pack("<I", BASE)),
    rsdp(BASE).ljust(64),
], ids=["nothing", "no tables", "empty MADT", "no MADT", "signature", "root", "loop"])
def test_tables_without_a_cpu_are_refused(acpi, data):
    assert not read(acpi, data)[0]


def test_a_wrong_checksum_makes_a_table_not_be_there(acpi):
    data = bytearray(system(ONE))
    data[-1] ^= 1
    assert not read(acpi, bytes(data))[0]


@given(cut=st.integers(0, 60))
def test_an_entry_that_is_cut_short_ends_its_table(acpi, cut):
    entries = b"".join(local(n, n) for n in range(6)) + x2(7, 7)
    okay, found = read(acpi, system(table(b"APIC", bytes(8) + entries[: len(entries) - cut])))
    whole = (len(entries) - cut) // 8 if cut else 7
    assert found["cpus"] == list(range(min(whole, 6))) + ([7] if cut == 0 else [])
    assert okay == bool(found["cpus"])


@given(body=st.binary(max_size=400),
       signature=st.sampled_from([b"APIC", b"HPET", b"FACP", b"MCFG"]))
def test_any_bytes_with_a_right_checksum_are_survived(acpi, body, signature):
    okay, found = read(acpi, system(ONE, table(signature, body)))
    assert okay
    assert 0 in found["cpus"]


@given(edits=st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 255)), max_size=12),
       fix=st.booleans())
@example(edits=[(24, 0xFF)], fix=True)
def test_any_change_of_any_byte_is_survived(acpi, edits, fix):
    data = bytearray(system(madt(*[local(n, n) for n in range(8)]), ONE, wide=True))
    for at, value in edits:
        data[at % len(data)] = value
    if fix:
        data[:36] = checked(checked(bytes(data[:20]), 8) + bytes(data[20:36]), 32)
        root = struct.unpack_from("<I", data, 68)[0]
        if HEADER <= root <= len(data) - 64:
            data[64 : 64 + root] = checked(bytes(data[64 : 64 + root]), 9)
    okay, found = read(acpi, bytes(data))
    assert okay == bool(found["cpus"])
    assert len(found["cpus"]) <= MAX_CPUS


@given(entry=st.integers(0, 2**64 - 1))
def test_an_address_that_leads_nowhere_is_skipped(acpi, entry):
    root = table(b"XSDT", struct.pack("<QQ", entry, BASE + 160))
    data = (rsdp(0, BASE + 64).ljust(64, b"\0") + root).ljust(160, b"\0") + ONE
    assert read(acpi, data)[0]


@given(pa=st.integers(0, 2**64 - 1))
def test_a_hint_that_leads_nowhere_is_no_rsdp(acpi, pa):
    assert read(acpi, system(ONE), hint=pa)[0] == (pa == BASE)


@given(before=st.binary(max_size=20), after=st.binary(max_size=12))
def test_any_bytes_around_the_off_state_are_survived(acpi, before, after):
    saved = acpi.snapshot()
    try:
        acpi.read_off_state(before + S5 + after)
        assert acpi.globals.tables.off_type_a <= 7
        assert acpi.globals.tables.off_type_b <= 7
    finally:
        acpi.restore(saved)
