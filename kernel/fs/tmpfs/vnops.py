# SPDX-License-Identifier: BSD-3-Clause
"""tmpfs: files in memory, as vnodes.

Tests     tests/guest/files.py
Source    DragonFly sys/vfs/tmpfs/tmpfs_vnops.c, tmpfs_vfsops.c (design)
"""
from typing import Final

from kpy import (
    Errno,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    copy,
    may_block,
    pointer_at,
    ref,
    table,
    throws,
    u8,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel.fs.tmpfs import node
from kernel.fs.tmpfs.node import M_TMPFS, Node, Tmpfs
from kernel.lib.errno import EISDIR, ENOENT, ENOMEM, ENOTEMPTY
from kernel.machine.types import PAGE_SIZE
from kernel.mem import page, slab
from kernel.mem.flags import M
from kernel.vfs import mount, namecache, vnode
from kernel.vfs.mount import Mount, StatFs, Vfsops
from kernel.vfs.vnode import Attr, Dirent, Vnode, Vops, Vtype

UNSAFE: Final = True        # Vnode.data is a Node's address


def _node(vp: Ptr[Vnode]) -> Ptr[Node]:
    return pointer_at(Node, VirtAddr(vp.data))          # safe: _getv() put it there


def _fs(mp: Ptr[Mount]) -> Ptr[Tmpfs]:
    return pointer_at(Tmpfs, VirtAddr(mp.data))         # safe: _mount() put it there


@throws
def _getv(mp: Ptr[Mount], nd: Ptr[Node]) -> Ptr[Vnode]:
    """The vnode of a node, referenced.  Errors  ENOMEM."""
    vp = vnode.find(nd.slot)
    if vp is not None:
        return vp
    return vnode.install(nd.slot, vnode.make(mp, nd.type, ref(VOPS), u64(address_of(nd))))


@throws
def _nresolve(dvp: Ptr[Vnode], name: Slice[u8]) -> Ptr[Vnode]:
    entry = node.find(_node(dvp), name)
    if entry is None:
        raise Errno(ENOENT)
    return _getv(dvp.mount, entry.node)


@throws
def _getattr(vp: Ptr[Vnode], attr: Ptr[Attr]) -> None:
    nd = _node(vp)
    attr.type = nd.type
    attr.mode = nd.mode
    attr.nlink = nd.nlink
    attr.uid = nd.uid
    attr.gid = nd.gid
    attr.size = nd.size
    attr.bytes = nd.pages * PAGE_SIZE
    attr.fileid = nd.id
    attr.rdev = nd.rdev
    attr.flags = nd.flags
    attr.atime = nd.atime
    attr.mtime = nd.mtime
    attr.ctime = nd.ctime
    attr.btime = nd.btime


@throws
def _setattr(vp: Ptr[Vnode], attr: Ptr[Attr], which: u32) -> None:
    nd = _node(vp)
    if which & vnode.SET_SIZE != 0:
        if nd.type == Vtype.VDIR:
            raise Errno(EISDIR)
        node.truncate(_fs(vp.mount), nd, attr.size)
    if which & vnode.SET_MODE != 0:
        nd.mode = attr.mode & 0o7777
    if which & vnode.SET_OWNER != 0:
        nd.uid = attr.uid
        nd.gid = attr.gid
    if which & vnode.SET_TIMES != 0:
        nd.atime = attr.atime
        nd.mtime = attr.mtime
    if which & vnode.SET_FLAGS != 0:
        nd.flags = attr.flags


@throws
def _read(vp: Ptr[Vnode], where: u64, to: Slice[u8]) -> u64:
    return node.read(_node(vp), where, to)


@throws
def _write(vp: Ptr[Vnode], where: u64, data: Slice[u8]) -> u64:
    return node.write(_fs(vp.mount), _node(vp), where, data)


@throws
def _readlink(vp: Ptr[Vnode], to: Slice[u8]) -> u64:
    return node.read(_node(vp), 0, to)


@throws
def _readdir(vp: Ptr[Vnode], cookie: u64, to: Slice[Dirent]) -> u64:
    shown: u64 = 0
    for entry in _node(vp).entries:
        if shown == len(to):
            break
        if entry.cookie > cookie:
            line = ref(to[shown])
            line.fileid = entry.node.id
            line.cookie = entry.cookie
            line.type = entry.node.type
            line.length = entry.length
            line.name[:entry.length].copy_from(node.name_of(entry))
            shown += 1
    return shown


@throws
def _ncreate(dvp: Ptr[Vnode], name: Slice[u8], attr: Ptr[Attr]) -> Ptr[Vnode]:
    fs = _fs(dvp.mount)
    nd = node.make(fs, attr)
    try:
        vp = _getv(dvp.mount, nd)
    except Errno:
        node.free(fs, nd)
        raise
    try:
        node.enter(_node(dvp), name, nd)
    except Errno:
        nd.nlink = 0
        vnode.vrele(vp)                         # frees the node
        raise
    return vp


@throws
def _nsymlink(dvp: Ptr[Vnode], name: Slice[u8], target: Slice[u8],
              attr: Ptr[Attr]) -> Ptr[Vnode]:
    link: Attr = zeroed(Attr)
    copy(link, attr)
    link.type = Vtype.VLNK
    vp = _ncreate(dvp, name, link)
    try:
        node.write(_fs(dvp.mount), _node(vp), 0, target)
    except Errno:
        entry = unwrap(node.find(_node(dvp), name))
        node.leave(_node(dvp), entry)
        vnode.vrele(vp)
        raise
    return vp


@throws
def _nlink(dvp: Ptr[Vnode], name: Slice[u8], vp: Ptr[Vnode]) -> None:
    if _node(vp).nlink == 0:
        raise Errno(ENOENT)                     # its last name has just gone
    node.enter(_node(dvp), name, _node(vp))


@throws
def _nremove(dvp: Ptr[Vnode], name: Slice[u8], vp: Ptr[Vnode]) -> None:
    nd = _node(vp)
    if nd.type == Vtype.VDIR and not nd.entries.empty():
        raise Errno(ENOTEMPTY)
    entry = node.find(_node(dvp), name)
    if entry is None:
        raise Errno(ENOENT)
    node.leave(_node(dvp), entry)
    if nd.type == Vtype.VDIR:
        nd.nlink -= 1                           # itself (T1)


@throws
def _nrename(fdvp: Ptr[Vnode], old: Slice[u8], tdvp: Ptr[Vnode], new: Slice[u8]) -> None:
    entry = node.find(_node(fdvp), old)
    if entry is None:
        raise Errno(ENOENT)
    node.enter(_node(tdvp), new, entry.node)
    node.leave(_node(fdvp), entry)


def _reclaim(vp: Ptr[Vnode]) -> None:
    nd = _node(vp)
    dies = nd.nlink == 0            # afterwards somebody else may find the file, and unlink it
    vnode.vacate(nd.slot)
    if dies:
        node.free(_fs(vp.mount), nd)


VOPS: Vops = Vops(
    nresolve=_nresolve, getattr=_getattr, setattr=_setattr, read=_read, write=_write,
    readlink=_readlink, readdir=_readdir, ncreate=_ncreate, nsymlink=_nsymlink, nlink=_nlink,
    nremove=_nremove, nrename=_nrename, fsync=vnode.no_fsync, inactive=vnode.no_inactive,
    reclaim=_reclaim)


# --- The mount -----------------------------------------------------------------------------


@table("filesystem", 25)
def tmpfs() -> None:
    """For mount -t tmpfs."""
    mount.register(OPS)


@throws
def _mount(mp: Ptr[Mount]) -> None:
    fs = slab.new(Tmpfs, M_TMPFS, M.WAITOK | M.NULLOK)
    if fs is None:
        raise Errno(ENOMEM)
    attr: Attr = Attr(type=Vtype.VDIR, mode=0o755)
    try:
        fs.root = node.make(fs, attr)
    except Errno:
        slab.kfree(fs, M_TMPFS)
        raise
    fs.root.nlink = 2
    mp.data = u64(address_of(fs))


@throws
def _root(mp: Ptr[Mount]) -> Ptr[namecache.Namecache]:
    return mount.own_root(mp, _getv(mp, _fs(mp).root))


@throws
def _statfs(mp: Ptr[Mount], to: Ptr[StatFs]) -> None:
    to.block_size = PAGE_SIZE
    to.free = page.count_free() * PAGE_SIZE
    to.total = to.free + _fs(mp).pages.load() * PAGE_SIZE


@may_block
def _unmount(mp: Ptr[Mount]) -> None:
    """Free all nodes, deepest first: a directory's first entry, until the root has none."""
    fs = _fs(mp)
    while not fs.root.entries.empty():
        directory = fs.root
        entry = unwrap(directory.entries.first)
        while entry.node.type == Vtype.VDIR and not entry.node.entries.empty():
            directory = entry.node
            entry = unwrap(directory.entries.first)
        nd = entry.node
        is_directory = nd.type == Vtype.VDIR
        node.leave(directory, entry)
        if is_directory or nd.nlink == 0:
            node.free(fs, nd)
    node.free(fs, fs.root)
    slab.kfree(fs, M_TMPFS)


OPS: Vfsops = Vfsops(
    name="tmpfs", mount=_mount, root=_root, statfs=_statfs, sync=mount.no_sync, unmount=_unmount)
