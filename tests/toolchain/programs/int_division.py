# SPDX-License-Identifier: BSD-3-Clause
"""`//` and `%` floor as in Python; a zero divisor traps in every build.

# run: div(7, 2) == 3
# run: div(-7, 2) == -4
# run: div(7, -2) == -4
# run: div(-7, -2) == 3
# run: mod(7, 3) == 1
# run: mod(-7, 3) == 2
# run: mod(7, -3) == -2
# run: mod(-7, -3) == -1
# run: mod(-2147483648, -1) == 0
# run: udiv(4294967295, 10) == 429496729
# trap: div(5, 0) ZERO_DIVISOR 5 at `a // b`
# trap: mod(-5, 0) ZERO_DIVISOR 18446744073709551611
# trap: udiv(1, 0) ZERO_DIVISOR
# trap: div(-2147483648, -1) OVERFLOW
# release: div(-2147483648, -1) == -2147483648
# run: by_seven(-1) == -1
# run: rest_of_eight(-3) == 5
"""
from kpy import i8, i32, i64, u32


def div(a: i32, b: i32) -> i32:
    return a // b


def mod(a: i32, b: i32) -> i32:
    return a % b


def udiv(a: u32, b: u32) -> u32:
    return a // b


def by_seven(a: i64) -> i64:
    return a // 7


def rest_of_eight(a: i8) -> i8:
    return a % 8
