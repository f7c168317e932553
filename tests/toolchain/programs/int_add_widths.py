# SPDX-License-Identifier: BSD-3-Clause
"""Addition at the edge of every width.

# run: a8(254) == 255
# trap: a8(255) OVERFLOW 255 1
# release: a8(255) == 0
# run: a16(65534) == 65535
# trap: a16(65535) OVERFLOW
# release: a16(65535) == 0
# trap: a32(4294967295) OVERFLOW
# release: a32(4294967295) == 0
# trap: a64(18446744073709551615) OVERFLOW 18446744073709551615 1
# release: a64(18446744073709551615) == 0
# trap: s8(127) OVERFLOW 127 1
# release: s8(127) == -128
# trap: s16(32767) OVERFLOW
# release: s16(32767) == -32768
# trap: s32(2147483647) OVERFLOW
# release: s32(2147483647) == -2147483648
# trap: s64(9223372036854775807) OVERFLOW
# release: s64(9223372036854775807) == -9223372036854775808
# run: s64(-9223372036854775808) == -9223372036854775807
"""
from kpy import i8, i16, i32, i64, u8, u16, u32, u64


def a8(x: u8) -> u8:
    return x + 1


def a16(x: u16) -> u16:
    return x + 1


def a32(x: u32) -> u32:
    return x + 1


def a64(x: u64) -> u64:
    return x + 1


def s8(x: i8) -> i8:
    return x + 1


def s16(x: i16) -> i16:
    return x + 1


def s32(x: i32) -> i32:
    return x + 1


def s64(x: i64) -> i64:
    return x + 1
