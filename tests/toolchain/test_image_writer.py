# SPDX-License-Identifier: BSD-3-Clause
"""A folder becomes a volume that the checker finds nothing in, and that has what the folder has."""
from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toolchain import image_folders
from tests.toolchain.image_folders import TIME, described, everything, findings, made
from toolchain.image.hammer2 import blocks, codes, ondisk, source
from toolchain.image.hammer2.extract import extract
from toolchain.image.hammer2.ondisk import ImageError, VolumeData, unpack_refs
from toolchain.image.hammer2.reader import Volumes

MIB = 1 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="module")
def image(folder, tmp_path_factory):
    return made(folder, tmp_path_factory.mktemp("image") / "volume.img", snapshots=("old", "older"))


def test_the_checker_finds_nothing(image):
    assert findings(image) == []


@pytest.mark.parametrize("label", [b"ROOT", b"old", b"older"])
def test_what_comes_out_is_what_went_in(folder, image, tmp_path, label):
    with Volumes([image]) as volumes:
        assert extract(volumes, label, tmp_path / "out") == []
    assert described(tmp_path / "out") == described(folder)


def test_labels_and_what_snapshots_share(image):
    with Volumes([image]) as volumes:
        found = {label.name: label for label in volumes.labels()}
    assert set(found) == {b"LOCAL", b"ROOT", b"old", b"older"}
    assert found[b"old"].snapshot and not found[b"ROOT"].snapshot
    assert found[b"old"].inode.data == found[b"ROOT"].inode.data
    assert len({label.inode.pfs_fsid for label in found.values()}) == 4
    assert found[b"ROOT"].inode.pfs_lsnap_tid == found[b"ROOT"].ref.modify_tid


def test_inodes_have_what_the_host_has(folder, image):
    with Volumes([image]) as volumes:
        inodes = volumes.inodes(volumes.label(b"ROOT"))
        root = {entry.name: inodes[entry.inum] for entry in volumes.entries(inodes[1])}
    host = os.stat(folder / "three")
    three = root[b"three"]
    assert (three.nlinks, three.size, three.mode) == (3, host.st_size, host.st_mode & 0o7777)
    assert three.uid == bytes(12) + host.st_uid.to_bytes(4, "little")
    assert three.mtime == host.st_mtime_ns // 1000
    assert sorted(inodes) == [1, *range(1024, 1023 + len(inodes))]
    assert all(inode.iparent in inodes for inode in inodes.values())
    assert root[b"random-512"].op_flags & 1 and not root[b"random-513"].op_flags & 1
    assert root[b"link"].op_flags & 1 and not root[b"long-link"].op_flags & 1


def test_blocks_are_stored_by_their_rule(image):
    with Volumes([image]) as volumes:
        inodes = volumes.inodes(volumes.label(b"ROOT"))
        root = {entry.name: inodes[entry.inum] for entry in volumes.entries(inodes[1])}

        def shape(name):
            return [(ref.key, ref.methods, ref.size) for ref in volumes.refs(root[name].data)]
        assert shape(b"random-65537") == [(0, 0x30, 65536), (65536, 0x32, 1024)]
        assert shape(b"random-1025") == [(0, 0x30, 2048)]
        assert shape(b"text-65536") == [(0, 0x32, 1024)]
        assert shape(b"text-300000") == [(n * 65536, 0x32, 1024) for n in range(5)]
        assert shape(b"zeros-300000") == []
        assert [key for key, _, _ in shape(b"sparse")] == [
            0, MIB, 5 * MIB, 700 * MIB - 2 * 65536]


def test_compression_is_kept_only_if_it_fits_half():
    half = os.urandom(2000)
    assert blocks.stored(half + bytes(2096)).methods == 0x32
    assert blocks.stored(os.urandom(2100) + bytes(1996)).methods == 0x30
    assert blocks.stored(bytes(4096)) is None


def test_the_same_input_makes_the_same_bytes(folder, image, tmp_path):
    again = made(folder, tmp_path / "again.img", snapshots=("old", "older"))
    assert again.read_bytes() == image.read_bytes()
    other = made(folder, tmp_path / "other.img", snapshots=("old", "older"), timestamp=TIME - 10)
    assert other.read_bytes() != image.read_bytes()


def test_a_time_stamp_is_the_latest_time(folder, tmp_path):
    stamp = TIME - 500_000
    image = made(folder, tmp_path / "volume.img", timestamp=stamp)
    with Volumes([image]) as volumes:
        times = [inode.mtime for label in volumes.labels()
                 for inode in volumes.inodes(label).values()]
    assert max(times) == stamp * 1_000_000 and min(times) < max(times)


