# SPDX-License-Identifier: BSD-3-Clause
"""What a system call for files does, by path; for the kernel's own use and for system calls.

Each takes a path from the root, or from a place, and raises the system call's errors.  Who changes
a directory locks it exclusively, and the file whose name comes or goes, asks the file system, and
then tells the namecache.  Between lookup and lock the name may have moved, or its directory may be
no more: so both are looked at again.

Invariants
  K1  A directory is locked before what is in it.  Only rename() locks two directories of which
      neither is in the other, and it is alone in its file system.
  K2  A file system that is mounted read-only is asked for no change: EROFS.
  K3  A directory that was removed gets no entries: it is locked while its own entry loses it.
Tests     tests/guest/files.py
Source    DragonFly sys/kern/vfs_syscalls.c kern_*() (design)
Limits    permissions are checked once there are credentials
"""
from typing import Final

from kpy import Errno, Ptr, Slice, copy, i32, struct, throws, u8, u32, u64, unwrap

from kernel.lib.errno import (
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    EROFS,
    EXDEV,
)
from kernel.vfs import lookup, mount, namecache, vnode
from kernel.vfs.lookup import Nlc, Nlookup
from kernel.vfs.mount import MountFlag
from kernel.vfs.vnode import Attr, Dirent, Vnode, Vtype

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
        vp = place.dvp.ops.ncreate(place.dvp, place.nd.name, attr)
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
        vp = place.dvp.ops.nsymlink(place.dvp, place.nd.name, target, attr)
        namecache.setvp(place.ncp, vp)
    finally:
        _let_go(place)


@throws
def link(old: Slice[u8], path: Slice[u8]) -> None:
    """Another name for a file that is no directory."""
    while True:
        vp = lookup.vnode_at(old, NO_FLAGS)
        try:
            _link(vp, path)
            return
        except Errno as e:
            if e.code != ENOENT or _is_at(vp, old):
                raise
            # Its last name has gone to another file.
        finally:
            vnode.vrele(vp)


@throws
def _link(vp: Ptr[Vnode], path: Slice[u8]) -> None:
    if vp.type == Vtype.VDIR:
        raise Errno(EPERM)
    place: Parent = _parent_of(path, True)
    try:
        if place.dvp.mount is not vp.mount:
            raise Errno(EXDEV)
        with vp.lock:
            place.dvp.ops.nlink(place.dvp, place.nd.name, vp)
        vnode.vref(vp)
        namecache.setvp(place.ncp, vp)
    finally:
        _let_go(place)


@throws
def _is_at(vp: Ptr[Vnode], path: Slice[u8]) -> bool:
    """Whether a path leads to this file."""
    found = lookup.vnode_at(path, NO_FLAGS)
    vnode.vrele(found)
    return found is vp


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
            with vp.lock:                               # K3
                place.dvp.ops.nremove(place.dvp, place.nd.name, vp)
                namecache.setvp(place.ncp, None)
        finally:
            vnode.vrele(vp)
    finally:
        _let_go(place)


# --- Renaming ------------------------------------------------------------------------------


@throws
def rename(old: Slice[u8], new: Slice[u8]) -> None:
    """Move a file or directory; what was called `new` goes, if it may.  Two names of one file stay.

    Errors   EXDEV, EINVAL a directory into itself, ENOTEMPTY, EISDIR, ENOTDIR, EBUSY something is
             mounted there.
    """
    while True:
        seen = lookup.nlookup(old, NO_FLAGS)
        try:
            mp = unwrap(seen.nch.ncp).owner             # there, as long as its entry is held
            with mp.renaming:
                if _rename_in(mp, old, new):
                    return
        finally:
            lookup.done(seen)


@throws
def _rename_in(mp: Ptr[mount.Mount], old: Slice[u8], new: Slice[u8]) -> bool:
    """All names of a mount stay what they are meanwhile.  False: `old` is now in another one."""
    source = lookup.nlookup(old, NO_FLAGS)
    try:
        if unwrap(source.nch.ncp).owner is not mp:
            return False
        target = lookup.nlookup(new, Nlc.CREATE)
        try:
            _rename(source, target)
        finally:
            lookup.done(target)
    finally:
        lookup.done(source)
    return True


@throws
def _rename(source: Ptr[Nlookup], target: Ptr[Nlookup]) -> None:
    """Lock both directories."""
    ncp = unwrap(source.nch.ncp)
    over = unwrap(target.nch.ncp)
    if ncp is over:
        return
    _require_name(source, EINVAL)
    _require_name(target, EINVAL)
    if ncp.owner is not over.owner:
        raise Errno(EXDEV)
    _require_writable(ncp.owner)
    if _is_in(over, ncp):
        raise Errno(EINVAL)
    if _is_in(ncp, over):
        raise Errno(ENOTEMPTY)
    source_first = not _is_in(unwrap(source.parent), unwrap(target.parent))     # K1
    first = source.parent if source_first else target.parent
    second = target.parent if source_first else source.parent
    dvp = _lock_directory(unwrap(first))
    try:
        if first is second:
            _move(source, target, dvp, dvp)
            return
        other = _lock_directory(unwrap(second))
        try:
            _move(source, target, dvp if source_first else other, other if source_first else dvp)
        finally:
            vnode.vput(other)
    finally:
        vnode.vput(dvp)


