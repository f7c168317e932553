# SPDX-License-Identifier: BSD-3-Clause
"""Files by path: tmpfs, nullfs, devfs, the namecache; by one thread and by several at once."""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Ptr,
    Slice,
    i32,
    kprintf,
    panic,
    table,
    throws,
    u8,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel.lib import words
from kernel.lib.errno import (
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    EXDEV,
)
from kernel.lwkt import sched
from kernel.vfs import calls, lookup, mount, namecache, vnode
from kernel.vfs.lookup import Nlc
from kernel.vfs.mount import MountFlag
from kernel.vfs.vnode import Attr, Dirent, Vnode, Vtype
from tests.guest import support

ROUNDS: Final = 2000
REFUSALS: Final = 11
NAMES: Final = 8
OPENINGS: Final = 200
failures: Atomic[u64]
opening: Atomic[u64]
arrived: Atomic[u64]
closing: Atomic[u64]
closed: Atomic[u64]
opened: Array[Atomic[Ptr[Vnode] | None], 2]
entries: Array[Dirent, 16] = zeroed(Array[Dirent, 16])


@throws
def _file(path: Slice[u8], text: Slice[u8]) -> None:
    attr: Attr = Attr(type=Vtype.VREG, mode=0o644)
    vp = calls.create(path, attr)
    try:
        assert calls.write(vp, 0, text) == len(text)
    finally:
        calls.close_file(vp)


@throws
def _directory(path: Slice[u8]) -> None:
    attr: Attr = Attr(type=Vtype.VDIR, mode=0o755)
    vnode.vrele(calls.create(path, attr))


@throws
def _has(path: Slice[u8], text: Slice[u8]) -> bool:
    got: Array[u8, 64]
    vp = calls.open_file(path)
    try:
        count = calls.read(vp, 0, got)
        return got[:count] == text
    finally:
        calls.close_file(vp)


@throws
def _links(path: Slice[u8]) -> u64:
    attr: Attr = Attr(type=Vtype.VREG)
    calls.stat(path, attr, False)
    return attr.nlink


def _error_of_stat(path: Slice[u8]) -> i32:
    attr: Attr = Attr(type=Vtype.VREG)
    try:
        calls.stat(path, attr, True)
    except Errno as e:
        return e.code
    return 0


@throws
def _mount(kind: Slice[u8], source: Slice[u8], at: Slice[u8]) -> None:
    nd = lookup.nlookup(at, Nlc.FOLLOW)
    try:
        mount.mount(kind, source, nd.nch, at, MountFlag(0))
    finally:
        lookup.done(nd)


@throws
def _unmount(at: Slice[u8]) -> None:
    nd = lookup.nlookup(at, Nlc.FOLLOW)
    mp = unwrap(nd.nch.mount)
    lookup.done(nd)
    mount.unmount(mp)


@table("guest_test", 210)
def files_and_names() -> None:
    """Create, link, rename, remove; what POSIX says of each."""
    try:
        _files_and_names()
    except Errno as e:
        panic(f"error {e.code}")


@throws
def _files_and_names() -> None:
    _mount(b"tmpfs", b"tmpfs", b"/tmp")
    _file(b"/tmp/a", b"hello")
    assert _has(b"/tmp/a", b"hello") and _has(b"//tmp/.//a", b"hello")
    assert _has(b"/tmp/../tmp/a", b"hello") and _has(b"/../../tmp/a", b"hello")
    assert _error_of_stat(b"/tmp/b") == ENOENT and _error_of_stat(b"/tmp/a/b") == ENOTDIR
    assert _error_of_stat(b"/tmp/a/") == ENOTDIR and _error_of_stat(b"") == ENOENT
    calls.link(b"/tmp/a", b"/tmp/b")
    assert _links(b"/tmp/a") == 2 and _has(b"/tmp/b", b"hello")
    calls.unlink(b"/tmp/a")
    assert _links(b"/tmp/b") == 1 and _error_of_stat(b"/tmp/a") == ENOENT
    _directory(b"/tmp/d")
    assert _links(b"/tmp/d") == 2 and _links(b"/tmp") == 3
    calls.rename(b"/tmp/b", b"/tmp/d/c")
    assert _has(b"/tmp/d/c", b"hello") and _error_of_stat(b"/tmp/b") == ENOENT
    calls.rename(b"/tmp/d", b"/tmp/e")
    assert _has(b"/tmp/e/c", b"hello") and _error_of_stat(b"/tmp/d/c") == ENOENT
    _file(b"/tmp/f", b"other")
    calls.rename(b"/tmp/f", b"/tmp/e/c")                    # over a file
    assert _has(b"/tmp/e/c", b"other")
    _errors()
    calls.unlink(b"/tmp/e/c")
    calls.rmdir(b"/tmp/e")
    assert _links(b"/tmp") == 2
    _unmount(b"/tmp")
    kprintf("files: created, linked, renamed, removed\n")


