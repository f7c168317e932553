# SPDX-License-Identifier: BSD-3-Clause
"""Devices by name: made, found, opened as clones, unmade while open; as devfs shows them."""

from kpy import (
    Array,
    Atomic,
    Errno,
    Ptr,
    Slice,
    kprintf,
    panic,
    ref,
    table,
    throws,
    u8,
    u64,
    zeroed,
)

from kernel.io import cdev
from kernel.io.cdev import Cdev, DevOps, Kind
from kernel.lib.errno import EEXIST, ENAMETOOLONG, ENOENT
from kernel.vfs import calls
from kernel.vfs.vnode import Dirent, Vtype

released: Atomic[u64]
entries: Array[Dirent, 16] = zeroed(Array[Dirent, 16])


@throws
def _clone(dev: Ptr[Cdev]) -> Ptr[Cdev]:
    """Each opening is a device of its own."""
    return cdev.create_unnamed(ref(CLONED), dev.driver + 1, 0o600)


@throws
def _read(dev: Ptr[Cdev], where: u64, to: Slice[u8]) -> u64:
    to.fill(u8(dev.driver))
    return len(to)


def _release(dev: Ptr[Cdev]) -> None:
    released.add(1)


CLONED: DevOps = DevOps(
    kind=Kind.CHAR, open=cdev.plain_open, close=cdev.plain_close, read=_read,
    write=cdev.no_transfer, strategy=cdev.no_strategy, size=cdev.no_size, release=_release)
CLONES: DevOps = DevOps(
    kind=Kind.CHAR, open=_clone, close=cdev.plain_close, read=_read, write=cdev.no_transfer,
    strategy=cdev.no_strategy, size=cdev.no_size, release=_release)


@table("guest_test", 240)
def devices_by_name() -> None:
    """Names, other names, and what is left when they go."""
    try:
        _devices_by_name()
    except Errno as e:
        panic(f"error {e.code}")


@throws
def _devices_by_name() -> None:
    got: Array[u8, 4]
    dev = cdev.make_dev(ref(CLONED), 65, b"letters/a", 0o644)
    cdev.make_alias(dev, b"first")
    assert _error_of_making(b"letters/a") == EEXIST and _error_of_making(b"first") == EEXIST
    name: Array[u8, 80]
    name[:].fill(120)
    assert _error_of_making(name) == ENAMETOOLONG
    vp = calls.open_file(b"/dev/letters/a")
    assert vp.type == Vtype.VCHR
    assert calls.read(vp, 0, got) == 4 and got[:] == b"AAAA"
    folder = calls.open_file(b"/dev/letters")
    assert calls.readdir(folder, 0, entries) == 1 and entries[0].name[:1] == b"a"
    calls.close_file(folder)
    opened = cdev.open_dev(b"first")
    assert opened is dev
    cdev.destroy_dev(dev)
    assert _error_of_opening(b"first") == ENOENT and released.load() == 0
    cdev.close_dev(opened)
    calls.close_file(vp)
    kprintf("devices: named, unmade while open\n")


@table("guest_test", 241)
def devices_that_clone() -> None:
    """A name that is another device each time it is opened."""
    try:
        dev = cdev.make_dev(ref(CLONES), 66, b"clones", 0o644)
        one = cdev.open_dev(b"clones")
        two = cdev.open_dev(b"clones")
        assert one is not two and one is not dev and one.driver == 67
        before = released.load()
        cdev.close_dev(one)
        cdev.close_dev(two)
        assert released.load() == before + 2
        cdev.destroy_dev(dev)
        assert released.load() == before + 3
    except Errno as e:
        panic(f"error {e.code}")
    kprintf("clones: two for two\n")


def _error_of_making(name: Slice[u8]) -> u64:
    try:
        cdev.destroy_dev(cdev.make_dev(ref(CLONED), 0, name, 0))
    except Errno as e:
        return u64(e.code)
    return 0


def _error_of_opening(name: Slice[u8]) -> u64:
    try:
        cdev.close_dev(cdev.open_dev(name))
    except Errno as e:
        return u64(e.code)
    return 0
