# SPDX-License-Identifier: BSD-3-Clause
"""From a path to a place.

    nd = lookup.nlookup(b"/mnt/a/../b", lookup.FOLLOW)
    ... nd.nch ...
    lookup.done(nd)

Goes a component at a time through the namecache, over mount points both ways and along symbolic
links, whose targets are put in front of what is left of the path.

Invariants
  L1  The place reached is held, entry and mount; one step takes the new before it drops the old.
  L2  After a step by name `parent` is where it came from, held, and `name` what it was called; the
      entry may have been moved since.
  L3  At most MAXSYMLINKS links are followed, and the path never grows past MAXPATHLEN.
Tests     tests/guest/files.py
Source    DragonFly sys/kern/vfs_nlookup.c (design); POSIX.1-2017, 4.13 "Pathname Resolution"
"""
from typing import Final

from kpy import (
    Array,
    Errno,
    Ptr,
    Slice,
    flags,
    make_slice,
    may_block,
    struct,
    throws,
    u8,
    u32,
    u64,
    unwrap,
)

from kernel.lib.errno import ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR
from kernel.mem import slab
from kernel.mem.flags import M
from kernel.mem.malloc_type import MallocType
from kernel.vfs import mount, namecache, vnode
from kernel.vfs.namecache import Nch
from kernel.vfs.vnode import Vtype

UNSAFE: Final = True            # a buffer by address

MAXPATHLEN: Final = 4096        # with room for a final zero, as programs count
MAXSYMLINKS: Final = 40
SLASH: Final = 47

M_NLOOKUP: MallocType = MallocType(name="nlookup")


@flags(u32)
class Nlc:
    """How to look up; DragonFly's NLC_ flags."""
    FOLLOW = 1          # a symbolic link as the last component stands for its target
    CREATE = 2          # the last component need not be there


@struct
class Nlookup:
    """A lookup and where it has come to."""
    nch: Nch                            # the place; after CREATE its name may stand for nothing
    parent: Ptr[namecache.Namecache] | None     # L2; None at a root, and behind `.` and `..`
    name: Slice[u8]                     # L2; in `path`
    links: u32                          # followed so far
    start: u64                          # path[start:end] is still to go
    end: u64
    directory: bool                     # the path ended in a slash: it must be a directory
    path: Array[u8, MAXPATHLEN]


@throws
def nlookup(path: Slice[u8], how: Nlc, at: Ptr[Nch] | None = None) -> Ptr[Nlookup]:
    """Look up a path, from `at` if it does not begin with a slash; from the root without.

    Errors   ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, ENOMEM, and those of the file system.
    """
    if len(path) == 0:
        raise Errno(ENOENT)
    if len(path) >= MAXPATHLEN:
        raise Errno(ENAMETOOLONG)
    nd = slab.new(Nlookup, M_NLOOKUP, M.WAITOK | M.NULLOK)
    if nd is None:
        raise Errno(ENOMEM)
    nd.path[:len(path)].copy_from(path)
    nd.end = len(path)
    if path[0] != SLASH and at is not None:
        namecache.nch_hold(nd.nch, unwrap(at.mount), unwrap(at.ncp))
    else:
        _to_root(nd)
    try:
        while _step(nd, how):
            pass
    except Errno:
        done(nd)
        raise
    return nd


def done(nd: Ptr[Nlookup]) -> None:
    """The end of a lookup; the place is no longer held."""
    _forget_parent(nd)
    namecache.nch_drop(nd.nch)
    slab.kfree(nd, M_NLOOKUP)


@throws
def vnode_at(path: Slice[u8], how: Nlc) -> Ptr[vnode.Vnode]:
    """The file of a path, referenced.  Errors as nlookup()."""
    while True:
        nd = nlookup(path, how)
        try:
            ncp = unwrap(nd.nch.ncp)
            vp = namecache.vnode_of_or_none(ncp)
            if vp is not None:
                return vp
            if ncp.flags.load() & namecache.GONE == 0:
                raise Errno(ENOENT)
        finally:
            done(nd)                        # another file has its name


@throws
def _step(nd: Ptr[Nlookup], how: Nlc) -> bool:
    """Take the next component; False if there is none."""
    name = _next(nd)
    if len(name) == 0:
        if nd.directory:
            _require_directory(nd)
        return False
    _require_directory(nd)
    if name == b".":
        _forget_parent(nd)
        return True
    if name == b"..":
        _up(nd)
        return True
    here = unwrap(nd.nch.ncp)
    child, vp = namecache.lookup_file(here, name)
    last = nd.start == nd.end
    if vp is None:
        if not (last and Nlc.CREATE in how):
            namecache.drop(child)
            raise Errno(ENOENT)
        _enter(nd, child, name)
        return True
    try:
        if vp.type == Vtype.VLNK and (not last or nd.directory or Nlc.FOLLOW in how):
            namecache.drop(child)
            _follow(nd, vp)
            return True
    finally:
        vnode.vrele(vp)
    _enter(nd, child, name)
    _down(nd)
    return True


