# SPDX-License-Identifier: BSD-3-Clause
"""for over range: start, stop, step, negative step, else.

# run: sum_to(5) == 10
# run: span(3, 7) == 18
# run: by_two(10) == 20
# run: down(5) == 54321
# run: empty() == 0
# run: with_else(3) == 1
# run: with_else(7) == 2
# run: signed() == -6
# run: after() == 4
"""
from kpy import i32, u32


def sum_to(n: u32) -> u32:
    s: u32 = 0
    for i in range(n):
        s += i
    return s


def span(a: u32, b: u32) -> u32:
    s: u32 = 0
    for i in range(a, b):
        s += i
    return s


def by_two(n: u32) -> u32:
    s: u32 = 0
    for i in range(0, n, 2):
        s += i
    return s


def down(n: u32) -> u32:
    s: u32 = 0
    for i in range(n, 0, -1):
        s = s * 10 + i
    return s


def empty() -> u32:
    s: u32 = 0
    for i in range(5, 5):
        s += u32(i)
    return s


def with_else(n: u32) -> u32:
    for i in range(5):
        if i == n:
            return 1
    else:
        return 2


def signed() -> i32:
    s: i32 = 0
    n: i32 = -3
    for i in range(n, 0):
        s += i
    return s


def after() -> u32:
    n: u32 = 5
    last: u32 = 0
    for i in range(n):
        last = i
    return last
