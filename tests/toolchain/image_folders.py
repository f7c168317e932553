# SPDX-License-Identifier: BSD-3-Clause
"""Folders to make images of, made images, and how to compare folders."""
from __future__ import annotations

import os
import random
import socket
import stat
from pathlib import Path
from typing import Any

from toolchain.image.hammer2 import checker, writer
from toolchain.image.hammer2.checker import Finding
from toolchain.image.hammer2.reader import Volumes
from toolchain.image.output import Output

TIME = 1_700_000_000


def everything(folder: Path, sparse: int = 700 << 20) -> Path:
    """A folder with one of each thing that a host without root rights can have."""
    rng = random.Random(1)
    (folder / "sub" / "deeper").mkdir(parents=True)
    (folder / "empty-folder").mkdir()
    (folder / "empty").write_bytes(b"")
    for size in (1, 511, 512, 513, 1023, 1024, 1025, 4096, 65535, 65536, 65537, 300_000):
        (folder / f"random-{size}").write_bytes(rng.randbytes(size))
        (folder / f"text-{size}").write_bytes((b"what is written here repeats. " * size)[:size])
        (folder / f"zeros-{size}").write_bytes(bytes(size))
    (folder / "sub" / "one").write_bytes(b"linked" * 500)
    os.link(folder / "sub" / "one", folder / "sub" / "deeper" / "two")
    os.link(folder / "sub" / "one", folder / "three")
    os.symlink("sub/one", folder / "link")
    os.symlink("../" * 200 + "far", folder / "long-link")
    os.symlink("nowhere", folder / "dangling")
    os.mkfifo(folder / "fifo", 0o640)
    (folder / ("n" * 64)).write_bytes(b"64")
    (folder / ("n" * 65)).write_bytes(b"65")
    (folder / ("n" * 255)).write_bytes(b"255")
    (folder / "ünï ☃").write_bytes(b"unicode")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\n\x01")).write_bytes(b"bytes")
    with (folder / "sparse").open("wb") as file:
        for at in (0, 1 << 20, 5 << 20, sparse - (100 << 10)):
            file.seek(at)
            file.write(b"island" * 100)
        file.truncate(sparse)
    (folder / "sub" / "modes").write_bytes(b"x")
    (folder / "sub" / "modes").chmod(0o4751)
    (folder / "sub").chmod(0o1770)
    for number in range(200):
        (folder / "sub" / "deeper" / f"file_{number}.txt").write_bytes(b"%d" % number * 200)
    for place, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files):
            moment = TIME - rng.randrange(1_000_000) * 1_000_000 / 1e6
            os.utime(os.path.join(place, name), (moment, moment), follow_symlinks=False)
    os.utime(folder, (TIME, TIME))
    return folder


def with_socket(folder: Path) -> None:
    """Put a socket there; its path may not be long."""
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(folder)
        try:
            one.bind("socket")
        finally:
            os.chdir(here)


def made(folder: Path, image: Path, **options: Any) -> Path:
    """An image of a folder."""
    with Output(image) as output:
        writer.build(folder, output, writer.Options(**options))
    return image


def findings(*images: Path) -> list[Finding]:
    """What the checker says."""
    with Volumes(list(images)) as volumes:
        return checker.check(volumes)


def described(folder: Path) -> dict[bytes, tuple[Any, ...]]:
    """By path: all that an image has of a file, but for its owner."""
    top, found, groups = os.fsencode(folder), {}, {}
    for place, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            short = path[len(top) + 1:]
            seen = os.lstat(path)
            kind = stat.S_IFMT(seen.st_mode)
            content: Any = None
            if kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    content = file.read() if seen.st_size < 1 << 24 else _islands(file, seen)
            elif kind == stat.S_IFLNK:
                content = os.readlink(path)
            mode = None if kind == stat.S_IFLNK else stat.S_IMODE(seen.st_mode)
            links = groups.setdefault((seen.st_dev, seen.st_ino), short)
            found[short] = (kind, mode, seen.st_mtime_ns // 1000, content,
                            None if kind == stat.S_IFDIR else links)
    return found


def _islands(file: Any, seen: os.stat_result) -> tuple[Any, ...]:
    """A large sparse file: its size, and what is at places that are not zero."""
    parts, at = [], 0
    while at < seen.st_size:
        try:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:
            break
        data = os.pread(file.fileno(), 4096, at)
        if any(data):
            parts.append((at, data))
        at += 4096
    return seen.st_size, tuple(parts)
