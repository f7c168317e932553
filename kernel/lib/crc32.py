# SPDX-License-Identifier: BSD-3-Clause
"""CRC-32 as partition tables use it: polynomial 0x04C11DB7, reflected, all ones before and after.

Tests     tests/unit/io/test_partition_tables.py
Source    ISO/IEC 13239, 32-bit frame check sequence; check value of "123456789": CBF43926
"""
from typing import Final

from kpy import Array, Slice, comptime, u8, u32

ONES: Final[u32] = 0xFFFF_FFFF


@comptime
def _table():
    """The remainder of each byte."""
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
        found.append(value)
    return found


TABLE: Final[Array[u32, 256]] = _table()


def crc32(data: Slice[u8], before: u32 = 0) -> u32:
    """The CRC of `data`, which follows data whose CRC was `before`."""
    value = before ^ ONES
    for byte in data:
        value = (value >> 8) ^ TABLE[(value ^ byte) & 0xFF]
    return value ^ ONES
