# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables are as UEFI has them, and are read again from either end."""
from __future__ import annotations

import struct
import uuid
import zlib

from toolchain.image import gpt
from toolchain.image.gpt import HAMMER2, SWAP, Partition

MIB = 1 << 20
PARTS = [Partition(MIB, 5 * MIB, HAMMER2, "ROOT"), Partition(6 * MIB, MIB, SWAP, "swäp")]


def disk(parts=PARTS, seed="seed"):
    size = gpt.disk_size(parts)
    made = bytearray(size)
    for at, data in gpt.tables(size, parts, seed):
        made[at:at + len(data)] = data
    return made


def test_the_disk_ends_behind_the_second_table():
    assert len(disk()) == 8 * MIB
    assert gpt.disk_size([]) == 2 * MIB


def test_a_protective_mbr_covers_the_disk():
    made = disk()
    assert made[510:512] == b"\x55\xaa" and made[446 + 4] == 0xEE
    assert struct.unpack_from("<II", made, 446 + 8) == (1, len(made) // 512 - 1)
    assert not any(made[462:510])


def test_headers_point_at_each_other_and_have_their_crcs():
    made = disk()
    last = len(made) // 512 - 1
    for at, own, other in ((512, 1, last), (last * 512, last, 1)):
        header = bytearray(made[at:at + 92])
        assert header[:8] == b"EFI PART"
        crc, = struct.unpack_from("<I", header, 16)
        header[16:20] = bytes(4)
        assert zlib.crc32(header) == crc
        assert struct.unpack_from("<QQQQ", header, 24) == (own, other, 34, last - 33)
        where, count, size, entries = struct.unpack_from("<QIII", header, 72)
        assert (count, size) == (128, 128)
        assert zlib.crc32(made[where * 512:where * 512 + 128 * 128]) == entries


def test_types_and_names_are_where_they_belong():
    made = disk()
    assert made[1024:1040] == uuid.UUID(HAMMER2).bytes_le
    assert made[1024 + 56:1024 + 64] == "ROOT".encode("utf-16-le")
    assert struct.unpack_from("<QQ", made, 1024 + 32) == (2048, 6 * 2048 - 1)


def test_partitions_are_read_again():
    made = disk()
    assert gpt.partitions(made) == PARTS
    made[600] ^= 1
    made[1100] ^= 1                                     # the first copy of the entries
    assert gpt.partitions(made) == PARTS
    made[len(made) - 500] ^= 1                          # and the second header
    assert gpt.partitions(made) is None
    assert gpt.partitions(bytes(MIB)) is None
    assert gpt.partitions(b"") is None


def test_identifiers_depend_on_the_seed_alone():
    assert disk() == disk()
    assert disk(seed="other") != disk()
    assert disk()[1040:1056] != disk()[1168:1184]
