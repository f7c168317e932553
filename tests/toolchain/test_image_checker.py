# SPDX-License-Identifier: BSD-3-Clause
"""The checker accepts real volumes, and finds every kind of damage, by path and block."""
from __future__ import annotations

import contextlib
import mmap
import os
import random
import re
import shutil

import pytest

from tests.harness import volumes as real
from tests.toolchain.image_folders import findings, made
from tests.unit.fs.hammer2.image import DATA, DIRENT, FREEMAP_LEAF, INDIRECT, INODE, Block, Image
from toolchain.image.hammer2 import checker, codes
from toolchain.image.hammer2.ondisk import ImageError, VolumeData, freemap_address
from toolchain.image.hammer2.reader import Volumes

ZONE = 2 << 30
PBUF = 65536
LEAF = freemap_address(0, 1, 0)


@pytest.mark.parametrize("name", sorted(real.sets()))
def test_real_volumes_have_no_errors(name):
    found = findings(*real.sets()[name].images())
    assert [str(one) for one in found if one.kind == checker.ERROR] == []


# --- Damage --------------------------------------------------------------------------------


class Damaged(Image):
    """A volume that a test changes."""

    def one(self, kind: int, **wanted: int) -> Block:
        """The first block of a kind below the PFS ROOT with such attributes."""
        label = self.label()
        return next(b for b in self.blocks(freemap=True) if b.type == kind
                    and (kind == FREEMAP_LEAF or below(b, label))
                    and all(getattr(b, name) == value for name, value in wanted.items()))

    def label(self) -> Block:
        return next(b for b in self.blocks() if b.type == INODE
                    and self.data[b.offset + 0x100:b.offset + 0x105] == b"ROOT\0")

    def inode(self, inum: int) -> Block:
        return self.one(INODE, key=inum)

    def entry(self, name: bytes) -> Block:
        return next(b for b in self.blocks() if b.type == DIRENT
                    and self.data[b.ref + 0x40:b.ref + 0x80].rstrip(b"\0") == name)

    def set(self, block: Block, field: int, size: int, value: int) -> None:
        """A field of a block, with good check codes up to the header."""
        self.put(block.offset + field, size, value)
        self.mend(block)

    def set_ref(self, block: Block, field: int, size: int, value: int) -> None:
        """A field of a blockref, the same way."""
        self.put(block.ref + field, size, value)
        self.mend(block.parent)

    def set_record(self, segment: int, field: int, size: int, value: int) -> None:
        """A field of a record of the freemap."""
        self.put(LEAF + segment * 128 + field, size, value)
        self.mend_freemap()

    def mend_freemap(self) -> None:
        self.mend(self.one(FREEMAP_LEAF))


def below(block: Block, label: Block) -> bool:
    parent = block.parent
    while parent is not None:
        if parent.ref == label.ref:
            return True
        parent = parent.parent
    return False


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "in"
    (place / "sub").mkdir(parents=True)
    (place / "a-file").write_bytes(b"some text " * 900)
    (place / "large").write_bytes(os.urandom(6 * PBUF))
    (place / "sub" / "inner").write_bytes(b"small")
    (place / "sub" / ("long" * 20)).write_bytes(b"x")
    os.link(place / "a-file", place / "sub" / "other-name")
    os.symlink("a-file", place / "to-a-file")
    return place


def inums(folder, tmp_path) -> dict[str, int]:
    with Volumes([made(folder, tmp_path / "look.img")]) as volumes:
        root = volumes.label(b"ROOT").inode
        return {entry.name.decode(): entry.inum for entry in volumes.entries(root)}


