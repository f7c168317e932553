# SPDX-License-Identifier: BSD-3-Clause
"""CRC-32C, a byte at a time through a table."""
from kpy import Array, Final, Slice, comptime, trunc, u8, u32, u64, wrapping

SIZE: Final = 16384


@comptime
def make_table() -> Array[u32, 256]:
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


TABLE: Final[Array[u32, 256]] = make_table()
data: Array[u8, SIZE]


def setup() -> None:
    x: u64 = 1
    for i in range(SIZE):
        x = wrapping(x * 6364136223846793005 + 1442695040888963407)
        data[i] = trunc(u8, x >> 56)


def crc32c(crc: u32, s: Slice[u8]) -> u32:
    crc = ~crc
    for b in s:
        crc = TABLE[(crc ^ b) & 0xFF] ^ (crc >> 8)
    return ~crc


def run(rounds: u64) -> u64:
    crc: u32 = 0
    for _ in range(rounds):
        crc = crc32c(crc, data[:])
    return crc
