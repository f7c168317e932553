# SPDX-License-Identifier: BSD-3-Clause
"""Parameters are variables: assigning one does not change the caller's.

# run: outer() == 5
# run: many(1, 2, 3, 4, 5, 6, 7, 8, 9) == 123456789
# run: narrow(255, -1, True, 65535) == 65790
"""
from kpy import Array, i8, i64, u8, u16, u32, u64


def change(n: u32) -> u32:
    n = 100
    return n


def outer() -> u32:
    n: u32 = 5
    change(n)
    return n


def many(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64) -> u64:
    t: u64 = 0
    xs: Array[u64, 9] = [a, b, c, d, e, f, g, h, i]
    for x in xs:
        t = t * 10 + x
    return t


def narrow(a: u8, b: i8, c: bool, d: u16) -> i64:
    return i64(a) + b + d + i64(c)
