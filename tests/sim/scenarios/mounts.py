# SPDX-License-Identifier: BSD-3-Clause
"""Mounts that come and go while somebody walks through them.

Covers    kernel/vfs/mount.py M1 to M3, lookup.py L1
"""
from typing import Final

from kpy import Errno, Ptr, Slice, i32, may_block, panic, throws, u8, u64, unwrap

from kernel.lib.errno import EBUSY, ENOENT, ENOTDIR
from kernel.vfs import lookup, mount, namecache, vnode
from kernel.vfs.lookup import Nlc
from kernel.vfs.mount import Mount, MountFlag
from kernel.vfs.vnode import Vtype
from tests.sim import tree, world
from tests.sim.tree import ROOMY

UNSAFE: Final = True        # addresses are compared

above: Ptr[Mount] | None = None     # what is mounted on the folder


@throws
def _mounted_on(path: Slice[u8]) -> Ptr[Mount]:
    """Another tmpfs."""
    nd = lookup.nlookup(path, Nlc(0))
    try:
        return mount.mount(b"tmpfs", b"", nd.nch, path, MountFlag(0))
    finally:
        lookup.done(nd)


@may_block
def _unmounted(mp: Ptr[Mount]) -> bool:
    """False: somebody is in there."""
    try:
        mount.unmount(mp)
        return True
    except Errno as e:
        assert e.code == EBUSY
        return False


def _up_and_mounted() -> None:
    """Another tmpfs on the folder, with a file."""
    global above
    tree.up()
    try:
        mp = _mounted_on(b"/folder")
        tree.make(b"/folder/inner", Vtype.VREG)
    except Errno:
        panic("nothing was mounted")
    assert namecache.purge(mp)
    above = mp


def _go_in_and_out(unused: u64) -> None:
    """Through the mount both ways."""
    for _ in range(2):
        try:
            vp = lookup.vnode_at(b"/folder/inner/../../a", Nlc.FOLLOW)
            panic("a file is no directory")
        except Errno as e:
            assert e.code == ENOTDIR
        try:
            vp = lookup.vnode_at(b"/folder/../folder/inner", Nlc.FOLLOW)
            assert vp.mount is unwrap(above)
            vnode.vrele(vp)
        except Errno:
            panic("it is mounted there")
    if tree.users.load() == tree.stage.add(1) + 1:
        assert _unmounted(unwrap(above)), "somebody still refers to it"
    tree.leave()


def gone_through() -> None:
    """Two go through a mount in both directions."""
    tree.with_files(2, ROOMY)
    world.start_with(_up_and_mounted)
    world.thread(_go_in_and_out, 0, 0)
    world.thread(_go_in_and_out, 0, 1)


def _unmount(unused: u64) -> None:
    """Until nobody is in there."""
    while not _unmounted(unwrap(above)):
        world.wait()
    tree.leave()


def _walk_in(unused: u64) -> None:
    """A name below the folder, which is in neither file system."""
    try:
        lookup.done(lookup.nlookup(b"/folder/x", Nlc.CREATE))
    except Errno:
        panic("the folder is there")
    tree.leave()


def unmounted() -> None:
    """A file system is unmounted while somebody walks into it."""
    tree.with_files(2, ROOMY)
    world.start_with(_up_and_mounted)
    world.thread(_unmount, 0, 0)
    world.thread(_walk_in, 0, 1)


def _mount_if_there(unused: u64) -> None:
    error: i32 = 0
    try:
        mp = _mounted_on(b"/folder")
        while tree.found.load() == 0 and tree.users.load() != tree.gone.load() + 1:
            world.wait()                        # the other finds it covered
        while not _unmounted(mp):
            world.wait()
    except Errno as e:
        error = e.code
    tree.one_of_two(error, ENOENT)


def _remove(unused: u64) -> None:
    tree.one_of_two(tree.try_rmdir(b"/folder"), EBUSY)


def mounted_on_what_goes() -> None:
    """Something is mounted on a folder that is removed meanwhile: one of the two fails."""
    tree.with_files(2, ROOMY)
    world.thread(_remove, 0, 0)
    world.thread(_mount_if_there, 0, 1)
    world.check(tree.one_done)


def _mount_too(unused: u64) -> None:
    """On the folder, or on what another has mounted there; EBUSY if that was in between."""
    try:
        mp = _mounted_on(b"/folder")
        assert mount.nth(1) is not None
        while not _unmounted(mp):
            world.wait()
    except Errno as e:
        assert e.code == EBUSY
    tree.leave()


def two_mount() -> None:
    """Two mount on one place: one on the other, or only one of them."""
    tree.with_files(2, ROOMY)
    world.thread(_mount_too, 0, 0)
    world.thread(_mount_too, 0, 1)
