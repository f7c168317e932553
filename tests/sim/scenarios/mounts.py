# SPDX-License-Identifier: BSD-3-Clause
"""Mounts that come and go while somebody walks through them.

Covers    kernel/vfs/mount.py M1 to M4, lookup.py L1
"""
from kpy import Errno, Ptr, Slice, i32, may_block, panic, throws, u8, u32, u64, unwrap

from kernel.lib.errno import EBUSY, ENOENT, ENOTDIR
from kernel.vfs import lookup, mount, namecache, vnode
from kernel.vfs.lookup import Nlc
from kernel.vfs.mount import Mount, MountFlag
from kernel.vfs.namecache import Nch
from kernel.vfs.vnode import Vtype
from tests.sim import tree, world
from tests.sim.tree import ROOMY

above: Ptr[Mount] | None = None     # what is mounted on the folder
below: Nch                          # the folder


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
    """A name that is in neither file system."""
    assert tree.try_walk_in() == 0, "the folder is there"
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


# --- Places ---------------------------------------------------------------------------------


def _go_into_folder(times: u64) -> None:
    for _ in range(times):
        assert tree.try_walk_in() == 0, "something is mounted there"
    tree.stage.store(1)
    tree.leave()


def _mount_on_covered(unused: u64) -> None:
    """The place that was looked up before something was mounted there."""
    try:
        mount.mount(b"tmpfs", b"", below, b"/folder", MountFlag(0))
        panic("two cover one place")
    except Errno as e:
        assert e.code == EBUSY
    namecache.nch_drop(below)
    while tree.stage.load() == 0:
        world.wait()
    assert _unmounted(unwrap(above)), "it is referred to too often"
    tree.leave()


def _up_and_covered() -> None:
    _up_and_mounted()
    mp = unwrap(above)
    namecache.nch_hold(below, unwrap(mp.covered.mount), unwrap(mp.covered.ncp))


def place_covered() -> None:
    """One is told that a place is covered while another goes through."""
    tree.with_files(2, ROOMY)
    tree.with_two_slabs(_up_and_covered)
    world.thread(_mount_on_covered, 0, 0)
    world.thread(_go_into_folder, 4, 1)


def _unmount_and_remove(unused: u64) -> None:
    while not _unmounted(unwrap(above)):
        world.wait()
    assert tree.try_rmdir(b"/folder") == 0, "nothing is mounted there any more"
    tree.leave()


def _walk_in_or_not(unused: u64) -> None:
    error = tree.try_walk_in()
    assert error == 0 or error == ENOENT
    tree.leave()


def place_free_again() -> None:
    """A folder that something was mounted on is removed, while somebody walks into it."""
    tree.with_files(2, ROOMY)
    tree.with_two_slabs(_up_and_mounted)
    world.thread(_unmount_and_remove, 0, 0)
    world.thread(_walk_in_or_not, 0, 1)


def _unmount_if_free(unused: u64) -> None:
    if not _unmounted(unwrap(above)):
        while tree.stage.load() == 0:
            world.wait()
        assert _unmounted(unwrap(above)), "it is referred to too often"
    tree.leave()


def _hold_and_look(unused: u64) -> None:
    """What is held cannot be unmounted."""
    try:
        nd = lookup.nlookup(b"/folder/inner", Nlc.CREATE)
        if nd.nch.mount is above:
            assert _is_there(b"/folder/inner"), "it was unmounted, and somebody is in there"
        lookup.done(nd)
    except Errno:
        panic("the folder is there")
    tree.stage.store(1)
    tree.leave()


def unmounted_or_busy() -> None:
    """A mount that is in use stays what is seen, while somebody tries to unmount it."""
    tree.with_files(2, ROOMY)
    tree.with_two_slabs(_up_and_mounted)
    world.thread(_unmount_if_free, 0, 0)
    world.thread(_hold_and_look, 0, 1)


def _mount_on_inner(unused: u64) -> None:
    """Unless it had moved when it was looked up."""
    try:
        mp = _mounted_on(b"/folder/inner")
        while not _unmounted(mp):
            world.wait()
    except Errno as e:
        assert e.code == ENOENT
    tree.leave()


def _move_inner(unused: u64) -> None:
    """Unless something is mounted on it."""
    error = tree.try_rename(b"/folder/inner", b"/c")
    assert error == 0 or error == EBUSY
    tree.leave()


def mounted_on_what_moves() -> None:
    """Something is mounted on a folder that is moved meanwhile."""
    tree.with_files(2, ROOMY)
    tree.with_two_slabs(tree.up_with_folders)
    world.thread(_mount_on_inner, 0, 0)
    world.thread(_move_inner, 0, 1)


# --- Above and below ------------------------------------------------------------------------


def _up_with_inner() -> None:
    tree.up()
    try:
        tree.make(b"/folder/inner", Vtype.VREG)
    except Errno:
        panic("the folder is there")
    tree.forget_names()


@may_block
def _is_there(path: Slice[u8]) -> bool:
    error = tree.try_stat(path, False)
    assert error == 0 or error == ENOENT
    return error == 0


def _rename_inner(unused: u64) -> None:
    """Below, or above; if there is none the other is about to make it."""
    error = tree.try_rename(b"/folder/inner", b"/folder/d")
    assert error == 0 or error == ENOENT
    tree.found.store(u32(error == 0))
    tree.stage.store(1)
    tree.leave()


def _cover_inner(unused: u64) -> None:
    """What is above is looked at first, then what is below."""
    try:
        mp = _mounted_on(b"/folder")
        tree.make(b"/folder/inner", Vtype.VREG)
        while tree.stage.load() == 0:
            world.wait()
        renamed = u32(_is_there(b"/folder/d"))
        while not _unmounted(mp):
            world.wait()
        renamed += u32(_is_there(b"/folder/d"))
        assert renamed == tree.found.load(), "it was renamed in neither, or in both"
    except Errno:
        panic("it is mounted there")
    tree.leave()


def renamed_while_covered() -> None:
    """A file is renamed while something is mounted above it, with a file of that name."""
    tree.with_files(2, ROOMY)
    tree.with_two_slabs(_up_with_inner)
    world.thread(_rename_inner, 0, 0)
    world.thread(_cover_inner, 0, 1)


def _up_and_shown_twice() -> None:
    """The root is seen in the folder too."""
    global above
    tree.up()
    try:
        nd = lookup.nlookup(b"/folder", Nlc(0))
        above = mount.mount(b"null", b"/", nd.nch, b"/folder", MountFlag(0))
        lookup.done(nd)
    except Errno:
        panic("nothing was mounted")


def _look_through_both(unused: u64) -> None:
    """The folder in the folder is empty: what is mounted is seen once."""
    assert _is_there(b"/folder/a") and not _is_there(b"/folder/folder/a")
    if tree.users.load() == tree.stage.add(1) + 1:
        assert _unmounted(unwrap(above)), "somebody still refers to it"
        assert not _is_there(b"/folder/a")
    tree.leave()


def seen_twice() -> None:
    """A tree is seen through two mounts: an entry of both is two places."""
    tree.with_files(2, ROOMY)
    tree.with_two_slabs(_up_and_shown_twice)
    world.thread(_look_through_both, 0, 0)
    world.thread(_look_through_both, 0, 1)
