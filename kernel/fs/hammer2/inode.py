# SPDX-License-Identifier: BSD-3-Clause
"""Inodes in use (hammer2_inode): one for each number of a PFS, found by it.

Invariants
  N1  An inode holds a reference to its chain, whose block is in memory and valid: what meta()
      returns is good until the inode is dropped.
  N2  Of a PFS there is at most one inode of a number in the tree; refs is not 0 while it is there.
Locking   [i] pfs.lock   [I] fixed after get()
Tests     tests/unit/fs/hammer2/test_volumes.py
Source    DragonFly sys/vfs/hammer2/hammer2_inode.c (the index by number)
"""
from kpy import Errno, Ptr, Slice, inline, struct, throws, u8, u32, u64

from kernel import mem
from kernel.fs.hammer2 import chain, mount, ondisk, pfs
from kernel.fs.hammer2.chain import Chain, Cursor
from kernel.fs.hammer2.ondisk import BrefType, ObjType
from kernel.lib import rbtree
from kernel.lib.errno import ENOENT, ENOMEM
from kernel.lib.littleendian import get32
from kernel.lib.views import view
from kernel.vfs.slot import Slot


@struct
class Inode:
    """A file, directory or other object in use."""
    node: rbtree.Node["Inode"]      # [i]
    inum: u64                       # [I]
    pmp: Ptr["pfs.Pfs"]             # [I]
    chain: Ptr[Chain]               # [I] N1
    refs: u32                       # [i]
    slot: Slot


@throws
def get(pmp: Ptr["pfs.Pfs"], inum: u64) -> Ptr[Inode]:
    """The inode of this number, with a reference.

    Blocks   yes.
    Errors   ENOENT: there is none; EIO, ENOMEM.
    """
    found: Ptr[Inode] | None = None
    with pmp.lock:
        found = _find(pmp, inum)
    if found is not None:
        return found
    block = _chain_of(pmp, inum)
    made = mem.new(Inode, mount.M_HAMMER2, mem.M.WAITOK | mem.M.NULLOK)
    if made is None:
        chain.drop(block)
        raise Errno(ENOMEM)
    made.inum = inum
    made.pmp = pmp
    made.chain = block
    made.refs = 1
    with pmp.lock:
        found = _find(pmp, inum)
        if found is None:
            pmp.inodes.insert(made)
    if found is not None:                       # somebody else was faster
        chain.drop(block)
        mem.kfree(made, mount.M_HAMMER2)
        return found
    return made


def drop(ip: Ptr[Inode]) -> None:
    """One reference less.  The inode may be gone afterwards."""
    pmp = ip.pmp
    with pmp.lock:
        ip.refs -= 1
        last = ip.refs == 0
        if last:
            pmp.inodes.remove(ip)
    if last:
        chain.drop(ip.chain)
        mem.kfree(ip, mount.M_HAMMER2)


@inline
def meta(ip: Ptr[Inode]) -> Ptr[ondisk.Inode]:
    """What the medium says of it."""
    return view(ondisk.Inode, ip.chain.memory, 0)


def meta_of(block: Ptr[Chain]) -> Ptr[ondisk.Inode]:
    """The inode in a chain of one, which is or was locked (C3)."""
    return view(ondisk.Inode, block.memory, 0)


def name_of(block: Ptr[Chain]) -> Slice[u8]:
    """Its name; of a PFS's root the label."""
    ip = meta_of(block)
    return ip.filename[:u64(ip.name_len)]


def unix_id(uuid: Ptr[ondisk.Uuid]) -> u32:
    """The number of a user or a group."""
    return get32(uuid.bytes, ondisk.UUID_UNIX_ID)


def is_directory(ip: Ptr[Inode]) -> bool:
    """Whether it has entries."""
    return meta(ip).type == ObjType.DIRECTORY


def _find(pmp: Ptr["pfs.Pfs"], inum: u64) -> Ptr[Inode] | None:
    """N2, under the lock; one reference more."""
    ip = pmp.inodes.find(inum)
    if ip is not None:
        ip.refs += 1
    return ip


@throws
def _chain_of(pmp: Ptr["pfs.Pfs"], inum: u64) -> Ptr[Chain]:
    """The chain of an inode, loaded, with a reference."""
    block = _indexed(pmp, inum)
    try:
        chain.lock(block)
    except Errno:
        chain.drop(block)
        raise
    chain.unlock(block)
    return block


@throws
def _indexed(pmp: Ptr["pfs.Pfs"], inum: u64) -> Ptr[Chain]:
    """The chain by the index, which the root inode itself is not in."""
    if inum == ondisk.ROOT_INUM:
        chain.hold(pmp.root)
        return pmp.root
    cursor = Cursor(base=pmp.root, parent=pmp.root)
    chain.lookup_init(cursor)
    try:
        if chain.lookup(cursor, inum, inum) and cursor.bref.type == BrefType.INODE:
            return chain.child(cursor)
        chain.missed(cursor)
        raise Errno(ENOENT)
    finally:
        chain.lookup_done(cursor)
