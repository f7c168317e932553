# SPDX-License-Identifier: BSD-3-Clause
"""Devices by name: what /dev shows, made and unmade by one thread.

That thread, `devfs`, alone touches the table of names; everybody else sends it messages:

    make_dev(ops, me, b"nvme0s1", mode)     a device that can be opened from now on
    make_alias(dev, b"serno/QM00013")       another name for it
    destroy_dev(dev)                        its names are gone; who has it open keeps the structure
    open_dev(name)                          the device of a name, opened
    nth(index, to)                          a line of the table, for directories

Opening asks the device's own `open`, which may give another device instead: so one name stands for
as many devices as it is opened (clone).

Invariants
  V1  A name stands for one device.  Names are components joined by '/', none of them empty.
  V2  A device lives while it has a name or somebody has it open (refs); `release` is called once,
      when neither is so.
  V3  `gone` is set before destroy_dev() returns; from then on it cannot be opened.
Locking   [d] thread devfs   [a] atomic   [I] fixed after make_dev()
Tests     tests/guest/devices.py
Source    DragonFly sys/vfs/devfs/devfs_core.c, sys/kern/kern_device.c (design)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Fn,
    NoBlock,
    Ptr,
    Slice,
    ThrowsFn,
    bits_of,
    cast,
    enum,
    i32,
    kprintf,
    may_block,
    no_block,
    ref,
    struct,
    throws,
    u8,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel.io import bio
from kernel.io.bio import Bio
from kernel.lib import queue, words
from kernel.lib.errno import EEXIST, ENAMETOOLONG, ENODEV, ENOENT, ENOMEM, EOPNOTSUPP
from kernel.lwkt import msgport, sched
from kernel.lwkt.globaldata import curthread
from kernel.lwkt.msgport import Msg
from kernel.mem import slab
from kernel.mem.flags import M
from kernel.mem.malloc_type import MallocType

UNSAFE: Final = True        # devices travel in messages as addresses

NAME_BYTES: Final = 64

M_CDEV: MallocType = MallocType(name="cdev")


@enum(u32)
class Ask:
    """What the thread is asked."""
    MAKE = 1
    ALIAS = 2
    DESTROY = 3
    FIND = 4
    NTH = 5


@enum(u32)
class Kind:
    CHAR = 1
    DISK = 2


@struct
class DevOps:
    """What a device does.  What one does not do is no_open, no_read and so on."""
    kind: Kind
    open: ThrowsFn[[Ptr["Cdev"]], Ptr["Cdev"]]      # the device to use: this one, or another
    close: Fn[[Ptr["Cdev"]], None]
    read: ThrowsFn[[Ptr["Cdev"], u64, Slice[u8]], u64]      # at an offset; how many bytes
    write: ThrowsFn[[Ptr["Cdev"], u64, Slice[u8]], u64]
    strategy: NoBlock[Fn[[Ptr["Cdev"], Ptr[Bio]], None]]
    size: Fn[[Ptr["Cdev"]], u64]                    # bytes; 0 of what has no size
    release: Fn[[Ptr["Cdev"]], None]                # V2: free what `driver` stands for


@struct
class Cdev:
    """A device."""
    ops: Ptr[DevOps]            # [I]
    driver: u64                 # [I] the maker's own
    number: u32                 # [I] unlike that of any other device
    mode: u32                   # [I] permissions
    refs: Atomic[u32]           # [a] V2
    gone: Atomic[u32]           # [a] V3


@struct
class Node:
    """A name."""
    link: queue.Link["Node"]        # [d]
    name: Array[u8, NAME_BYTES]     # [I] filled up with zeros
    dev: Ptr[Cdev]                  # [I]
    alias: bool                     # [I]


@struct
class DevMsg(Msg):
    """What the thread is asked."""
    dev: Ptr[Cdev] | None
    name: Slice[u8]
    index: u64
    node: Node


_port: Atomic[Ptr[msgport.Port] | None]
_nodes: queue.TailQueue[Node, "link"]       # [d] in order of name
_next_number: Atomic[u32]


# --- Making and unmaking -------------------------------------------------------------------


@throws
def start() -> None:
    """Start the thread.  Boot CPU, in a thread, once."""
    sched.create(_devfs, 0, b"devfs")
    while _port.load() is None:
        sched.yield_()


@throws
def make_dev(ops: Ptr[DevOps], driver: u64, name: Slice[u8], mode: u32) -> Ptr[Cdev]:
    """A device that can be opened under `name`.  The caller may use it until destroy_dev().

    Errors   ENOMEM, EEXIST the name is taken, ENAMETOOLONG.
    """
    dev = create_unnamed(ops, driver, mode)
    try:
        _ask(Ask.MAKE, dev, name)
    except Errno:
        slab.kfree(dev, M_CDEV)
        raise
    return dev


@throws
def create_unnamed(ops: Ptr[DevOps], driver: u64, mode: u32) -> Ptr[Cdev]:
    """A device without a name, held once: what a clone's `open` returns.

    Errors   ENOMEM.
    """
    dev = slab.new(Cdev, M_CDEV, M.WAITOK | M.NULLOK)
    if dev is None:
        raise Errno(ENOMEM)
    dev.ops = ops
    dev.driver = driver
    dev.mode = mode
    dev.number = _next_number.add(1) + 1
    dev.refs.store_relaxed(1)
    return dev


@throws
def make_alias(dev: Ptr[Cdev], name: Slice[u8]) -> None:
    """Another name.  Errors as make_dev()."""
    _ask(Ask.ALIAS, dev, name)


@may_block
def destroy_dev(dev: Ptr[Cdev]) -> None:
    """Take all names away (V3)."""
    dev.gone.store(1)
    try:
        _ask(Ask.DESTROY, dev, b"")
    except Errno as e:
        kprintf(f"devfs: a device has no name to take away: error {e.code}\n")
    drop(dev)


# --- Using ---------------------------------------------------------------------------------


@throws
def open_dev(name: Slice[u8]) -> Ptr[Cdev]:
    """The device of a name, opened; close_dev() it.

    Errors   ENOENT no such device, and what its `open` says.
    """
    return open_held(find(name))


@throws
def find(name: Slice[u8]) -> Ptr[Cdev]:
    """The device of a name, held: drop() it, or open_held() it.  Errors  ENOENT."""
    return unwrap(_ask(Ask.FIND, None, name))


@throws
def open_held(dev: Ptr[Cdev]) -> Ptr[Cdev]:
    """Open a device that the caller holds; the hold becomes the opener's, or is dropped."""
    try:
        if dev.gone.load() != 0:
            raise Errno(ENODEV)
        opened = dev.ops.open(dev)
    except Errno:
        drop(dev)
        raise
    if opened is not dev:
        drop(dev)
    return opened


