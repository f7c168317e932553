# SPDX-License-Identifier: BSD-3-Clause
"""A label of a volume becomes a folder on the host: contents, modes, times, links, holes.

The folder must not be there, or be empty.  Nothing is written through what the image made: names
are single, a file is created anew, a directory is entered once, as the folder it was made as.

Limits  Owners and device nodes need rights that are not asked for: devices are left out, which is
        said, and files belong to who extracts them.  Sockets are left out too.
Tests   tests/toolchain/test_image_extract.py
"""
from __future__ import annotations

import os
import time
from pathlib import Path

from toolchain.image.hammer2 import ondisk
from toolchain.image.hammer2.ondisk import OBJECT_NAMES, PBUFSIZE, ImageError, Inode
from toolchain.image.hammer2.reader import Entry, Volumes

_ZEROS = bytes(PBUFSIZE)


def extract(volumes: Volumes, label: bytes, folder: Path) -> list[str]:
    """Unpack; the paths that were left out, each with the reason."""
    root = volumes.label(label)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ImageError(f"{folder}: must be an empty folder, or none yet")
    try:
        return _Extractor(volumes, volumes.inodes(root)).run(os.fsencode(folder))
    except OSError as error:
        name = os.fsdecode(error.filename) if error.filename else str(folder)
        raise ImageError(f"{name}: cannot be written: {error.strerror}") from error


class _Extractor:
    def __init__(self, volumes: Volumes, inodes: dict[int, Inode]) -> None:
        self.volumes, self.inodes = volumes, inodes
        self.made: dict[int, bytes] = {}                # files, for hard links
        self.directories: dict[int, bytes] = {}
        self.left_out: list[str] = []

    def run(self, top: bytes) -> list[str]:
        os.makedirs(top, exist_ok=True)
        self.directories[ondisk.ROOT_INUM] = top
        todo = [ondisk.ROOT_INUM]
        while todo:
            inum = todo.pop()
            folder = self.directories[inum]
            for entry in self.volumes.entries(self.inodes[inum]):
                if self._entry(folder, entry):
                    todo.append(entry.inum)
        for inum, folder in reversed(self.directories.items()):      # inner ones first
            self._meta(folder, self.inodes[inum])
        return self.left_out

    def _entry(self, folder: bytes, entry: Entry) -> bool:
        """Make one; whether it is a directory whose names are to follow."""
        if not entry.name or entry.name in {b".", b".."} or set(entry.name) & set(b"/\0"):
            raise ImageError(f"a name that may not be, {entry.name!r}, in {os.fsdecode(folder)}")
        path = os.path.join(folder, entry.name)
        inode = self.inodes.get(entry.inum)
        if inode is None:
            raise ImageError(f"{os.fsdecode(path)}: there is no inode {entry.inum}")
        if entry.inum in self.made:
            os.link(self.made[entry.inum], path, follow_symlinks=False)
            return False
        match inode.type:
            case ondisk.DIRECTORY:
                if entry.inum in self.directories:
                    raise ImageError(f"{os.fsdecode(path)}: a directory with two names")
                os.mkdir(path, 0o700)
                self.directories[entry.inum] = path
                return True
            case ondisk.REGFILE:
                self._file(path, inode)
                self._meta(path, inode)
            case ondisk.SOFTLINK:
                os.symlink(self.volumes.target(inode), path)
                _set_time(path, inode)
            case ondisk.FIFO:
                os.mkfifo(path)
                self._meta(path, inode)
            case _:
                kind = OBJECT_NAMES.get(inode.type, "unknown kind of file")
                self.left_out.append(f"{os.fsdecode(path)}: a {kind}")
                return False
        self.made[entry.inum] = path
        return False

    def _file(self, path: bytes, inode: Inode) -> None:
        with open(path, "xb", buffering=0) as file:
            for offset, data in self.volumes.content(inode):
                if data != _ZEROS[:len(data)]:
                    file.seek(offset)
                    file.write(data)
            file.truncate(inode.size)

    @staticmethod
    def _meta(path: bytes, inode: Inode) -> None:
        os.chmod(path, inode.mode & 0o7777)
        _set_time(path, inode)


def _set_time(path: bytes, inode: Inode) -> None:
    os.utime(path, ns=(time.time_ns(), inode.mtime * 1000), follow_symlinks=False)
