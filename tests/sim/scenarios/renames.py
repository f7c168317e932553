# SPDX-License-Identifier: BSD-3-Clause
"""Names that change: an entry moves, with all below it, while it is looked up.

Covers    kernel/vfs/namecache.py E6, calls.py K1
"""
from typing import Final

from kpy import Errno, Slice, VirtAddr, address_of, panic, pointer_at, u8, u64, unwrap

from kernel.lib.errno import ENOENT
from kernel.vfs import lookup, mount, namecache, vnode
from kernel.vfs.lookup import Nlc
from kernel.vfs.namecache import Namecache
from tests.sim import tree, world
from tests.sim.tree import ROOMY, A, B

UNSAFE: Final = True        # addresses are compared

LONG: Final[Slice[u8]] = b"a-name-that-does-not-fit-into-an-entry-of-the-cache"
LONG_PATH: Final[Slice[u8]] = b"/a-name-that-does-not-fit-into-an-entry-of-the-cache"


# --- Renamed --------------------------------------------------------------------------------


def _rename_a(unused: u64) -> None:
    assert tree.try_rename(b"/a", b"/b") == 0, "both were there"
    tree.stage.store(1)
    assert not tree.look(A) and tree.look(B)
    tree.leave()


def _see_renamed(unused: u64) -> None:
    """There is always a b; once a is gone it stays away."""
    assert tree.look(B)
    before = tree.stage.load()
    there = tree.look(A)
    assert not there or before == 0, "the old name is found"
    assert tree.look(B)
    tree.leave()


def renamed() -> None:
    """A file gets another's name while both are looked up."""
    tree.with_files(2, ROOMY)
    world.thread(_rename_a, 0, 0)
    world.thread(_see_renamed, 0, 1)


def renamed_and_thrown_away() -> None:
    """The same while entries are thrown away."""
    tree.with_files(2, 1)
    world.thread(_rename_a, 0, 0)
    world.thread(_see_renamed, 0, 1)


def _lengthen(unused: u64) -> None:
    assert tree.try_rename(b"/a", LONG_PATH) == 0 and tree.try_rename(LONG_PATH, b"/c") == 0
    tree.leave()


def _see_lengthened(unused: u64) -> None:
    """It has one of three names, or just had another."""
    if tree.look(LONG):
        tree.found.add(1)
    tree.look(A)
    tree.leave()


def long_name() -> None:
    """A name too long for its entry is looked up under the lock, and comes and goes."""
    tree.with_files(2, ROOMY)
    world.thread(_lengthen, 0, 0)
    world.thread(_see_lengthened, 0, 1)


def _rename_and_forget(unused: u64) -> None:
    """The entry that was renamed over is thrown away; the other one stays what is found."""
    target, vp = tree.file(B)
    if vp is not None:
        vnode.vrele(vp)
    assert tree.try_rename(b"/a", b"/b") == 0, "both were there"
    namecache.drop(target)
    kept, vp = tree.file(B)
    assert kept is not target and vp is not None
    vnode.vrele(vp)
    assert not namecache.purge(mount.root_mount())      # `kept` is held
    again, vp = tree.file(B)
    assert again is kept and vp is not None, "two entries for one name"
    vnode.vrele(vp)
    namecache.drop(again)
    namecache.drop(kept)
    tree.leave()


def renamed_over() -> None:
    """An entry that was renamed over goes, and takes nothing with it."""
    tree.with_files(1, ROOMY)
    world.thread(_rename_and_forget, 0, 0)


# --- Renames that meet changes --------------------------------------------------------------


def _rename_a_to_c(unused: u64) -> None:
    tree.one_of_two(tree.try_rename(b"/a", b"/c"), ENOENT)


def _rename_a_to_d(unused: u64) -> None:
    tree.one_of_two(tree.try_rename(b"/a", b"/d"), ENOENT)


def _move_a(unused: u64) -> None:
    tree.one_of_two(tree.try_rename(b"/a", b"/folder/a"), ENOENT)


def two_rename() -> None:
    """Two rename one file."""
    tree.with_files(2, ROOMY)
    world.thread(_rename_a_to_c, 0, 0)
    world.thread(_rename_a_to_d, 0, 1)
    world.check(tree.one_done)


def moved_and_renamed() -> None:
    """One moves a file into a folder, another gives it a name."""
    tree.with_files(2, ROOMY)
    world.thread(_move_a, 0, 0)
    world.thread(_rename_a_to_d, 0, 1)
    world.check(tree.one_done)


def _unlink_a(unused: u64) -> None:
    tree.unlink_a()


def moved_and_unlinked() -> None:
    """A file is moved away while another unlinks it."""
    tree.with_files(2, ROOMY)
    world.thread(_move_a, 0, 0)
    world.thread(_unlink_a, 0, 1)
    world.check(tree.one_done)


def _move_folder(unused: u64) -> None:
    tree.one_of_two(tree.try_rename(b"/folder", b"/other/x"), ENOENT)


def _move_other(unused: u64) -> None:
    tree.one_of_two(tree.try_rename(b"/other", b"/folder/inner/x"), ENOENT)


def into_each_other() -> None:
    """Two folders are each moved into the other: one is."""
    tree.with_files(2, ROOMY)
    world.start_with(tree.up_with_folders)
    world.thread(_move_folder, 0, 0)
    world.thread(_move_other, 0, 1)
    world.check(tree.one_done)


# --- What is above --------------------------------------------------------------------------


def _move_inner(unused: u64) -> None:
    assert tree.try_rename(b"/folder/inner", b"/c") == 0
    tree.leave()


def _go_up(unused: u64) -> None:
    """From the inner folder to the one that it is in, or was."""
    try:
        vnode.vrele(lookup.vnode_at(b"/folder/inner/..", Nlc.FOLLOW))
    except Errno as e:
        assert e.code == ENOENT
    tree.leave()


def up_from_what_moves() -> None:
    """`..` of a folder that is moved meanwhile."""
    tree.with_files(2, ROOMY)
    world.start_with(tree.up_with_folders)
    world.thread(_move_inner, 0, 0)
    world.thread(_go_up, 0, 1)


def _move_twice(unused: u64) -> None:
    """Into a third bucket, and on to another."""
    assert tree.try_rename(b"/folder/inner", b"/c") == 0
    assert tree.try_rename(b"/c", b"/d") == 0
    tree.leave()


def _up_and_hold_inner() -> None:
    tree.up_with_folders()
    try:
        folder = namecache.lookup(tree.root(), b"folder")
        inner = namecache.lookup(folder, b"inner")
        namecache.drop(folder)
        tree.victim.store(u64(address_of(inner)))
    except Errno:
        panic("they are there")


def _find_parent(unused: u64) -> None:
    """It is the folder, or the root."""
    ncp = pointer_at(Namecache, VirtAddr(tree.victim.load()))    # safe: it is held
    parent = unwrap(namecache.parent_of(ncp))
    assert parent.holds.load() != 0
    namecache.drop(parent)
    namecache.drop(ncp)
    tree.leave()


def parent_of_what_moves() -> None:
    """The parent of an entry that is moved twice meanwhile."""
    tree.with_files(2, ROOMY)
    tree.with_two_slabs(_up_and_hold_inner)
    world.thread(_move_twice, 0, 0)
    world.thread(_find_parent, 0, 1)
