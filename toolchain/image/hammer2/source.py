# SPDX-License-Identifier: BSD-3-Clause
"""A host folder as a list of inodes, in the order in which they go to the volume.

Names are sorted as bytes, so that the order is the input's and not the host's.  Host files with
several names below the folder become one inode; names elsewhere do not count.  Nothing is followed:
a symbolic link is a link, whatever it leads to.

Tests   tests/toolchain/test_image_writer.py
"""
from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from toolchain.image.hammer2 import ondisk
from toolchain.image.hammer2.ondisk import ALLOC_MIN, MAX_NAME, PBUFSIZE, ImageError

TYPES = {stat.S_IFDIR: ondisk.DIRECTORY, stat.S_IFREG: ondisk.REGFILE, stat.S_IFIFO: ondisk.FIFO,
         stat.S_IFCHR: ondisk.CDEV, stat.S_IFBLK: ondisk.BDEV, stat.S_IFLNK: ondisk.SOFTLINK,
         stat.S_IFSOCK: ondisk.SOCKET}


@dataclass
class Node:
    """One inode of the folder."""
    path: bytes
    inum: int
    parent: int
    type: int
    host: os.stat_result
    names: int = 0                  # entries that lead here
    entries: list[tuple[bytes, Node]] = field(default_factory=list)     # of a directory

    @property
    def mtime_us(self) -> int:
        return max(self.host.st_mtime_ns // 1000, 0)


def scan(folder: Path) -> list[Node]:
    """All inodes, the folder itself first; the others by ascending inode number."""
    top = os.fsencode(folder)
    try:
        host = os.stat(top)
    except OSError as error:
        raise ImageError(f"{folder}: {error.strerror}") from error
    if not stat.S_ISDIR(host.st_mode):
        raise ImageError(f"{folder}: not a folder")
    root = Node(top, ondisk.ROOT_INUM, ondisk.ROOT_INUM, ondisk.DIRECTORY, host, names=1)
    linked: dict[tuple[int, int], Node] = {}
    found, todo = [root], [root]
    while todo:
        directory = todo.pop()
        deeper = []
        for name in _names(directory):
            path = os.path.join(directory.path, name)
            host = _stat(path)
            identity = (host.st_dev, host.st_ino)
            node = linked.get(identity)
            if node is None:
                kind = TYPES.get(stat.S_IFMT(host.st_mode))
                if kind is None:
                    raise ImageError(f"{os.fsdecode(path)}: a kind of file that HAMMER2 lacks")
                node = Node(path, ondisk.FIRST_INUM + len(found) - 1, directory.inum, kind, host)
                found.append(node)
                if kind == ondisk.DIRECTORY:
                    deeper.append(node)
                elif host.st_nlink > 1:
                    linked[identity] = node
            node.names += 1
            directory.entries.append((name, node))
        todo += reversed(deeper)
    return found


def _names(directory: Node) -> list[bytes]:
    try:
        names = sorted(os.listdir(directory.path))
    except OSError as error:
        raise _cannot_read(directory.path, error) from error
    for name in names:
        if len(name) > MAX_NAME:
            raise ImageError(f"{os.fsdecode(os.path.join(directory.path, name))}: "
                             f"the name has more than {MAX_NAME} bytes")
    return names


def _stat(path: bytes) -> os.stat_result:
    try:
        return os.lstat(path)
    except OSError as error:
        raise _cannot_read(path, error) from error


def _cannot_read(path: bytes, error: OSError) -> ImageError:
    return ImageError(f"{os.fsdecode(path)}: cannot be read: {error.strerror}")


def small_content(node: Node) -> bytes | None:
    """What a file or link holds if that fits in its inode, else None."""
    if node.type == ondisk.SOFTLINK:
        target = _readlink(node)
        return target if len(target) <= ondisk.EMBEDDED_BYTES else None
    if node.host.st_size > ondisk.EMBEDDED_BYTES:
        return None
    try:
        with open(node.path, "rb") as file:
            data = file.read(ondisk.EMBEDDED_BYTES + 1)
    except OSError as error:
        raise _cannot_read(node.path, error) from error
    if len(data) != node.host.st_size:
        raise _changed(node)
    return data


def size_of(node: Node) -> int:
    """Bytes of a file or link."""
    return len(_readlink(node)) if node.type == ondisk.SOFTLINK else node.host.st_size


def _readlink(node: Node) -> bytes:
    try:
        return os.readlink(node.path)
    except OSError as error:
        raise _cannot_read(node.path, error) from error


def raw_blocks(node: Node) -> Iterator[tuple[int, bytes]]:
    """(key, bytes) of the logical blocks of a file or link that are not known to be holes.

    The block at the end is filled up to a power of two with zeros.
    """
    if node.type == ondisk.SOFTLINK:
        yield 0, _padded(_readlink(node))
        return
    size = node.host.st_size
    try:
        with open(node.path, "rb", buffering=0) as file:
            at = 0
            while at < size:
                at = _next_data(file.fileno(), at, size)
                if at >= size:
                    break
                length = min(PBUFSIZE, size - at)
                data = os.pread(file.fileno(), length, at)
                if len(data) != length:
                    raise _changed(node)
                yield at, data if length == PBUFSIZE else _padded(data)
                at += PBUFSIZE
            if os.fstat(file.fileno()).st_size != size:
                raise _changed(node)
    except OSError as error:
        raise _cannot_read(node.path, error) from error


def _next_data(file: int, at: int, size: int) -> int:
    """The next logical block, from `at` on, that the host has data for."""
    try:
        return os.lseek(file, at, os.SEEK_DATA) & ~(PBUFSIZE - 1)
    except OSError:
        return size                 # ENXIO: there is a hole up to the end


def _padded(data: bytes) -> bytes:
    size = max(ALLOC_MIN, 1 << (len(data) - 1).bit_length())
    return data.ljust(size, b"\0")


def _changed(node: Node) -> ImageError:
    return ImageError(f"{os.fsdecode(node.path)}: changed while it was read; make the image again")
