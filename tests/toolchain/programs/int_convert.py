# SPDX-License-Identifier: BSD-3-Clause
"""u32(x) checks, trunc(T, x) cuts, widening is silent.

# run: checked(255) == 255
# trap: checked(256) CONVERSION 256 8 at `u8(x)`
# trap: to_signed(128) CONVERSION 128 264
# trap: to_unsigned(-1) CONVERSION 18446744073709551615 32
# run: to_unsigned(7) == 7
# run: cut(0x1234) == 0x34
# run: cut_signed(0x80) == -128
# run: cut_signed(0x17F) == 127
# run: widen(255) == 255
# run: widen_signed(-1) == -1
# run: sign_change(-1) == 18446744073709551615
"""
from kpy import i8, i16, i64, trunc, u8, u32, u64


def checked(x: u32) -> u8:
    return u8(x)


def to_signed(x: u8) -> i8:
    return i8(x)


def to_unsigned(x: i64) -> u32:
    return u32(x)


def cut(x: u32) -> u8:
    return trunc(u8, x)


def cut_signed(x: u32) -> i8:
    return trunc(i8, x)


def widen(x: u8) -> i16:
    return x


def widen_signed(x: i8) -> i64:
    return x


def sign_change(x: i64) -> u64:
    return trunc(u64, x)
