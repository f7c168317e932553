# SPDX-License-Identifier: BSD-3-Clause
"""HAMMER2's files as vnodes: the front end.

Names and directories are looked up by the mount's workers (xop.py).  Files of more than 512 bytes
are read through the buffer cache, 64 KB at a time, with what follows read ahead.

An inode in use has at most one vnode, and each vnode a reference on its inode.

Tests     tests/qemu/test_hammer2.py
Source    DragonFly sys/vfs/hammer2/hammer2_vnops.c (design)
"""
from typing import Final

from kpy import (
    Errno,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    make_slice,
    may_block,
    no_block,
    pointer_at,
    ref,
    sizeof,
    throws,
    u8,
    u32,
    u64,
)

from kernel import mem
from kernel.fs.hammer2 import inode, strategy, vfsops, xop
from kernel.fs.hammer2.dirent import Entry, Place
from kernel.fs.hammer2.inode import Inode
from kernel.fs.hammer2.mount import M_HAMMER2
from kernel.fs.hammer2.ondisk import OPFLAG_DIRECTDATA, PBUFSIZE, ObjType
from kernel.io import buf
from kernel.io.bio import Bio
from kernel.io.buf import BufObject
from kernel.lib.errno import EIO, ENOMEM
from kernel.vfs import vnode
from kernel.vfs.mount import Mount
from kernel.vfs.vnode import Attr, Dirent, Vnode, Vops, Vtype

UNSAFE: Final = True        # Vnode.data is an Inode's address

NS_PER_US: Final = 1000
SIZE_MAX: Final = 1 << 62    # of what may be read through buffers
READ_AHEAD: Final = 8       # blocks of 64 KB
BATCH: Final = 16           # entries read at a time


@throws
def getv(mp: Ptr[Mount], ip: Ptr[Inode]) -> Ptr[Vnode]:
    """The vnode of an inode, referenced; the reference on the inode becomes the vnode's, or is
    dropped.  Errors  ENOMEM, EIO an inode of no known type."""
    vp = vnode.find(ip.slot)
    if vp is not None:
        inode.drop(ip)
        return vp
    try:
        fresh = _make(mp, ip)
    except Errno:
        inode.drop(ip)
        raise
    installed = vnode.install(ip.slot, fresh)
    if installed is not fresh:
        inode.drop(ip)
    return installed


@throws
def _make(mp: Ptr[Mount], ip: Ptr[Inode]) -> Ptr[Vnode]:
    """A vnode with buffers for the file's blocks."""
    meta = inode.meta(ip)
    vp = vnode.make(mp, _vtype(meta.type), ref(VOPS), u64(address_of(ip)))
    blocks = (min(u64(meta.size), SIZE_MAX) + PBUFSIZE - 1) // PBUFSIZE
    buf.init_object(vp.bufs, _strategy, blocks * PBUFSIZE, PBUFSIZE, u64(address_of(vp)))
    return vp


def _ip(vp: Ptr[Vnode]) -> Ptr[Inode]:
    return pointer_at(Inode, VirtAddr(vp.data))         # safe: getv() put it there


@throws
def _vtype(kind: ObjType) -> Vtype:
    """ObjType as the kernel's own kinds."""
    match kind:
        case ObjType.DIRECTORY:
            return Vtype.VDIR
        case ObjType.REGFILE:
            return Vtype.VREG
        case ObjType.FIFO:
            return Vtype.VFIFO
        case ObjType.CDEV:
            return Vtype.VCHR
        case ObjType.BDEV:
            return Vtype.VBLK
        case ObjType.SOFTLINK:
            return Vtype.VLNK
        case ObjType.SOCKET:
            return Vtype.VSOCK
        case _:
            raise Errno(EIO)


@throws
def _nresolve(dvp: Ptr[Vnode], name: Slice[u8]) -> Ptr[Vnode]:
    workers = ref(vfsops.fs_of(dvp.mount).workers)
    return getv(dvp.mount, xop.nresolve(workers, _ip(dvp), name))


