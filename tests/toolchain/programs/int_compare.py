# SPDX-License-Identifier: BSD-3-Clause
"""Comparisons of all kinds, chained ones too.

# run: between(5) == True
# run: between(1) == False
# run: between(10) == False
# run: less(-1, 1) == True
# run: uless(18446744073709551615, 1) == False
# run: mixed(200, 199) == 1
# run: mixed(200, 200) == 0
# run: mixed(0, 70000) == -1
"""
from kpy import i32, i64, u8, u32, u64


def between(x: i32) -> bool:
    return 1 < x < 10


def less(a: i64, b: i64) -> bool:
    return a < b


def uless(a: u64, b: u64) -> bool:
    return a < b


def mixed(a: u8, b: u32) -> i32:
    if a > b:
        return 1
    if a == b:
        return 0
    return -1
