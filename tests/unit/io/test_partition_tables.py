# SPDX-License-Identifier: BSD-3-Clause
"""GPT, MBR and disk labels: good ones are read, damaged and hostile ones are refused."""
from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain import host

FILES = [f"kernel/io/{name}.py" for name in ("gpt", "mbr", "disklabel64")]
BLOCK, BLOCKS = 512, 100_000
TYPE = bytes(range(1, 17))


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def io(request):
    return host.build([*FILES, "kernel/lib/crc32.py"], release=request.param)


def gpt_header(lba=1, *, first=34, last=BLOCKS - 34, at=2, count=128, size=128, entries=b"",
               signature=b"EFI PART", length=92, crc=None):
    """A header as UEFI 2.10, 5.3.2 lays it out."""
    def made(code):
        return struct.pack("<8sIIIIQQQQ16sQIII", signature, 0x10000, length, code, 0, lba,
                           BLOCKS - 1, first, last, bytes(16), at, count, size,
                           zlib.crc32(entries))
    head = made(0) + bytes(BLOCK - 92)
    right = zlib.crc32(head[:length]) if length <= BLOCK else 0
    return made(right if crc is None else crc) + head[92:]


def gpt_entry(start, end, kind=TYPE):
    return kind + bytes(16) + struct.pack("<QQQ", start, end, 0) + bytes(72)


def test_crc32_is_zlibs(io):
    assert io.crc32(b"123456789", 0) == 0xCBF43926

    @given(st.binary(max_size=100), st.binary(max_size=100))
    def same(first, second):
        assert io.crc32(second, io.crc32(first, 0)) == zlib.crc32(first + second)
    same()


def test_a_good_gpt_header_is_read(io):
    table = io.Table()
    assert io.header(gpt_header(entries=b"x"), 1, BLOCKS, table)
    assert (table.entries_lba, table.count, table.entry_bytes) == (2, 128, 128)
    assert (table.first, table.last, table.entries_crc) == (34, BLOCKS - 34, zlib.crc32(b"x"))
    assert io.entry_blocks(table, BLOCK) == 32


@pytest.mark.parametrize("wrong", [
    {"signature": b"EFI PARX"}, {"lba": 2}, {"crc": 1}, {"length": 91}, {"length": 513},
    {"size": 64}, {"size": 130}, {"size": 8192}, {"count": 0}, {"count": 1 << 31},
    {"first": 200, "last": 100}, {"last": BLOCKS}, {"at": 0}, {"at": 1}, {"at": BLOCKS},
    {"at": BLOCKS - 1}, {"at": 2**64 - 1}, {"at": 40}, {"first": 10}])
def test_a_header_that_cannot_be_true_is_refused(io, wrong):
    assert not io.header(gpt_header(**wrong), 1, BLOCKS, io.Table())


def test_each_changed_bit_of_a_header_is_seen(io):
    good = gpt_header()
    for bit in range(92 * 8):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        assert not io.header(bytes(bad), 1, BLOCKS, io.Table()), f"bit {bit}"


@pytest.mark.parametrize(("start", "end", "count"), [
    (34, 34, 1), (40, 99, 60), (34, BLOCKS - 34, BLOCKS - 67), (33, 40, 0), (40, 39, 0),
    (40, BLOCKS - 33, 0), (0, 2**64 - 1, 0)])
def test_an_entry_gives_what_lies_in_the_usable_blocks(io, start, end, count):
    gpt, table, entry = io.modules["kernel.io.gpt"], io.Table(), io.GptEntry()
    assert gpt.header(gpt_header(), 1, BLOCKS, table)
    entries = gpt_entry(1, 2, bytes(16)) + gpt_entry(start, end)
    found = gpt.partition(table, entries, 1, entry)
    assert found.count == count and (not count or found.start == start)
    assert gpt.partition(table, entries, 0, entry).count == 0


def mbr_record(*parts):
    """Up to four of (type, start, count)."""
    table = b"".join(struct.pack("<B3sB3sII", 0, b"", kind, b"", start, count)
                     for kind, start, count in parts)
    return bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa"


def test_mbr_entries(io):
    mbr = io.modules["kernel.io.mbr"]
    block = mbr_record((0x83, 63, 1000), (0, 5, 5), (0x6C, 2000, BLOCKS), (0x83, BLOCKS, 1))
    assert mbr.signed(block) and not mbr.signed(block[:511]) and not mbr.signed(bytes(512))
    found = [mbr.partition(block, i, 0, BLOCKS) for i in range(4)]
    assert [(p.kind, p.start, p.count) for p in found] == [
        (0x83, 63, 1000), (0, 0, 0), (0x6C, 2000, BLOCKS - 2000), (0, 0, 0)]
    inside = mbr.partition(block, 0, 500, BLOCKS)
    assert (inside.start, inside.count) == (563, 1000)
    assert [kind for kind in range(256) if mbr.is_extended(kind)] == [0x05, 0x0F, 0x85]


def test_any_record_gives_extents_on_the_medium(io):
    mbr = io.modules["kernel.io.mbr"]

    @given(st.binary(min_size=512, max_size=512), st.integers(0, 3), st.integers(0, BLOCKS))
    def holds(block, index, base):
        found = mbr.partition(block, index, base, BLOCKS)
        assert found.count == 0 or (found.start > 0 and found.start + found.count <= BLOCKS)
    holds()


def label(partitions, *, magic=0xC4464C59, count=None, crc=None):
    """A disklabel64 of (offset, size) pairs."""
    count = len(partitions) if count is None else count
    body = struct.pack("<I16sQQQQQ64s64s", count, b"", 0, 0, 0, 0, 0, b"", b"")
    body += b"".join(struct.pack("<QQB15s16s16s", at, size, 0, b"", TYPE, b"")
                     for at, size in partitions)
    covered = struct.pack("<III", magic, 0, 0) + body
    code = zlib.crc32(covered) if crc is None else crc
    return (bytes(512) + struct.pack("<III", magic, code, 0) + body).ljust(4096, b"\0")


def test_a_label_and_its_partitions(io):
    dl = io.modules["kernel.io.disklabel64"]
    made = label([(4096, 8192), (0, 0), (1 << 20, 1 << 20)])
    assert dl.valid(made) == 3
    uuid = bytearray(16)
    bounds = [dl.partition(made, i, 4 << 20, uuid) for i in range(3)]
    assert [(b.start, b.size) for b in bounds] == [(4096, 8192), (0, 0), (1 << 20, 1 << 20)]
    assert bytes(uuid) == TYPE
    assert dl.partition(made, 2, 2 << 20, uuid).size == 1 << 20
    assert dl.partition(made, 2, (2 << 20) - 1, uuid).size == 0


@pytest.mark.parametrize("wrong", [{"magic": 1}, {"count": 0}, {"count": 17}, {"crc": 7}])
def test_a_label_that_cannot_be_true_is_refused(io, wrong):
    dl = io.modules["kernel.io.disklabel64"]
    assert dl.valid(label([(4096, 8192)], **wrong)) == 0
    assert dl.valid(label([(4096, 8192)])[:1000]) == 0
