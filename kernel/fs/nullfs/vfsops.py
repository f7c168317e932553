# SPDX-License-Identifier: BSD-3-Clause
"""nullfs: mount -t null /usr /mnt shows at /mnt what is at /usr.

There is nothing below the mount: a place is {mount, entry}, and the root of this mount is the entry
of what is shown.  What is mounted further down there is not seen through it.

Tests     tests/guest/files.py
Source    DragonFly sys/vfs/nullfs/null_vfsops.c (design)
"""
from typing import Final

from kpy import (
    Errno,
    Ptr,
    VirtAddr,
    address_of,
    pointer_at,
    recursive,
    ref,
    table,
    throws,
    u64,
    unwrap,
)

from kernel.lib import words
from kernel.lib.errno import ENOTDIR
from kernel.vfs import lookup, mount, namecache, vnode
from kernel.vfs.lookup import Nlc, Nlookup
from kernel.vfs.mount import Mount, StatFs, Vfsops

UNSAFE: Final = True        # Mount.data is the lookup's address

@table("filesystem", 30)
def nullfs() -> None:
    """For mount -t null."""
    mount.register(OPS)


@throws
def _mount(mp: Ptr[Mount]) -> None:
    """Keep the place that mp.source names."""
    nd = lookup.nlookup(words.until_zero(mp.source), Nlc.FOLLOW)
    try:
        vp = namecache.vnode_of(unwrap(nd.nch.ncp))
        kind = vp.type
        vnode.vrele(vp)
        if kind != vnode.Vtype.VDIR:
            raise Errno(ENOTDIR)
    except Errno:
        lookup.done(nd)
        raise
    mp.data = u64(address_of(nd))


@throws
def _root(mp: Ptr[Mount]) -> Ptr[namecache.Namecache]:
    ncp = unwrap(_lower(mp).nch.ncp)
    namecache.hold(ncp)
    return ncp


@recursive(2)
@throws
def _statfs(mp: Ptr[Mount], to: Ptr[StatFs]) -> None:
    lower = unwrap(_lower(mp).nch.mount)
    while lower.ops is ref(OPS):
        lower = unwrap(_lower(lower).nch.mount)
    lower.ops.statfs(lower, to)         # never this function again: the loop saw to it


def _unmount(mp: Ptr[Mount]) -> None:
    lookup.done(_lower(mp))


def _lower(mp: Ptr[Mount]) -> Ptr[Nlookup]:
    return pointer_at(Nlookup, VirtAddr(mp.data))       # safe: _mount() put it there


OPS: Vfsops = Vfsops(
    name="null", mount=_mount, root=_root, statfs=_statfs, sync=mount.no_sync,
                     unmount=_unmount)
