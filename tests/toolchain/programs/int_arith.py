# SPDX-License-Identifier: BSD-3-Clause
"""Integer arithmetic in the width of its type.

# run: fib(10) == 55
# run: fib(0) == 0
# run: average(10, 20) == 15
# run: mixed(250, 10) == 260
# run: sub_i32(-5, 7) == -12
# trap: sub_u32(3, 5) OVERFLOW 3 5 at `a - b`
# trap: add_u8(200, 100) OVERFLOW 200 100 at `a + b`
# release: add_u8(200, 100) == 44
# release: sub_u32(3, 5) == 4294967294
"""
from kpy import i32, u8, u32, u64


def fib(n: u32) -> u64:
    a: u64 = 0
    b: u64 = 1
    for _ in range(n):
        a, b = b, a + b
    return a


def average(a: u32, b: u32) -> u32:
    return (a + b) // 2


def sub_i32(a: i32, b: i32) -> i32:
    return a - b


def sub_u32(a: u32, b: u32) -> u32:
    return a - b


def add_u8(a: u8, b: u8) -> u8:
    return a + b


def mixed(a: u8, b: u32) -> u32:
    return a + b
