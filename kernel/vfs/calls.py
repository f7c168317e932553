# SPDX-License-Identifier: BSD-3-Clause
"""What a system call for files does, by path; for the kernel's own use and for system calls.

Each takes a path from the root, or from a place, and raises the system call's errors.  Who changes
a directory locks it exclusively, asks the file system, and then tells the namecache.

Invariants
  K1  Two directories are locked in order of address.
  K2  A file system that is mounted read-only is asked for no change: EROFS.
Tests     tests/guest/files.py
Source    DragonFly sys/kern/vfs_syscalls.c kern_*() (design)
Limits    permissions are checked once there are credentials
"""
from typing import Final

from kpy import Errno, Ptr, Slice, address_of, copy, struct, throws, u8, u32, u64, unwrap

from kernel.lib.errno import (
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    ENOENT,
    ENOTDIR,
    EPERM,
    EROFS,
    EXDEV,
)
from kernel.vfs import lookup, mount, namecache, vnode
from kernel.vfs.lookup import Nlc, Nlookup
from kernel.vfs.mount import MountFlag
from kernel.vfs.vnode import Attr, Dirent, Vnode, Vtype

UNSAFE: Final = True        # order of addresses

NO_FLAGS: Final[Nlc] = Nlc(0)


@struct
class Parent:
    """A directory about to be changed, locked, and the entry in it."""
    nd: Ptr[Nlookup]
    dvp: Ptr[Vnode]
    ncp: Ptr[namecache.Namecache]


# --- Looking -------------------------------------------------------------------------------


@throws
def open_file(path: Slice[u8]) -> Ptr[Vnode]:
    """The file of a path, referenced; close_file() it."""
    return lookup.vnode_at(path, Nlc.FOLLOW)


def close_file(vp: Ptr[Vnode]) -> None:
    vnode.vrele(vp)


@throws
def stat(path: Slice[u8], attr: Ptr[Attr], follow: bool) -> None:
    """What there is to know about a file."""
    vp = lookup.vnode_at(path, Nlc.FOLLOW if follow else NO_FLAGS)
    try:
        getattr_of(vp, attr)
    finally:
        vnode.vrele(vp)


@throws
def getattr_of(vp: Ptr[Vnode], attr: Ptr[Attr]) -> None:
    """stat() of an open file; what its file system does not say is 0."""
    nothing: Attr = Attr(type=vp.type)
    copy(attr, nothing)
    with vp.lock.sharing():
        vp.ops.getattr(vp, attr)


@throws
def read(vp: Ptr[Vnode], where: u64, to: Slice[u8]) -> u64:
    """Read from an open file; fewer bytes than asked only at its end."""
    if vp.type == Vtype.VDIR:
        raise Errno(EISDIR)
    with vp.lock.sharing():
        return vp.ops.read(vp, where, to)


@throws
def readdir(vp: Ptr[Vnode], cookie: u64, to: Slice[Dirent]) -> u64:
    """The entries after `cookie` (0: from the start), as many as fit; 0 at the end."""
    if vp.type != Vtype.VDIR:
        raise Errno(ENOTDIR)
    with vp.lock.sharing():
        return vp.ops.readdir(vp, cookie, to)


@throws
def readlink(path: Slice[u8], to: Slice[u8]) -> u64:
    """The target of a symbolic link; its length."""
    vp = lookup.vnode_at(path, NO_FLAGS)
    try:
        if vp.type != Vtype.VLNK:
            raise Errno(EINVAL)
        with vp.lock.sharing():
            return vp.ops.readlink(vp, to)
    finally:
        vnode.vrele(vp)


# --- Changing ------------------------------------------------------------------------------


@throws
def write(vp: Ptr[Vnode], where: u64, data: Slice[u8]) -> u64:
    """Write to an open file; how many bytes."""
    _require_writable(vp.mount)
    if vp.type == Vtype.VDIR:
        raise Errno(EISDIR)
    with vp.lock:
        return vp.ops.write(vp, where, data)


@throws
def setattr(path: Slice[u8], attr: Ptr[Attr], which: u32) -> None:
    """chmod, chown, truncate, utimes, chflags: what `which` names of `attr`."""
    vp = lookup.vnode_at(path, Nlc.FOLLOW)
    try:
        _require_writable(vp.mount)
        with vp.lock:
            vp.ops.setattr(vp, attr, which)
    finally:
        vnode.vrele(vp)


@throws
def create(path: Slice[u8], attr: Ptr[Attr]) -> Ptr[Vnode]:
    """A new file, directory, device or fifo, by attr.type; referenced.  Errors  EEXIST."""
    place: Parent = _parent_of(path, True)
    try:
        vp = place.dvp.ops.ncreate(place.dvp, namecache.name_of(place.ncp), attr)
        vnode.vref(vp)
        namecache.setvp(place.ncp, vp)
        return vp
    finally:
        _let_go(place)


@throws
def symlink(target: Slice[u8], path: Slice[u8], attr: Ptr[Attr]) -> None:
    """A symbolic link at `path`."""
    place: Parent = _parent_of(path, True)
    try:
        vp = place.dvp.ops.nsymlink(place.dvp, namecache.name_of(place.ncp), target, attr)
        namecache.setvp(place.ncp, vp)
    finally:
        _let_go(place)


