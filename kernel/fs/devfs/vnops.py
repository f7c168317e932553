# SPDX-License-Identifier: BSD-3-Clause
"""devfs: /dev, and /dev/serno and others below it.

A file of devfs is a name of the table that thread devfs keeps (kernel/io/cdev.py); a directory is
what names have before a slash.  Nothing is kept here: each lookup asks that thread, and the names
in the namecache are asked again when the device behind them is gone.

Reading a disk reads its blocks; how a disk is opened for good, and its buffers, is cdev's matter.

Invariants
  D1  A vnode of a device holds the device; one of a directory has its path in its Dnode.
Locking   everything is fixed once made
Tests     tests/guest/devices.py, tests/qemu/test_image_disks.py
Source    DragonFly sys/vfs/devfs/devfs_vnops.c (design)
"""
from typing import Final

from kpy import (
    Array,
    Errno,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    pointer_at,
    ref,
    struct,
    table,
    throws,
    u8,
    u16,
    u64,
    zeroed,
)

from kernel.io import cdev
from kernel.io.cdev import Cdev, Kind, Node
from kernel.lib import words
from kernel.lib.errno import EISDIR, ENOENT, ENOMEM
from kernel.mem import slab
from kernel.mem.flags import M
from kernel.mem.malloc_type import MallocType
from kernel.vfs import mount, namecache, vnode
from kernel.vfs.mount import Mount, StatFs, Vfsops
from kernel.vfs.vnode import Attr, Dirent, Vnode, Vops, Vtype

UNSAFE: Final = True        # Vnode.data is a Dnode's address

SLASH: Final = 47
ROOT_ID: Final = 1
DIRECTORY_ID: Final = 1 << 32       # file numbers of directories: this and a hash of the path

M_DEVFS: MallocType = MallocType(name="devfs")


@struct
class Dnode:
    """What devfs knows of a vnode."""
    path: Array[u8, cdev.NAME_BYTES]        # of a directory, with a slash behind it; of the root ""


@throws
def _vnode(mp: Ptr[Mount], path: Slice[u8], dev: Ptr[Cdev] | None) -> Ptr[Vnode]:
    """A vnode; the hold on `dev` becomes its own."""
    node = slab.new(Dnode, M_DEVFS, M.WAITOK | M.NULLOK)
    if node is None:
        raise Errno(ENOMEM)
    words.write_text(node.path, path)
    kind = Vtype.VDIR
    if dev is not None:
        kind = Vtype.VBLK if dev.ops.kind == Kind.DISK else Vtype.VCHR
    try:
        vp = vnode.make(mp, kind, ref(VOPS), u64(address_of(node)))
    except Errno:
        slab.kfree(node, M_DEVFS)
        raise
    vp.dev = dev
    return vp


def _path(vp: Ptr[Vnode]) -> Slice[u8]:
    # safe: _vnode() put it there
    return words.until_zero(pointer_at(Dnode, VirtAddr(vp.data)).path)


def _below(node: Ptr[Node], folder: Slice[u8]) -> Slice[u8]:
    """The component that a name has in a directory; empty if it is not below it."""
    name = words.until_zero(node.name)
    if len(name) <= len(folder) or name[:len(folder)] != folder:
        return name[:0]
    rest = name[len(folder):]
    for i, byte in enumerate(rest):
        if byte == SLASH:
            return rest[:i]
    return rest


@throws
def _nresolve(dvp: Ptr[Vnode], name: Slice[u8]) -> Ptr[Vnode]:
    path: Array[u8, cdev.NAME_BYTES]
    folder = _path(dvp)
    if len(folder) + len(name) + 1 >= cdev.NAME_BYTES:
        raise Errno(ENOENT)
    used = words.write_text(path, folder)
    used += words.write_text(path[used:], name)
    try:
        dev = cdev.find(path[:used])
        try:
            return _vnode(dvp.mount, b"", dev)
        except Errno:
            cdev.drop(dev)
            raise
    except Errno as e:
        if e.code != ENOENT:
            raise
    path[used] = SLASH
    node: Node = zeroed(Node)
    index: u64 = 0
    while True:
        cdev.nth(index, node)               # ENOENT after the last
        cdev.drop(node.dev)
        if len(_below(node, path[:used + 1])) != 0:
            return _vnode(dvp.mount, path[:used + 1], None)
        index += 1


