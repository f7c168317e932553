# SPDX-License-Identifier: BSD-3-Clause
"""Tuples: several results at once.

# run: divmod_(17, 5) == (3, 2)
# run: swap(1, 2) == (2, 1)
# run: use() == 32
# run: nested() == 6
# run: rotate() == 231
"""
from kpy import u8, u16, u32, u64


def divmod_(a: u32, b: u32) -> tuple[u32, u32]:
    return a // b, a % b


def swap(a: u8, b: u16) -> tuple[u16, u8]:
    return b, a


def use() -> u32:
    q, r = divmod_(17, 5)
    return q * 10 + r


def three() -> tuple[u8, u32, u64]:
    return 1, 2, 3


def nested() -> u64:
    t = three()
    return t[0] + t[1] + t[2]


def rotate() -> u32:
    a: u32 = 1
    b: u32 = 2
    c: u32 = 3
    a, b, c = b, c, a
    return a * 100 + b * 10 + c