@throws
def link(old: Slice[u8], path: Slice[u8]) -> None:
    """Another name for a file that is no directory."""
    vp = lookup.vnode_at(old, NO_FLAGS)
    try:
        if vp.type == Vtype.VDIR:
            raise Errno(EPERM)
        place: Parent = _parent_of(path, True)
        try:
            if place.dvp.mount is not vp.mount:
                raise Errno(EXDEV)
            place.dvp.ops.nlink(place.dvp, namecache.name_of(place.ncp), vp)
            vnode.vref(vp)
            namecache.setvp(place.ncp, vp)
        finally:
            _let_go(place)
    finally:
        vnode.vrele(vp)


@throws
def unlink(path: Slice[u8]) -> None:
    """Take a name away that is no directory's."""
    _remove(path, False)


@throws
def rmdir(path: Slice[u8]) -> None:
    """Take an empty directory away."""
    _remove(path, True)


@throws
def _remove(path: Slice[u8], directory: bool) -> None:
    place: Parent = _parent_of(path, False)
    try:
        if place.ncp.flags.load() & namecache.MOUNT != 0:
            raise Errno(EBUSY)
        vp = namecache.vnode_of(place.ncp)
        try:
            if directory and vp.type != Vtype.VDIR:
                raise Errno(ENOTDIR)
            if not directory and vp.type == Vtype.VDIR:
                raise Errno(EISDIR)
            place.dvp.ops.nremove(place.dvp, namecache.name_of(place.ncp), vp)
            namecache.setvp(place.ncp, None)
        finally:
            vnode.vrele(vp)
    finally:
        _let_go(place)


@throws
def rename(old: Slice[u8], new: Slice[u8]) -> None:
    """Move a file or directory; what was called `new` goes, if it may.

    Errors   EXDEV, EINVAL a directory into itself, ENOTEMPTY, EISDIR, ENOTDIR.
    """
    source = lookup.nlookup(old, NO_FLAGS)
    try:
        target = lookup.nlookup(new, Nlc.CREATE)
        try:
            _rename(unwrap(source.nch.ncp), unwrap(target.nch.ncp))
        finally:
            lookup.done(target)
    finally:
        lookup.done(source)


@throws
def _rename(ncp: Ptr[namecache.Namecache], over: Ptr[namecache.Namecache]) -> None:
    if ncp is over:
        return
    if ncp.owner is not over.owner:
        raise Errno(EXDEV)
    _require_writable(ncp.owner)
    if (ncp.flags.load() | over.flags.load()) & namecache.MOUNT != 0 or over.parent is None:
        raise Errno(EBUSY)
    above: Ptr[namecache.Namecache] | None = over
    while above is not None:
        if above is ncp:
            raise Errno(EINVAL)
        above = above.parent
    fdvp = namecache.vnode_of(unwrap(ncp.parent))
    tdvp = namecache.vnode_of(unwrap(over.parent))
    _lock_two(fdvp, tdvp)
    try:
        vp = namecache.vnode_of_or_none(over)
        if vp is not None:
            try:
                moved = namecache.vnode_of(ncp)
                same_kind = (moved.type == Vtype.VDIR) == (vp.type == Vtype.VDIR)
                into_directory = vp.type == Vtype.VDIR
                vnode.vrele(moved)
                if not same_kind:
                    raise Errno(EISDIR if into_directory else ENOTDIR)
                tdvp.ops.nremove(tdvp, namecache.name_of(over), vp)
            finally:
                vnode.vrele(vp)
        fdvp.ops.nrename(fdvp, namecache.name_of(ncp), tdvp, namecache.name_of(over))
        namecache.rename(ncp, unwrap(over.parent), namecache.name_of(over))
        namecache.setvp(over, None)             # not before: there always is a file of that name
    finally:
        vnode.unlock(fdvp)
        if tdvp is not fdvp:
            vnode.unlock(tdvp)
        vnode.vrele(fdvp)
        vnode.vrele(tdvp)


def _lock_two(one: Ptr[Vnode], other: Ptr[Vnode]) -> None:
    """K1."""
    first = u64(address_of(one)) <= u64(address_of(other))
    vnode.lock_exclusive(one if first else other)
    if other is not one:
        vnode.lock_exclusive(other if first else one)


@throws
def _parent_of(path: Slice[u8], fresh: bool) -> Parent:
    """Lock the directory that a path's last component is in.  Fresh: that must not be there yet."""
    nd = lookup.nlookup(path, Nlc.CREATE if fresh else NO_FLAGS)
    try:
        ncp = unwrap(nd.nch.ncp)
        parent = ncp.parent
        if parent is None or ncp is unwrap(unwrap(nd.nch.mount).root):
            raise Errno(EEXIST if fresh else EBUSY)
        _require_writable(unwrap(nd.nch.mount))
        dvp = namecache.vnode_of(parent)
        vnode.lock_exclusive(dvp)
        found: Parent = Parent(nd=nd, dvp=dvp, ncp=ncp)
        there = namecache.vnode_of_or_none(ncp)
        if there is not None:
            vnode.vrele(there)
        if (there is not None) == fresh or ncp.flags.load() & namecache.GONE != 0:
            vnode.unlock(dvp)
            vnode.vrele(dvp)
            raise Errno(EEXIST if fresh else ENOENT)
        return found
    except Errno:
        lookup.done(nd)
        raise


def _let_go(place: Ptr[Parent]) -> None:
    vnode.unlock(place.dvp)
    vnode.vrele(place.dvp)
    lookup.done(place.nd)


@throws
def _require_writable(mp: Ptr[mount.Mount]) -> None:
    if MountFlag.RDONLY in mp.flags:
        raise Errno(EROFS)
