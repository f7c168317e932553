# SPDX-License-Identifier: BSD-3-Clause
"""Numbers out of bytes, least significant byte first, at any alignment.

The compiler makes one load of each, after one check of the range.

Tests     tests/unit/lib/test_checksums.py
"""
from kpy import Slice, inline, u8, u16, u32, u64


@inline
def get64(data: Slice[u8], at: u64) -> u64:
    """The eight bytes from data[at] on."""
    b = data[at:at + 8]
    return (u64(b[0]) | u64(b[1]) << 8 | u64(b[2]) << 16 | u64(b[3]) << 24 | u64(b[4]) << 32
            | u64(b[5]) << 40 | u64(b[6]) << 48 | u64(b[7]) << 56)


@inline
def get32(data: Slice[u8], at: u64) -> u32:
    """The four bytes from data[at] on."""
    b = data[at:at + 4]
    return u32(b[0]) | u32(b[1]) << 8 | u32(b[2]) << 16 | u32(b[3]) << 24


@inline
def get16(data: Slice[u8], at: u64) -> u16:
    """The two bytes from data[at] on."""
    b = data[at:at + 2]
    return u16(b[0]) | u16(b[1]) << 8
