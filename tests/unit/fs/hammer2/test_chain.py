# SPDX-License-Identifier: BSD-3-Clause
"""The tree in memory: lookups against a plain list, references, the LRU."""
from __future__ import annotations

import random

import pytest

from tests.harness import volumes
from tests.unit.fs.hammer2.driver import LAST
from tests.unit.fs.hammer2.image import DIRENT, INDIRECT, INODE, Image
from toolchain.host import KpyError

NAME = "s11-mixed-methods"
BIG = "s09-bigdir"


@pytest.fixture(params=[NAME, BIG])
def image(request):
    return volumes.mapped(volumes.named(request.param).images()[0])


def leaves(image):
    """{inode's block offset: keys of the leaves of its tree, in order}."""
    found = {}
    for block in Image(image).blocks():
        if block.type in {INDIRECT, INODE}:
            top = block
            while top.type == INDIRECT:
                top = top.parent
            found.setdefault(top.offset, [])
        if block.type != INDIRECT and block.parent is not None:
            top = block.parent
            while top.type == INDIRECT:
                top = top.parent
            found[top.offset].append(block.key)
    return {offset: sorted(keys) for offset, keys in found.items()}


class Cursor:
    """A cursor on the root of a PFS."""

    def __init__(self, h2, pmp):
        self.h2 = h2
        self.cursor = h2.mod.Cursor(base=pmp.root, parent=pmp.root)

    def __enter__(self):
        self.h2.chain.lookup_init(self.cursor)
        return self

    def __exit__(self, *_):
        self.h2.chain.lookup_done(self.cursor)

    def lookup(self, first, last):
        return self.cursor.bref.key if self.h2.chain.lookup(self.cursor, first, last) else None

    def next(self, last):
        return self.cursor.bref.key if self.h2.chain.next(self.cursor, last) else None


def root_keys(image, pmp):
    return leaves(image)[pmp.root.bref.data_off & ~63]


def test_a_scan_finds_all_keys_in_order(h2, image):
    with h2.opened([image]) as volume, volume.mounted(b"DATA") as tree:
        expected, found = root_keys(image, tree.pmp), []
        with Cursor(h2, tree.pmp) as cursor:
            key = cursor.lookup(0, LAST - 1)
            while key is not None:
                found.append(key)
                key = cursor.next(LAST - 1)
        assert found == expected and expected


@pytest.mark.parametrize("seed", range(3))
def test_lookups_of_any_range_find_the_least_key(h2, image, seed):
    rng = random.Random(seed)
    with h2.opened([image], cache=200_000) as volume, volume.mounted(b"DATA") as tree:
        keys = root_keys(image, tree.pmp)
        with Cursor(h2, tree.pmp) as cursor:
            for _ in range(300):
                near = rng.choice(keys) + rng.randrange(-3, 4)
                first = rng.choice([max(near, 0), rng.randrange(LAST), 0, LAST - 1])
                last = min(first + rng.choice([0, 1, 1 << 15, 1 << 63, LAST]), LAST - 1)
                expected = next((k for k in keys if first <= k <= last), None)
                assert cursor.lookup(first, last) == expected


def chains(h2, mount):
    """{chain's address: references by others than its children}, after checking C1 and C2."""
    found, others, todo = [], {}, [mount.vchain]
    while todo:
        chain = todo.pop()
        found.append(chain)
        held = 0
        stack = [chain.children.root]
        while stack:
            child = stack.pop()
            if child is not None:
                assert child.parent == chain
                held += 1
                stack += [child.node.left, child.node.right]
                todo.append(child)
        assert chain.refs >= held                                       # C1
        others[chain.address] = chain.refs - held
    idle, item = [], mount.cache.lru.first
    while item is not None:
        idle.append(item.address)
        item = item.lru.next
    assert sorted(idle) == sorted(c.address for c in found if c.refs == 0)      # C2
    return others


def test_references_and_the_lru_while_walking(h2, image):
    with h2.opened([image], cache=150_000) as volume:
        with volume.mounted(b"DATA") as tree:
            for number, _ in enumerate(tree.walk(7)):
                if number % 50 == 0:
                    assert len(chains(h2, volume.mount)) > 3
                if number == 400:
                    break
        assert sum(chains(h2, volume.mount).values()) == 1              # the volume's own
        assert volume.mount.cache.bytes <= 150_000 + (1 << 16)
        h2.chain.trim(volume.mount.cache, 0)
        assert len(chains(h2, volume.mount)) == 1 and volume.mount.cache.bytes == 0


def test_an_inode_in_use_stays_when_memory_is_short(h2):
    image = volumes.mapped(volumes.sets()[NAME].images()[0])
    with h2.opened([image]) as volume, volume.mounted(b"DATA") as tree, tree.inode(1) as root:
        name, inum, _ = tree.entries(root)[0][0]
        with tree.inode(inum) as ip:
            h2.chain.trim(volume.mount.cache, 0)
            assert tree.describe(ip)["inum"] == inum
            again = h2.dirent.nresolve(root, name)
            assert again.address == ip.address
            h2.inode.drop(again)


def test_a_bad_block_is_passed_over_and_the_rest_is_found(h2):
    image = volumes.mapped(volumes.sets()[NAME].images()[0])
    made = Image(image)
    block = next(b for b in made.blocks() if b.type == INDIRECT and b.parent.type == INODE
                 and any(made.data[r] in {INODE, DIRENT} for r in made.array(b)))
    lost = [made.number(r + 8, 8) for r in made.array(block) if made.data[r]]
    image[block.offset + 3] ^= 1
    with h2.opened([image]) as volume, volume.mounted(b"DATA") as tree:
        keys = root_keys(volumes.mapped(volumes.sets()[NAME].images()[0]), tree.pmp)
        found = []
        with Cursor(h2, tree.pmp) as cursor:
            key = cursor.lookup(0, LAST - 1)
            while key is not None:
                found.append(key)
                key = cursor.next(LAST - 1)
            assert cursor.cursor.error == 5
            with pytest.raises(KpyError):
                h2.chain.missed(cursor.cursor)
        end = block.key + (1 << block.keybits)
        assert found == [k for k in keys if not block.key <= k < end]
        assert set(lost).isdisjoint(found)
