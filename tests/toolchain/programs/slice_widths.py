# SPDX-License-Identifier: BSD-3-Clause
"""Slices of wider and signed integers.

# run: sum16([1, 2, 65535]) == 65538
# run: sum_signed([-1, -2, 10]) == 7
# run: max64([3, 18446744073709551615, 5]) == 18446744073709551615
# run: find([5, 6, 7], 6) == 1
# run: find([5, 6, 7], 9) == -1
"""
from kpy import Slice, i32, i64, u8, u16, u32, u64


def sum16(s: Slice[u16]) -> u32:
    t: u32 = 0
    for x in s:
        t += x
    return t


def sum_signed(s: Slice[i32]) -> i64:
    t: i64 = 0
    for x in s:
        t += x
    return t


def max64(s: Slice[u64]) -> u64:
    m: u64 = 0
    for x in s:
        if x > m:
            m = x
    return m


def find(s: Slice[u8], x: u8) -> i64:
    for i, y in enumerate(s):
        if y == x:
            return i64(i)
    return -1
