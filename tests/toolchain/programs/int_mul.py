# SPDX-License-Identifier: BSD-3-Clause
"""Multiplication, signed and unsigned, and where it no longer fits.

# run: m8(15, 17) == 255
# trap: m8(16, 16) OVERFLOW 16 16
# release: m8(16, 16) == 0
# run: s8(-16, 8) == -128
# trap: s8(16, 8) OVERFLOW 16 8
# release: s8(16, 8) == -128
# run: m64(4294967295, 4294967297) == 18446744073709551615
# trap: m64(4294967296, 4294967296) OVERFLOW
# release: m64(4294967296, 4294967297) == 4294967296
# trap: s64(-9223372036854775808, -1) OVERFLOW 9223372036854775808 18446744073709551615
# release: s64(-9223372036854775808, -1) == -9223372036854775808
"""
from kpy import i8, i64, u8, u64


def m8(a: u8, b: u8) -> u8:
    return a * b


def s8(a: i8, b: i8) -> i8:
    return a * b


def m64(a: u64, b: u64) -> u64:
    return a * b


def s64(a: i64, b: i64) -> i64:
    return a * b