def _next(nd: Ptr[Nlookup]) -> Slice[u8]:
    """The next component, and the slashes round it away; empty at the end."""
    while nd.start < nd.end and nd.path[nd.start] == SLASH:
        nd.start += 1
    first = nd.start
    while nd.start < nd.end and nd.path[nd.start] != SLASH:
        nd.start += 1
    name = nd.path[first:nd.start]
    while nd.start < nd.end and nd.path[nd.start] == SLASH:
        nd.start += 1
        nd.directory = nd.start == nd.end
    return name


@throws
def _require_directory(nd: Ptr[Nlookup]) -> None:
    vp = namecache.vnode_of_or_none(unwrap(nd.nch.ncp))
    if vp is None:
        return                          # CREATE of something that ends in a slash
    kind = vp.type
    vnode.vrele(vp)
    if kind != Vtype.VDIR:
        raise Errno(ENOTDIR)


def _move(nd: Ptr[Nlookup], mp: Ptr[mount.Mount], ncp: Ptr[namecache.Namecache]) -> None:
    """Go to an entry whose hold becomes the lookup's (L1)."""
    next_place: Nch
    next_place.mount = mp
    next_place.ncp = ncp
    mp.refs.add(1)
    namecache.nch_drop(nd.nch)
    nd.nch.mount = next_place.mount
    nd.nch.ncp = next_place.ncp


def _enter(nd: Ptr[Nlookup], child: Ptr[namecache.Namecache], name: Slice[u8]) -> None:
    """Go to the entry of a name in the place (L2)."""
    here = unwrap(nd.nch.ncp)
    namecache.hold(here)
    _forget_parent(nd)
    nd.parent = here
    nd.name = name
    _move(nd, unwrap(nd.nch.mount), child)


def _forget_parent(nd: Ptr[Nlookup]) -> None:
    parent = nd.parent
    nd.parent = None
    if parent is not None:
        namecache.drop(parent)


@may_block
def _to_root(nd: Ptr[Nlookup]) -> None:
    _forget_parent(nd)
    mp = mount.root_mount()
    root = unwrap(mp.root)
    namecache.hold(root)
    _move(nd, mp, root)
    _down(nd)


@may_block
def _down(nd: Ptr[Nlookup]) -> None:
    """If something is mounted here go to its root, as often as that is so."""
    while unwrap(nd.nch.ncp).flags.load_relaxed() & namecache.MOUNT != 0:
        above = mount.covering(nd.nch)
        if above is None:
            return
        root = unwrap(above.root)
        namecache.hold(root)
        _move(nd, above, root)
        above.refs.sub(1)               # covering()'s


@may_block
def _up(nd: Ptr[Nlookup]) -> None:
    """To the parent: from a mount's root, that of what it covers; of the root itself, the root."""
    _forget_parent(nd)
    mp = unwrap(nd.nch.mount)
    ncp = unwrap(nd.nch.ncp)
    while ncp is unwrap(mp.root) and mp.covered.ncp is not None:
        ncp = unwrap(mp.covered.ncp)
        mp = unwrap(mp.covered.mount)
    parent: Ptr[namecache.Namecache] | None = None
    if ncp is not unwrap(mp.root):
        parent = namecache.parent_of(ncp)
    if parent is None:
        parent = ncp
        namecache.hold(parent)
    _move(nd, mp, parent)
    _down(nd)


@throws
def _follow(nd: Ptr[Nlookup], vp: Ptr[vnode.Vnode]) -> None:
    """Put a symbolic link's target in front of what is left (L3)."""
    nd.links += 1
    if nd.links > MAXSYMLINKS:
        raise Errno(ELOOP)
    left = nd.end - nd.start
    target = unwrap(slab.kmalloc(MAXPATHLEN, M_NLOOKUP, M.WAITOK))
    try:
        text = make_slice(target, MAXPATHLEN)       # safe: so long is it
        with vp.lock.sharing():
            length = vp.ops.readlink(vp, text)
        if length == 0:
            raise Errno(ENOENT)
        if length + 1 + left >= MAXPATHLEN:
            raise Errno(ENAMETOOLONG)
        # What is left moves to the end of the buffer first: it may lie where the target goes.
        tail = MAXPATHLEN - left
        _slide(nd, tail, left)
        nd.path[:length].copy_from(text[:length])
        nd.path[length] = SLASH
        _slide_back(nd, tail, length + 1, left)
        nd.start = 0
        nd.end = length + 1 + left if left != 0 or nd.directory else length
        nd.directory = False
        absolute = text[0] == SLASH
    finally:
        slab.kfree(target, M_NLOOKUP)
    if absolute:
        _to_root(nd)


def _slide(nd: Ptr[Nlookup], to: u64, length: u64) -> None:
    """Move what is left towards the end, from its last byte on."""
    for i in range(length):
        nd.path[to + length - 1 - i] = nd.path[nd.start + length - 1 - i]


def _slide_back(nd: Ptr[Nlookup], start: u64, to: u64, length: u64) -> None:
    for i in range(length):
        nd.path[to + i] = nd.path[start + i]
