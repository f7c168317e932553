# SPDX-License-Identifier: BSD-3-Clause
"""What a medium may say: arrays of blockrefs, entries, inodes; bounds on both sides."""
from __future__ import annotations

import ctypes
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fs.hammer2.driver import FILES
from tests.unit.fs.hammer2.image import DATA, DIRENT, INDIRECT, INODE
from toolchain import host

TOTAL = 64 << 20
TOP = 1 << 63
NOTHING, VOLUME, SUPROOT, PFSROOT, DIRECTORY, FILE = range(6)
BLOCK = 8 << 20


@pytest.fixture(scope="module")
def validate():
    return host.build(FILES, faults=True).modules["kernel.fs.hammer2.validate"]


def ref(kind, key, keybits, media=BLOCK | 14, embed=b""):
    made = bytearray(128)
    struct.pack_into("<BBBBBBHQ", made, 0, kind, 0, 0, keybits, 0, 0, 0, key)
    struct.pack_into("<Q", made, 0x20, media)
    made[0x30:0x30 + len(embed)] = embed
    return bytes(made)


def dirent(key, size=3, media=0, kind=2):
    return ref(DIRENT, key, 0, media, struct.pack("<QHB", 5, size, kind))


EMPTY = bytes(128)
DATA0, DATA2 = ref(DATA, 0, 16), ref(DATA, 2 << 16, 16)


def accepted(validate, refs, tree=FILE, key=0, keybits=64):
    return validate.blockset(b"".join(refs), tree, key, keybits, TOTAL)


@pytest.mark.parametrize("refs", [
    [], [EMPTY] * 4, [DATA0], [EMPTY, DATA0, EMPTY, DATA2], [DATA0, DATA2],
    [ref(INDIRECT, 0, 23), ref(INDIRECT, 1 << 23, 23)], [ref(INDIRECT, TOP, 63)],
    [ref(DATA, 0, 16, 0)], [ref(DATA, (1 << 64) - (1 << 16), 16)]])
def test_arrays_that_are_good(validate, refs):
    assert accepted(validate, refs)


@pytest.mark.parametrize("refs", [
    [DATA2, DATA0], [DATA0, DATA0], [ref(DATA, 1, 16)], [ref(DATA, 0, 15)], [ref(DATA, 0, 17)],
    [ref(INDIRECT, 0, 23), DATA2], [ref(INDIRECT, 1, 23)], [ref(INDIRECT, 0, 64)],
    [ref(INDIRECT, 0, 255)], [ref(INDIRECT, 0, 0)], [ref(INDIRECT, 0, 23, 0)],
    [ref(5, 0, 16)], [ref(7, 0, 16)], [ref(255, 0, 16)], [ref(INODE, 0, 0)], [dirent(TOP)],
    [ref(DATA, (1 << 64) - (1 << 16), 16), DATA0], [DATA0[:100]]])
def test_arrays_that_are_not(validate, refs):
    assert not accepted(validate, refs)


def test_what_a_block_holds_lies_in_its_range_and_covers_less(validate):
    inside = ref(DATA, 3 << 16, 16)
    assert accepted(validate, [inside], key=2 << 16, keybits=17)
    assert not accepted(validate, [inside], key=4 << 16, keybits=17)
    assert not accepted(validate, [inside], key=0, keybits=17)
    assert not accepted(validate, [ref(INDIRECT, 0, 23)], key=0, keybits=23)
    assert accepted(validate, [ref(INDIRECT, 0, 22)], key=0, keybits=23)


@pytest.mark.parametrize(("tree", "good"), [
    (NOTHING, []), (VOLUME, []), (SUPROOT, ["low", "high"]), (PFSROOT, ["low", "entry"]),
    (DIRECTORY, ["entry"]), (FILE, [])])
def test_each_tree_has_its_own(validate, tree, good):
    refs = {"low": ref(INODE, 1024, 0, BLOCK | 10), "high": ref(INODE, TOP + 9, 0, BLOCK | 10),
            "entry": dirent(TOP + 5)}
    assert [name for name, one in refs.items() if accepted(validate, [one], tree)] == good
    assert accepted(validate, [ref(INODE, 0, 0, BLOCK | 10)], VOLUME)
    assert not accepted(validate, [ref(INODE, 1024, 0, BLOCK | 11)], PFSROOT)
    assert not accepted(validate, [ref(INODE, 1024, 1, BLOCK | 10)], PFSROOT)


