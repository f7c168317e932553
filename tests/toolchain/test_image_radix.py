# SPDX-License-Identifier: BSD-3-Clause
"""Whatever is inserted, arrays are sorted, ranges disjoint and inside those of their parents."""
from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.image.hammer2.ondisk import (
    DATA,
    DIRENT,
    INODE,
    STATISTICS,
    Blockref,
    unpack_refs,
)
from toolchain.image.hammer2.radix import Tree, count

SPECIAL = [0, 1, 2**63 - 1, 2**63, 2**64 - 1]


class Store:
    """Blocks by a made-up address."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    def put(self, block: bytes) -> Blockref:
        self.blocks.append(block)
        radix = len(block).bit_length() - 1
        return Blockref(data_off=(len(self.blocks) << 16) | radix)

    def get(self, ref: Blockref) -> bytes:
        return self.blocks[(ref.data_off >> 16) - 1]


def leaves(store: Store, refs: list[Blockref], keybits: int = 64, key: int = 0,
           depth: int = 0) -> list[tuple[int, int]]:
    """(key, depth) of all; checks order and containment on the way."""
    found, free = [], key
    for ref in refs:
        assert ref.key >= free and ref.key >> keybits == key >> keybits
        assert ref.key % (1 << ref.keybits) == 0
        free = ref.key + (1 << ref.keybits)
        if ref.type == 2:
            assert ref.keybits < keybits
            below = [one for one in unpack_refs(store.get(ref)) if one.type]
            assert below
            found += leaves(store, below, ref.keybits, ref.key, depth + 1)
        else:
            found.append((ref.key, depth))
    return found


def planted(keys: list[int], *, directory: bool) -> list[tuple[int, int]]:
    tree, store = Tree(directory=directory), Store()
    for key in keys:
        kind = DATA if not directory else DIRENT if key >> 63 else INODE
        tree.insert(Blockref(type=kind, key=key, keybits=0 if directory else 16))
    top = tree.finish(store.put)
    assert len(top) <= 4
    found = leaves(store, top)
    assert [key for key, _ in found] == sorted(keys)
    return found


@given(st.lists(st.integers(0, 2**64 - 1) | st.sampled_from(SPECIAL)
                | st.integers(0, 300).map(lambda n: 2**63 + 0x8000 + n), unique=True, max_size=600))
@settings(max_examples=60, deadline=None)
def test_directories_of_any_keys(keys):
    planted(keys, directory=True)


@given(st.lists(st.integers(0, 2**47 - 1) | st.integers(0, 400), unique=True, max_size=600))
@settings(max_examples=60, deadline=None)
def test_files_with_any_blocks(numbers):
    planted([number << 16 for number in sorted(numbers)], directory=False)


@pytest.mark.parametrize("order", ["up", "down", "mixed"])
def test_collisions_fill_their_range(order):
    keys = [2**63 + n for n in range(5000)]
    if order == "mixed":
        random.Random(1).shuffle(keys)
    planted(keys[::-1] if order == "down" else keys, directory=True)


def test_a_file_of_dense_blocks_is_a_page_table():
    assert max(depth for _, depth in planted([n << 16 for n in range(4)], directory=False)) == 0
    assert max(depth for _, depth in planted([n << 16 for n in range(512)], directory=False)) == 1
    assert max(depth for _, depth in planted([n << 16 for n in range(5000)], directory=False)) == 2


def test_a_large_directory_is_not_deep():
    keys = list(range(1024, 6024)) + [2**63 | random.Random(n).getrandbits(63) for n in range(5000)]
    assert max(depth for _, depth in planted(keys, directory=True)) <= 7


def test_statistics_are_sums_of_what_is_below():
    inode = Blockref(type=INODE, data_off=1 << 20 | 10, embed=STATISTICS.pack(5000, 2))
    data = Blockref(type=DATA, data_off=1 << 21 | 16)
    block = Blockref(type=2, data_off=1 << 22 | 14, leaf_count=9, embed=STATISTICS.pack(70, 3))
    ref = Blockref()
    count(ref, [inode, data, block])
    assert STATISTICS.unpack(ref.embed) == (1024 + 5000 + 65536 + 16384 + 70, 2 + 1 + 3)
    assert ref.leaf_count == 11
