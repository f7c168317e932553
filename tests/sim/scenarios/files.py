# SPDX-License-Identifier: BSD-3-Clause
"""Open files: what is read while it is written, and what calls give back, done or in vain.

Covers    kernel/vfs/calls.py, lookup.py L2 and L3, kernel/fs/tmpfs/node.py T1
"""
from typing import Final

from kpy import Array, Errno, Ptr, Slice, copy, may_block, panic, ref, throws, u8, u64, zeroed

from kernel.fs.tmpfs.vnops import VOPS
from kernel.lib.errno import EEXIST, EINVAL, EIO, EISDIR, ENOENT, ENOTDIR, EPERM
from kernel.vfs import calls, lookup, vnode
from kernel.vfs.lookup import Nlc
from kernel.vfs.vnode import Attr, Dirent, Vnode, Vops, Vtype
from tests.sim import tree, world
from tests.sim.tree import ROOMY, A, B, C

UNSAFE: Final = True        # `broken` is filled in by a thread

OLD: Final[Slice[u8]] = b"oooo"
NEW: Final[Slice[u8]] = b"nnnn"

broken: Vops = zeroed(Vops)         # of a file about which nothing is to be known


@throws
def _none_known(vp: Ptr[Vnode], attr: Ptr[Attr]) -> None:
    raise Errno(EIO)


# --- Read and written -----------------------------------------------------------------------


@may_block
def _write_to_a(text: Slice[u8]) -> None:
    try:
        vp = calls.open_file(b"/a")
        assert calls.write(vp, 0, text) == len(text)
        calls.close_file(vp)
    except Errno:
        panic("a cannot be written")


def _up_with_data() -> None:
    tree.up()
    _write_to_a(OLD)
    tree.forget_names()


def _write_a(unused: u64) -> None:
    _write_to_a(NEW)
    tree.leave()


def _read_a(unused: u64) -> None:
    """All of it as it was, or all as it is now."""
    found: Array[u8, 4]
    try:
        vp = calls.open_file(b"/a")
        assert calls.read(vp, 0, found) == len(found)
        calls.close_file(vp)
    except Errno:
        panic("a cannot be read")
    assert found[:] == OLD or found[:] == NEW, "a part of what was written"
    tree.leave()


def file_written() -> None:
    """A file is read while it is written: what was there, or what is there now."""
    tree.with_files(2, ROOMY)
    world.start_with(_up_with_data)
    world.thread(_write_a, 0, 0)
    world.thread(_read_a, 0, 1)


def _set_a(unused: u64) -> None:
    attr: Attr = Attr(type=Vtype.VREG, mode=0o600, uid=1, gid=1)
    try:
        calls.setattr(b"/a", attr, vnode.SET_MODE | vnode.SET_OWNER)
    except Errno:
        panic("a is there")
    tree.leave()


def _stat_a(unused: u64) -> None:
    """What is said of one moment."""
    attr: Attr
    try:
        calls.stat(b"/a", attr, True)
    except Errno:
        panic("a is there")
    assert attr.uid == attr.gid and (attr.mode == 0o600) == (attr.uid == 1)
    tree.leave()


def attributes_set() -> None:
    """What there is to know about a file is asked for while it is set."""
    tree.with_files(2, ROOMY)
    world.thread(_set_a, 0, 0)
    world.thread(_stat_a, 0, 1)


def _list_root(unused: u64) -> None:
    """All names that stay are there, each once."""
    seen: Array[Dirent, 4]
    number: u64 = 0
    try:
        vp = calls.open_file(b"/")
        number = calls.readdir(vp, 0, seen)
        calls.close_file(vp)
    except Errno:
        panic("the root is there")
    assert number == 3 or number == 4, "a name is not listed"
    staying: u64 = 0
    for i in range(number):
        staying += u64(seen[i].name[:seen[i].length] == A or seen[i].name[:seen[i].length] == B)
    assert staying == 2, "a and b stay"
    tree.leave()


def _make_c(unused: u64) -> None:
    assert tree.try_make(b"/c", Vtype.VREG) == 0
    tree.leave()


def directory_listed() -> None:
    """A directory is listed while a file is made in it."""
    tree.with_files(2, ROOMY)
    world.thread(_make_c, 0, 0)
    world.thread(_list_root, 0, 1)


# --- Links ----------------------------------------------------------------------------------


def _link_a(unused: u64) -> None:
    """Into the folder, unless it is gone."""
    error = tree.try_link(b"/a", b"/folder/x")
    assert error == 0 or error == ENOENT
    tree.leave()


def _link_b(unused: u64) -> None:
    """B is always there; it may be what was a."""
    assert tree.try_link(b"/b", b"/folder/x") == 0
    assert _is(b"/folder/x", Vtype.VREG, False)
    tree.leave()


def _unlink(unused: u64) -> None:
    assert tree.try_unlink(b"/a") == 0
    tree.leave()


def _rename_to_c(unused: u64) -> None:
    assert tree.try_rename(b"/a", b"/c") == 0
    tree.leave()


def _rename_over_b(unused: u64) -> None:
    assert tree.try_rename(b"/a", b"/b") == 0
    tree.leave()


def linked_elsewhere() -> None:
    """A file gets a name in one directory while it loses that in another."""
    tree.with_files(2, ROOMY)
    world.thread(_link_a, 0, 0)
    world.thread(_unlink, 0, 1)