@throws
def _getattr(vp: Ptr[Vnode], attr: Ptr[Attr]) -> None:
    attr.type = vp.type
    attr.nlink = 1
    dev = vp.dev
    if dev is None:
        attr.mode = 0o755
        attr.fileid = _directory_id(_path(vp))
        return
    attr.mode = dev.mode
    attr.fileid = ROOT_ID + u64(dev.number)
    attr.rdev = dev.number
    attr.size = dev.ops.size(dev)


def _directory_id(path: Slice[u8]) -> u64:
    if len(path) == 0:
        return ROOT_ID
    value: u64 = DIRECTORY_ID
    for byte in path:
        value = (value * 31 + byte) & 0xFFFF_FFFF | DIRECTORY_ID
    return value


@throws
def _read(vp: Ptr[Vnode], where: u64, to: Slice[u8]) -> u64:
    dev = vp.dev
    if dev is None:
        raise Errno(EISDIR)
    return dev.ops.read(dev, where, to)


@throws
def _write(vp: Ptr[Vnode], where: u64, data: Slice[u8]) -> u64:
    dev = vp.dev
    if dev is None:
        raise Errno(EISDIR)
    return dev.ops.write(dev, where, data)


@throws
def _readdir(vp: Ptr[Vnode], cookie: u64, to: Slice[Dirent]) -> u64:
    """Cookies are places in the table, plus one.  Names come in order, so those with the same
    component lie together, and each is shown once."""
    folder = _path(vp)
    node: Node = zeroed(Node)
    shown: u64 = 0
    index = cookie
    last: Array[u8, cdev.NAME_BYTES]
    if index != 0:                      # the component that was shown last
        cdev.nth(index - 1, node)
        cdev.drop(node.dev)
        words.write_text(last, _below(node, folder))
    while shown < len(to):
        try:
            cdev.nth(index, node)
        except Errno as e:
            if e.code != ENOENT:
                raise
            break
        index += 1
        number = node.dev.number
        kind = Vtype.VBLK if node.dev.ops.kind == Kind.DISK else Vtype.VCHR
        cdev.drop(node.dev)
        name = _below(node, folder)
        if len(name) == 0 or words.until_zero(last) == name:
            continue
        words.write_text(last, name)
        entry = ref(to[shown])
        entry.cookie = index
        entry.length = u16(len(name))
        entry.name[:len(name)].copy_from(name)
        if len(folder) + len(name) == len(words.until_zero(node.name)):
            entry.type = kind
            entry.fileid = ROOT_ID + u64(number)
        else:
            entry.type = Vtype.VDIR
            entry.fileid = _directory_id(words.until_zero(node.name)[:len(folder) + len(name) + 1])
        shown += 1
    return shown


def _reclaim(vp: Ptr[Vnode]) -> None:
    dev = vp.dev
    if dev is not None:
        cdev.drop(dev)
    # safe: _vnode() put it there
    slab.kfree(pointer_at(Dnode, VirtAddr(vp.data)), M_DEVFS)


VOPS: Vops = Vops(
    nresolve=_nresolve, getattr=_getattr, setattr=vnode.no_setattr, read=_read, write=_write,
    readlink=vnode.no_readlink, readdir=_readdir, ncreate=vnode.no_ncreate,
    nsymlink=vnode.no_nsymlink, nlink=vnode.no_nlink, nremove=vnode.no_nremove,
    nrename=vnode.no_nrename, fsync=vnode.no_fsync, inactive=vnode.no_inactive, reclaim=_reclaim)


# --- The mount -----------------------------------------------------------------------------


@table("filesystem", 20)
def devfs() -> None:
    """For mount -t devfs."""
    mount.register(OPS)


@throws
def _mount(mp: Ptr[Mount]) -> None:
    """There is nothing to be opened."""


@throws
def _root(mp: Ptr[Mount]) -> Ptr[namecache.Namecache]:
    return mount.own_root(mp, _vnode(mp, b"", None))


@throws
def _statfs(mp: Ptr[Mount], to: Ptr[StatFs]) -> None:
    to.block_size = 512


def _unmount(mp: Ptr[Mount]) -> None:
    """Nor closed."""


OPS: Vfsops = Vfsops(
    name="devfs", mount=_mount, root=_root, statfs=_statfs, sync=mount.no_sync,
                     unmount=_unmount)
