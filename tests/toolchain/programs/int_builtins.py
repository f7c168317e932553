# SPDX-License-Identifier: BSD-3-Clause
"""min, max, abs and the bit counting ones.

# run: least(3, 5) == 3
# run: most(-3, 5) == 5
# run: distance(3, 10) == 7
# run: bits(0xFF00) == 8
# run: trailing(8) == 3
# run: trailing(0) == 32
# run: leading(1) == 31
# run: leading(0) == 32
# run: swap(0x11223344) == 0x44332211
# run: rot(0x80000001, 4) == 0x00000018
# run: rot_right(1, 1) == 0x80000000
# run: high(18446744073709551615, 2) == 1
# run: size_of(255) == 8
"""
from kpy import bswap, clz, ctz, i32, mulhi, popcount, rotl, rotr, u32, u64


def least(a: u32, b: u32) -> u32:
    return min(a, b)


def most(a: i32, b: i32) -> i32:
    return max(a, b)


def distance(a: i32, b: i32) -> i32:
    return abs(a - b)


def bits(x: u32) -> u32:
    return popcount(x)


def trailing(x: u32) -> u32:
    return ctz(x)


def leading(x: u32) -> u32:
    return clz(x)


def swap(x: u32) -> u32:
    return bswap(x)


def rot(x: u32, n: u32) -> u32:
    return rotl(x, n)


def rot_right(x: u32, n: u32) -> u32:
    return rotr(x, n)


def high(a: u64, b: u64) -> u64:
    return mulhi(a, b)


def size_of(x: u32) -> u32:
    return 32 - clz(x)