@throws
def _move(source: Ptr[Nlookup], target: Ptr[Nlookup], fdvp: Ptr[Vnode], tdvp: Ptr[Vnode]) -> None:
    """Lock what is moved, and what it replaces."""
    ncp = unwrap(source.nch.ncp)
    over = unwrap(target.nch.ncp)
    if (ncp.flags.load() | over.flags.load()) & namecache.MOUNT != 0:
        raise Errno(EBUSY)
    moved = namecache.vnode_of(ncp)
    try:
        replaced = namecache.vnode_of_or_none(over)
        if replaced is None:
            with moved.lock:
                _change_names(source, target, fdvp, tdvp)
            return
        try:
            if replaced is not moved:
                _replace(source, target, fdvp, tdvp, moved, replaced)
        finally:
            vnode.vrele(replaced)
    finally:
        vnode.vrele(moved)


@throws
def _replace(source: Ptr[Nlookup], target: Ptr[Nlookup], fdvp: Ptr[Vnode], tdvp: Ptr[Vnode],
             moved: Ptr[Vnode], replaced: Ptr[Vnode]) -> None:
    if (moved.type == Vtype.VDIR) != (replaced.type == Vtype.VDIR):
        raise Errno(EISDIR if replaced.type == Vtype.VDIR else ENOTDIR)
    with moved.lock, replaced.lock:
        tdvp.ops.nremove(tdvp, target.name, replaced)
        _change_names(source, target, fdvp, tdvp)
        # Not before: there always is a file of that name.
        namecache.setvp(unwrap(target.nch.ncp), None)


@throws
def _change_names(source: Ptr[Nlookup], target: Ptr[Nlookup], fdvp: Ptr[Vnode],
                  tdvp: Ptr[Vnode]) -> None:
    fdvp.ops.nrename(fdvp, source.name, tdvp, target.name)
    namecache.rename(unwrap(source.nch.ncp), unwrap(target.parent), target.name)


def _is_in(ncp: Ptr[namecache.Namecache], directory: Ptr[namecache.Namecache]) -> bool:
    """Whether an entry is below another, however deep, or the same.  While nobody renames."""
    above: Ptr[namecache.Namecache] | None = ncp
    while above is not None:
        if above is directory:
            return True
        above = above.parent
    return False


# --- Directories ---------------------------------------------------------------------------


@throws
def _parent_of(path: Slice[u8], fresh: bool) -> Parent:
    """Lock the directory that a path's last component is in.  Fresh: that must not be there yet."""
    while True:
        nd = lookup.nlookup(path, Nlc.CREATE if fresh else NO_FLAGS)
        try:
            ncp = unwrap(nd.nch.ncp)
            _require_name(nd, EEXIST if fresh else EINVAL)
            _require_writable(unwrap(nd.nch.mount))
            dvp = _lock_directory(unwrap(nd.parent))
            if namecache.is_called(ncp, unwrap(nd.parent), nd.name):
                found: Parent = Parent(nd=nd, dvp=dvp, ncp=ncp)
                there = namecache.vnode_of_or_none(ncp)
                if there is not None:
                    vnode.vrele(there)
                if (there is not None) != fresh:
                    return found
                vnode.vput(dvp)
                raise Errno(EEXIST if fresh else ENOENT)
            vnode.vput(dvp)                     # it was renamed, or another over it
        except Errno:
            lookup.done(nd)
            raise
        lookup.done(nd)


@throws
def _require_name(nd: Ptr[Nlookup], error: i32) -> None:
    """Raise EBUSY of what is a mount's root, `error` of a path that ends in `.` or `..`."""
    if unwrap(nd.nch.ncp) is unwrap(unwrap(nd.nch.mount).root):
        raise Errno(EEXIST if error == EEXIST else EBUSY)
    if nd.parent is None:
        raise Errno(error)


@throws
def _lock_directory(ncp: Ptr[namecache.Namecache]) -> Ptr[Vnode]:
    """The vnode of a directory's entry, referenced and locked.  Errors  ENOENT it was removed."""
    dvp = namecache.vnode_of(ncp)
    vnode.lock_exclusive(dvp)
    there = namecache.vnode_of_or_none(ncp)
    if there is not None:
        vnode.vrele(there)
    if there is not dvp:
        vnode.vput(dvp)
        raise Errno(ENOENT)
    return dvp


def _let_go(place: Ptr[Parent]) -> None:
    vnode.vput(place.dvp)
    lookup.done(place.nd)


@throws
def _require_writable(mp: Ptr[mount.Mount]) -> None:
    if MountFlag.RDONLY in mp.flags:
        raise Errno(EROFS)