def test_an_owner_is_everybodys(folder, tmp_path):
    image = made(folder, tmp_path / "volume.img", owner=(7, 8))
    with Volumes([image]) as volumes:
        inodes = volumes.inodes(volumes.label(b"ROOT")).values()
        assert {(inode.uid[12], inode.gid[12]) for inode in inodes} == {(7, 8)}


def test_sockets_are_kept(tmp_path):
    (tmp_path / "in").mkdir()
    image_folders.with_socket(tmp_path / "in")
    image = made(tmp_path / "in", tmp_path / "volume.img")
    with Volumes([image]) as volumes:
        inodes = volumes.inodes(volumes.label(b"ROOT"))
    assert [inode.type for inode in inodes.values()] == [ondisk.DIRECTORY, ondisk.SOCKET]


def test_device_nodes_are_kept(tmp_path, monkeypatch):
    """Made up: to make one takes rights."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "null").touch()
    real = os.lstat

    def lstat(path):
        seen = list(real(path))
        seen[0] = 0o020666
        return os.stat_result([*seen[:10], *[0.0] * 3, *[0] * 3, 4096, 0, os.makedev(1, 3)])
    monkeypatch.setattr(source.os, "lstat", lstat)
    image = made(tmp_path / "in", tmp_path / "volume.img")
    monkeypatch.undo()
    assert findings(image) == []
    with Volumes([image]) as volumes:
        node = volumes.inodes(volumes.label(b"ROOT"))[1024]
    assert (node.type, node.rmajor, node.rminor, node.mode) == (ondisk.CDEV, 1, 3, 0o666)


def test_names_with_one_hash_are_told_apart(tmp_path, monkeypatch):
    """Every name gets the same hash."""
    (tmp_path / "in").mkdir()
    for number in range(50):
        (tmp_path / "in" / f"{number:02}").write_bytes(b"%d" % number)
    monkeypatch.setattr(codes, "dirhash", lambda name: 0xC1D0433082E08000)
    image = made(tmp_path / "in", tmp_path / "volume.img")
    assert findings(image) == []
    with Volumes([image]) as volumes:
        root = volumes.label(b"ROOT").inode
        keys = [ref.key & 0x7FFF for ref in volumes.refs(root.data) if ref.key >> 63]
        assert keys == list(range(50))
        assert len(volumes.entries(root)) == 50
    monkeypatch.undo()


@pytest.mark.parametrize(("size", "copies", "boot", "aux"), [
    (32 * MIB, 1, 8, 8), (2047 * MIB, 1, 64, 64), (2049 * MIB, 1, 64, 64), (2056 * MIB, 2, 64, 64),
    (8192 * MIB, 4, 64, 256), (20000 * MIB, 4, 64, 256)])
def test_a_size_brings_headers_and_areas(tmp_path, size, copies, boot, aux):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"content" * 1000)
    image = made(tmp_path / "in", tmp_path / "volume.img", size=size)
    assert image.stat().st_size == size // (8 * MIB) * 8 * MIB
    assert image.stat().st_blocks * 512 < 4 * MIB
    assert findings(image) == []
    with Volumes([image]) as volumes:
        headers = [copy.header for copy in volumes.volumes[0].copies]
    assert len(headers) == copies and all(head == headers[0] for head in headers)
    assert headers[0].boot_end - headers[0].boot_beg == boot * MIB
    assert headers[0].aux_end - headers[0].aux_beg == aux * MIB


def test_without_a_size_five_percent_are_free(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(os.urandom(90 * MIB))
    image = made(tmp_path / "in", tmp_path / "volume.img")
    header = VolumeData.unpack(image.read_bytes()[:65536])
    assert header.allocator_size // 20 <= header.allocator_free <= header.allocator_size // 4
    assert findings(image) == []


def test_many_snapshots_need_an_indirect_block(tmp_path):
    (tmp_path / "in").mkdir()
    labels = tuple(f"daily.{n}" for n in range(61))
    image = made(tmp_path / "in", tmp_path / "volume.img", snapshots=labels)
    assert findings(image) == []
    with Volumes([image]) as volumes:
        assert len(volumes.labels()) == 63
        root = volumes.inode(unpack_refs(volumes.header.sroot_blockset)[0])
        assert any(ref.type == ondisk.INDIRECT for ref in unpack_refs(root.data))


def test_a_deep_tree(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    here = os.open(place, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    image = made(place, tmp_path / "volume.img")
    assert findings(image) == []


@pytest.mark.parametrize(("options", "message"), [
    ({"label": "a/b"}, "`a/b` cannot be a label"),
    ({"label": ""}, "`` cannot be a label"),
    ({"label": "x" * 256}, "cannot be a label: 1 to 255 bytes"),
    ({"label": "LOCAL"}, "labels must differ, and LOCAL is always there: LOCAL"),
    ({"snapshots": ("ROOT",)}, "labels must differ"),
    ({"snapshots": tuple(map(str, range(62)))}, "at most 61 snapshots"),
    ({"size": 16 * MIB}, "a volume has 32 MiB to 1 PiB, not 16777216 bytes"),
    ({"timestamp": -1}, "seconds since 1970"),
])
def test_wrong_options_are_explained(tmp_path, options, message):
    (tmp_path / "in").mkdir()
    with pytest.raises(ImageError, match=message):
        made(tmp_path / "in", tmp_path / "volume.img", **options)
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]


def test_a_folder_that_does_not_fit_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(os.urandom(9 * MIB))
    with pytest.raises(ImageError, match="does not fit in 33554432 bytes; give a larger --size"):
        made(tmp_path / "in", tmp_path / "volume.img", size=32 * MIB)
    assert not (tmp_path / "volume.img").exists()


def test_a_file_that_changes_is_noticed(tmp_path):
    (tmp_path / "in").mkdir()
    for size in (100, 100_000):
        (tmp_path / "in" / "file").write_bytes(bytes(size))
        node = source.scan(tmp_path / "in")[1]
        (tmp_path / "in" / "file").write_bytes(b"1")
        with pytest.raises(ImageError, match="changed while it was read"):
            assert source.small_content(node) is None
            list(source.raw_blocks(node))


def test_what_is_no_folder_is_named(tmp_path):
    with pytest.raises(ImageError, match="nothing: No such file"):
        made(tmp_path / "nothing", tmp_path / "volume.img")
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="file: not a folder"):
        made(tmp_path / "file", tmp_path / "volume.img")


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "secret").write_bytes(b"x")

    def refuse(*arguments, **more):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ImageError, match="in/secret: cannot be read: Permission denied"):
        made(tmp_path / "in", tmp_path / "volume.img")


NAMES = st.binary(min_size=1, max_size=80).filter(
    lambda name: not set(name) & {0, 47} and name not in {b".", b".."})
CONTENTS = st.one_of(
    st.binary(max_size=1500), st.integers(0, 200_000).map(bytes),
    st.tuples(st.binary(min_size=1, max_size=50), st.integers(1, 5000)).map(lambda t: t[0] * t[1]),
    st.tuples(st.integers(0, 9), st.integers(0, 200_000)).map(
        lambda t: bytes(t[1]) + b"end" * t[0]))
TREES = st.recursive(CONTENTS, lambda inner: st.dictionaries(NAMES, inner, max_size=12),
                     max_leaves=40).filter(lambda tree: isinstance(tree, dict))


def plant(tree: dict[bytes, bytes | dict], place: bytes) -> None:
    os.mkdir(place)
    for name, what in tree.items():
        path = os.path.join(place, name)
        if isinstance(what, dict):
            plant(what, path)
        elif len(what) % 5 == 3 and len(what) < 1000 and b"\0" not in what:
            os.symlink(what, path)
        else:
            with open(path, "wb") as file:
                file.write(what)
            if len(what) % 7 == 1:
                with contextlib.suppress(FileExistsError):
                    os.link(path, path[:-1] + b"\xfe\xfe" + b"x" * (len(what) % 100))


@given(TREES)
@settings(max_examples=40, deadline=None)
def test_any_folder(tree):
    with tempfile.TemporaryDirectory(prefix="damselfly-") as folder:
        there_and_back(tree, Path(folder))


def there_and_back(tree: dict[bytes, bytes | dict], place: Path) -> None:
    plant(tree, os.fsencode(place / "in"))
    image = made(place / "in", place / "volume.img", snapshots=("snap",))
    assert findings(image) == []
    with Volumes([image]) as volumes:
        extract(volumes, b"snap", place / "out")
    assert described(place / "out") == described(place / "in")
    again = made(place / "in", place / "again.img", snapshots=("snap",))
    assert again.read_bytes() == image.read_bytes()
