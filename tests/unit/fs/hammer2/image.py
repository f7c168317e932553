# SPDX-License-Identifier: BSD-3-Clause
"""A volume's blocks seen from Python, independently of the driver: found, changed, made good again.

    image = Image(mapped)
    for block in image.blocks():            # all that the newest header leads to
        image.data(block)[0] ^= 1
        image.mend(block)                   # check codes from there up to the header

The crafted mutations of tests/unit/fs/hammer2/mutate.py and the damage tests use it.
"""
from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import xxhash

PBUF = 65536
ZONE = 2 << 30
SEED = 0x4D617474446C6C6E
EMPTY, INODE, INDIRECT, DATA, DIRENT, FREEMAP_NODE, FREEMAP_LEAF = range(7)
KIND = {0: "header", 1: "inode", 2: "indirect", 3: "data", 4: "dirent", 5: "freemap node",
        6: "freemap leaf"}
SROOT, FREEMAP = 0x200, 0x800


def _table() -> list[int]:
    made = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        made.append(n)
    return made


_TABLE = _table()


def crc32c(data: Any) -> int:
    """CRC-32C, a byte at a time."""
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in bytes(data):
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def code_of(kind: int, data: bytes, crc: Callable[[bytes], int] = crc32c) -> bytes:
    """The check code of a block, as it stands at the start of a blockref's check area."""
    if kind in {2, 5}:
        return struct.pack("<I", crc(data))
    if kind == 3:
        return struct.pack("<Q", xxhash.xxh64_intdigest(data, SEED))
    if kind == 4:
        digest = hashlib.sha256(data).digest()
        return digest[:16] + bytes(a ^ b for a, b in zip(digest[16:24], digest[24:], strict=True))
    return b""


@dataclass
class Block:
    """A blockref and the block that it leads to."""
    ref: int                        # where the ref is
    type: int
    methods: int
    keybits: int
    key: int
    offset: int
    size: int
    parent: Block | None            # whose block has the ref; None: the header
    tree: str = ""                  # "topology" or "freemap"
    path: tuple[int, ...] = field(default=())

    @property
    def name(self) -> str:
        return KIND.get(self.type, "other")


class Image:
    """A volume in a buffer that can be written."""

    def __init__(self, data: Any, crc: Callable[[bytes], int] = crc32c) -> None:
        self.data, self.crc = data, crc
        self.header = max(self._headers(), key=lambda at: (self.number(at + 0x78, 8), -at))

    def _headers(self) -> list[int]:
        return [at for at in range(0, 4 * ZONE, ZONE) if at + PBUF <= len(self.data)
                and self.number(at, 8) == 0x48414D3205172011]

    def number(self, at: int, size: int) -> int:
        """A number of the image."""
        return int.from_bytes(self.data[at:at + size], "little")

    def put(self, at: int, size: int, value: int) -> None:
        """Change one."""
        self.data[at:at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")

    def block(self, ref: int, parent: Block | None, tree: str = "topology") -> Block | None:
        """What the blockref at an offset leads to; None of an empty one."""
        kind, methods, _, keybits = self.data[ref:ref + 4]
        if kind == EMPTY:
            return None
        media = self.number(ref + 0x20, 8)
        size = 1 << (media & 63) if media & 63 else 0
        return Block(ref, kind, methods, keybits, self.number(ref + 8, 8), media & ~63, size,
                     parent, tree)

    def array(self, block: Block) -> range:
        """Where the blockrefs in a block are."""
        if block.type in {INDIRECT, FREEMAP_NODE}:
            return range(block.offset, block.offset + block.size, 128)
        if block.type == INODE and not self.data[block.offset + 0x51] & 1:
            return range(block.offset + 0x200, block.offset + 0x400, 128)
        return range(0)

    def blocks(self, freemap: bool = False) -> Iterator[Block]:
        """All blocks below the header, parents first."""
        roots = [(self.header + SROOT, "topology")] + [(self.header + FREEMAP, "freemap")] * freemap
        todo = [made for at, tree in roots for ref in range(at, at + 512, 128)
                if (made := self.block(ref, None, tree)) is not None]
        while todo:
            block = todo.pop()
            yield block
            todo += [made for ref in self.array(block)
                     if (made := self.block(ref, block, block.tree)) is not None]

    def bytes_of(self, block: Block) -> bytes:
        """The block as stored."""
        return bytes(self.data[block.offset:block.offset + block.size])

    def mend(self, block: Block | None) -> None:
        """Make the check codes good from this block up to the header."""
        while block is not None:
            if block.size and block.offset + block.size <= len(self.data):
                code = code_of(self.data[block.ref + 1] >> 4, self.bytes_of(block), self.crc)
                self.data[block.ref + 0x40:block.ref + 0x40 + len(code)] = code
            block = block.parent
        self.mend_header(self.header)

    def mend_header(self, at: int) -> None:
        """Make the three CRCs of a header good."""
        self.put(at + 0x1F8, 4, self.crc(bytes(self.data[at + 0x200:at + 0x400])))
        self.put(at + 0x1FC, 4, self.crc(bytes(self.data[at:at + 508])))
        self.put(at + 0xFFFC, 4, self.crc(bytes(self.data[at:at + 0xFFFC])))