@throws
def _getattr(vp: Ptr[Vnode], attr: Ptr[Attr]) -> None:
    meta = inode.meta(_ip(vp))
    attr.type = vp.type
    attr.mode = u32(meta.mode) & 0o7777
    attr.nlink = u64(meta.nlinks)
    attr.uid = inode.unix_id(meta.uid)
    attr.gid = inode.unix_id(meta.gid)
    attr.size = u64(meta.size)
    attr.bytes = u64(meta.data_count)
    attr.fileid = u64(meta.inum)
    attr.rdev = (u32(meta.rmajor) & 0xFFF) << 8 | u32(meta.rminor) & 0xFF
    attr.flags = u32(meta.uflags)
    attr.atime = _ns(u64(meta.atime))
    attr.mtime = _ns(u64(meta.mtime))
    attr.ctime = _ns(u64(meta.ctime))
    attr.btime = _ns(u64(meta.btime))


def _ns(us: u64) -> u64:
    """The medium's microseconds; a time that a u64 cannot hold is no time."""
    return us * NS_PER_US if us < u64.MAX // NS_PER_US else 0


@throws
def _read(vp: Ptr[Vnode], where: u64, to: Slice[u8]) -> u64:
    ip = _ip(vp)
    meta = inode.meta(ip)
    size = u64(meta.size)
    if vp.type != Vtype.VREG or meta.op_flags & OPFLAG_DIRECTDATA != 0 or where >= size:
        return strategy.read(ip, where, to)
    left = min(len(to), size - where)
    done: u64 = 0
    while done < left:
        at = where + done
        skip = at % PBUFSIZE
        bp = buf.breadn(vp.bufs, at - skip, PBUFSIZE, READ_AHEAD)
        take = min(left - done, PBUFSIZE - skip)
        to[done:done + take].copy_from(buf.data(bp)[skip:skip + take])
        buf.brelse(bp)
        done += take
    return done


@no_block
def _strategy(bo: Ptr[BufObject], request: Ptr[Bio]) -> None:
    vp = pointer_at(Vnode, VirtAddr(bo.owner))      # safe: getv() put it there
    xop.strategy_read(vfsops.fs_of(vp.mount).workers, _ip(vp), request)


@throws
def _readlink(vp: Ptr[Vnode], to: Slice[u8]) -> u64:
    return strategy.read(_ip(vp), 0, to)


@throws
def _readdir(vp: Ptr[Vnode], cookie: u64, to: Slice[Dirent]) -> u64:
    """What is damaged is left out; EIO if nothing else is left."""
    memory = mem.kmalloc(BATCH * sizeof(Entry), M_HAMMER2, mem.M.WAITOK | mem.M.NULLOK)
    if memory is None:
        raise Errno(ENOMEM)
    try:
        # safe: so many bytes, that are ours
        found = make_slice(pointer_at(Entry, VirtAddr(u64(address_of(memory)))), BATCH)
        place = Place(cookie=cookie)
        workers = ref(vfsops.fs_of(vp.mount).workers)
        shown: u64 = 0
        while shown < len(to) and not place.ended:
            count = xop.readdir(workers, _ip(vp), place, found[:min(BATCH, len(to) - shown)])
            for entry in found[:count]:
                line = ref(to[shown])
                line.fileid = entry.inum
                line.cookie = entry.cookie + 1
                line.type = _vtype(entry.type)
                line.length = entry.namlen
                line.name[:].copy_from(entry.name)
                shown += 1
        if shown == 0 and place.damaged:
            raise Errno(EIO)
        return shown
    finally:
        mem.kfree(memory, M_HAMMER2)


@may_block
def _reclaim(vp: Ptr[Vnode]) -> None:
    ip = _ip(vp)
    buf.purge(vp.bufs)
    vnode.vacate(ip.slot)
    inode.drop(ip)


VOPS: Vops = Vops(
    nresolve=_nresolve, getattr=_getattr, setattr=vnode.no_setattr, read=_read,
    write=vnode.no_write, readlink=_readlink, readdir=_readdir, ncreate=vnode.no_ncreate,
    nsymlink=vnode.no_nsymlink, nlink=vnode.no_nlink, nremove=vnode.no_nremove,
    nrename=vnode.no_nrename, fsync=vnode.no_fsync, inactive=vnode.no_inactive, reclaim=_reclaim)
