# SPDX-License-Identifier: BSD-3-Clause
"""enumerate, zip, reversed over arrays and slices.

# run: weighted([5, 6, 7]) == 20
# run: dot([1, 2, 3], [4, 5, 6]) == 32
# run: dot([1, 2], [4, 5, 6]) == 14
# run: backwards([1, 2, 3]) == 321
# run: countdown() == 210
# run: offset([1, 1, 1]) == 33
"""
from kpy import Slice, u32, u64


def weighted(s: Slice[u32]) -> u64:
    t: u64 = 0
    for i, x in enumerate(s):
        t += i * x
    return t


def dot(a: Slice[u32], b: Slice[u32]) -> u32:
    t: u32 = 0
    for x, y in zip(a, b):
        t += x * y
    return t


def backwards(s: Slice[u32]) -> u32:
    t: u32 = 0
    for x in reversed(s):
        t = t * 10 + x
    return t


def countdown() -> u32:
    t: u32 = 0
    n: u32 = 3
    for i in reversed(range(n)):
        t = t * 10 + i
    return t


def offset(s: Slice[u32]) -> u64:
    t: u64 = 0
    for i, x in enumerate(s, 10):
        t += i
    return t
