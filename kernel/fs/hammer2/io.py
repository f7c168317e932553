# SPDX-License-Identifier: BSD-3-Clause
"""Physical buffers: 64 KB of a volume, by media address.

A BlockSource is whatever a volume is read from: a disk through the buffer cache, or bytes that a
test has in memory.  The media addresses of a set of volumes run through all of them.

Invariants
  O1  A Dio that bread() returned is given to bqrelse() once, and its data is not touched after.
  O2  Only media addresses that validate.media() accepted come here.
Locking   [I] fixed after volume.open()
Tests     tests/unit/fs/hammer2/test_volume.py
Source    DragonFly sys/vfs/hammer2/hammer2_io.c (the layer)
"""
from kpy import Array, Errno, Fn, Ptr, Slice, ThrowsFn, ref, struct, throws, u8, u32, u64

from kernel.fs.hammer2.ondisk import MAX_VOLUMES, OFF_MASK_RADIX, PBUFSIZE
from kernel.fs.hammer2.validate import bytes_of_ref
from kernel.lib.errno import EIO


@struct
class Dio:
    """A physical buffer, held."""
    source: Ptr["BlockSource"]
    data: Slice[u8]             # PBUFSIZE bytes
    buf: u64                    # the source's own


@struct
class BlockSource:
    """What a volume is read from; its storage is its maker's."""
    bread: ThrowsFn[[Ptr["BlockSource"], u64], Dio]     # [I] PBUFSIZE bytes at an offset; EIO
    brelse: Fn[[Ptr[Dio]], None]                        # [I]
    size: u64                                           # [I] bytes
    private: u64                                        # [I] its maker's


@struct
class Volume:
    """One of a set."""
    source: Ptr[BlockSource] | None     # [I]
    offset: u64                         # [I] the first media address
    size: u64                           # [I]


@struct
class Volumes:
    """All of a set."""
    count: u32                          # [I]
    total_size: u64                     # [I]
    volume: Array[Volume, MAX_VOLUMES]  # [I] ascending offsets


@throws
def bread(volumes: Ptr[Volumes], data_off: u64) -> Dio:
    """The buffer that holds the block at a media address.

    Blocks   yes.
    Errors   EIO.
    """
    base = data_off & ~(PBUFSIZE - 1)
    for i in range(volumes.count):
        volume = ref(volumes.volume[i])
        source = volume.source
        if source is not None and volume.offset <= base < volume.offset + volume.size:
            return source.bread(source, base - volume.offset)
    raise Errno(EIO)


def data(dio: Ptr[Dio], data_off: u64) -> Slice[u8]:
    """The bytes of the block at `data_off`, in the buffer that holds it."""
    start = data_off & (PBUFSIZE - 1) & ~OFF_MASK_RADIX
    return dio.data[start:start + bytes_of_ref(data_off)]


def bqrelse(dio: Ptr[Dio]) -> None:
    """Let go of a buffer."""
    dio.source.brelse(dio)
