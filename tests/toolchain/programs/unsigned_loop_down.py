# SPDX-License-Identifier: BSD-3-Clause
"""Counting down without going below zero.

# run: down(5) == 15
# trap: naive(0) OVERFLOW 0 1
"""
from kpy import u32


def down(n: u32) -> u32:
    s: u32 = 0
    while n != 0:
        s += n
        n -= 1
    return s


def naive(n: u32) -> u32:
    n -= 1
    return n
