# SPDX-License-Identifier: BSD-3-Clause
"""Check codes of blocks, and the hash that is the key of a name.

    check code      over the bytes as stored, of one of six kinds, in Blockref.check
    dirhash         the upper half sums the CRCs of a name's pieces between . - _ ~, so that names
                    of the same pieces lie together; 16 more bits are the whole name's; the lower
                    15 are free, for names of one hash

Tests   tests/toolchain/test_image_format.py
Source  DragonFly sys/vfs/hammer2/hammer2_subr.c (dirhash), RFC 3720 B.4 (CRC-32C)
"""
from __future__ import annotations

import hashlib
import re
import struct
import uuid
from functools import cache

import xxhash

from toolchain.image.hammer2 import ondisk
from toolchain.image.hammer2.ondisk import DIRHASH_VISIBLE, ICRCS, XXHASH64_SEED

_SEPARATORS = re.compile(rb"[-._~]+")
_POLYNOMIAL = 0x82F63B78
_PAIR = struct.Struct("<H")
_LONG = 4096                    # bytes from which on the wide table is worth it


def _table() -> list[int]:
    made = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        made.append(value)
    return made


_TABLE = _table()


@cache
def _wide_table() -> list[int]:
    """For two bytes at a time."""
    once = [_TABLE[value & 0xFF] ^ value >> 8 for value in range(1 << 16)]
    return [_TABLE[value & 0xFF] ^ value >> 8 for value in once]


def crc32c(data: bytes | bytearray) -> int:
    """CRC-32C: reflected, all ones at start and end."""
    crc, at = 0xFFFFFFFF, 0
    if len(data) >= _LONG:
        table, at = _wide_table(), len(data) & ~1
        for pair, in _PAIR.iter_unpack(data[:at]):
            crc = table[(crc ^ pair) & 0xFFFF] ^ crc >> 16
    table = _TABLE
    for byte in data[at:]:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def xxhash64(data: bytes) -> bytes:
    """The code of CHECK_XXHASH64, as it stands in Blockref.check."""
    return xxhash.xxh64_intdigest(data, XXHASH64_SEED).to_bytes(8, "little")


def code_of(kind: int, data: bytes) -> bytes | None:
    """The check code of a stored block; empty where none is kept, None for an unknown kind."""
    match kind:
        case ondisk.CHECK_NONE | ondisk.CHECK_DISABLED:
            return b""
        case ondisk.CHECK_ISCSI32 | ondisk.CHECK_FREEMAP:
            return crc32c(data).to_bytes(4, "little")
        case ondisk.CHECK_XXHASH64:
            return xxhash64(data)
        case ondisk.CHECK_SHA192:
            digest = hashlib.sha256(data).digest()
            folded = bytes(a ^ b for a, b in zip(digest[16:24], digest[24:], strict=True))
            return digest[:16] + folded
    return None


def dirhash(name: bytes) -> int:
    """The least key that an entry of this name may have."""
    pieces = sum(crc32c(piece) for piece in _SEPARATORS.split(name) if piece)
    whole = crc32c(name)
    upper = pieces & 0xFFFFFFFF | DIRHASH_VISIBLE >> 32
    return upper << 32 | (whole ^ whole << 16) & 0xFFFF0000 | 0x8000


def header_crcs(block: bytes) -> list[tuple[int, int]]:
    """(where it stands, what it should be) of the three CRCs of a volume header."""
    return [(at, crc32c(block[begin:end])) for at, begin, end in ICRCS]


def seal_header(block: bytearray) -> bytes:
    """The header with its CRCs; each covers those before it."""
    for at, begin, end in ICRCS:
        block[at:at + 4] = crc32c(block[begin:end]).to_bytes(4, "little")
    return bytes(block)


def uuid_bytes(text: str) -> bytes:
    """A UUID on the medium: its first three groups are little-endian."""
    return uuid.UUID(text).bytes_le


def derived_uuid(seed: bytes, purpose: str) -> bytes:
    """A UUID that depends on nothing but what it is given."""
    digest = hashlib.sha256(seed + purpose.encode()).digest()
    return uuid.UUID(bytes=digest[:16], version=4).bytes_le
