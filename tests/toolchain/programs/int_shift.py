# SPDX-License-Identifier: BSD-3-Clause
"""Shifts: `<<` traps when bits are lost, `>>` keeps the sign.

# run: left(1, 31) == 2147483648
# trap: left(2, 31) SHIFT 2 31 at `x << n`
# release: left(2, 31) == 0
# trap: left(1, 32) SHIFT
# release: left(1, 32) == 0
# release: left(1, 200) == 0
# run: left(0, 5) == 0
# run: right(2147483648, 31) == 1
# run: right(2147483648, 32) == 0
# run: right(5, 255) == 0
# run: sright(-8, 1) == -4
# run: sright(-1, 255) == -1
# run: sright(127, 7) == 0
# trap: sleft(64, 1) SHIFT
# run: sleft(-64, 1) == -128
# release: sleft(64, 1) == -128
# run: lossy(255, 4) == 240
"""
from kpy import i8, u8, u32, wrapping


def left(x: u32, n: u8) -> u32:
    return x << n


def right(x: u32, n: u8) -> u32:
    return x >> n


def sright(x: i8, n: u8) -> i8:
    return x >> n


def sleft(x: i8, n: u8) -> i8:
    return x << n


def lossy(x: u8, n: u8) -> u8:
    return wrapping(x << n)
