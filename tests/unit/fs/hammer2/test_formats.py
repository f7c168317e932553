# SPDX-License-Identifier: BSD-3-Clause
"""Check codes, compressed blocks and the directory hash, against other implementations."""
from __future__ import annotations

import ctypes
import zlib

import lz4.block
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fs.hammer2.driver import FILES
from tests.unit.fs.hammer2.image import code_of, crc32c
from toolchain import host
from toolchain.host import KpyError

NONE, DISABLED, ISCSI32, XXHASH64, SHA192, FREEMAP = range(6)
LZ4, ZLIB = 2, 3


@pytest.fixture(scope="module")
def mod():
    return host.build(FILES, faults=True)


def bref(mod, kind=0, comp=0, code=b""):
    made = bytearray(128)
    made[1] = kind << 4 | comp
    made[0x40:0x40 + len(code)] = code
    found = mod.Blockref()
    ctypes.memmove(found.address, bytes(made), 128)
    return found


@given(data=st.binary(min_size=1, max_size=2000), bit=st.integers(0, 1 << 20),
       kind=st.sampled_from([ISCSI32, XXHASH64, SHA192, FREEMAP]))
def test_a_check_code_is_of_these_bytes_and_no_others(mod, data, bit, kind):
    ref = bref(mod, kind, code=code_of(kind, data))
    assert mod.testcheck(ref, data)
    other = bytearray(data)
    other[bit // 8 % len(data)] ^= 1 << bit % 8
    assert not mod.testcheck(ref, bytes(other))
    wrong = bytearray(code_of(kind, data))
    wrong[bit // 8 % len(wrong)] ^= 1 << bit % 8
    assert not mod.testcheck(bref(mod, kind, code=bytes(wrong)), data)


@pytest.mark.parametrize("kind", range(16))
def test_kinds_without_a_code_and_unknown_ones(mod, kind):
    if kind in {NONE, DISABLED}:
        assert mod.testcheck(bref(mod, kind), b"anything")
    else:
        assert not mod.testcheck(bref(mod, kind), b"anything")


def inflated(mod, ref, stored):
    target = mod.array("u8", 65536)
    size = mod.modules["kernel.fs.hammer2.compress"].decompress(ref, stored, target, mod.Tables())
    return bytes(target[:size])


@given(data=st.binary(max_size=300), times=st.integers(1, 200), pad=st.integers(0, 900))
def test_compressed_blocks_with_their_padding(mod, data, times, pad):
    data = (data * times)[:65536]
    packed = lz4.block.compress(data, store_size=False)
    stored = len(packed).to_bytes(4, "little") + packed + bytes(pad)
    assert inflated(mod, bref(mod, comp=LZ4), stored) == data
    assert inflated(mod, bref(mod, comp=ZLIB), zlib.compress(data) + bytes(pad)) == data


@pytest.mark.parametrize(("comp", "stored"), [
    (LZ4, (1021).to_bytes(4, "little") + bytes(1020)), (LZ4, b"\xff" * 1024), (LZ4, bytes(1024)),
    (ZLIB, bytes(1024)), (ZLIB, b"\x78\x9c" + b"\xff" * 1022), (4, bytes(1024)),
    (15, bytes(1024))])
def test_what_is_no_compressed_block_is_eio(mod, comp, stored):
    with pytest.raises(KpyError) as caught:
        inflated(mod, bref(mod, comp=comp), stored)
    assert caught.value.name == "EIO"


@pytest.mark.parametrize(("name", "key"), [
    (b"a", 0xC1D0433082E08000), (b"file_1.txt", 0x9A1234A0F7218000),
    (b"a.b-c_d~e", 0xAFA85316BBC78000)])
def test_known_directory_hashes(mod, name, key):
    assert mod.dirhash(name) == key


@given(name=st.lists(st.sampled_from([b"a", b"bc", b".", b"-", b"_", b"~", b"..", b"\xff"]),
                     max_size=20).map(b"".join))
def test_the_directory_hash_is_the_definition(mod, name):
    pieces, whole = name, crc32c(name)
    for separator in b".-_~":
        pieces = pieces.replace(bytes([separator]), b"/")
    total = sum(crc32c(piece) for piece in pieces.split(b"/") if piece) % 2**32
    low = (whole ^ whole << 16) & 0xFFFF0000
    assert mod.dirhash(name) == (total | 1 << 31) << 32 | low | 0x8000