@may_block
def close_dev(dev: Ptr[Cdev]) -> None:
    """The end of open_dev()."""
    dev.ops.close(dev)
    drop(dev)


def hold(dev: Ptr[Cdev]) -> None:
    """One more who needs the structure."""
    dev.refs.add(1)


@may_block
def drop(dev: Ptr[Cdev]) -> None:
    """One less."""
    if dev.refs.sub(1) == 1:
        dev.ops.release(dev)
        slab.kfree(dev, M_CDEV)


@no_block
def strategy(dev: Ptr[Cdev], request: Ptr[Bio]) -> None:
    """Start a block request; its offset counts from the start of the device."""
    dev.ops.strategy(dev, request)


@throws
def nth(index: u64, to: Ptr[Node]) -> None:
    """Copy line `index` of the table, its device held.  Errors  ENOENT after the last."""
    msg: DevMsg = zeroed(DevMsg)
    msg.index = index
    error = _send(Ask.NTH, msg)
    if error != 0:
        raise Errno(error)
    to.name[:].copy_from(msg.node.name)
    to.alias = msg.node.alias
    to.dev = unwrap(msg.dev)


# --- What most devices do not do -----------------------------------------------------------


@throws
def plain_open(dev: Ptr[Cdev]) -> Ptr[Cdev]:
    """Nothing to be done."""
    return dev


