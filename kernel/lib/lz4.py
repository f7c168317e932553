# SPDX-License-Identifier: BSD-3-Clause
"""LZ4 blocks, decompressed.

A block is a row of sequences: a token, literals, and a match with what was produced before; the
last has literals only.  Each length is four bits of the token, and while those (or the last byte)
are all ones, another byte.

Invariants
  Z1  Every turn of every loop takes at least one byte of the source: it ends.
  Z2  Nothing but `source` is read and nothing but `target` written, whatever the source holds.
Tests     tests/unit/lib/test_lz4.py
Source    "LZ4 Block Format Description", lz4 doc/lz4_Block_format.md
"""
from typing import Final

from kpy import Errno, Slice, throws, u8, u64, wrapping

from kernel.lib import window
from kernel.lib.errno import EINVAL
from kernel.lib.littleendian import get16

MORE: Final = 15             # of a length in the token: bytes follow
MIN_MATCH: Final = 4


@throws
@wrapping                    # no sum here exceeds 256 times the length of a slice
def decompress(source: Slice[u8], target: Slice[u8]) -> u64:
    """Decompress a whole block.

    Returns  how many bytes of `target` it filled.
    Errors   EINVAL: it is no block, or has more than `target` holds.
    """
    at: u64 = 0
    made: u64 = 0
    while at < len(source):
        token = source[at]
        at += 1
        count = u64(token >> 4)
        if count == MORE:
            extra, at = _length(source, at)
            count += extra
        if not window.literals(target, made, source, at, count):
            raise Errno(EINVAL)
        at += count
        made += count
        if at == len(source):
            return made                     # the last sequence ends with its literals
        if len(source) - at < 2:
            raise Errno(EINVAL)
        distance = u64(get16(source, at))
        at += 2
        count = u64(token & 15)
        if count == MORE:
            extra, at = _length(source, at)
            count += extra
        if not window.repeat(target, made, distance, count + MIN_MATCH):
            raise Errno(EINVAL)
        made += count + MIN_MATCH
    raise Errno(EINVAL)


@wrapping
def _length(source: Slice[u8], start: u64) -> tuple[u64, u64]:
    """The rest of a length, and where it ends; where the source ends, if it goes on so far."""
    total: u64 = 0
    at = start
    while at < len(source):
        byte = source[at]
        at += 1
        total += byte
        if byte != 255:
            break
    return total, at
