# SPDX-License-Identifier: BSD-3-Clause
"""Reading files: any range, holes, short blocks, blocks that say nonsense."""
from __future__ import annotations

import random

import pytest

from tests.harness import volumes
from tests.unit.fs.hammer2.image import DATA, Image
from toolchain.host import KpyError

PBUF = 65536


@pytest.fixture
def image():
    return volumes.mapped(volumes.sets()["s11-mixed-methods"].images()[0])


def files(tree, least=0):
    """(inum, size) of regular files."""
    found = []
    for _, ip in tree.walk():
        told = tree.describe(ip)
        if told["type"] == "file" and told["size"] >= least:
            found.append((told["inum"], told["size"]))
    return found


def content(tree, ip, size):
    return b"".join(tree.read(ip, at) for at in range(0, size, PBUF))


@pytest.mark.parametrize("seed", range(4))
def test_any_range_is_that_part_of_the_whole(h2, image, seed):
    rng = random.Random(seed)
    with h2.opened([image]) as volume, volume.mounted(b"DATA") as tree:
        for inum, size in rng.sample(files(tree), 40):
            with tree.inode(inum) as ip:
                whole = content(tree, ip, size)
                assert len(whole) == size
                for _ in range(12):
                    at = rng.choice([0, rng.randrange(size + 2), size // PBUF * PBUF, size])
                    count = rng.choice([0, 1, 100, PBUF, 200_000, rng.randrange(size + 2)])
                    assert tree.read(ip, at, count) == whole[at:at + count]


def test_far_behind_the_end_there_is_nothing(h2, image):
    with h2.opened([image]) as volume, volume.mounted(b"DATA") as tree, \
            tree.inode(files(tree, 1)[0][0]) as ip:
        for at in (1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
            assert tree.read(ip, at) == b""


def test_what_is_no_file_cannot_be_read(h2, image):
    with h2.opened([image]) as volume, volume.mounted(b"DATA") as tree, tree.inode(1) as root:
        with pytest.raises(KpyError) as caught:
            tree.read(root)
        assert caught.value.name == "EISDIR"


def first_data(image, comp=None):
    made = Image(image)
    return made, next(b for b in made.blocks() if b.type == DATA
                      and (comp is None or b.methods & 15 == comp))


def owner(block):
    while block.type != 1:
        block = block.parent
    return block.key


def test_a_ref_without_a_block_is_a_hole(h2, image):
    made, block = first_data(image)
    made.put(block.ref + 0x20, 8, 0)
    made.mend(block.parent)
    with h2.opened([image]) as volume, volume.mounted(b"DATA") as tree, \
            tree.inode(owner(block)) as ip:
        size = min(tree.describe(ip)["size"] - block.key, PBUF)
        assert tree.read(ip, block.key, size) == bytes(size)


def test_what_a_block_is_too_short_for_is_zero(h2, image):
    made, block = first_data(image, comp=0)
    made.put(block.ref + 0x20, 1, 10)
    made.put(block.ref + 1, 1, 0)
    made.mend(block.parent)
    expected = bytes(image[block.offset:block.offset + 1024])
    with h2.opened([image]) as volume, volume.mounted(b"DATA") as tree, \
            tree.inode(owner(block)) as ip:
        size = min(tree.describe(ip)["size"] - block.key, PBUF)
        assert tree.read(ip, block.key, size) == expected[:size].ljust(size, b"\0")


@pytest.mark.parametrize("comp", [2, 3])
def test_a_block_that_cannot_be_decompressed_is_eio_and_named(h2, image, comp):
    made, block = first_data(image, comp)
    made.put(block.offset, 4, 0xFFFFFFFF)
    made.mend(block)
    with h2.opened([image]) as volume, volume.mounted(b"DATA") as tree, \
            tree.inode(owner(block)) as ip:
        for at, size in ((block.key, PBUF), (block.key + 1, 5)):
            with pytest.raises(KpyError) as caught:
                tree.read(ip, at, size)
            assert caught.value.name == "EIO"
    assert "cannot be decompressed" in "".join(h2.mod.output)
