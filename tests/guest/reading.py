# SPDX-License-Identifier: BSD-3-Clause
"""What the tours of files follow, with the disk that they say how to make (docs/tours/disk).

tour_read      one read of a file, from the disk and then from memory (docs/tours/read.md)
tour_lookup    one path, names cached and not (docs/tours/hammer2-lookup.md)

Mounting and opening is done before by the thread that runs the test; the thread with a name of its
own does what the tour is about, on CPU 0.
"""
from typing import Final

from kpy import Array, Atomic, Errno, Ptr, Slice, i32, kprintf, panic, table, u8, u64, unwrap

from kernel.lib.errno import ENOENT
from kernel.lwkt import ktr
from kernel.vfs import calls, lookup, mount
from kernel.vfs.lookup import Nlc
from kernel.vfs.mount import MountFlag
from kernel.vfs.vnode import Attr, Vnode, Vtype
from tests.guest import support, tracing

SOURCE: Final[Slice[u8]] = b"/dev/nvme0s0@ROOT"
PLACE: Final[Slice[u8]] = b"/mnt"
FILE: Final[Slice[u8]] = b"/mnt/times-table.txt"
NAME: Final[Slice[u8]] = b"/mnt/damselflies/blue-tailed-damselfly"
NO_NAME: Final[Slice[u8]] = b"/mnt/damselflies/dragonfly"
START: Final = 0
BYTES: Final = 16
FIRST_LINE: Final[Slice[u8]] = b"      1      2  "

table_file: Atomic[Ptr[Vnode] | None]


def _mount() -> bool:
    """Mount the tours' disk; False if there is none."""
    try:
        nd = lookup.nlookup(PLACE, Nlc.FOLLOW)
        try:
            mount.mount(b"hammer2", SOURCE, nd.nch, PLACE, MountFlag.RDONLY)
        finally:
            lookup.done(nd)
    except Errno as e:
        if e.code != ENOENT:
            panic(f"cannot mount: error {e.code}")
        kprintf("needs the tours' disk\n")
        return False
    return True


def _unmount() -> None:
    try:
        nd = lookup.nlookup(PLACE, Nlc.FOLLOW)
        mp = unwrap(nd.nch.mount)
        lookup.done(nd)
        mount.unmount(mp)
    except Errno as e:
        panic(f"cannot unmount: error {e.code}")


# --- A read --------------------------------------------------------------------------------


def _reader(unused: u64) -> None:
    """The first read finds nothing in memory, the second all."""
    for round in range(2):
        ktr.log(ktr.Event.MARK, round, 0)
        _read_line(unwrap(table_file.load()))
    support.done()


def _read_line(vp: Ptr[Vnode]) -> None:
    line: Array[u8, BYTES]
    try:
        got = calls.read(vp, START, line)
        assert got == BYTES and line[:] == FIRST_LINE[:BYTES]
    except Errno as e:
        panic(f"cannot read: error {e.code}")


@table("guest_test", 230)
def tour_read() -> None:
    """One read of a file, from the disk and then from memory."""
    if not _mount():
        return
    _open_and_read(False)               # an emulated CPU is slow where it is for the first time
    _unmount()                          # what was read is forgotten
    _mount()
    _open_and_read(True)
    _unmount()
    kprintf("read twice\n")


def _open_and_read(by_thread: bool) -> None:
    """Have the file read twice by the thread of the tour, or here and once."""
    try:
        vp = calls.open_file(FILE)
    except Errno as e:
        panic(f"cannot open: error {e.code}")
    if by_thread:
        table_file.store(vp)
        tracing.start(_reader, 0, b"reader", 0)
        support.join()
    else:
        _read_line(vp)
    calls.close_file(vp)


# --- A path --------------------------------------------------------------------------------


def _finder(unused: u64) -> None:
    """A name twice, and a name that nothing has twice."""
    for round in range(2):
        ktr.log(ktr.Event.MARK, round, 0)
        assert _error_of(NAME) == 0
    for round in range(2, 4):
        ktr.log(ktr.Event.MARK, round, 0)
        assert _error_of(NO_NAME) == ENOENT
    ktr.log(ktr.Event.MARK, 4, 0)
    support.done()


def _error_of(path: Slice[u8]) -> i32:
    attr: Attr = Attr(type=Vtype.VREG)
    try:
        calls.stat(path, attr, True)
    except Errno as e:
        return e.code
    return 0


@table("guest_test", 231)
def tour_lookup() -> None:
    """One path, names cached and not."""
    if not _mount():
        return
    tracing.start(_finder, 0, b"finder", 0)
    support.join()
    _unmount()
    kprintf("one found twice, one not there twice\n")
