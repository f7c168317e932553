# SPDX-License-Identifier: BSD-3-Clause
"""Unary minus and complement.

# run: neg(5) == -5
# run: neg(-127) == 127
# trap: neg(-128) OVERFLOW 18446744073709551488 at `-x`
# release: neg(-128) == -128
# run: inv(0) == 255
# run: inv(170) == 85
# run: sinv(0) == -1
# run: sinv(-128) == 127
# run: wrapped(1) == 255
# run: wrapped(0) == 0
"""
from kpy import i8, u8, wrapping


def neg(x: i8) -> i8:
    return -x


def inv(x: u8) -> u8:
    return ~x


def sinv(x: i8) -> i8:
    return ~x


def wrapped(x: u8) -> u8:
    return wrapping(0 - x)
