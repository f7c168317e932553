# SPDX-License-Identifier: BSD-3-Clause
"""Disks with a GUID partition table: a protective MBR, the table at both ends, partitions.

Partitions begin at multiples of 1 MiB, in blocks of 512 bytes.  A disk of n bytes:

    0       protective MBR               1 MiB          the first partition, ...
    512     header; then 128 entries     n - 33 * 512   the entries again, and the header last

Tests   tests/toolchain/test_image_gpt.py, tests/qemu/test_image_disks.py
Source  UEFI 2.10, section 5.2.3 "Protective MBR", 5.3 "GUID Partition Table Disk Layout"
"""
from __future__ import annotations

import mmap
import struct
import uuid
import zlib
from dataclasses import dataclass

BLOCK = 512
ALIGN = 1 << 20
ENTRIES, ENTRY_BYTES = 128, 128
TABLE_BLOCKS = ENTRIES * ENTRY_BYTES // BLOCK
FIRST_USABLE = 2 + TABLE_BLOCKS
SIGNATURE = b"EFI PART"
REVISION = 0x10000
MAX_NAME = 36                   # UTF-16 units

HAMMER2 = "5cbb9ad1-862d-11dc-a94d-01301bb8a9f5"        # DragonFly's types
HAMMER = "61dc63ac-6e38-11dc-8513-01301bb8a9f5"
LABEL64 = "3d48ce54-1d16-11dc-8696-01301bb8a9f5"
SWAP = "9d58fdbd-1ca5-11dc-8817-01301bb8a9f5"

_HEADER = struct.Struct("<8sIIII4Q16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_MBR_ENTRY = struct.Struct("<B3sB3sII")
_MBR_AT, _MBR_SIGNATURE = 446, b"\x55\xaa"
_PROTECTIVE = 0xEE


@dataclass(frozen=True)
class Partition:
    """Bytes of a disk."""
    offset: int
    size: int
    type: str = HAMMER2
    name: str = ""


def disk_size(partitions: list[Partition]) -> int:
    """The least size of a disk that ends with these partitions."""
    end = max((part.offset + part.size for part in partitions), default=ALIGN)
    return -(-(end + (TABLE_BLOCKS + 1) * BLOCK) // ALIGN) * ALIGN


def tables(size: int, partitions: list[Partition], seed: str) -> list[tuple[int, bytes]]:
    """(offset, bytes) of everything that is not a partition, on a disk of `size` bytes.

    The disk's and the partitions' own identifiers are derived from `seed`.
    """
    blocks = size // BLOCK
    entries = b"".join(_entry(part, number, seed) for number, part in enumerate(partitions))
    entries = entries.ljust(ENTRIES * ENTRY_BYTES, b"\0")
    disk = uuid.uuid5(uuid.NAMESPACE_OID, seed).bytes_le
    backup = blocks - 1 - TABLE_BLOCKS
    return [
        (0, _protective_mbr(blocks)),
        (BLOCK, _header(1, blocks - 1, 2, blocks, disk, entries)),
        (2 * BLOCK, entries),
        (backup * BLOCK, entries),
        ((blocks - 1) * BLOCK, _header(blocks - 1, 1, backup, blocks, disk, entries)),
    ]


def _protective_mbr(blocks: int) -> bytes:
    """One slice of type 0xEE over all of the disk, for who knows no GPT."""
    count = min(blocks - 1, 0xFFFFFFFF)
    entry = _MBR_ENTRY.pack(0, b"\x00\x02\x00", _PROTECTIVE, b"\xff\xff\xff", 1, count)
    return entry.rjust(_MBR_AT + len(entry), b"\0").ljust(BLOCK - 2, b"\0") + _MBR_SIGNATURE


def _entry(part: Partition, number: int, seed: str) -> bytes:
    own = uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} {number}").bytes_le
    name = part.name[:MAX_NAME].encode("utf-16-le")
    return _ENTRY.pack(uuid.UUID(part.type).bytes_le, own, part.offset // BLOCK,
                       (part.offset + part.size) // BLOCK - 1, 0, name)


def _header(own: int, other: int, entries_at: int, blocks: int, disk: bytes,
            entries: bytes) -> bytes:
    def made(crc: int) -> bytes:
        return _HEADER.pack(SIGNATURE, REVISION, _HEADER.size, crc, 0, own, other, FIRST_USABLE,
                            blocks - 2 - TABLE_BLOCKS, disk, entries_at, ENTRIES, ENTRY_BYTES,
                            zlib.crc32(entries))
    return made(zlib.crc32(made(0))).ljust(BLOCK, b"\0")


def partitions(disk: bytes | mmap.mmap) -> list[Partition] | None:
    """The partitions of a disk in a buffer, by the first good copy; None if it has no GPT."""
    for at in (BLOCK, len(disk) // BLOCK * BLOCK - BLOCK):
        found = _table_at(disk, at)
        if found is not None:
            return found
    return None


def _table_at(disk: bytes | mmap.mmap, at: int) -> list[Partition] | None:
    if at < BLOCK or at + BLOCK > len(disk) or disk[at:at + 8] != SIGNATURE:
        return None
    (signature, revision, size, crc, zero, own, other, first, last, name, entries_at, count,
     entry_bytes, entries_crc) = _HEADER.unpack_from(disk, at)
    header = _HEADER.pack(signature, revision, size, 0, zero, own, other, first, last, name,
                          entries_at, count, entry_bytes, entries_crc)
    entries = bytes(disk[entries_at * BLOCK:entries_at * BLOCK + count * entry_bytes])
    if size != _HEADER.size or zlib.crc32(header) != crc or own * BLOCK != at \
            or entry_bytes < ENTRY_BYTES or zlib.crc32(entries) != entries_crc:
        return None
    found = []
    for number in range(count):
        kind, _, begin, end, _, text = _ENTRY.unpack_from(entries, number * entry_bytes)
        if any(kind) and first <= begin <= end <= last:
            found.append(Partition(begin * BLOCK, (end - begin + 1) * BLOCK,
                                   str(uuid.UUID(bytes_le=kind)),
                                   text.decode("utf-16-le", "replace").rstrip("\0")))
    return found
