# SPDX-License-Identifier: BSD-3-Clause
"""A label becomes a folder; what an image says never leads out of it."""
from __future__ import annotations

import mmap
import os

import pytest

from tests.toolchain import image_folders
from tests.toolchain.image_folders import made
from tests.unit.fs.hammer2.image import DIRENT, INODE, Image
from toolchain.image.hammer2 import codes
from toolchain.image.hammer2.extract import extract
from toolchain.image.hammer2.ondisk import ImageError
from toolchain.image.hammer2.reader import Volumes


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "file").write_bytes(b"content")
    return tmp_path / "in"


def unpacked(image, folder):
    with Volumes([image]) as volumes:
        return extract(volumes, b"ROOT", folder)


def changed(image, change):
    with image.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        change(Image(data, codes.crc32c))


def entry(image, name):
    return next(b for b in image.blocks() if b.type == DIRENT
                and image.data[b.ref + 0x40:b.ref + 0x80].rstrip(b"\0") == name)


def renamed(old, new):
    def change(image):
        block = entry(image, old)
        image.data[block.ref + 0x40:block.ref + 0x40 + len(new)] = new
        image.put(block.ref + 0x38, 2, len(new))
        image.mend(block.parent)
    return change


@pytest.mark.parametrize("name", [b"..", b".", b"a/b", b"a\0b"])
def test_names_that_lead_elsewhere_are_refused(folder, tmp_path, name):
    image = made(folder, tmp_path / "volume.img")
    changed(image, renamed(b"file", name))
    with pytest.raises(ImageError, match="a name that may not be"):
        unpacked(image, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "volume.img"]


def test_nothing_is_written_through_a_link(folder, tmp_path):
    """A link and a folder of one name: the second one is refused."""
    os.symlink(tmp_path, folder / "bus")
    image = made(folder, tmp_path / "volume.img")
    changed(image, renamed(b"bus", b"sub"))
    with pytest.raises(ImageError, match=r"sub: cannot be written: File exists"):
        unpacked(image, tmp_path / "out")


def test_a_folder_in_itself_is_refused(folder, tmp_path):
    (folder / "sub" / "below").mkdir()
    image = made(folder, tmp_path / "volume.img")

    def change(image):
        outer, inner = entry(image, b"sub"), entry(image, b"below")
        image.put(inner.ref + 0x30, 8, image.number(outer.ref + 0x30, 8))
        image.mend(inner.parent)
    changed(image, change)
    with pytest.raises(ImageError, match="a directory with two names"):
        unpacked(image, tmp_path / "out")


def test_an_entry_of_nothing_is_refused(folder, tmp_path):
    image = made(folder, tmp_path / "volume.img")

    def change(image):
        block = entry(image, b"file")
        image.put(block.ref + 0x30, 8, 9999)
        image.mend(block.parent)
    changed(image, change)
    with pytest.raises(ImageError, match="out/file: there is no inode 9999"):
        unpacked(image, tmp_path / "out")


def test_a_damaged_block_is_named(folder, tmp_path):
    (folder / "file").write_bytes(os.urandom(5000))
    image = made(folder, tmp_path / "volume.img")

    def change(image):
        block = next(b for b in image.blocks() if b.type == 3)
        image.data[block.offset] ^= 1
    changed(image, change)
    with pytest.raises(ImageError, match=r"block 0x1800.*: wrong check code"):
        unpacked(image, tmp_path / "out")


def test_a_size_without_end_is_an_error_of_the_host(folder, tmp_path):
    (folder / "file").write_bytes(bytes(5000))
    image = made(folder, tmp_path / "volume.img")

    def change(image):
        block = next(b for b in image.blocks() if b.type == INODE
                     and image.data[b.offset + 0x50] == 2)
        image.put(block.offset + 0x60, 8, (1 << 63) - 1)
        image.mend(block)
    changed(image, change)
    with pytest.raises(ImageError, match="cannot be written"):
        unpacked(image, tmp_path / "out")


def test_the_folder_must_be_empty(folder, tmp_path):
    image = made(folder, tmp_path / "volume.img")
    with pytest.raises(ImageError, match="must be an empty folder"):
        unpacked(image, folder)
    with pytest.raises(ImageError, match="must be an empty folder"):
        unpacked(image, image)
    (tmp_path / "out").mkdir()
    assert unpacked(image, tmp_path / "out") == []


def test_what_is_left_out_is_said(folder, tmp_path):
    image_folders.with_socket(folder)
    image = made(folder, tmp_path / "volume.img")
    assert unpacked(image, tmp_path / "out") == [f"{tmp_path}/out/socket: a socket"]
