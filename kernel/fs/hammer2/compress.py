# SPDX-License-Identifier: BSD-3-Clause
"""Blocks of files: from the bytes as stored to the bytes of the file.

Each block is compressed by itself, or not at all: what counts is what its blockref says.

Tests     tests/unit/fs/hammer2/test_formats.py
Source    DragonFly sys/vfs/hammer2/hammer2_strategy.c (the two forms of compressed blocks)
"""
from typing import Final

from kpy import Errno, Ptr, Slice, bits_of, throws, u8, u64

from kernel.fs.hammer2.ondisk import Blockref, Comp
from kernel.lib import inflate, lz4
from kernel.lib.errno import EIO
from kernel.lib.littleendian import get32

LZ4_HEAD: Final = 4         # the number of compressed bytes


def is_plain(bref: Ptr[Blockref]) -> bool:
    """Whether the stored bytes are the file's; AUTOZERO says how zeros were looked for."""
    return bref.methods.comp == bits_of(Comp.NONE) or bref.methods.comp == bits_of(Comp.AUTOZERO)


@throws
def decompress(bref: Ptr[Blockref], stored: Slice[u8], target: Slice[u8],
               tables: Ptr[inflate.Tables]) -> u64:
    """Bring a block that is_plain() denies to `target`, of PBUFSIZE bytes.

    Returns  how many bytes there are; the block has zeros behind them.
    Errors   EIO: it is no such block.
    """
    try:
        if bref.methods.comp == bits_of(Comp.LZ4):
            size = u64(get32(stored, 0))
            if size <= len(stored) - LZ4_HEAD:
                return lz4.decompress(stored[LZ4_HEAD:LZ4_HEAD + size], target)
        elif bref.methods.comp == bits_of(Comp.ZLIB):
            return inflate.inflate(stored, target, tables)
    except Errno:
        pass
    raise Errno(EIO)
