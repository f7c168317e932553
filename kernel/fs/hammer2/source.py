# SPDX-License-Identifier: BSD-3-Clause
"""A disk as what a volume is read from: its blocks, through the buffer cache.

Invariants
  S1  A source has its device open, and its buffers are purged before it closes it.
Locking   everything is fixed once made
Tests     tests/qemu/test_hammer2.py
"""
from typing import Final

from kpy import (
    Errno,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    may_block,
    no_block,
    pointer_at,
    struct,
    throws,
    u8,
    u64,
)

from kernel import mem
from kernel.fs.hammer2.io import BlockSource, Dio
from kernel.fs.hammer2.mount import M_HAMMER2
from kernel.fs.hammer2.ondisk import PBUFSIZE
from kernel.io import buf, cdev
from kernel.io.bio import Bio
from kernel.io.buf import Buf, BufObject
from kernel.io.cdev import Cdev, Kind
from kernel.lib.errno import ENOMEM, ENOTBLK

UNSAFE: Final = True        # buffers and sources travel as addresses

MAX_TRANSFER: Final = 128 * 1024
DEV: Final[Slice[u8]] = b"/dev/"


@struct
class DiskSource:
    """A volume's device."""
    source: BlockSource         # [I] first
    dev: Ptr[Cdev]              # [I]
    bufs: BufObject


@throws
def open_disk(path: Slice[u8]) -> Ptr[DiskSource]:
    """The disk of a path below /dev, or of a name there.

    Errors   ENOENT, ENOTBLK, ENOMEM.
    """
    name = path
    if len(path) > len(DEV) and path[:len(DEV)] == DEV:
        name = path[len(DEV):]
    dev = cdev.open_dev(name)
    made = mem.new(DiskSource, M_HAMMER2, mem.M.WAITOK | mem.M.NULLOK)
    if made is None or dev.ops.kind != Kind.DISK:
        cdev.close_dev(dev)
        if made is None:
            raise Errno(ENOMEM)
        mem.kfree(made, M_HAMMER2)
        raise Errno(ENOTBLK)
    made.dev = dev
    made.source.bread = _bread
    made.source.brelse = _brelse
    made.source.size = dev.ops.size(dev)
    made.source.private = u64(address_of(made))
    buf.init_object(made.bufs, _strategy, made.source.size, MAX_TRANSFER, u64(address_of(dev)))
    return made


@may_block
def close_disk(disk: Ptr[DiskSource]) -> None:
    """After the last brelse()."""
    buf.purge(disk.bufs)
    cdev.close_dev(disk.dev)
    mem.kfree(disk, M_HAMMER2)


@throws
def _bread(source: Ptr[BlockSource], offset: u64) -> Dio:
    # safe: open_disk() put it there
    disk = pointer_at(DiskSource, VirtAddr(source.private))
    bp = buf.bread(disk.bufs, offset, PBUFSIZE)
    return Dio(source=source, data=buf.data(bp), buf=u64(address_of(bp)))


def _brelse(dio: Ptr[Dio]) -> None:
    buf.brelse(pointer_at(Buf, VirtAddr(dio.buf)))      # safe: _bread() put it there


@no_block
def _strategy(bo: Ptr[BufObject], request: Ptr[Bio]) -> None:
    # safe: open_disk() put it there
    cdev.strategy(pointer_at(Cdev, VirtAddr(bo.owner)), request)
