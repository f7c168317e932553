# SPDX-License-Identifier: BSD-3-Clause
"""Vnodes: files in memory, and the table of what can be done with them.

A file system makes one for a file that is asked for, and keeps it until the last reference goes:
then inactive() and reclaim() are called, once, and the structure is freed.  A name in the namecache
is a reference.  A file system's own structure for a file has a Slot: find() gives the vnode there,
unless the last reference has just gone; install() puts a new one there, if nobody was faster, and
reclaim() calls vacate().

What may be called is in Vops; every operation may block.  Directory operations get a component of
a path, never "." or "..", and a directory locked by the caller: exclusively where it is changed.

Invariants
  N1  refs counts references; it does not rise from 0.
  N2  type, mount, ops and data are fixed from make() to reclaim().
  N3  Vnodes of a mount are as many as mount.vnodes says; it cannot be unmounted before they are 0.
Locking   [a] atomic   [I] fixed   [v] the vnode's lock: shared to look, exclusive to change
Tests     tests/guest/files.py
Source    DragonFly sys/sys/vnode.h, sys/kern/vfs_vnops.c, vfs_vopops.c (design)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Fn,
    Ptr,
    Slice,
    ThrowsFn,
    VirtAddr,
    address_of,
    enum,
    may_block,
    pointer_at,
    struct,
    throws,
    u8,
    u16,
    u32,
    u64,
)

from kernel.io import buf, cdev
from kernel.lib.errno import EINVAL, ENOMEM, EOPNOTSUPP, EROFS
from kernel.lwkt import lockmgr, sleepq, spin
from kernel.mem import slab
from kernel.mem.flags import M
from kernel.mem.malloc_type import MallocType
from kernel.vfs import mount
from kernel.vfs.slot import Slot

UNSAFE: Final = True            # a Slot holds a vnode's address

NAME_MAX: Final = 255           # bytes of a component

M_VNODE: MallocType = MallocType(name="vnode")


@enum(u8)
class Vtype:
    """The kinds of files; the numbers are those of Linux's d_type."""
    VFIFO = 1
    VCHR = 2
    VDIR = 4
    VBLK = 6
    VREG = 8
    VLNK = 10
    VSOCK = 12


@struct
class Attr:
    """What stat() says.  Times in nanoseconds since 1970."""
    type: Vtype
    mode: u32                   # permission bits only, 07777
    nlink: u64
    uid: u32
    gid: u32
    size: u64                   # bytes
    bytes: u64                  # on the medium
    fileid: u64                 # inode number
    rdev: u32
    flags: u32                  # chflags()
    atime: u64
    mtime: u64
    ctime: u64
    btime: u64                  # 0: unknown


@struct
class Dirent:
    """An entry of a directory."""
    fileid: u64
    cookie: u64                 # readdir() from here gives what follows
    type: Vtype
    length: u16                 # bytes of the name
    name: Array[u8, 256]


@struct
class Vops:
    """What a file system does; vnode.py has the functions for what it does not.

    Errors of each are the system calls' own.
    """
    nresolve: ThrowsFn[[Ptr["Vnode"], Slice[u8]], Ptr["Vnode"]]     # referenced; ENOENT
    getattr: ThrowsFn[[Ptr["Vnode"], Ptr[Attr]], None]
    setattr: ThrowsFn[[Ptr["Vnode"], Ptr[Attr], u32], None]         # u32: which, see SET_
    read: ThrowsFn[[Ptr["Vnode"], u64, Slice[u8]], u64]             # at; 0 bytes at the end
    write: ThrowsFn[[Ptr["Vnode"], u64, Slice[u8]], u64]
    readlink: ThrowsFn[[Ptr["Vnode"], Slice[u8]], u64]              # bytes of the target
    readdir: ThrowsFn[[Ptr["Vnode"], u64, Slice[Dirent]], u64]      # from a cookie; how many
    ncreate: ThrowsFn[[Ptr["Vnode"], Slice[u8], Ptr[Attr]], Ptr["Vnode"]]   # any type but VLNK
    nsymlink: ThrowsFn[[Ptr["Vnode"], Slice[u8], Slice[u8], Ptr[Attr]], Ptr["Vnode"]]
    nlink: ThrowsFn[[Ptr["Vnode"], Slice[u8], Ptr["Vnode"]], None]
    nremove: ThrowsFn[[Ptr["Vnode"], Slice[u8], Ptr["Vnode"]], None]    # the file, or empty folder
    nrename: ThrowsFn[[Ptr["Vnode"], Slice[u8], Ptr["Vnode"], Slice[u8]], None]
    fsync: ThrowsFn[[Ptr["Vnode"]], None]
    inactive: Fn[[Ptr["Vnode"]], None]      # nobody has it any more
    reclaim: Fn[[Ptr["Vnode"]], None]       # forget `data`


# Bits for setattr
SET_MODE: Final[u32] = 1
SET_OWNER: Final[u32] = 2
SET_SIZE: Final[u32] = 4
SET_TIMES: Final[u32] = 8
SET_FLAGS: Final[u32] = 16


