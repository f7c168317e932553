# SPDX-License-Identifier: BSD-3-Clause
"""XXH64: a 64-bit hash with a seed; four lanes of eight bytes, mixed at the end.

Tests     tests/unit/lib/test_checksums.py
Source    "xxHash fast digest algorithm", doc/xxhash_spec.md, section "XXH64 Algorithm Description"
"""
from typing import Final

from kpy import Slice, inline, rotl, u8, u64, wrapping

from kernel.lib.littleendian import get32, get64

PRIME64_1: Final[u64] = 0x9E3779B185EBCA87
PRIME64_2: Final[u64] = 0xC2B2AE3D27D4EB4F
PRIME64_3: Final[u64] = 0x165667B19E3779F9
PRIME64_4: Final[u64] = 0x85EBCA77C2B2AE63
PRIME64_5: Final[u64] = 0x27D4EB2F165667C5


def xxh64(data: Slice[u8], seed: u64) -> u64:
    """The hash of `data`."""
    size = len(data)
    at: u64 = 0
    h = wrapping(seed + PRIME64_5)
    if size >= 32:
        v1 = wrapping(seed + PRIME64_1 + PRIME64_2)
        v2 = wrapping(seed + PRIME64_2)
        v3 = seed
        v4 = wrapping(seed - PRIME64_1)
        while size - at >= 32:
            lanes = data[at:at + 32]
            v1 = _round(v1, get64(lanes, 0))
            v2 = _round(v2, get64(lanes, 8))
            v3 = _round(v3, get64(lanes, 16))
            v4 = _round(v4, get64(lanes, 24))
            at += 32
        h = wrapping(rotl(v1, 1) + rotl(v2, 7) + rotl(v3, 12) + rotl(v4, 18))
        h = _merge(_merge(_merge(_merge(h, v1), v2), v3), v4)
    h = wrapping(h + size)
    while size - at >= 8:
        h = wrapping(rotl(h ^ _round(0, get64(data, at)), 27) * PRIME64_1 + PRIME64_4)
        at += 8
    if size - at >= 4:
        h = wrapping(rotl(h ^ get32(data, at) * PRIME64_1, 23) * PRIME64_2 + PRIME64_3)
        at += 4
    for byte in data[at:]:
        h = wrapping(rotl(h ^ byte * PRIME64_5, 11) * PRIME64_1)
    h = wrapping((h ^ h >> 33) * PRIME64_2)
    h = wrapping((h ^ h >> 29) * PRIME64_3)
    return h ^ h >> 32


@inline
def _round(lane: u64, word: u64) -> u64:
    return wrapping(rotl(lane + word * PRIME64_2, 31) * PRIME64_1)


@inline
def _merge(h: u64, lane: u64) -> u64:
    return wrapping((h ^ _round(0, lane)) * PRIME64_1 + PRIME64_4)
