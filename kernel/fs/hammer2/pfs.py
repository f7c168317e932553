# SPDX-License-Identifier: BSD-3-Clause
"""PFSes: the file systems on a set of volumes, snapshots among them (hammer2_pfs).

The super-root holds the root inode of each, whose file name is the label.  That inode's tree has
the inode index of the whole PFS and, in the upper half of the keys, its root directory.

Locking   [i] `lock`   [I] fixed after mount()
Tests     tests/unit/fs/hammer2/test_volumes.py
Source    DragonFly sys/vfs/hammer2/DESIGN, hammer2_vfsops.c (super-root, labels)
"""
from typing import Final

from kpy import Array, Errno, Ptr, Slice, copy, ref, struct, throws, u8, u16, u64

from kernel import mem
from kernel.fs.hammer2 import chain, inode, mount, ondisk
from kernel.fs.hammer2.chain import Chain, Cursor
from kernel.fs.hammer2.dirhash import dirhash
from kernel.fs.hammer2.ondisk import DIRHASH_LOMASK, INODE_MAXNAME
from kernel.lib import rbtree
from kernel.lib.errno import ENOENT, ENOMEM
from kernel.lwkt import spin

LAST_KEY: Final[u64] = 0xFFFFFFFFFFFFFFFF


@struct
class Pfs:
    """A mounted one."""
    mount: Ptr[mount.Mount]                                 # [I]
    root: Ptr[Chain]                                        # [I] referenced: the root inode
    lock: spin.Spinlock
    inodes: rbtree.Tree["inode.Inode", "node", "inum"]      # [i] those in use


@struct
class Label:
    """What list_ says of a PFS."""
    key: u64
    type: u8
    subtype: u8
    namlen: u16
    clid: Array[u8, 16]
    fsid: Array[u8, 16]
    name: Array[u8, INODE_MAXNAME]


@throws
def scan(m: Ptr[mount.Mount], first: u64, labels: Slice[Label]) -> u64:
    """The PFSes with keys from `first` on, as many as there is room for; returns how many.

    Blocks   yes.
    Errors   EIO: none of those that remain can be read; ENOMEM.
    """
    super_root = _super_root(m)
    cursor = Cursor(base=super_root, parent=super_root)
    count: u64 = 0
    try:
        chain.lookup_init(cursor)
        try:
            more = chain.lookup(cursor, first, LAST_KEY)
            while more and count < len(labels):
                count += _describe(cursor, ref(labels[count]))
                more = chain.next(cursor, LAST_KEY)
            if count == 0:
                chain.missed(cursor)
        finally:
            chain.lookup_done(cursor)
    finally:
        chain.drop(super_root)
    return count


@throws
def mount_label(m: Ptr[mount.Mount], label: Slice[u8]) -> Ptr[Pfs]:
    """The PFS with this label.

    Blocks   yes.
    Errors   ENOENT, EIO, ENOMEM.
    """
    super_root = _super_root(m)
    cursor = Cursor(base=super_root, parent=super_root)
    try:
        chain.lookup_init(cursor)
        try:
            root = _find(cursor, label)
        finally:
            chain.lookup_done(cursor)
    finally:
        chain.drop(super_root)
    made = mem.new(Pfs, mount.M_HAMMER2, mem.M.WAITOK | mem.M.NULLOK)
    if made is None:
        chain.drop(root)
        raise Errno(ENOMEM)
    made.mount = m
    made.root = root
    made.lock.name = "h2pfs"
    return made


def unmount(pmp: Ptr[Pfs]) -> None:
    """Let go of it; none of its inodes is in use."""
    assert pmp.inodes.root is None
    chain.drop(pmp.root)
    mem.kfree(pmp, mount.M_HAMMER2)


@throws
def _super_root(m: Ptr[mount.Mount]) -> Ptr[Chain]:
    """The super-root's inode, with a reference."""
    cursor = Cursor(base=m.vchain, parent=m.vchain)
    chain.lookup_init(cursor)
    try:
        if not chain.lookup(cursor, ondisk.SROOT_KEY, ondisk.SROOT_KEY):
            raise Errno(ENOENT)
        return chain.child(cursor)
    finally:
        chain.lookup_done(cursor)


@throws
def _find(cursor: Ptr[Cursor], label: Slice[u8]) -> Ptr[Chain]:
    """The root inode with this name, with a reference."""
    first = dirhash(label)
    last = first | DIRHASH_LOMASK
    more = chain.lookup(cursor, first, last)
    while more:
        root = chain.child(cursor)
        try:
            chain.lock(root)
            same = inode.name_of(root) == label
            chain.unlock(root)
            if same:
                return root
        except Errno as e:
            cursor.error = e.code
        chain.drop(root)
        more = chain.next(cursor, last)
    chain.missed(cursor)
    raise Errno(ENOENT)


@throws
def _describe(cursor: Ptr[Cursor], label: Ptr[Label]) -> u64:
    """What the cursor stands at: 1, or 0 if it cannot be read."""
    root = chain.child(cursor)
    try:
        chain.lock(root)
    except Errno as e:
        chain.drop(root)
        cursor.error = e.code
        return 0
    ip = inode.meta_of(root)
    name = inode.name_of(root)
    label.key = root.key
    label.type = ip.pfs_type
    label.subtype = ip.pfs_subtype
    label.namlen = u16(len(name))
    label.name[:len(name)].copy_from(name)
    copy(label.clid, ip.pfs_clid.bytes)
    copy(label.fsid, ip.pfs_fsid.bytes)
    chain.unlock(root)
    chain.drop(root)
    return 1