@struct
class Vnode:
    """A file in memory."""
    type: Vtype                         # [I]
    refs: Atomic[u32]                   # [a] N1
    mount: Ptr[mount.Mount]             # [I]
    ops: Ptr[Vops]                      # [I]
    data: u64                           # [I] the file system's own
    lock: lockmgr.Lock
    bufs: buf.BufObject                 # its blocks, if the file system keeps them in buffers
    dev: Ptr[cdev.Cdev] | None          # [I] VCHR, VBLK of devfs: the device


@throws
def make(mp: Ptr[mount.Mount], kind: Vtype, ops: Ptr[Vops], data: u64) -> Ptr[Vnode]:
    """A vnode, referenced once, for a file system that has none for the file.

    Errors   ENOMEM.
    """
    vp = slab.new(Vnode, M_VNODE, M.WAITOK | M.NULLOK)
    if vp is None:
        raise Errno(ENOMEM)
    vp.type = kind
    vp.mount = mp
    vp.ops = ops
    vp.data = data
    vp.lock.name = "vnode"
    vp.refs.store_relaxed(1)
    mp.vnodes.add(1)
    return vp


@may_block
def find(slot: Ptr[Slot]) -> Ptr[Vnode] | None:
    """The vnode of a file, referenced; None if it has none.  Waits for one that is going."""
    spin.lock(slot.lock)
    while slot.vnode != 0:
        vp = pointer_at(Vnode, VirtAddr(slot.vnode))        # safe: slot P1
        if _vget(vp):
            spin.unlock(slot.lock)
            return vp
        sleepq.ssleep(u64(address_of(slot)), slot.lock, sleepq.NO_FLAGS, "reclaim", 0)
    spin.unlock(slot.lock)
    return None


@may_block
def install(slot: Ptr[Slot], fresh: Ptr[Vnode]) -> Ptr[Vnode]:
    """The vnode of a file that had none when find() looked: `fresh`, of make(), or another's who
    was faster; then `fresh` is freed, and its `data` is the caller's still."""
    while True:
        with slot.lock:
            if slot.vnode == 0:
                slot.vnode = u64(address_of(fresh))
                return fresh
        vp = find(slot)
        if vp is not None:
            fresh.mount.vnodes.sub(1)
            slab.kfree(fresh, M_VNODE)
            return vp


def vacate(slot: Ptr[Slot]) -> None:
    """In reclaim(): the file has no vnode any more."""
    with slot.lock:
        slot.vnode = 0
    sleepq.wakeup(u64(address_of(slot)))


def vref(vp: Ptr[Vnode]) -> None:
    """One more reference, by one who has one."""
    vp.refs.add(1)


def _vget(vp: Ptr[Vnode]) -> bool:
    """A reference for one who has none but knows that the structure is there; False: the last one
    has gone, and reclaim() will be called or is under way."""
    refs = vp.refs.load()
    while refs != 0:
        if vp.refs.cas(refs, refs + 1):
            return True
        refs = vp.refs.load()
    return False


@may_block
def vrele(vp: Ptr[Vnode]) -> None:
    """One reference less; without any the vnode is no more."""
    if vp.refs.sub(1) != 1:
        return
    vp.ops.inactive(vp)
    vp.ops.reclaim(vp)
    mp = vp.mount
    slab.kfree(vp, M_VNODE)
    mp.vnodes.sub(1)


@may_block
def lock_exclusive(vp: Ptr[Vnode]) -> None:
    lockmgr.exclusive(vp.lock, lockmgr.NO_FLAGS)


def unlock(vp: Ptr[Vnode]) -> None:
    lockmgr.release(vp.lock)


@may_block
def vput(vp: Ptr[Vnode]) -> None:
    """unlock() and vrele()."""
    unlock(vp)
    vrele(vp)


# --- What a file system does not do --------------------------------------------------------


@throws
def no_setattr(vp: Ptr[Vnode], attr: Ptr[Attr], which: u32) -> None:
    raise Errno(EROFS)


@throws
def no_read(vp: Ptr[Vnode], where: u64, to: Slice[u8]) -> u64:
    raise Errno(EOPNOTSUPP)


@throws
def no_write(vp: Ptr[Vnode], where: u64, data: Slice[u8]) -> u64:
    raise Errno(EROFS)


@throws
def no_readlink(vp: Ptr[Vnode], to: Slice[u8]) -> u64:
    raise Errno(EINVAL)


@throws
def no_ncreate(dvp: Ptr[Vnode], name: Slice[u8], attr: Ptr[Attr]) -> Ptr[Vnode]:
    raise Errno(EROFS)


@throws
def no_nsymlink(dvp: Ptr[Vnode], name: Slice[u8], target: Slice[u8],
                attr: Ptr[Attr]) -> Ptr[Vnode]:
    raise Errno(EROFS)


@throws
def no_nlink(dvp: Ptr[Vnode], name: Slice[u8], vp: Ptr[Vnode]) -> None:
    raise Errno(EROFS)


@throws
def no_nremove(dvp: Ptr[Vnode], name: Slice[u8], vp: Ptr[Vnode]) -> None:
    raise Errno(EROFS)


@throws
def no_nrename(fdvp: Ptr[Vnode], old: Slice[u8], tdvp: Ptr[Vnode], new: Slice[u8]) -> None:
    raise Errno(EROFS)


@throws
def no_fsync(vp: Ptr[Vnode]) -> None:
    """Nothing is ever behind."""


def no_inactive(vp: Ptr[Vnode]) -> None:
    """Nothing to be done."""
