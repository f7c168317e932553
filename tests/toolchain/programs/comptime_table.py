# SPDX-License-Identifier: BSD-3-Clause
"""@comptime functions run in CPython while compiling: tables.

# run: crc(b"123456789") == 0xCBF43926
# run: entry(1) == 0x77073096
# run: square(12) == 144
"""
from kpy import Array, Final, Slice, comptime, table, u8, u16, u32, u64


@comptime
def make_table() -> Array[u32, 256]:
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0xEDB88320 if n & 1 else 0)
        table.append(n)
    return table


CRC: Final[Array[u32, 256]] = make_table()
SQUARES: Final[Array[u16, 16]] = [n * n for n in range(16)]


def crc(s: Slice[u8]) -> u32:
    c: u32 = 0xFFFF_FFFF
    for b in s:
        c = CRC[(c ^ b) & 0xFF] ^ (c >> 8)
    return ~c


def entry(i: u64) -> u32:
    return CRC[i]


def square(i: u64) -> u16:
    return SQUARES[i]