@throws
def _errors() -> None:
    """Each call that must fail, and how."""
    attr: Attr = Attr(type=Vtype.VREG, mode=0o644)
    target: Array[u8, 16]
    refused: u32 = 0
    for step in range(REFUSALS):
        wanted: i32 = 0
        try:
            match step:
                case 0:
                    wanted = ENOTEMPTY
                    calls.rmdir(b"/tmp/e")
                case 1:
                    wanted = EISDIR
                    calls.unlink(b"/tmp/e")
                case 2:
                    wanted = ENOTDIR
                    calls.rmdir(b"/tmp/e/c")
                case 3:
                    wanted = EEXIST
                    vnode.vrele(calls.create(b"/tmp/e", attr))
                case 4:
                    wanted = EINVAL
                    calls.rename(b"/tmp/e", b"/tmp/e/inside")
                case 5:
                    wanted = EPERM
                    calls.link(b"/tmp/e", b"/tmp/g")
                case 6:
                    wanted = EXDEV
                    calls.rename(b"/tmp/e/c", b"/mnt/c")
                case 7:
                    wanted = EBUSY
                    _unmount(b"/")
                case 8:
                    wanted = EINVAL
                    calls.readlink(b"/tmp/e/c", target)
                case 9:
                    wanted = ENOTDIR
                    _list(b"/tmp/e/c")
                case _:
                    wanted = ENOENT
                    calls.unlink(b"/tmp/nothing")
        except Errno as e:
            assert e.code == wanted, f"step {step}: error {e.code}"
            refused += 1
    assert refused == REFUSALS


@throws
def _list(path: Slice[u8]) -> None:
    """Ask for the entries of a directory."""
    vp = calls.open_file(path)
    try:
        calls.readdir(vp, 0, entries)
    finally:
        calls.close_file(vp)


@table("guest_test", 211)
def symbolic_links() -> None:
    """Relative, absolute, in the middle of a path, dangling, in a circle, too long."""
    try:
        _symbolic_links()
    except Errno as e:
        panic(f"error {e.code}")


@throws
def _symbolic_links() -> None:
    attr: Attr = Attr(type=Vtype.VLNK, mode=0o777)
    long_name: Array[u8, 300]
    _mount(b"tmpfs", b"tmpfs", b"/tmp")
    _directory(b"/tmp/d")
    _file(b"/tmp/d/f", b"inside")
    calls.symlink(b"d", b"/tmp/s", attr)
    calls.symlink(b"/tmp/d/f", b"/tmp/t", attr)
    calls.symlink(b"../s/f", b"/tmp/d/u", attr)
    calls.symlink(b"nowhere", b"/tmp/v", attr)
    calls.symlink(b"loop", b"/tmp/loop", attr)
    assert _has(b"/tmp/s/f", b"inside") and _has(b"/tmp/t", b"inside")
    assert _has(b"/tmp/d/u", b"inside") and _has(b"/tmp/s/../s/./u", b"inside")
    assert _error_of_stat(b"/tmp/v") == ENOENT and _error_of_stat(b"/tmp/loop") == ELOOP
    kind: Attr = Attr(type=Vtype.VREG)
    calls.stat(b"/tmp/s", kind, False)
    assert kind.type == Vtype.VLNK and kind.size == 1
    calls.stat(b"/tmp/s/", kind, False)
    assert kind.type == Vtype.VDIR
    long_name[:].fill(97)
    long_name[0] = 47
    assert _error_of_stat(long_name) == ENAMETOOLONG
    assert _error_of_stat(long_name[:200]) == ENOENT
    _unmount(b"/tmp")
    kprintf("symbolic links: followed, refused\n")


@table("guest_test", 212)
def null_mounts() -> None:
    """A tree seen twice: what is changed through one is seen through the other."""
    try:
        _null_mounts()
    except Errno as e:
        panic(f"error {e.code}")


@throws
def _null_mounts() -> None:
    _mount(b"tmpfs", b"tmpfs", b"/tmp")
    _directory(b"/tmp/d")
    _mount(b"null", b"/tmp/d", b"/mnt")
    _file(b"/mnt/f", b"through")
    assert _has(b"/tmp/d/f", b"through") and _has(b"/mnt/../mnt/f", b"through")
    refused = False
    try:
        _unmount(b"/tmp")
    except Errno as e:
        refused = e.code == EBUSY
    assert refused
    vp = calls.open_file(b"/tmp/d/f")
    _unmount(b"/mnt")
    try:
        _unmount(b"/tmp")
        refused = False
    except Errno as e:
        refused = e.code == EBUSY
    assert refused
    calls.close_file(vp)
    _unmount(b"/tmp")
    assert _error_of_stat(b"/mnt/f") == ENOENT
    kprintf("null mounts: seen twice\n")