def bit(image: Damaged, block: Block) -> None:
    image.data[block.offset + block.size // 2] ^= 1


def swap(image: Damaged, first: int, second: int) -> None:
    """Two blockrefs change places."""
    one, two = bytes(image.data[first:first + 128]), bytes(image.data[second:second + 128])
    image.data[first:first + 128], image.data[second:second + 128] = two, one


def swap_entries(image, inum):
    block = image.inode(inum["sub"])
    image_refs = [ref for ref in image.array(block) if image.data[ref]]
    swap(image, image_refs[0], image_refs[1])
    image.mend(block)


def twice(image, inum):
    """The second entry of `sub` gets the first one's name, in its range."""
    block = image.inode(inum["sub"])
    first, second = [ref for ref in image.array(block) if image.data[ref]][:2]
    key = image.number(first + 8, 8)
    image.data[second:second + 128] = image.data[first:first + 128]
    image.put(second + 8, 8, key + 2)
    image.mend(block)


def rehang(image, inum):
    """The large file's second block lies where its first one has its second half."""
    first = image.one(DATA, key=0, size=PBUF)
    second = image.one(DATA, key=PBUF, size=PBUF)
    image.put(second.ref + 0x20, 8, (first.offset + PBUF // 2) | 15)
    data = image.data[first.offset + PBUF // 2:first.offset + PBUF]
    image.data[second.ref + 0x40:second.ref + 0x48] = codes.xxhash64(bytes(data))
    image.mend(second.parent)


def outside(image, inum):
    image.set_ref(image.one(DATA, key=0, size=PBUF), 0x20, 8, (1 << 40) | 16)


def free_bits(image, inum):
    block = image.one(DATA, key=0, size=PBUF)
    granule = block.offset >> 14
    image.set_record(granule >> 8, 0x40 + (granule & 0xFF) // 4, 1, 0)


def zlib_claim(image, inum):
    image.set_ref(image.one(DATA, key=0, size=PBUF), 1, 1, 0x33)


def lz4_length(image, inum):
    block = image.one(DATA, methods=0x32)
    image.set(block, 0, 4, 60000)


def leave_out(image, inum):
    block = image.entry(b"to-a-file")
    image.data[block.ref:block.ref + 128] = bytes(128)
    image.mend(block.parent)


def second_name_of_sub(image, inum):
    block = image.entry(b"to-a-file")
    image.put(block.ref + 0x30, 8, inum["sub"])
    image.put(block.ref + 0x3A, 1, 1)
    image.mend(block.parent)


def rename(image, inum):
    block = image.entry(b"to-a-file")
    image.data[block.ref + 0x40] = ord("T")
    image.mend(block.parent)


def slash(image, inum):
    block = image.entry(b"to-a-file")
    image.data[block.ref + 0x42] = ord("/")
    image.mend(block.parent)


def kind_of_data(image, inum):
    """The file's indirect block says that it is an inode's."""
    image.set_ref(image.one(DATA, key=0, size=PBUF), 0, 1, DIRENT)


def other_type(image, inum):
    """A data block that is also somebody's inode."""
    inode = image.inode(inum["large"])
    block = image.one(DATA, methods=0x32)
    image.put(block.ref + 0x20, 8, inode.offset | 10)
    image.put(block.ref + 1, 1, 0x30)
    image.data[block.ref + 0x40:block.ref + 0x48] = codes.xxhash64(image.bytes_of(inode))
    image.mend(block.parent)


DAMAGE = {
    "a bit of an inode": (
        lambda i, n: bit(i, i.inode(n["large"])), r"the check code of this inode is wrong"),
    "a bit of an indirect block": (
        lambda i, n: bit(i, i.one(INDIRECT)), r"check code of this indirect block is wrong"),
    "a bit of data": (
        lambda i, n: bit(i, i.one(DATA, key=PBUF)),
        r"ROOT:/large: block 0x\w+: the check code of this data is wrong"),
    "a bit of a long name": (
        lambda i, n: bit(i, i.one(DIRENT, size=1024)),
        r"ROOT:/sub: block .*: the check code of this directory entry is wrong"),
    "a bit of the freemap": (
        lambda i, n: bit(i, i.one(FREEMAP_LEAF)), r"freemap: .*check code of this freemap leaf"),
    "a check code of an unknown kind": (
        lambda i, n: i.set_ref(i.one(DATA, key=0), 1, 1, 0x70), r"unknown kind, 7"),
    "a block outside": (outside, r"ROOT:/large: block 0x10000000010: it is outside of the volume"),
    "a block of an impossible size": (
        lambda i, n: i.set_ref(i.one(DATA, key=0, size=PBUF), 0x20, 8, 0x2000000 | 20),
        r"its size is 2\^20"),
    "a block that is not aligned": (
        lambda i, n: i.set_ref(i.one(DATA, key=0, size=PBUF), 0x20, 8, 0x1800200 | 10),
        r"it is not aligned"),
    "a block that crosses a buffer": (
        lambda i, n: i.set_ref(i.one(DATA, key=0, size=PBUF), 0x20, 8, 0x1804000 | 16),
        r"it crosses a physical buffer"),
    "blocks that overlap": (rehang, r"ROOT:/large: block .*: data overlaps block 0x\w+ of ROOT:"),
    "a block of two kinds": (other_type, r"data here, but inode in ROOT"),
    "a type that is unknown": (
        lambda i, n: i.set_ref(i.one(DATA, key=0, size=PBUF), 0, 1, 99),
        r"type 99 in a tree of a file"),
    "a type of another tree": (
        kind_of_data, r"ROOT:/large: .*: directory entry in a tree of a file"),
    "keys out of order": (swap_entries, r"ROOT:/sub: key \w+ is out of order|is out of order"),
    "keys that overlap": (
        lambda i, n: i.set_ref(i.one(DATA, key=PBUF), 8, 8, 0),
        r"key 0x0 is out of order or overlaps"),
    "a key out of its parent's range": (
        lambda i, n: i.set_ref(i.one(DATA, key=5 * PBUF), 8, 8, 1 << 40),
        r"key 0x10000000000 is outside of its parent's range, 23 bits"),
    "a key that is not aligned": (
        lambda i, n: i.set_ref(i.one(DATA, key=PBUF), 8, 8, PBUF + 1), r"not aligned to 16 bits"),
    "keybits that a leaf has not": (
        lambda i, n: i.set_ref(i.inode(n["large"]), 3, 1, 1), r"inode with 1 bits of keys|aligned"),
    "an indirect block that covers all": (
        lambda i, n: i.set_ref(i.one(INDIRECT, keybits=23), 3, 1, 64),
        r"an indirect block of 64 bits below 64"),
    "an empty ref that is not empty": (
        lambda i, n: i.set(i.inode(n["sub"]), 0x200 + 3 * 128 + 0x20, 8, 7)
        if not i.data[i.inode(n["sub"]).offset + 0x200 + 3 * 128] else None,
        r"an empty blockref has key"),
    "a name with another hash": (rename, r"ROOT:/To-a-file: .*the name's hash is 0x\w+, its key"),
    "a name with a slash": (slash, r"no name may be so"),
    "a name that is too long": (
        lambda i, n: i.set_ref(i.one(DIRENT, size=1024), 0x38, 2, 300),
        r"a name of 300 bytes in a block of 1024"),
    "a short name with a block": (
        lambda i, n: i.set_ref(i.entry(b"to-a-file"), 0x20, 8, 0x1800000 | 10),
        r"a short name with a block of its own"),
    "a name that is there twice": (twice, r"the name is there twice"),
    "an entry of nothing": (
        lambda i, n: i.set_ref(i.entry(b"to-a-file"), 0x30, 8, 9999),
        r"ROOT:/to-a-file: .*leads to inode 9999, which is not there"),
    "an entry of the root": (
        lambda i, n: i.set_ref(i.entry(b"to-a-file"), 0x30, 8, 1), r"leads to inode 1, the root"),
    "an entry of another kind": (
        lambda i, n: i.set_ref(i.entry(b"to-a-file"), 0x3A, 1, 4),
        r"the entry is of a fifo, inode \d+ is a symbolic link"),
    "a directory with two names": (
        second_name_of_sub, r"ROOT:/to-a-file: .*a second name of the directory ROOT:/sub"),
    "an inode without a name": (leave_out, r"ROOT: inode \d+: .*no name leads to it"),
    "a wrong link count": (
        lambda i, n: i.set(i.inode(n["a-file"]), 0x68, 8, 7),
        r"it says 7 links, and has 2: ROOT:/a-file, ROOT:/sub/other-name"),
    "a directory without links": (
        lambda i, n: i.set(i.inode(n["sub"]), 0x68, 8, 0), r"a directory with 0 links"),
    "an inode of another number": (
        lambda i, n: i.set(i.inode(n["large"]), 0x58, 8, 4711), r"says that it is number 4711"),
    "an inode of an unknown kind": (
        lambda i, n: i.set(i.inode(n["large"]), 0x50, 1, 77), r"an inode of unknown kind 77"),
    "an inode of an unknown version": (
        lambda i, n: i.set(i.inode(n["large"]), 0, 2, 9), r"inode version 9 is unknown"),
    "an inode of another size": (
        lambda i, n: i.set_ref(i.inode(n["large"]), 0x20, 8, i.inode(n["large"]).offset | 11),
        r"an inode of 2048 bytes"),
    "a file of an impossible size": (
        lambda i, n: i.set(i.inode(n["large"]), 0x60, 8, 1 << 63),
        r"a size of 9223372036854775808"),
    "data that do not fit in the inode": (
        lambda i, n: i.set(i.inode(n["to-a-file"]), 0x60, 8, 600),
        r"600 bytes cannot be inside the inode"),
    "data inside of a directory": (
        lambda i, n: i.set(i.inode(n["sub"]), 0x51, 1, 1), r"data inside of a directory"),
    "a root inside of a PFS": (
        lambda i, n: i.set(i.inode(n["sub"]), 0x51, 1, 2), r"a root of a PFS inside of one"),
    "data of another method": (zlib_claim, r"ROOT:/large: .*cannot be expanded"),
    "a length past the block": (lz4_length, r"cannot be expanded: it is longer than its block"),
    "a label with another hash": (
        lambda i, n: i.set(i.label(), 0x100, 1, ord("X")),
        r"label XOOT: .*the name's hash"),
    "a PFS that is none": (
        lambda i, n: i.set(i.label(), 0x51, 1, 0), r"it is no root of a PFS"),
    "a super-root that is none": (
        lambda i, n: i.set(i.block(i.header + 0x200, None), 0x87, 1, 6), r"it is no super-root"),
    "no super-root": (
        lambda i, n: (i.put(i.header + 0x200, 1, 0), i.put(i.header + 0x208, 8, 0),
                      i.mend_header(i.header)), r"leads to no super-root"),
    "used space that is free": (
        free_bits, r"ROOT:/large: .*in use, and the freemap has it in state"),
    "a segment's count": (
        lambda i, n: i.set_record(8, 0x1C, 4, 0),
        r"segment 0x2000000: it says that 0 bytes are free"),
    "a reserved segment that is free": (
        lambda i, n: (i.put(LEAF + 0x1C, 4, 16384), i.set_record(0, 0x40, 1, 0xFC)),
        r"segment 0x0: it is reserved, and not marked"),
    "a freemap leaf elsewhere": (
        lambda i, n: (i.put(i.header + 0x820, 8, 0x1800000 | 15), i.mend_header(i.header)),
        r"it is not where freemap blocks are"),
    "a freemap ref of another level": (
        lambda i, n: (i.put(i.header + 0x803, 1, 31), i.mend_header(i.header)),
        r"freemap: .*type 6 with 31 bits"),
    "a freemap key out of order": (
        lambda i, n: (i.put(i.header + 0x808, 8, 5), i.mend_header(i.header)),
        r"freemap: .*key 0x5 is out of order"),
    "an fstype of another file system": (
        lambda i, n: (i.put(i.header + 0x50, 4, 0), i.mend_header(i.header)), r"fstype"),
    "areas that are not in order": (
        lambda i, n: (i.put(i.header + 0x20, 8, 0), i.mend_header(i.header)),
        r"boot and auxiliary area do not follow"),
    "an allocator that begins too early": (
        lambda i, n: (i.put(i.header + 0x70, 8, 4096), i.mend_header(i.header)), r"allocator_beg"),
    "a volume that is larger than its file": (
        lambda i, n: (i.put(i.header + 0x28, 8, 1 << 30), i.mend_header(i.header)),
        r"the volume has 1073741824 bytes, the file 41943040"),
    "a volume of an odd size": (
        lambda i, n: (i.put(i.header + 0x28, 8, 41943039), i.mend_header(i.header)),
        r"not a multiple of 8 MiB"),
    "a volume at another place": (
        lambda i, n: (i.put(i.header + 0xE00, 8, 1 << 30), i.mend_header(i.header)),
        r"is at 0x40000000 instead of 0x0"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found(folder, tmp_path, kind):
    damage, wanted = DAMAGE[kind]
    path = made(folder, tmp_path / "volume.img")
    inum = inums(folder, tmp_path)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        damage(Damaged(data, codes.crc32c), inum)
    found = [str(one) for one in findings(path) if one.kind == checker.ERROR]
    assert any(re.search(wanted, text) for text in found), "\n".join(found) or "nothing found"


@pytest.mark.parametrize(("where", "text"), [
    (0, "no HAMMER2 magic number"), (0x204, "the CRC at 0x1f8"), (0x70, "the CRC at 0x1fc"),
    (0x5000, "the CRC at 0xfffc")])
@pytest.mark.parametrize("copy", [0, 1])
def test_a_damaged_copy_of_the_header_is_named_and_the_other_is_used(folder, tmp_path, copy, where,
                                                                     text):
    path = made(folder, tmp_path / "volume.img", size=2100 << 20)
    with path.open("r+b") as file:
        file.seek(copy * ZONE + where)
        byte = file.read(1)
        file.seek(copy * ZONE + where)
        file.write(bytes([byte[0] ^ 0x10]))
    found = [str(one) for one in findings(path)]
    assert all(f"volume header at {copy * ZONE:#x}" in one for one in found)
    assert any(text in one for one in found)


def test_no_good_header_is_explained(folder, tmp_path):
    path = made(folder, tmp_path / "volume.img")
    with path.open("r+b") as file:
        file.seek(0x5000)
        file.write(b"x")
    with pytest.raises(ImageError, match=r"no HAMMER2 volume header is good\n  at 0x0: the CRC"):
        findings(path)


# --- Notes ---------------------------------------------------------------------------------


NOTES = {
    "marked and not used": (
        lambda i, n: i.set_record(9, 0x40, 8, i.number(LEAF + 9 * 128 + 0x40, 8) | 3 << 62),
        r"bytes are marked, and not used"),
    "statistics": (
        lambda i, n: i.set_ref(i.inode(n["large"]), 0x30, 8, 1), r"statistics say 1 byt"),
    "leaf count": (lambda i, n: i.set_ref(i.inode(n["large"]), 6, 2, 77), r"its leaf count is 77"),
    "allocator_free": (
        lambda i, n: (i.put(i.header + 0x68, 8, 16384), i.mend_header(i.header)),
        r"allocator_free is 16384, by the freemap"),
    "an old freemap": (
        lambda i, n: (i.put(i.header + 0x90, 8, 1), i.mend_header(i.header)),
        r"the freemap is older than the files"),
    "data behind the end": (
        lambda i, n: i.set(i.inode(n["large"]), 0x60, 8, 5 * PBUF), r"the file ends at 327680"),
}


@pytest.mark.parametrize("kind", NOTES)
def test_notes_are_no_errors(folder, tmp_path, kind):
    damage, wanted = NOTES[kind]
    path = made(folder, tmp_path / "volume.img")
    inum = inums(folder, tmp_path)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        damage(Damaged(data, codes.crc32c), inum)
    found = findings(path)
    assert any(one.kind == checker.NOTE and re.search(wanted, str(one)) for one in found)
    assert [str(one) for one in found if one.kind == checker.ERROR and "bytes are free"
            not in one.text] == []


def test_an_older_copy_is_a_note(folder, tmp_path):
    path = made(folder, tmp_path / "volume.img", size=2100 << 20)
    with path.open("r+b") as file:
        block = bytearray(file.read(PBUF))
        header = VolumeData.unpack(block)
        block[0x78:0x80] = (header.mirror_tid - 1).to_bytes(8, "little")
        file.seek(0)
        file.write(codes.seal_header(block))
    assert [(one.kind, "it is older: 15 instead of 16" in one.text) for one in findings(path)] == [
        (checker.NOTE, True)]


def test_random_damage_ends_in_an_answer(folder, tmp_path):
    """No image makes the checker fail: it says what is wrong, or that there is no volume."""

    rng = random.Random(5)
    path = made(folder, tmp_path / "volume.img")
    for _ in range(60):
        copy = tmp_path / "copy.img"
        shutil.copyfile(path, copy)
        with copy.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
            image = Damaged(data, codes.crc32c)
            blocks = [b for b in image.blocks(freemap=True) if b.size and b.type != DATA]
            for block in rng.sample(blocks, min(3, len(blocks))):
                at = block.offset + rng.randrange(block.size)
                data[at] = rng.randrange(256)
                ref = block.ref + rng.randrange(0x40)
                data[ref] = rng.randrange(256)
                image.mend(block)
        with contextlib.suppress(ImageError):
            findings(copy)
