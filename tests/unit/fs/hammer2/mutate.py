# SPDX-License-Identifier: BSD-3-Clause
"""Hostile images: a volume changed where it hurts, its check codes made good again.

A mutation is a few edits of places that mean something: fields of blockrefs, inodes and entries,
headers of compressed blocks, bytes anywhere in a block.  Values are those at which checks break:
bounds, neighbours, other fields of the image.  All of it follows from the seed.
"""
from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.unit.fs.hammer2.image import (
    DATA,
    DIRENT,
    EMPTY,
    INDIRECT,
    INODE,
    PBUF,
    Block,
    Image,
    crc32c,
)

EDGES = [0, 1, 2, 3, 7, 8, 10, 15, 16, 17, 31, 32, 62, 63, 64, 65, 127, 128, 254, 255, 256, 511,
         512, 513, 1023, 1024, 1025, 65535, 65536, 65537, 1 << 31, (1 << 32) - 1, 1 << 32,
         (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 65536, (1 << 64) - 2, (1 << 64) - 1]
REF_FIELDS = [(0, 1), (1, 1), (3, 1), (3, 1), (8, 8), (8, 8), (0x20, 1), (0x20, 8), (0x20, 8)]
DIRENT_FIELDS = [(0x30, 8), (0x38, 2), (0x3A, 1), (0x40, 8)]
INODE_FIELDS = [(0, 2), (3, 1), (0x50, 1), (0x51, 1), (0x51, 1), (0x54, 4), (0x58, 8), (0x60, 8),
                (0x60, 8), (0x68, 8), (0x80, 2), (0x83, 1), (0x85, 1), (0x87, 1), (0x100, 8)]
HEADER_FIELDS = [(0x28, 8), (0x30, 4), (0x3B, 1), (0x3C, 1), (0x78, 8), (0xC0, 8), (0xE00, 8),
                 (0xE08, 8), (0x200, 1), (0x203, 1), (0x208, 8), (0x220, 8)]


class Mutator:
    """Changes an image; `undo()` puts back what was changed."""

    def __init__(self, data: Any, seed: int, crc: Callable[[bytes], int] = crc32c) -> None:
        self.rng = random.Random(seed)
        self.clean = bytes(data)
        self.image = Image(data, crc)
        self.blocks = list(self.image.blocks())
        self.touched: set[int] = set()          # pages

    def mutate(self) -> list[str]:
        """A few edits; says which, for a report."""
        made = [self._edit() for _ in range(self.rng.choice([1, 1, 1, 2, 3, 5]))]
        return [text for text in made if text]

    def undo(self) -> None:
        """The image as it was."""
        for page in self.touched:
            self.image.data[page:page + 4096] = self.clean[page:page + 4096]
        self.touched.clear()

    def difference(self) -> dict[int, bytes]:
        """The pages that were changed, as they are."""
        return {page: bytes(self.image.data[page:page + 4096]) for page in self.touched}

    def apply(self, pages: dict[int, bytes]) -> None:
        """Change pages as difference() said."""
        for page, data in pages.items():
            self._write(page, data)

    # ---- edits

    def _edit(self) -> str:
        kind = self.rng.choices(["ref", "inode", "data", "copy", "noise", "header", "array"],
                                [8, 5, 5, 3, 2, 1, 3])[0]
        return getattr(self, f"_edit_{kind}")()

    def _value(self, at: int, size: int) -> int:
        old = self.image.number(at, size)
        choice = self.rng.randrange(6)
        if choice == 0:
            return old ^ 1 << self.rng.randrange(8 * size)
        if choice == 1:
            return old + self.rng.choice([-1, 1, 64, -64, 1024, 65536, -65536])
        if choice == 2:
            return self.rng.getrandbits(8 * size)
        if choice == 3:
            other = self.rng.choice(self.blocks)
            return self.image.number(other.ref + self.rng.choice([8, 0x20]), 8)
        return self.rng.choice(EDGES)

    def _put(self, at: int, size: int, value: int) -> None:
        self._touch(at, size)
        self.image.put(at, size, value)

    def _write(self, at: int, data: bytes) -> None:
        self._touch(at, len(data))
        self.image.data[at:at + len(data)] = data

    def _touch(self, at: int, size: int) -> None:
        self.touched.update(range(at // 4096 * 4096, at + size, 4096))

    def _mend(self, block: Block | None) -> None:
        """Good check codes, mostly: some mutants are just damaged."""
        if self.rng.random() < 0.03:
            return
        at = block
        while at is not None:
            self._touch(at.ref, 128)
            at = at.parent
        self._touch(self.image.header, PBUF)
        self.image.mend(block)

    def _edit_ref(self) -> str:
        block = self.rng.choice(self.blocks)
        fields = REF_FIELDS + DIRENT_FIELDS * (block.type == DIRENT)
        field, size = self.rng.choice(fields)
        value = self._value(block.ref + field, size)
        self._put(block.ref + field, size, value)
        self._mend(block.parent)
        return f"ref of {block.name} {block.key:#x}: {field:#x} = {value % (1 << 8 * size):#x}"

    def _edit_inode(self) -> str:
        block = self.rng.choice([b for b in self.blocks if b.type == INODE])
        field, size = self.rng.choice(INODE_FIELDS)
        value = self._value(block.offset + field, size)
        self._put(block.offset + field, size, value)
        self._mend(block)
        return f"inode {block.key:#x}: {field:#x} = {value % (1 << 8 * size):#x}"

    def _edit_data(self) -> str:
        found = [b for b in self.blocks if b.type == DATA and b.size]
        if not found:
            return ""
        block = self.rng.choice(found)
        for _ in range(self.rng.choice([1, 1, 2, 4, 20])):
            at = self.rng.choice([0, 1, 2, 3, 4, 5, self.rng.randrange(min(block.size, 64)),
                                  self.rng.randrange(block.size)])
            self._put(block.offset + at, 1, self.rng.choice([0, 255, self.rng.randrange(256)]))
        if self.rng.random() < 0.3:
            self._put(block.ref + 1, 1, self.image.number(block.ref + 1, 1) ^ self.rng.randrange(4))
        self._mend(block)
        return f"data at {block.offset:#x}"

    def _edit_copy(self) -> str:
        """A ref over another one: loops, blocks of the wrong kind, blocks twice."""
        to, source = self.rng.choice(self.blocks), self.rng.choice(self.blocks)
        ref = bytearray(self.image.data[source.ref:source.ref + 128])
        keep = self.rng.random()
        if keep < 0.5:
            ref[8:16] = self.image.data[to.ref + 8:to.ref + 16]
            ref[3] = self.image.data[to.ref + 3]
        self._write(to.ref, bytes(ref))
        self._mend(to.parent)
        return f"ref of {source.name} {source.key:#x} over that of {to.name} {to.key:#x}"

    def _edit_array(self) -> str:
        """Turn an inode's or a block's refs about, or put a made one in."""
        found = [b for b in self.blocks if len(self.image.array(b))]
        block = self.rng.choice(found)
        refs = self.image.array(block)
        a, b = self.rng.choice(refs), self.rng.choice(refs)
        first, second = bytes(self.image.data[a:a + 128]), bytes(self.image.data[b:b + 128])
        if self.rng.random() < 0.5:
            self._write(a, second)
            self._write(b, first)
        else:
            made = bytearray(128)
            made[0] = self.rng.choice([EMPTY, INODE, INDIRECT, DATA, DIRENT, 5, 7, 255])
            made[1] = self.rng.choice([0, 0x10, block.methods])
            made[3] = self.rng.choice([0, 1, 7, 16, 62, 63, 64, 255])
            key = self.rng.choice([*EDGES, block.key, block.key + 1])
            made[8:16] = (key & (1 << 64) - 1).to_bytes(8, "little")
            media = block.offset | self.rng.choice([0, 9, 10, 12, 14, 16, 17, 63])
            made[0x20:0x28] = media.to_bytes(8, "little")
            self._write(a, bytes(made))
        self._mend(block)
        return f"array of {block.name} {block.key:#x}"

    def _edit_noise(self) -> str:
        block = self.rng.choice([b for b in self.blocks if b.size])
        at = block.offset + self.rng.randrange(block.size)
        self._put(at, 1, self.rng.randrange(256))
        self._mend(block)
        return f"a byte of {block.name} at {at:#x}"

    def _edit_header(self) -> str:
        field, size = self.rng.choice(HEADER_FIELDS)
        at = self.image.header + field
        value = self._value(at, size)
        self._put(at, size, value)
        self._mend(None)
        return f"header: {field:#x} = {value % (1 << 8 * size):#x}"
