# SPDX-License-Identifier: BSD-3-Clause
"""Files that come and go, by name, while others look, or change the same.

Covers    kernel/vfs/calls.py K1 and K3
"""
from kpy import u64

from kernel.lib.errno import EEXIST, ENOENT, ENOTEMPTY
from kernel.vfs.vnode import Vtype
from tests.sim import tree, world
from tests.sim.tree import ROOMY, A, B, C


def _create_c(unused: u64) -> None:
    assert tree.try_make(b"/c", Vtype.VREG) == 0
    tree.stage.store(1)
    tree.leave()


def _see_c_come(unused: u64) -> None:
    """Once it is there it stays."""
    before = tree.stage.load()
    assert tree.look(B)
    there = tree.look(C)
    assert there or before == 0, "a name that was made is not found"
    assert not there or tree.look(C)
    tree.leave()


def name_comes() -> None:
    """A name that stands for nothing is made, while another looks it up."""
    tree.with_files(2, ROOMY)
    world.thread(_create_c, 0, 0)
    world.thread(_see_c_come, 0, 1)


def _create_too(unused: u64) -> None:
    """One of two has EEXIST."""
    tree.one_of_two(tree.try_make(b"/c", Vtype.VREG), EEXIST)


def two_create() -> None:
    """Two make the same name."""
    tree.with_files(2, ROOMY)
    world.thread(_create_too, 0, 0)
    world.thread(_create_too, 0, 1)
    world.check(tree.one_done)


def _unlink_a(unused: u64) -> None:
    tree.unlink_a()


def _see_a_go(unused: u64) -> None:
    if not tree.look(A):
        assert not tree.look(A)
    tree.leave()


def name_goes() -> None:
    """A file is unlinked while another looks it up: it goes with its last user."""
    tree.with_files(2, ROOMY)
    world.thread(_unlink_a, 0, 0)
    world.thread(_see_a_go, 0, 1)


def two_unlink() -> None:
    """Two unlink the same file."""
    tree.with_files(2, ROOMY)
    world.thread(_unlink_a, 0, 0)
    world.thread(_unlink_a, 0, 1)
    world.check(tree.one_done)


def _remove_if_empty(unused: u64) -> None:
    tree.one_of_two(tree.try_rmdir(b"/folder"), ENOTEMPTY)


def _create_in_folder(unused: u64) -> None:
    tree.one_of_two(tree.try_make(b"/folder/x", Vtype.VREG), ENOENT)


def made_in_what_goes() -> None:
    """A file is made in a folder that is removed meanwhile: one of the two fails."""
    tree.with_files(2, ROOMY)
    world.thread(_remove_if_empty, 0, 0)
    world.thread(_create_in_folder, 0, 1)
    world.check(tree.one_done)


def _link_c(unused: u64) -> None:
    error = tree.try_link(b"/a", b"/c")
    assert error == 0 or error == ENOENT
    tree.leave()


def _unlink_a_and_b(unused: u64) -> None:
    assert tree.try_unlink(b"/a") == 0 and tree.try_unlink(b"/b") == 0
    tree.leave()


def linked_and_unlinked() -> None:
    """A file gets another name while it loses its only one."""
    tree.with_files(2, ROOMY)
    world.thread(_link_c, 0, 0)
    world.thread(_unlink_a_and_b, 0, 1)


def _remove_folder(unused: u64) -> None:
    assert tree.try_rmdir(b"/folder") == 0
    tree.leave()


def _look_into_folder(unused: u64) -> None:
    """A name in it; it goes meanwhile."""
    error = tree.try_walk_in()
    assert error == 0 or error == ENOENT
    tree.leave()


def folder_goes() -> None:
    """A folder is removed while somebody looks up a name in it."""
    tree.with_files(2, ROOMY)
    world.thread(_remove_folder, 0, 0)
    world.thread(_look_into_folder, 0, 1)


def _pass_name_on(unused: u64) -> None:
    """What was b is called a now, unless a was unlinked before: then nothing else is."""
    error = tree.try_rename(b"/a", b"/c")
    assert error == 0 or error == ENOENT
    assert tree.try_rename(b"/b", b"/a") == 0
    tree.stage.store(1)
    tree.leave()


def _unlink_whatever_is_a(unused: u64) -> None:
    """What is known of names is what is in the directory."""
    error = tree.try_unlink(b"/a")
    assert error == 0 or error == ENOENT
    while tree.stage.load() == 0:
        world.wait()
    a, b, c = tree.look(A), tree.look(B), tree.look(C)
    tree.forget_names()
    assert tree.look(A) == a and tree.look(B) == b and tree.look(C) == c, "it was remembered wrong"
    tree.leave()


def unlinked_while_passed_on() -> None:
    """A name is unlinked while the file that has it gets another, and another file gets it."""
    tree.with_files(2, ROOMY)
    world.thread(_pass_name_on, 0, 0)
    world.thread(_unlink_whatever_is_a, 0, 1)
