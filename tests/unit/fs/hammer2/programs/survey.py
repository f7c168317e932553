# SPDX-License-Identifier: BSD-3-Clause
"""Everything that a reader of a volume can do, once, for fuzzing: errors are counted, not told.

A hostile volume may say that a directory is in itself, or that a file has 2**63 bytes: the survey
goes `depth` folders deep at most, takes `budget` steps, and reads files at a few places.
"""
from typing import Final

from kpy import Array, Errno, Ptr, Slice, ref, struct, u8, u64

from kernel.fs.hammer2 import dirent, inode, mount, pfs, strategy
from kernel.fs.hammer2.inode import Inode
from kernel.fs.hammer2.pfs import Label, Pfs

DEPTH: Final = 6
ROOM: Final = 5
PIECE: Final = 65536

budget: u64 = 0
errors: u64 = 0
files: u64 = 0
misses: u64 = 0


@struct
class Level:
    """A folder under way."""
    inum: u64
    place: dirent.Place


levels: Array[Level, DEPTH]
entries: Array[dirent.Entry, ROOM]
labels: Array[Label, 3]
target: Array[u8, PIECE]


def survey(m: Ptr[mount.Mount], steps: u64) -> u64:
    """Look at all that there is, for so many steps; returns how many were left."""
    global budget, errors
    budget = steps
    first: u64 = 0
    while budget != 0:
        budget -= 1
        try:
            count = pfs.scan(m, first, labels)
            for i in range(count):
                label = ref(labels[i])
                _one(pfs.mount_label(m, label.name[:label.namlen]))
            if count == 0 or labels[count - 1].key == u64.MAX:
                break
            first = labels[count - 1].key + 1
        except Errno:
            errors += 1
            break
    return budget


def _one(pmp: Ptr[Pfs]) -> None:
    """All folders of a PFS, the deeper ones first."""
    global budget, errors
    depth: u64 = 1
    _begin(ref(levels[0]), 1)
    while depth != 0 and budget != 0:
        budget -= 1
        level = ref(levels[depth - 1])
        if level.place.ended:
            errors += u64(level.place.damaged)
            depth -= 1
            continue
        deeper: u64 = 0
        try:
            dip = inode.get(pmp, level.inum)
            try:
                count = dirent.readdir(dip, level.place, entries[:1 if depth < DEPTH else ROOM])
                for i in range(count):
                    if _visit(dip, ref(entries[i])) and depth < DEPTH:
                        deeper = entries[i].inum
            finally:
                inode.drop(dip)
        except Errno:
            errors += 1
            level.place.ended = True
        if deeper != 0:
            _begin(ref(levels[depth]), deeper)
            depth += 1
    pfs.unmount(pmp)


def _begin(level: Ptr[Level], inum: u64) -> None:
    level.inum = inum
    level.place = dirent.Place()


def _visit(dip: Ptr[Inode], entry: Ptr[dirent.Entry]) -> bool:
    """Look an entry up, read it; whether it is a folder."""
    global errors, files, misses
    name = entry.name[:entry.namlen]
    try:
        ip = dirent.nresolve(dip, name)
    except Errno:
        errors += 1
        return False
    name[len(name) - 1] ^= 1                # most likely nobody's
    try:
        inode.drop(dirent.nresolve(dip, name))
    except Errno:
        misses += 1
    folder = inode.is_directory(ip)
    files += 1
    if not folder:
        size = u64(inode.meta(ip).size)
        _read(ip, 0, target)
        _read(ip, 65000, target[:3000])
        _read(ip, size - 1 if size > 0 else 0, target[:2])
        _read(ip, size // 2, target)
    inode.drop(ip)
    return folder


def _read(ip: Ptr[Inode], offset: u64, to: Slice[u8]) -> None:
    global errors
    try:
        strategy.read(ip, offset, to)
    except Errno:
        errors += 1
