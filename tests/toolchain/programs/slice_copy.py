# SPDX-License-Identifier: BSD-3-Clause
"""copy_from and fill on slices and arrays.

# run: copied() == b"abcd"
# run: filled() == 28
# run: overlapping() == b"aabc"
# trap: wrong_length() SLICE
"""
from kpy import Array, Slice, u8, u16, u32

buffer: Array[u8, 4]


def copied() -> Slice[u8]:
    buffer[:].copy_from(b"abcd")
    return buffer[:]


def filled() -> u32:
    a: Array[u16, 4]
    a[:].fill(7)
    t: u32 = 0
    for x in a:
        t += x
    return t


def overlapping() -> Slice[u8]:
    buffer[:].copy_from(b"abcd")
    buffer[1:].copy_from(buffer[:3])
    return buffer[:]


def wrong_length() -> None:
    buffer[:3].copy_from(b"abcd")
