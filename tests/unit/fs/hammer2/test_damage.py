# SPDX-License-Identifier: BSD-3-Clause
"""Damage: every kind of block, one bit; reads that fail; memory that is short."""
from __future__ import annotations

import random

import pytest

from tests.harness import volumes
from tests.unit.fs.hammer2.image import DATA, DIRENT, INDIRECT, INODE, Image
from toolchain.host import KpyError

NAME = "s11-mixed-methods"
LONG_NAMES = "s08-zlib-sha192"          # the one above has no names with blocks
FLAKY_SEEDS = range(6)


def fresh(name=NAME):
    return volumes.mapped(volumes.named(name).images()[0])


@pytest.fixture
def image():
    return fresh()


def survey(h2, image):
    """({(label, path): what it holds or "EIO"}, labels that cannot be mounted)."""
    found, lost = {}, []
    with h2.opened([image]) as volume:
        for label in (b"LOCAL", b"DATA"):
            try:
                with volume.mounted(label) as tree:
                    _walk(h2, tree, label, found)
            except KpyError as error:
                assert error.name in {"EIO", "ENOENT"}
                lost.append(label)
    return found, lost


def _walk(h2, tree, label, found):
    todo = [(b"", 1)]
    while todo:
        folder, inum = todo.pop()
        with tree.inode(inum) as dip:
            names, damaged = tree.entries(dip, 50)
            if damaged:
                found[label, folder + b"*"] = "EIO"
            for name, _, kind in names:
                path = folder + name
                try:
                    ip = h2.dirent.nresolve(dip, name)
                except KpyError as error:
                    assert error.name == "EIO"
                    found[label, path] = "EIO"
                    continue
                try:
                    found[label, path] = tree.hashed(ip) if kind in {2, 7} else kind
                except KpyError as error:
                    assert error.name == "EIO"
                    found[label, path] = "EIO"
                finally:
                    h2.inode.drop(ip)
                if kind == 1 and found[label, path] != "EIO":
                    todo.append((path + b"/", ip.inum))


def checked(block):
    """Whether a code covers the block."""
    return block.size and block.methods >> 4 not in {0, 1}


@pytest.mark.parametrize("kind", [INODE, INDIRECT, DATA, DIRENT])
def test_one_bit_in_a_block_is_found_and_named_and_all_else_is_read(h2, kind):
    image = fresh(LONG_NAMES if kind == DIRENT else NAME)
    clean = bytes(image)
    whole, lost = survey(h2, image)
    assert not lost and "EIO" not in whole.values()
    rng = random.Random(kind)
    blocks = [b for b in Image(image).blocks() if b.type == kind and checked(b)]
    assert blocks
    by_check = {}
    for block in blocks:
        by_check.setdefault((block.methods >> 4, block.methods & 15), []).append(block)
    for group in by_check.values():
        for block in rng.sample(group, min(len(group), 4)):
            at = block.offset + rng.randrange(block.size)
            image[at] ^= 1 << rng.randrange(8)
            before = len(h2.mod.output)
            found, lost = survey(h2, image)
            text = "".join(h2.mod.output[before:])
            assert lost or "EIO" in found.values()
            assert f"hammer2: block {block.offset | block.size.bit_length() - 1:#x} " in text
            assert "has a wrong check code" in text
            for path, what in found.items():
                assert what == "EIO" or what == whole[path]
            image[at] = clean[at]
    assert survey(h2, image) == (whole, [])


def test_reads_that_fail_once_are_not_remembered(h2, image):
    whole, _ = survey(h2, image)
    path = next(p for (_, p), what in whole.items() if isinstance(what, tuple)).split(b"/")
    with h2.opened([image]) as volume, volume.mounted(b"DATA") as tree:
        def resolve():
            inum = 1
            for name in path:
                with tree.inode(inum) as dip:
                    ip = h2.dirent.nresolve(dip, name)
                    inum = ip.inum
                    h2.inode.drop(ip)
            with tree.inode(inum) as ip:
                return tree.hashed(ip)
        with h2.reads_fail(lambda: True), pytest.raises(KpyError) as caught:
            resolve()
        assert caught.value.name == "EIO"
        assert resolve() == whole[b"DATA", b"/".join(path)]


@pytest.mark.parametrize("seed", FLAKY_SEEDS)
@pytest.mark.parametrize("what", ["reads", "allocations"])
def test_whatever_fails_nothing_is_lost_or_wrong(h2, image, what, seed):
    whole, _ = survey(h2, image)
    rng = random.Random(seed)
    fail = h2.reads_fail if what == "reads" else h2.allocations_fail
    with h2.opened([image]) as volume:
        for _ in range(40):
            with fail(lambda: rng.random() < 0.05):
                try:
                    with volume.mounted(b"DATA") as tree:
                        for path, ip in tree.walk():
                            if (b"DATA", path) in whole and path.endswith(b"0"):
                                assert tree.hashed(ip) == whole[b"DATA", path]
                except KpyError as error:
                    assert error.name == ("EIO" if what == "reads" else "ENOMEM")
    assert survey(h2, image) == (whole, [])


def test_complaints_come_to_an_end(h2, image):
    for block in Image(image).blocks():
        if block.type == DATA and checked(block):
            image[block.offset] ^= 1
    survey(h2, image)
    told = [line for line in "".join(h2.mod.output).splitlines() if line.startswith("hammer2:")]
    assert len(told) == 17 and told[-1] == "hammer2: no more is told of damaged blocks"