def _opener(number: u64) -> None:
    """Open one of the two names in each round, as nearly at once as may be, and close it after."""
    for turn in range(OPENINGS):
        while opening.load() <= turn:
            sched.yield_()
        try:
            vp = calls.open_file(b"/tmp/a" if number == 0 else b"/tmp/b")
            opened[number].store(vp)
            arrived.add(1)
            while closing.load() <= turn:
                sched.yield_()
            calls.close_file(vp)
        except Errno:
            failures.add(1)
        closed.add(1)
    support.done()


@table("guest_test", 214)
def one_vnode_for_two_names() -> None:
    """Two CPUs look up two names of one file that nobody has in memory: they get one vnode."""
    try:
        _one_vnode_for_two_names()
    except Errno as e:
        panic(f"error {e.code}")


@throws
def _one_vnode_for_two_names() -> None:
    _mount(b"tmpfs", b"tmpfs", b"/tmp")
    _file(b"/tmp/a", b"x")
    calls.link(b"/tmp/a", b"/tmp/b")
    nd = lookup.nlookup(b"/tmp", Nlc.FOLLOW)
    mp = unwrap(nd.nch.mount)
    lookup.done(nd)
    failures.store(0)
    for number in range(2):
        support.spawn(_opener, number, u32(number) % support.cpus())
    for turn in range(OPENINGS):
        namecache.purge(mp)
        opening.store(turn + 1)
        while arrived.load() + failures.load() < 2 * (turn + 1):
            support.pause_ticks(1)
        assert opened[0].load() is opened[1].load(), "two vnodes for one file"
        closing.store(turn + 1)
        while closed.load() < 2 * (turn + 1):
            support.pause_ticks(1)
    support.join()
    assert failures.load() == 0
    _unmount(b"/tmp")
    kprintf(f"{OPENINGS} times one vnode\n")


def _worker(number: u64) -> None:
    """Create, rename, look up and remove among names that all share."""
    path: Array[u8, 16]
    other: Array[u8, 16]
    seed: u32 = u32(number) * 7919 + 1
    for _ in range(ROUNDS):
        seed = (seed * 1103 + 12345) & 0xFFFFF
        _name(path, seed >> 3)
        _name(other, seed >> 7)
        try:
            match seed & 7:
                case 0 | 1:
                    _file(words.until_zero(path), b"x")
                case 2:
                    calls.unlink(words.until_zero(path))
                case 3:
                    calls.rename(words.until_zero(path), words.until_zero(other))
                case 4:
                    calls.link(words.until_zero(path), words.until_zero(other))
                case _:
                    attr: Attr = Attr(type=Vtype.VREG)
                    calls.stat(words.until_zero(path), attr, True)
        except Errno as e:
            if e.code != ENOENT and e.code != EEXIST:
                failures.add(1)
    support.done()


def _name(to: Slice[u8], seed: u32) -> None:
    used = words.write_text(to, b"/tmp/")
    words.write_number(to[used:], seed % NAMES)


@table("guest_test", 213)
def names_from_all_cpus() -> None:
    """Threads of all CPUs change one directory; then what is left is of one piece."""
    try:
        _names_from_all_cpus()
    except Errno as e:
        panic(f"error {e.code}")


@throws
def _names_from_all_cpus() -> None:
    _mount(b"tmpfs", b"tmpfs", b"/tmp")
    failures.store(0)
    for cpu in range(support.cpus()):
        support.spawn(_worker, cpu, cpu)
        support.spawn(_worker, cpu + 100, cpu)
    support.join()
    assert failures.load() == 0
    vp = calls.open_file(b"/tmp")
    left = calls.readdir(vp, 0, entries)
    calls.close_file(vp)
    path: Array[u8, 16]
    for i in range(left):
        used = words.write_text(path, b"/tmp/")
        words.write_text(path[used:], entries[i].name[:entries[i].length])
        attr: Attr = Attr(type=Vtype.VREG)
        calls.stat(words.until_zero(path), attr, False)
        assert attr.fileid == entries[i].fileid and attr.nlink >= 1
        calls.unlink(words.until_zero(path))
    assert _links(b"/tmp") == 2
    _unmount(b"/tmp")
    kprintf(f"{ROUNDS * 2 * support.cpus()} operations, {left} names were left\n")
