# SPDX-License-Identifier: BSD-3-Clause
"""Volumes that toolchain/image makes, read by the driver: all that the folder has, and no more."""
from __future__ import annotations

import hashlib
import os
import random
import stat

import pytest

from tests.harness import volumes
from tests.toolchain.image_folders import everything, findings, made, with_socket

KIND = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
        stat.S_IFSOCK: "other"}
SEEDS = range(12)


def host(folder) -> dict[bytes, tuple]:
    """By path: (what Mounted.describe() says but for the inode's number, content's SHA-256)."""
    top, found = os.fsencode(folder), {}
    for place, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            seen = os.lstat(path)
            kind = KIND[stat.S_IFMT(seen.st_mode)]
            meta = {"mode": f"{stat.S_IMODE(seen.st_mode):04o}", "uid": seen.st_uid,
                    "gid": seen.st_gid, "mtime_us": seen.st_mtime_ns // 1000, "type": kind,
                    "nlink": 1 if kind == "dir" else seen.st_nlink}
            digest = None
            if kind == "file":
                meta["size"] = seen.st_size
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            elif kind == "symlink":
                target = os.readlink(path)
                meta["size"] = len(target)
                digest = hashlib.sha256(target).hexdigest()
            found[path[len(top) + 1:]] = meta, digest
    return found


def guest(h2, image, label: bytes) -> dict[bytes, tuple]:
    """The same, as the driver has it."""
    found = {}
    with h2.opened([volumes.mapped(image)]) as volume, volume.mounted(label) as tree:
        for path, ip in tree.walk():
            meta = tree.describe(ip)
            del meta["inum"]
            digest = tree.hashed(ip)[1] if meta["type"] in {"file", "symlink"} else None
            found[path] = meta, digest
    return found


def check(h2, folder, image, **options):
    made(folder, image, **options)
    assert findings(image) == []
    wanted = host(folder)
    for label in (b"ROOT", *map(os.fsencode, options.get("snapshots", ()))):
        assert guest(h2, image, label) == wanted


def test_one_of_each_thing(h2, tmp_path):
    folder = everything(tmp_path / "in", sparse=30 << 20)
    with_socket(folder)
    check(h2, folder, tmp_path / "volume.img", snapshots=("a", "b"))


@pytest.mark.parametrize("seed", SEEDS)
def test_any_folder(h2, tmp_path, seed):
    rng = random.Random(seed)
    folders = [tmp_path / "in"]
    folders[0].mkdir()
    alphabet = "ab.-_~ü☃ "
    for _ in range(rng.randrange(400)):
        name = "".join(rng.choices(alphabet, k=rng.choice([1, 2, 3, 8, 40, 60]))) or "x"
        path = rng.choice(folders) / name
        if name.strip(".") == "" or len(os.fsencode(name)) > 255 or os.path.lexists(path):
            continue
        size = int(rng.choice([0, 10, 600, 3000, 70_000, 900_000]) * rng.random())
        match rng.randrange(7):
            case 0:
                path.mkdir()
                folders.append(path)
            case 1:
                path.symlink_to("t" * (1 + size % 3000))
            case 2:
                path.write_bytes(b"linked")
                os.link(path, f"{folders[-1]}/{rng.getrandbits(64)}")
            case 3 | 4:
                path.write_bytes(rng.randbytes(size))
            case 5:
                path.write_bytes(b"pattern" * (size // 7))
            case _:
                with path.open("wb") as file:
                    for _ in range(rng.randrange(4)):
                        file.seek(rng.randrange(1 + 10 * size))
                        file.write(b"something")
                    file.truncate(10 * size)
    check(h2, folders[0], tmp_path / "volume.img", label="ROOT", timestamp=1 << 40)


def test_a_large_folder(h2, tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for number in range(1500):
        (tmp_path / "in" / f"n{number}").touch()
        (tmp_path / "in" / "sub" / f"{number:04}").write_bytes(b"%d" % number)
    check(h2, tmp_path / "in", tmp_path / "volume.img")


def test_a_file_of_many_blocks(h2, tmp_path):
    (tmp_path / "in").mkdir()
    with (tmp_path / "in" / "file").open("wb") as file:
        for number in range(1200):
            file.write(b"%065536d" % number)
        file.seek(1 << 38)
        file.write(b"far")
    image = tmp_path / "volume.img"
    made(tmp_path / "in", image)
    assert findings(image) == []
    with (h2.opened([volumes.mapped(image)]) as volume, volume.mounted(b"ROOT") as tree,
          tree.inode(1) as root):
        ip = h2.dirent.nresolve(root, b"file")
        for number in (0, 3, 4, 127, 128, 511, 512, 1199):
            assert tree.read(ip, number * 65536) == b"%065536d" % number
        assert tree.read(ip, 1200 * 65536, 100) == bytes(100)
        assert tree.read(ip, (1 << 38) - 5, 100) == bytes(5) + b"far"
        h2.inode.drop(ip)


def test_several_headers_the_newest_of_which_is_used(h2, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"content")
    image = made(tmp_path / "in", tmp_path / "volume.img", size=2100 << 20)
    with image.open("r+b") as file:
        file.write(bytes(65536))                        # the first copy is gone
    assert guest(h2, image, b"ROOT") == host(tmp_path / "in")
