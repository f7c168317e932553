# SPDX-License-Identifier: BSD-3-Clause
"""Mounts: file systems, each with its root, put somewhere in the tree.

A file system makes itself known at the start:

    @table("filesystem", 10)
    def hammer2() -> None:
        mount.register(OPS)

Invariants
  M1  A mount but the root's covers one place, which nobody else covers; the entry there says MOUNT,
      from before it is mounted until after.  What says MOUNT is not removed, and keeps its name.
  M2  A mount holds its root entry, the place it covers, and through it the mount below.
  M3  A mount is taken out of the list, with nobody referring to it, before its file system is
      told to unmount.
  M4  While it is found out whether a mount is in use, it is `leaving`: nobody refers to it, and who
      comes by waits.  So what is seen at a place is what is mounted there, or was until it went.
Locking   [l] `lock`, and `changing` to change   [a] atomic   [I] fixed after mount()
          [m] `changing`, a lock for a whole mount() or unmount(); after it `renaming` of the mount
          below, then its directory
Tests     tests/guest/files.py
Source    DragonFly sys/sys/mount.h, sys/kern/vfs_mount.c, vfs_syscalls.c sys_mount() (design)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Fn,
    Ptr,
    Slice,
    Str,
    ThrowsFn,
    address_of,
    entries,
    flags,
    may_block,
    panic,
    ref,
    struct,
    throws,
    u8,
    u32,
    u64,
    unwrap,
)

from kernel.lib import queue, words
from kernel.lib.errno import EBUSY, ENAMETOOLONG, ENODEV, ENOMEM, ENOTDIR
from kernel.lwkt import lockmgr, sleepq, spin
from kernel.mem import slab
from kernel.mem.flags import M
from kernel.mem.malloc_type import MallocType
from kernel.vfs import namecache, vnode
from kernel.vfs.namecache import Nch

UNSAFE: Final = True            # the list's lock is what those sleep on who wait for a mount

FROM_BYTES: Final = 128

M_MOUNT: MallocType = MallocType(name="mount")


@flags(u32)
class MountFlag:
    RDONLY = 1


@struct
class StatFs:
    """What statfs() says; sizes in bytes."""
    block_size: u32
    total: u64
    free: u64
    files: u64                  # 0: unknown


@struct
class Vfsops:
    """A file system."""
    link: queue.Link["Vfsops"]
    name: Str
    mount: ThrowsFn[[Ptr["Mount"]], None]           # mp.source says of what; sets mp.data
    root: ThrowsFn[[Ptr["Mount"]], Ptr[namecache.Namecache]]    # held; see own_root()
    statfs: ThrowsFn[[Ptr["Mount"], Ptr[StatFs]], None]
    sync: ThrowsFn[[Ptr["Mount"]], None]
    unmount: Fn[[Ptr["Mount"]], None]               # no vnode is left; forget mp.data


@struct
class Mount:
    """A mounted file system."""
    link: queue.Link["Mount"]               # [l]
    ops: Ptr[Vfsops]                        # [I]
    data: u64                               # [I] the file system's own
    leaving: bool                           # [l] M4
    flags: MountFlag                        # [I]
    root: Ptr[namecache.Namecache] | None   # [I] None only while it is being mounted
    covered: Nch                            # [I] the place; of the root itself there is none
    renaming: lockmgr.Lock                  # held for a whole rename(): all else keeps its name
    vnodes: Atomic[u64]                     # [a] that there are
    refs: Atomic[u64]                       # [a] handles that see an entry through it
    source: Array[u8, FROM_BYTES]           # [I] device, label or path; filled up with zeros
    at: Array[u8, FROM_BYTES]               # [I] the path it was mounted at, for listings


lock: spin.Spinlock
_mounts: queue.TailQueue[Mount, "link"]     # [l] the root first
_changing: lockmgr.Lock                     # [m]
_known: queue.TailQueue[Vfsops, "link"]     # [I] after init()


def init() -> None:
    """Let the file systems make themselves known.  Once, before the first mount()."""
    _changing.name = "mount"
    for entry in entries("filesystem"):
        entry.function()


def register(ops: Ptr[Vfsops]) -> None:
    """One more file system; from init() only."""
    _known.push_back(ops)


@throws
def mount(kind: Slice[u8], source: Slice[u8], place: Ptr[Nch] | None, at: Slice[u8],
          how: MountFlag) -> Ptr[Mount]:
    """Mount `source` with the file system named `kind` at a place; None is the root.

    Errors   ENODEV no such file system, ENOTDIR, EBUSY the place is covered already, ENAMETOOLONG,
             ENOMEM, and the file system's own.
    """
    ops = _find_ops(kind)
    if len(source) >= FROM_BYTES or len(at) >= FROM_BYTES:
        raise Errno(ENAMETOOLONG)
    mp = slab.new(Mount, M_MOUNT, M.WAITOK | M.NULLOK)
    if mp is None:
        raise Errno(ENOMEM)
    mp.ops = ops
    mp.flags = how
    mp.renaming.name = "rename"
    words.write_text(mp.source, source)
    words.write_text(mp.at, at)
    try:
        with _changing:
            _mount(mp, place)
    except Errno:
        slab.kfree(mp, M_MOUNT)
        raise
    return mp


@throws
def _mount(mp: Ptr[Mount], place: Ptr[Nch] | None) -> None:
    if place is None:
        if not _mounts.empty():
            raise Errno(EBUSY)
        _make_root(mp)
        with lock:
            _mounts.push_back(mp)
    else:
        above = covering(place)
        if above is not None:
            above.refs.sub(1)
            raise Errno(EBUSY)
        ncp = unwrap(place.ncp)
        _claim(ncp)
        try:
            _make_root(mp)
        except Errno:
            _unclaim(ncp)
            raise
        namecache.nch_hold(mp.covered, unwrap(place.mount), ncp)
        with ncp.owner.renaming, lock:          # a rename() finds both names in it, or below it
            _mounts.push_back(mp)


@throws
def _make_root(mp: Ptr[Mount]) -> None:
    mp.ops.mount(mp)
    try:
        mp.root = mp.ops.root(mp)
    except Errno:
        mp.ops.unmount(mp)
        raise


@throws
def _claim(ncp: Ptr[namecache.Namecache]) -> None:
    """Have an entry say MOUNT, if it stands for a directory still.

    Errors   ENOENT, ENOTDIR.
    """
    with ncp.owner.renaming:
        parent = ncp.parent                     # namecache.py E6
        if parent is None:
            _mark(ncp)
            return
        dvp = namecache.vnode_of(parent)
        vnode.lock_exclusive(dvp)
        try:
            _mark(ncp)
        finally:
            vnode.vput(dvp)


@throws
def _mark(ncp: Ptr[namecache.Namecache]) -> None:
    vp = namecache.vnode_of(ncp)
    is_directory = vp.type == vnode.Vtype.VDIR
    vnode.vrele(vp)
    if not is_directory:
        raise Errno(ENOTDIR)
    ncp.flags.or_(namecache.MOUNT)


def _unclaim(ncp: Ptr[namecache.Namecache]) -> None:
    """Nothing is mounted here any more, through this mount."""
    if not _covers_any(ncp):
        ncp.flags.and_(~namecache.MOUNT)


@throws
def unmount(mp: Ptr[Mount]) -> None:
    """Take a mount out of the tree.

    Errors   EBUSY files of it are in use, or another is mounted on it.
    """
    with _changing:
        if mp.covered.ncp is None or mp.refs.load() != 0:
            raise Errno(EBUSY)
        mp.ops.sync(mp)
        with lock:
            mp.leaving = mp.refs.load() == 0        # nobody comes in from here on
        if not mp.leaving:
            raise Errno(EBUSY)
        unused = namecache.purge(mp)
        with lock:
            mp.leaving = False
            if unused:
                _mounts.remove(mp)
        sleepq.wakeup(u64(address_of(ref(lock))))
        if not unused:
            raise Errno(EBUSY)
        _unclaim(unwrap(mp.covered.ncp))
        namecache.drop_root(mp)
        namecache.nch_drop(mp.covered)
        mp.ops.unmount(mp)
    slab.kfree(mp, M_MOUNT)


# --- Finding -------------------------------------------------------------------------------


def root_mount() -> Ptr[Mount]:
    """The one everything hangs from."""
    first = _mounts.first
    if first is None:
        panic("nothing is mounted")
    return first


@may_block
def covering(place: Ptr[Nch]) -> Ptr[Mount] | None:
    """The mount at a place, referenced.  Only entries that say MOUNT need asking."""
    while True:
        with lock.shared():
            mp = _at(place)
            if mp is None:
                return None
            if not mp.leaving:
                mp.refs.add(1)
                return mp
        _wait_while_leaving(place)


@may_block
def _wait_while_leaving(place: Ptr[Nch]) -> None:
    spin.lock(lock)
    mp = _at(place)
    if mp is not None and mp.leaving:
        sleepq.ssleep(u64(address_of(ref(lock))), lock, sleepq.NO_FLAGS, "unmount", 0)
    spin.unlock(lock)


def _at(place: Ptr[Nch]) -> Ptr[Mount] | None:
    """The mount at a place.  By who has `lock`."""
    for mp in _mounts:
        if mp.covered.ncp is place.ncp and mp.covered.mount is place.mount:
            return mp
    return None


def nth(index: u64) -> Ptr[Mount] | None:
    """For listings, by one who holds off unmounting: see listing()."""
    with lock.shared():
        for mp in _mounts:
            if index == 0:
                return mp
            index -= 1
    return None


def listing() -> Ptr[lockmgr.Lock]:
    """`with mount.listing():` no mount comes or goes."""
    return ref(_changing)


def _covers_any(ncp: Ptr[namecache.Namecache]) -> bool:
    """Whether a mount lies on the entry, seen through any mount.  By who holds `changing`."""
    for mp in _mounts:
        if mp.covered.ncp is ncp:
            return True
    return False


@throws
def _find_ops(kind: Slice[u8]) -> Ptr[Vfsops]:
    for ops in _known:
        if ops.name == kind:
            return ops
    raise Errno(ENODEV)


# --- For file systems ----------------------------------------------------------------------


@throws
def own_root(mp: Ptr[Mount], vp: Ptr[vnode.Vnode]) -> Ptr[namecache.Namecache]:
    """What `root` returns of a file system with vnodes of its own: an entry for its root, whose
    reference is taken over.  Errors  ENOMEM."""
    try:
        return namecache.make_root(mp, vp)
    finally:
        vnode.vrele(vp)


# --- What a file system does not do --------------------------------------------------------


@throws
def no_sync(mp: Ptr[Mount]) -> None:
    """Nothing is ever behind."""
