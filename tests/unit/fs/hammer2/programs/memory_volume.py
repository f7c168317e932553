# SPDX-License-Identifier: BSD-3-Clause
"""A volume that lies in memory, for the tests of kernel/fs/hammer2 and for fuzzing.

`hash_file` is sha256 of a whole file, so that a test need not bring its bytes to Python.
"""
from typing import Final

from kpy import (
    Errno,
    Ptr,
    Slice,
    VirtAddr,
    fault_site,
    make_slice,
    pointer_at,
    throws,
    u8,
    u64,
)

from kernel.fs.hammer2 import inode, io, strategy
from kernel.fs.hammer2.inode import Inode
from kernel.fs.hammer2.ondisk import PBUFSIZE
from kernel.lib.errno import EIO
from kernel.lib.sha256 import Sha256

UNSAFE: Final = True     # an image is an address and a size

reads: u64 = 0
held: u64 = 0


def set_up(source: Ptr[io.BlockSource], address: u64, size: u64) -> None:
    """Let `source` be the `size` bytes at `address`."""
    source.bread = bread
    source.brelse = brelse
    source.size = size
    source.private = address


@throws
def bread(source: Ptr[io.BlockSource], offset: u64) -> io.Dio:
    """The source's bread(); a test lets read() fail."""
    return read(source, offset)


@fault_site("io")
@throws
def read(source: Ptr[io.BlockSource], offset: u64) -> io.Dio:
    global reads, held
    if offset > source.size or source.size - offset < PBUFSIZE:
        raise Errno(EIO)
    reads += 1
    held += 1
    # safe: the test keeps so many bytes there
    data = make_slice(pointer_at(u8, VirtAddr(source.private + offset)), PBUFSIZE)
    return io.Dio(source=source, data=data, buf=0)


def brelse(dio: Ptr[io.Dio]) -> None:
    global held
    held -= 1


@throws
def hash_file(ip: Ptr[Inode], buffer: Slice[u8], digest: Slice[u8]) -> u64:
    """The SHA-256 of a file, read in pieces of `buffer`; returns its size."""
    state = Sha256()
    state.begin()
    offset: u64 = 0
    while True:
        count = strategy.read(ip, offset, buffer)
        if count == 0:
            state.finish(digest)
            return offset
        state.update(buffer[:count])
        offset += count


def mode_of(ip: Ptr[Inode]) -> u64:
    """Permissions, as on the medium."""
    return u64(inode.meta(ip).mode)