def plain_close(dev: Ptr[Cdev]) -> None:
    """Nothing to be done."""


@throws
def no_transfer(dev: Ptr[Cdev], where: u64, data: Slice[u8]) -> u64:
    """As read or write: the device cannot."""
    raise Errno(EOPNOTSUPP)


@no_block
def no_strategy(dev: Ptr[Cdev], request: Ptr[Bio]) -> None:
    """The device has no blocks."""
    bio.fail(request, ENODEV)


def no_size(dev: Ptr[Cdev]) -> u64:
    return 0


# --- The thread ----------------------------------------------------------------------------


@throws
def _ask(command: Ask, dev: Ptr[Cdev] | None, name: Slice[u8]) -> Ptr[Cdev] | None:
    msg: DevMsg = zeroed(DevMsg)
    msg.dev = dev
    msg.name = name
    error = _send(command, msg)
    if error != 0:
        raise Errno(error)
    return msg.dev


@may_block
def _send(command: Ask, msg: Ptr[DevMsg]) -> i32:
    msgport.init(msg, curthread().msgport)
    msg.command = bits_of(command)
    return msgport.domsg(unwrap(_port.load()), msg)


def _devfs(unused: u64) -> None:
    """The thread: one message after the other."""
    port = ref(curthread().msgport)
    _port.store(port)
    while True:
        # safe: only _send() sends here
        msg = cast(Ptr[DevMsg], msgport.waitport(port))
        msgport.replymsg(msg, _serve(msg))


def _serve(msg: Ptr[DevMsg]) -> i32:
    match Ask(u32(msg.command)):
        case Ask.MAKE:
            return _add(msg, False)
        case Ask.ALIAS:
            return _add(msg, True)
        case Ask.DESTROY:
            return _remove(unwrap(msg.dev))
        case Ask.FIND:
            return _find(msg)
        case Ask.NTH:
            return _nth(msg)


def _add(msg: Ptr[DevMsg], alias: bool) -> i32:
    """MAKE, ALIAS: a name, in its place by order."""
    if len(msg.name) >= NAME_BYTES:
        return ENAMETOOLONG
    place: Ptr[Node] | None = None
    for node in _nodes:
        order = words.compare(words.until_zero(node.name), msg.name)
        if order == 0:
            return EEXIST
        if order > 0:
            place = node
            break
    made = slab.new(Node, M_CDEV, M.WAITOK | M.NULLOK)
    if made is None:
        return ENOMEM
    words.write_text(made.name, msg.name)
    made.dev = unwrap(msg.dev)
    made.alias = alias
    if place is None:
        _nodes.push_back(made)
    else:
        _nodes.insert_before(place, made)
    return 0


def _remove(dev: Ptr[Cdev]) -> i32:
    """DESTROY: all names of a device."""
    found: i32 = ENOENT
    node = _nodes.first
    while node is not None:
        following = node.link.next
        if node.dev is dev:
            _nodes.remove(node)
            slab.kfree(node, M_CDEV)
            found = 0
        node = following
    return found


def _find(msg: Ptr[DevMsg]) -> i32:
    for node in _nodes:
        if words.until_zero(node.name) == msg.name and node.dev.gone.load() == 0:
            hold(node.dev)
            msg.dev = node.dev
            return 0
    return ENOENT


def _nth(msg: Ptr[DevMsg]) -> i32:
    index: u64 = 0
    for node in _nodes:
        if index == msg.index:
            hold(node.dev)
            msg.dev = node.dev
            msg.node.name[:].copy_from(node.name)
            msg.node.alias = node.alias
            return 0
        index += 1
    return ENOENT