@pytest.mark.parametrize(("size", "media", "good"), [
    (0, 0, False), (1, 0, True), (64, 0, True), (65, 0, False), (64, BLOCK | 10, False),
    (65, BLOCK | 10, True), (255, BLOCK | 10, True), (256, BLOCK | 10, False),
    (65, BLOCK | 11, False), (65535, BLOCK | 10, False), (65, TOTAL | 10, False)])
def test_names_of_entries(validate, size, media, good):
    assert accepted(validate, [dirent(TOP + 1, size, media)], DIRECTORY) == good


def test_kinds_of_entries(validate):
    good = [kind for kind in range(256)
            if accepted(validate, [dirent(TOP + 1, kind=kind)], DIRECTORY)]
    assert good == [1, 2, 4, 5, 6, 7, 9, 10]


@pytest.mark.parametrize(("media", "good"), [
    (10, True), (9, False), (0, False), (16, True), (17, False), (63, False), (BLOCK | 16, True),
    ((BLOCK + 1024) | 10, True), ((BLOCK + 1024) | 16, False), ((BLOCK + 64512) | 10, True),
    ((BLOCK + 64512) | 11, False), ((BLOCK + 64) | 10, False), (TOTAL | 10, False),
    ((TOTAL - 1024) | 10, True), ((TOTAL - 1024) | 11, False), ((1 << 64) - 64 | 10, False),
    ((1 << 64) - 1024 | 10, False)])
def test_blocks_lie_inside_the_volumes_and_one_buffer(validate, media, good):
    assert validate.media(media, TOTAL) == good


@given(array=st.lists(st.builds(
    ref, st.integers(0, 8), st.integers(0, 2**64 - 1), st.integers(0, 255),
    st.integers(0, 2**64 - 1)) | st.just(DATA0) | st.just(EMPTY), max_size=6),
    tree=st.integers(0, 5), key=st.integers(0, 2**20).map(lambda n: n << 20),
    keybits=st.sampled_from([16, 17, 20, 63, 64]))
def test_any_array_is_accepted_or_not(validate, array, tree, key, keybits):
    key = key >> keybits << keybits if keybits < 64 else 0
    if accepted(validate, array, tree, key, keybits):
        ends = [-1]
        for one in array:
            kind, bits = one[0], one[3]
            first = int.from_bytes(one[8:16], "little")
            if kind:
                assert ends[-1] < first and key <= first
                ends.append(first + (1 << bits) - 1)
        assert ends[-1] < key + (1 << keybits)


@pytest.mark.parametrize(("name", "good"), [
    (b"a", True), (b"x" * 255, True), (b"", False), (b"x" * 256, False), (b"a/b", False),
    (b"a\0", False), (b"/", False), (b"\xff\xfe", True)])
def test_names(validate, name, good):
    module = host.build(FILES, faults=True)
    key = module.dirhash(name)
    assert validate.name(name, key) == validate.name(name, key + 77) == good
    assert not validate.name(name, key ^ 1 << 40)


def inode(**changes):
    fields = {"version": (0, 2, 1), "kind": (0x50, 1, 2), "flags": (0x51, 1, 0),
              "inum": (0x58, 8, 1024), "size": (0x60, 8, 100), "nlinks": (0x68, 8, 1),
              "name_len": (0x80, 2, 18), "pfs_type": (0x87, 1, 0)}
    made = bytearray(1024)
    for name, (at, size, value) in fields.items():
        made[at:at + size] = changes.get(name, value).to_bytes(size, "little")
    return bytes(made)


@pytest.mark.parametrize(("changes", "good"), [
    ({}, True), ({"version": 0}, False), ({"version": 2}, False), ({"kind": 0}, False),
    ({"kind": 3}, False), ({"kind": 255}, False), ({"kind": 1}, True), ({"kind": 10}, True),
    ({"inum": 1025}, False), ({"size": TOP - 1}, True), ({"size": TOP}, False),
    ({"nlinks": 0}, False), ({"name_len": 256}, True), ({"name_len": 257}, False),
    ({"pfs_type": 8}, False), ({"flags": 2}, False), ({"flags": 1}, True),
    ({"flags": 1, "size": 512}, True), ({"flags": 1, "size": 513}, False),
    ({"flags": 1, "kind": 1}, False), ({"flags": 1, "kind": 4}, False)])
def test_inodes_of_an_index(validate, changes, good):
    module = host.build(FILES, faults=True)
    made = module.modules["kernel.fs.hammer2.ondisk"].Inode()
    ctypes.memmove(made.address, inode(**changes), 1024)
    assert validate.inode(made, PFSROOT, 1024, TOTAL) == good
