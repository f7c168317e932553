# SPDX-License-Identifier: BSD-3-Clause
"""Indices that are wrong before the program runs.

# error: K0325 at `3`
# error: K0325 at `-4`
# error: K0318 at `[1, 2, 3]`
# error: K0326 at `0`
# error: K0326 at `9`
"""
from kpy import Array, u8, u32


def outside() -> u32:
    a: Array[u32, 3] = [1, 2, 3]
    return a[3]


def before() -> u32:
    a: Array[u32, 3] = [1, 2, 3]
    return a[-4]


def too_many() -> u32:
    a: Array[u32, 2] = [1, 2, 3]
    return a[0]


def zero(n: u32) -> u32:
    return n // 0


def shift(n: u8) -> u8:
    return n << 9
