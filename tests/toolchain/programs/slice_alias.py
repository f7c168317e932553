# SPDX-License-Identifier: BSD-3-Clause
"""A slice aliases what it was taken of.

# run: writes() == 9
# run: window() == 25
# run: fill([0, 0, 0], 7) == 21
"""
from kpy import Array, Slice, u32


def set_first(s: Slice[u32], n: u32) -> None:
    s[0] = n


def writes() -> u32:
    a: Array[u32, 4] = [1, 2, 3, 4]
    set_first(a[2:], 5)
    return a[0] + a[1] + a[2] + 1


def window() -> u32:
    a: Array[u32, 4] = [1, 2, 3, 4]
    w = a[1:3]
    w[0] = 20
    w[1] += 0
    return a[0] + a[1] + a[3]


def fill(s: Slice[u32], n: u32) -> u32:
    for i in range(len(s)):
        s[i] = n
    t: u32 = 0
    for x in s:
        t += x
    return t