def linked_while_renamed() -> None:
    """A file gets a name in one directory while it is renamed in another."""
    tree.with_files(2, ROOMY)
    world.thread(_link_a, 0, 0)
    world.thread(_rename_to_c, 0, 1)


def linked_while_replaced() -> None:
    """A file gets a name in one directory while another takes its place in another."""
    tree.with_files(2, ROOMY)
    world.thread(_link_b, 0, 0)
    world.thread(_rename_over_b, 0, 1)


def _open_b(unused: u64) -> None:
    try:
        calls.close_file(calls.open_file(b"/b"))
    except Errno:
        panic("there always is a b")
    tree.leave()


def opened_while_replaced() -> None:
    """A path leads to a file at any time, also while another takes its place."""
    tree.with_files(2, ROOMY)
    world.thread(_open_b, 0, 0)
    world.thread(_rename_over_b, 0, 1)


def _link_and_look(unused: u64) -> None:
    """What a name stands for is there, though another is gone."""
    assert tree.try_link(b"/a", b"/c") == 0
    assert tree.try_link(b"/a", b"/c") == EEXIST
    assert tree.try_link(b"/folder", b"/d") == EPERM
    assert tree.try_unlink(b"/a") == 0
    assert tree.look(C) and not tree.look(A)
    attr: Attr
    try:
        calls.stat(b"/c", attr, True)
    except Errno:
        panic("c is there")
    assert attr.nlink == 1
    tree.leave()


def linked() -> None:
    """A file with two names has one, and stays."""
    tree.with_files(1, ROOMY)
    world.thread(_link_and_look, 0, 0)


# --- Paths ----------------------------------------------------------------------------------


@may_block
def _is(path: Slice[u8], kind: Vtype, follow: bool) -> bool:
    attr: Attr
    try:
        calls.stat(path, attr, follow)
    except Errno:
        return False
    return attr.type == kind


def _up_with_links() -> None:
    tree.up()
    attr: Attr = Attr(mode=0o755)
    try:
        calls.symlink(b"a", b"/link", attr)
        calls.symlink(b"/folder/..", b"/back", attr)
        calls.symlink(b"", b"/empty", attr)
    except Errno:
        panic("no links")
    tree.forget_names()


def _go_paths(unused: u64) -> None:
    assert _is(b"/..//.././a", Vtype.VREG, False), "above the root is the root"
    assert _is(b"/folder//", Vtype.VDIR, False) and _is(b"/folder/../folder/.", Vtype.VDIR, False)
    assert tree.try_stat(b"/a/", False) == ENOTDIR, "it ends in a slash: only a directory can"
    assert tree.try_stat(b"/a//", False) == ENOTDIR and tree.try_stat(b"/a/.", False) == ENOTDIR
    assert tree.try_stat(b"/c/", False) == ENOENT and tree.try_stat(b"/c/a", False) == ENOENT
    tree.leave()


def paths() -> None:
    """Dots and slashes, wherever they stand in a path."""
    tree.with_files(1, ROOMY)
    world.thread(_go_paths, 0, 0)


def _go_links(unused: u64) -> None:
    assert _is(b"/link", Vtype.VLNK, False) and _is(b"/link", Vtype.VREG, True)
    assert tree.try_stat(b"/link/", False) == ENOTDIR, "with a slash it stands for its target"
    assert _is(b"/back/", Vtype.VDIR, False) and _is(b"/back/link", Vtype.VREG, True)
    assert tree.try_stat(b"/empty", True) == ENOENT and _is(b"/empty", Vtype.VLNK, False)
    text: Array[u8, 4]
    try:
        assert calls.readlink(b"/link", text) == 1 and text[:1] == A
        calls.readlink(b"/a", text)
        panic("it is no link")
    except Errno as e:
        assert e.code == EINVAL
    tree.leave()


def links_followed() -> None:
    """Symbolic links are followed, or read, and let go of."""
    tree.with_files(1, ROOMY)
    tree.with_two_slabs(_up_with_links)
    world.thread(_go_links, 0, 0)


# --- In vain --------------------------------------------------------------------------------


def _fail(unused: u64) -> None:
    """Nobody refers to a file about which nothing is known, nor to one that is not changed."""
    copy(broken, VOPS)
    broken.getattr = _none_known
    try:
        vp = calls.open_file(b"/a")
        before = vp.ops
        vp.ops = ref(broken)
        assert tree.try_stat(b"/a", True) == EIO
        vp.ops = before
        calls.close_file(vp)
    except Errno:
        panic("a is there")
    attr: Attr
    try:
        calls.setattr(b"/folder", attr, vnode.SET_SIZE)
        panic("a folder has no size to set")
    except Errno as e:
        assert e.code == EISDIR
    assert tree.try_rename(b"/a", b"/folder") == EISDIR
    assert tree.try_rename(b"/folder", b"/a") == ENOTDIR
    assert tree.try_rename(b"/folder", b"/folder/x") == EINVAL
    assert tree.try_unlink(b"/folder") == EISDIR and tree.try_rmdir(b"/a") == ENOTDIR
    try:
        lookup.done(lookup.nlookup(b"/c", Nlc(0)))
        panic("c is not there")
    except Errno as e:
        assert e.code == ENOENT
    tree.leave()


def calls_in_vain() -> None:
    """Calls that fail leave nothing behind."""
    tree.with_files(1, ROOMY)
    tree.with_two_slabs(tree.up)
    world.thread(_fail, 0, 0)
