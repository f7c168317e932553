# SPDX-License-Identifier: BSD-3-Clause
"""Trees of blockrefs: an inode has room for four; more hang in indirect blocks.

insert() puts a ref into the innermost array whose range has the key.  A full array first gives
some of its refs to a new indirect block:

    of a file         those of the range behind the first of the finest refs, as wide as the new
                      block has entries: so a file's tree is like a page table
    of a directory    the half with more refs of the least range that has all of them: names are
                      hashed, keys are anywhere

At the end a block whose refs fit in its parent, and that is at most three quarters full, is merged
into it.

Invariants
  R1  Refs of an array are sorted, and their ranges do not overlap.
  R2  All refs in an indirect block lie in its range, which is smaller than that of its parent.
Tests   tests/toolchain/test_image_radix.py
Source  DragonFly sys/vfs/hammer2/hammer2_chain.c, hammer2_chain_create_indirect() (policy)
"""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

from toolchain.image.hammer2.ondisk import (
    BLOCKREF_BYTES,
    FULL_KEYBITS,
    IND_BYTES_MIN,
    IND_BYTES_NOM,
    INDIRECT,
    INODE,
    SET_COUNT,
    STATISTICS,
    Blockref,
)

MAX_LEAF_COUNT = 65535


@dataclass
class Array:
    """An array of refs: an inode's, or that of an indirect block."""
    key: int
    keybits: int
    room: int                       # how many refs it holds
    keys: list[int] = field(default_factory=list)
    refs: list[Blockref | Array] = field(default_factory=list)

    @property
    def size(self) -> int:
        return self.room * BLOCKREF_BYTES


class Tree:
    """What hangs in an inode."""

    def __init__(self, *, directory: bool) -> None:
        self.directory = directory
        self.top = Array(0, FULL_KEYBITS, SET_COUNT)

    def insert(self, ref: Blockref) -> None:
        """Add a ref whose key is not there yet."""
        array = self.top
        while True:
            at = bisect_right(array.keys, ref.key)
            before = array.refs[at - 1] if at else None
            if isinstance(before, Array) and ref.key - before.key >> before.keybits == 0:
                array = before
            elif len(array.refs) < array.room:
                array.keys.insert(at, ref.key)
                array.refs.insert(at, ref)
                return
            else:
                self._split(array, ref)

    def _split(self, array: Array, ref: Blockref) -> None:
        """Move some refs of a full array into a new indirect block (R2)."""
        size = IND_BYTES_MIN if self.directory and array is self.top else IND_BYTES_NOM
        room = size // BLOCKREF_BYTES
        bits = room.bit_length() - 1
        if self.directory:
            key, keybits = self._fuller_half(array, ref, bits)
        else:
            keybits = min(one.keybits for one in array.refs)
            key = next(one.key for one in array.refs if one.keybits == keybits)
            keybits = min(keybits + bits, array.keybits - 1)
        key = key >> keybits << keybits
        first = bisect_right(array.keys, key - 1)
        last = bisect_right(array.keys, key + (1 << keybits) - 1)
        made = Array(key, keybits, room, array.keys[first:last], array.refs[first:last])
        array.keys[first:last] = [key]
        array.refs[first:last] = [made]

    @staticmethod
    def _fuller_half(array: Array, ref: Blockref, least: int) -> tuple[int, int]:
        """The range of a directory's new indirect block."""
        low = min(array.keys[0], ref.key)
        last = array.refs[-1]
        high = max(array.keys[-1] + (1 << last.keybits) - 1, ref.key)
        keybits = (low ^ high).bit_length()
        half = min(max(keybits - 1, least), array.keybits - 1)
        upper = high >> half << half
        above = len(array.keys) - bisect_right(array.keys, upper - 1)
        return (upper if 2 * above >= len(array.keys) else low), half

    def finish(self, store: Callable[[bytes], Blockref]) -> list[Blockref]:
        """Store the indirect blocks, inner ones first; the refs of the inode."""
        _collapse(self.top)
        return _finished(self.top, store)


def _collapse(array: Array) -> None:
    """Merge blocks into their parents where that is possible, from below."""
    for child in [one for one in array.refs if isinstance(one, Array)]:
        _collapse(child)
        if len(array.refs) + len(child.refs) - 1 <= array.room \
                and len(child.refs) <= child.room * 3 // 4:
            at = array.keys.index(child.key)
            array.keys[at:at + 1] = child.keys
            array.refs[at:at + 1] = child.refs


def _finished(array: Array, store: Callable[[bytes], Blockref]) -> list[Blockref]:
    """The refs of an array, after those of all arrays below it were stored."""
    done = []
    for one in array.refs:
        if isinstance(one, Array):
            below = _finished(one, store)
            ref = store(packed(below, one.size))
            ref.type, ref.key, ref.keybits = INDIRECT, one.key, one.keybits
            count(ref, below)
            one = ref
        done.append(one)
    return done


def packed(refs: list[Blockref], size: int) -> bytes:
    """An array of refs as it is stored."""
    return b"".join(ref.pack() for ref in refs).ljust(size, b"\0")


def count(ref: Blockref, below: list[Blockref]) -> None:
    """Statistics of an inode or indirect block by the refs in it: what is below, not itself."""
    data = inodes = leaves = 0
    for one in below:
        data += one.size
        if one.type in {INODE, INDIRECT}:
            more_data, more_inodes = STATISTICS.unpack(one.embed)
            data += more_data
            inodes += more_inodes + (one.type == INODE)
        leaves += one.leaf_count if one.type == INDIRECT else 1
    ref.leaf_count = min(leaves, MAX_LEAF_COUNT)
    ref.embed = STATISTICS.pack(data, inodes)
