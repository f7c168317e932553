# SPDX-License-Identifier: BSD-3-Clause
"""The key of a name in a directory.

The upper half is the sum of the CRCs of the name's pieces between . - _ and ~, so that names of
the same pieces lie together; bits 16 to 31 come from the CRC of the whole name.  Bit 63 is set, so
is bit 15; names that agree in all that differ in the lowest 15 bits, by which is free.

Tests     tests/unit/fs/hammer2/test_formats.py
Source    DragonFly sys/vfs/hammer2/hammer2_subr.c hammer2_dirhash() (the function of the name)
"""
from kpy import Slice, u8, u64, wrapping

from kernel.lib.crc32c import crc32c


def dirhash(name: Slice[u8]) -> u64:
    """The first key that an entry with this name may have."""
    total: u64 = 0
    start: u64 = 0
    for i, c in enumerate(name):
        if c == 46 or c == 45 or c == 95 or c == 126:
            total += crc32c(name[start:i])          # of nothing it is 0
            start = i + 1
    total += crc32c(name[start:])
    whole = u64(crc32c(name))
    high = (total & 0xFFFFFFFF) | 0x80000000
    low = (whole ^ wrapping(whole << 16)) & 0xFFFF0000
    return high << 32 | low | 0x8000
