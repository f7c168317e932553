# SPDX-License-Identifier: BSD-3-Clause
"""Literals in all bases take the type of their context.

# run: sum_() == 10 + 255 + 8 + 5 + 1000000
# run: char() == 65
# run: constant() == 4095
# run: negative() == -7
"""
from kpy import Final, i32, u8, u16, u32

LIMIT: Final = 0x1000
STEP: Final[i32] = -7


def sum_() -> u32:
    a: u32 = 10
    return a + 0xFF + 0o10 + 0b101 + 1_000_000


def char() -> u8:
    return ord("A")


def constant() -> u16:
    return LIMIT - 1


def negative() -> i32:
    return STEP
