# SPDX-License-Identifier: BSD-3-Clause
"""The reader gives of real volumes what their manifests say, and refuses what is none."""
from __future__ import annotations

import hashlib
import zlib
from functools import lru_cache

import pytest

from tests.harness import volumes as real
from tests.toolchain.image_folders import made
from toolchain.image import gpt
from toolchain.image.hammer2 import codes, ondisk
from toolchain.image.hammer2.ondisk import Blockref, ImageError
from toolchain.image.hammer2.reader import Volumes

TYPES = {"dir": 1, "file": 2, "fifo": 4, "chardev": 5, "blockdev": 6, "symlink": 7, "socket": 9}


@pytest.mark.parametrize("name", sorted(real.sets()))
def test_every_file_is_as_the_manifest_says(name, monkeypatch):
    monkeypatch.setattr(codes, "crc32c", lru_cache(codes.crc32c))   # one has 70 MB of zeros, stored
    volume_set = real.sets()[name]
    with Volumes(volume_set.images()) as volumes:
        for label, entries in volume_set.labels.items():
            expected = {real.path_of(entry): entry for entry in entries}
            inodes = volumes.inodes(volumes.label(label.encode()))
            todo = [(b"", 1)]
            while todo:
                folder, inum = todo.pop()
                for found in volumes.entries(inodes[inum]):
                    entry, inode = expected.pop(folder + found.name), inodes[found.inum]
                    assert inode.type == found.type == TYPES[entry["type"]]
                    assert (inode.mode, inode.nlinks, inode.mtime) == (
                        int(entry["mode"], 8), entry["nlink"], entry["mtime_us"])
                    if entry["type"] == "dir":
                        todo.append((folder + found.name + b"/", found.inum))
                    elif entry["type"] == "symlink":
                        assert volumes.target(inode) == entry["target"].encode()
                    elif entry["type"] == "file":
                        assert hashed(volumes, inode) == entry["sha256"]
            assert not expected


def hashed(volumes, inode) -> str:
    digest, at = hashlib.sha256(), 0
    for offset, data in volumes.content(inode):
        digest.update(bytes(offset - at))
        digest.update(data)
        at = offset + len(data)
    digest.update(bytes(inode.size - at))
    return digest.hexdigest()


def expanded(methods: int, data: bytes) -> bytes:
    return Volumes.expanded(Blockref(methods=methods, data_off=0x100A), data)


def test_blocks_expand():
    packed = zlib.compress(b"ab" * 1000)
    assert expanded(3, packed.ljust(1024, b"\0")) == b"ab" * 1000
    assert expanded(0, b"raw") == b"raw"


@pytest.mark.parametrize(("methods", "data", "text"), [
    (2, b"\xff\xff\xff\xff" + bytes(1020), "it is longer than its block"),
    (2, b"\x05\0\0\0" + b"\xff" * 1020, "Decompression failed"),
    (3, b"nothing" + bytes(1017), "incorrect header check"),
    (3, zlib.compress(b"ab" * 1000)[:10], "it ends too early"),
    (9, bytes(1024), "its method is unknown"),
])
def test_what_does_not_expand_is_named(methods, data, text):
    with pytest.raises(ImageError, match=f"block 0x100a: cannot be expanded: .*{text}"):
        expanded(methods, data)


def test_zlib_that_never_ends_stops_at_a_block():
    assert len(expanded(3, zlib.compress(bytes(1 << 24)))) == ondisk.PBUFSIZE


def test_what_is_no_volume_is_refused(tmp_path):
    path = tmp_path / "file"
    for content, text in ((None, "No such file"), (b"", "it is empty"),
                          (bytes(1 << 20), "not a HAMMER2 volume, nor a disk with a partition"),
                          (b"short", "not a HAMMER2 volume")):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ImageError, match=text):
            Volumes([path])


def test_another_byte_order_is_named(tmp_path):
    (tmp_path / "in").mkdir()
    path = made(tmp_path / "in", tmp_path / "volume.img")
    with path.open("r+b") as file:
        file.write(ondisk.VOLUME_ID_ABO.to_bytes(8, "little"))
    with pytest.raises(ImageError, match="other byte order"):
        Volumes([path])


def test_volumes_of_a_set_must_all_be_there(tmp_path):
    first, second = real.named("s13-bare-2vol").images()
    with Volumes([second, first]) as volumes:           # in any order
        assert volumes.labels()
    with pytest.raises(ImageError, match="the set has 2 volumes, 1 are given"):
        Volumes([first])
    with pytest.raises(ImageError, match="the first volume of the set is missing"):
        Volumes([second])
    with pytest.raises(ImageError, match="volume 0 is there twice"):
        Volumes([first, first])
    (tmp_path / "in").mkdir()
    other = made(tmp_path / "in", tmp_path / "volume.img")
    with pytest.raises(ImageError, match="volume 0 is there twice"):
        Volumes([first, other])


def ladder(depth: int) -> bytes:
    """Indirect blocks, each with two refs to the one below: 2**30 ways to the last."""
    if depth == 30:
        return Blockref(type=4).pack()
    bits = 63 - depth
    return b"".join(Blockref(type=2, keybits=bits, key=half, data_off=depth + 1 << 20 | 12).pack()
                    for half in (0, 1 << bits))


def test_blocks_that_are_reached_in_many_ways_end_in_an_error(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    with Volumes([made(tmp_path / "in", tmp_path / "volume.img")]) as volumes:
        monkeypatch.setattr(volumes, "checked", lambda ref: ladder(ref.data_off >> 20))
        with pytest.raises(ImageError, match="out of order or range"):
            list(volumes.refs(ladder(0)))


def test_an_indirect_block_below_itself_ends_in_an_error(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    with Volumes([made(tmp_path / "in", tmp_path / "volume.img")]) as volumes:
        block = Blockref(type=2, keybits=63, data_off=1 << 20 | 12).pack()
        monkeypatch.setattr(volumes, "checked", lambda ref: block)
        with pytest.raises(ImageError, match="covers as much as its parent"):
            list(volumes.refs(block))


def test_a_label_that_is_not_there_brings_those_that_are(tmp_path):
    (tmp_path / "in").mkdir()
    with (Volumes([made(tmp_path / "in", tmp_path / "volume.img")]) as volumes,
          pytest.raises(ImageError, match="there is no label `X`; there are: ROOT, LOCAL")):
        volumes.label(b"X")


def test_a_partition_is_found_by_its_type(tmp_path):
    (tmp_path / "in").mkdir()
    volume = made(tmp_path / "in", tmp_path / "volume.img").read_bytes()
    parts = [gpt.Partition(1 << 20, 1 << 20, gpt.SWAP), gpt.Partition(3 << 20, len(volume))]
    size = gpt.disk_size(parts)
    disk = bytearray(size)
    disk[3 << 20:(3 << 20) + len(volume)] = volume
    for at, data in gpt.tables(size, parts, "seed"):
        disk[at:at + len(data)] = data
    disk[512:600] = bytes(88)                           # the primary table is gone
    (tmp_path / "disk.img").write_bytes(disk)
    with Volumes([tmp_path / "disk.img"]) as volumes:
        assert [label.name for label in volumes.labels()] == [b"ROOT", b"LOCAL"]
