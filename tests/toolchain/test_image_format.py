# SPDX-License-Identifier: BSD-3-Clause
"""Structures have the format's sizes; codes and hashes are those of known samples."""
from __future__ import annotations

import random

import pytest

from tests.unit.fs.hammer2.image import crc32c as slow
from toolchain.image.hammer2 import codes, ondisk
from toolchain.image.hammer2.ondisk import Blockref, FreemapRecord, Inode, VolumeData


def test_structures_have_their_sizes():
    assert len(Blockref().pack()) == ondisk.BLOCKREF_BYTES == 128
    assert len(Inode().pack()) == ondisk.INODE_BYTES == 1024
    assert len(FreemapRecord().pack()) == 128
    assert len(VolumeData().pack()) == 65536


@pytest.mark.parametrize(("kind", "size"), [(Blockref, 128), (Inode, 1024)])
def test_what_is_unpacked_is_packed_the_same(kind, size):
    data = bytes(range(1, 129)) * (size // 128)
    assert kind.unpack(data).pack() == data


def test_the_header_keeps_its_fields():
    header = VolumeData(volu_size=1 << 33, nvolumes=2, allocator_free=5, total_size=1 << 34,
                        sroot_blockset=b"s" * 512, freemap_blockset=b"f" * 512,
                        volu_loff=(0, 1 << 33))
    block = codes.seal_header(header.pack())
    again = VolumeData.unpack(block)
    assert again.volu_loff[:3] == (0, 1 << 33, ondisk.UNUSED_LOFF)
    again.volu_loff = header.volu_loff
    assert again == header
    assert all(int.from_bytes(block[at:at + 4], "little") == crc
               for at, crc in codes.header_crcs(block))


def test_crc32c_is_the_one_of_its_standard():
    assert codes.crc32c(b"123456789") == 0xE3069283
    assert codes.crc32c(bytes(32)) == 0x8A9136AA


def test_crc32c_is_the_same_for_long_data():
    data = random.Random(1).randbytes(70_001)
    for size in (4095, 4096, 4097, 70_001):
        assert codes.crc32c(data[:size]) == slow(data[:size])


@pytest.mark.parametrize(("name", "key"), [
    (b"a", 0xC1D0433082E08000), (b"file_1.txt", 0x9A1234A0F7218000),
    (b"a.b-c_d~e", 0xAFA85316BBC78000)])
def test_dirhash_is_that_of_known_names(name, key):
    assert codes.dirhash(name) == key


def test_names_of_the_same_pieces_lie_together():
    names = (b"b-a.c", b"c_a_b", b"~a..b--c")
    assert len({codes.dirhash(name) >> 32 for name in names}) == 1


def test_uuids_have_little_endian_groups():
    assert codes.uuid_bytes(ondisk.FSTYPE).hex() == "d19abb5c2d86dc11a94d01301bb8a9f5"
    assert codes.derived_uuid(b"a", "x") == codes.derived_uuid(b"a", "x")
    assert codes.derived_uuid(b"a", "x") != codes.derived_uuid(b"a", "y")


def test_sha192_folds_the_last_bytes():
    code = codes.code_of(ondisk.CHECK_SHA192, b"abc")
    assert code.hex() == "ba7816bf8f01cfea414140de5dae2223" + (
        (0xb00361a396177a9c ^ 0xb410ff61f20015ad).to_bytes(8, "big").hex())
    assert codes.code_of(7, b"abc") is None
