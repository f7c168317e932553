# SPDX-License-Identifier: BSD-3-Clause
"""Directories: names to inode numbers, and all names in the order of their hashes.

An entry is a blockref whose key is the hash of its name or one of the 32767 behind it; a name of
more than 64 bytes lies in a block of its own.  "." and ".." are not on the medium.

A place in a directory, for readdir, is a key with bit 63 off: 0x8000 is the first that an entry
may have, what is below is free for "." and "..".

Tests     tests/unit/fs/hammer2/test_volumes.py
Source    DragonFly sys/vfs/hammer2/hammer2_xops.c (nresolve, readdir)
"""
from typing import Final

from kpy import Array, Errno, Ptr, Slice, i32, ref, struct, throws, u8, u16, u64

from kernel.fs.hammer2 import chain, inode, io, validate
from kernel.fs.hammer2.chain import Cursor
from kernel.fs.hammer2.dirhash import dirhash
from kernel.fs.hammer2.inode import Inode
from kernel.fs.hammer2.ondisk import (
    CHECK_NAME_BYTES,
    DIRHASH_LOMASK,
    DIRHASH_VISIBLE,
    BrefType,
    DirentHead,
    ObjType,
)
from kernel.lib.errno import EIO, ENAMETOOLONG, ENOENT, ENOTDIR
from kernel.lib.views import view

LAST_KEY: Final[u64] = 0xFFFFFFFFFFFFFFFF


@struct
class Entry:
    """What readdir() says of an entry."""
    inum: u64
    cookie: u64                 # its place
    type: ObjType
    namlen: u16
    name: Array[u8, 256]


@struct
class Place:
    """How far readdir() has come; zero is the beginning."""
    cookie: u64
    ended: bool
    damaged: bool               # entries were left out, because they cannot be read


@throws
def lookup(dip: Ptr[Inode], name: Slice[u8], found: Ptr[Entry]) -> None:
    """The entry with this name, all but its name.

    Blocks   yes.
    Errors   ENOENT; ENOTDIR; ENAMETOOLONG; EIO: not found, but what is damaged may have been it;
             ENOMEM.
    """
    if not inode.is_directory(dip):
        raise Errno(ENOTDIR)
    if len(name) > validate.MAX_NAME:
        raise Errno(ENAMETOOLONG)
    first = dirhash(name)
    last = first | DIRHASH_LOMASK
    cursor = Cursor(base=dip.chain, parent=dip.chain)
    chain.lookup_init(cursor)
    try:
        more = chain.lookup(cursor, first, last)
        while more:
            if _is_named(dip, cursor, name):
                _fill(cursor, found)
                return
            more = chain.next(cursor, last)
        chain.missed(cursor)
        raise Errno(ENOENT)
    finally:
        chain.lookup_done(cursor)


@throws
def nresolve(dip: Ptr[Inode], name: Slice[u8]) -> Ptr[Inode]:
    """The inode that an entry leads to, with a reference.

    Blocks   yes.
    Errors   those of lookup(); EIO if the entry leads nowhere.
    """
    entry = Entry()
    lookup(dip, name, entry)
    error: i32 = 0
    try:
        return inode.get(dip.pmp, entry.inum)
    except Errno as e:
        error = e.code
    raise Errno(EIO if error == ENOENT else error)


@throws
def readdir(dip: Ptr[Inode], place: Ptr[Place], entries: Slice[Entry]) -> u64:
    """The entries from `place` on, as many as there is room for; returns how many, and has
    `place` behind them.

    Blocks   yes.
    Errors   ENOTDIR, ENOMEM.  What is damaged is left out, and place.damaged says so.
    """
    if not inode.is_directory(dip):
        raise Errno(ENOTDIR)
    cursor = Cursor(base=dip.chain, parent=dip.chain)
    count: u64 = 0
    chain.lookup_init(cursor)
    try:
        more = chain.lookup(cursor, (place.cookie & ~DIRHASH_VISIBLE) | DIRHASH_VISIBLE, LAST_KEY)
        while more and count < len(entries):
            place.cookie = (u64(cursor.bref.key) & ~DIRHASH_VISIBLE) + 1
            if _entry(dip, cursor, ref(entries[count])):
                count += 1
            more = chain.next(cursor, LAST_KEY)
    finally:
        chain.lookup_done(cursor)
    place.ended = not more
    if cursor.error != 0:
        place.damaged = True
    return count


# --- One entry -----------------------------------------------------------------------------


def _fill(cursor: Ptr[Cursor], entry: Ptr[Entry]) -> None:
    """All but the name."""
    head = view(DirentHead, cursor.bref.embed, 0)
    entry.inum = u64(head.inum)
    entry.cookie = u64(cursor.bref.key) & ~DIRHASH_VISIBLE
    entry.type = head.type
    entry.namlen = u16(head.namlen)


def _entry(dip: Ptr[Inode], cursor: Ptr[Cursor], entry: Ptr[Entry]) -> bool:
    """The entry that was found, with its name; False, with the error noted, if it is damaged."""
    if cursor.bref.type != BrefType.DIRENT:
        return False
    _fill(cursor, entry)
    try:
        _copy_name(dip, cursor, entry.name)
        if validate.name(entry.name[:entry.namlen], u64(cursor.bref.key)):
            return True
        chain.complain(dip.pmp.mount, cursor.bref, "has a name that may not be")
    except Errno:
        pass
    cursor.error = EIO
    return False


@throws
def _is_named(dip: Ptr[Inode], cursor: Ptr[Cursor], name: Slice[u8]) -> bool:
    """Whether the entry that was found has this name; one that cannot be read has none."""
    head = view(DirentHead, cursor.bref.embed, 0)
    if cursor.bref.type != BrefType.DIRENT or u64(head.namlen) != len(name):
        return False
    if len(name) <= CHECK_NAME_BYTES:
        return cursor.bref.check[:len(name)] == name
    buffer: Array[u8, 256]
    try:
        _copy_name(dip, cursor, buffer)
    except Errno as e:
        cursor.error = e.code
        return False
    return buffer[:len(name)] == name


@throws
def _copy_name(dip: Ptr[Inode], cursor: Ptr[Cursor], buffer: Slice[u8]) -> None:
    """The name, to the start of `buffer`; EIO if it has a block that is damaged."""
    size = u64(view(DirentHead, cursor.bref.embed, 0).namlen)
    if size <= CHECK_NAME_BYTES:
        buffer[:size].copy_from(cursor.bref.check[:size])
        return
    dio = chain.read_block(dip.pmp.mount, cursor.bref)
    buffer[:size].copy_from(io.data(dio, u64(cursor.bref.data_off))[:size])
    io.bqrelse(dio)
