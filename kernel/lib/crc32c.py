# SPDX-License-Identifier: BSD-3-Clause
"""CRC-32C (Castagnoli), the checksum of iSCSI, eight bytes a step.

Reflected polynomial 0x82F63B78, all ones at the start, complemented at the end.  TABLES[k][b] is
what byte b becomes after k more zero bytes: eight of them, one for each place in a word, are added
up for eight bytes at once.

Tests     tests/unit/lib/test_checksums.py
Source    RFC 3720, section 12.1 and appendix B.4 (definition, vectors); Kounavis and Berry,
          "A Systematic Approach to Building High Performance Software-based CRC Generators" (2005)
"""
from typing import Final

from kpy import Array, Slice, comptime, u8, u32, u64

from kernel.lib.littleendian import get64


@comptime
def make_tables() -> Array[u32, 2048]:
    """The eight tables, one after the other."""
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    for i in range(256, 2048):
        before = table[i - 256]
        table.append(table[before & 0xFF] ^ (before >> 8))
    return table


TABLES: Final[Array[u32, 2048]] = make_tables()


def crc32c(data: Slice[u8], crc: u32 = 0) -> u32:
    """The CRC of `data`, or of what `crc` is of followed by `data`."""
    state = ~crc
    at: u64 = 0
    while len(data) - at >= 8:
        word = get64(data, at) ^ state
        state = (TABLES[0x700 + (word & 0xFF)] ^ TABLES[0x600 + (word >> 8 & 0xFF)]
                 ^ TABLES[0x500 + (word >> 16 & 0xFF)] ^ TABLES[0x400 + (word >> 24 & 0xFF)]
                 ^ TABLES[0x300 + (word >> 32 & 0xFF)] ^ TABLES[0x200 + (word >> 40 & 0xFF)]
                 ^ TABLES[0x100 + (word >> 48 & 0xFF)] ^ TABLES[word >> 56])
        at += 8
    for byte in data[at:]:
        state = TABLES[(state ^ byte) & 0xFF] ^ (state >> 8)
    return ~state
