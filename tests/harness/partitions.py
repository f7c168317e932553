# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables of other kinds, for disks that the kernel is to take apart: MBR, disklabel64.

A table is (offset, bytes) pairs, as toolchain.image.gpt.tables() gives them; `written()` makes a
sparse disk of some.
"""
from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Iterable
from pathlib import Path

BLOCK = 512
DRAGONFLY = 0x6C                # MBR type of a slice with a label
EXTENDED = 0x05

_MBR_ENTRY = struct.Struct("<B3sB3sII")
_LABEL_HEAD = struct.Struct("<IIII16s5Q64s64x")
_LABEL_PART = struct.Struct("<QQB15x16s16s")
_LABEL_MAGIC, _LABEL_AT, _LABEL_PARTS = 0xC4464C59, 512, 16

Pieces = list[tuple[int, bytes]]


def mbr(slices: list[tuple[int, int, int]]) -> Pieces:
    """A boot record with up to four slices: (type, first block, blocks)."""
    return [(0, _record(slices))]


def chain(extended: int, logical: list[tuple[int, int, int]]) -> Pieces:
    """The records of logical slices: (type, first block, blocks), each behind a record of its own.

    `extended` is the first block of the slice that holds them, and the place of the first record;
    the others lie just before their slices.
    """
    places = [extended, *(start - 1 for _, start, _ in logical[1:])]
    pieces = []
    for number, (kind, start, count) in enumerate(logical):
        entries = [(kind, start - places[number], count)]
        if number + 1 < len(logical):
            _, _, size = logical[number + 1]
            entries.append((EXTENDED, places[number + 1] - extended, size + 1))
        pieces.append((places[number] * BLOCK, _record(entries)))
    return pieces


def _record(entries: list[tuple[int, int, int]]) -> bytes:
    packed = b"".join(_MBR_ENTRY.pack(0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", start, count)
                      for kind, start, count in entries)
    return bytes(446) + packed.ljust(64, b"\0") + b"\x55\xaa"


def disklabel64(size: int, partitions: list[tuple[int, int, str]], at: int = 0) -> Pieces:
    """The label of a slice of `size` bytes at offset `at` of the disk.

    A partition is (offset in the slice, bytes, type); the first is `a`.  One of no bytes is none.
    """
    parts = b"".join(_LABEL_PART.pack(offset, count, 0, uuid.UUID(kind).bytes_le, bytes(16))
                     for offset, count, kind in partitions)

    def made(crc: int) -> bytes:
        return _LABEL_HEAD.pack(_LABEL_MAGIC, crc, 1 << 20, len(partitions), bytes(16), size, 4096,
                                1 << 20, size, 0, b"") + parts
    data = made(zlib.crc32(made(0)))
    assert len(partitions) <= _LABEL_PARTS
    return [(at + _LABEL_AT, data)]


def written(path: Path, size: int, pieces: Iterable[tuple[int, bytes]]) -> Path:
    """A disk of `size` bytes, zero but for the pieces."""
    with path.open("wb") as file:
        for at, data in pieces:
            file.seek(at)
            file.write(data)
        file.truncate(size)
    return path
