# SPDX-License-Identifier: BSD-3-Clause
"""Ranges at the ends of their type do not run over.

# run: to_top() == 3
# run: down_to_zero() == 4
# run: big_step() == 2
# run: changed() == 3
"""
from kpy import u8, u32


def to_top() -> u32:
    lo: u8 = 252
    hi: u8 = 255
    n: u32 = 0
    for i in range(lo, hi):
        n += 1
    return n


def down_to_zero() -> u32:
    top: u8 = 3
    n: u32 = 0
    for i in reversed(range(top + 1)):
        n += 1
    return n


def big_step() -> u32:
    hi: u8 = 250
    lo: u8 = 0
    n: u32 = 0
    for i in range(lo, hi, 200):
        n += 1
    return n


def changed() -> u32:
    n: u32 = 3
    rounds: u32 = 0
    for i in range(n):
        n = 100
        rounds += 1
    return rounds
