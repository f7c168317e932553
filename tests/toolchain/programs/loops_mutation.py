# SPDX-License-Identifier: BSD-3-Clause
"""The sequence of a for is evaluated once; elements are read as they come.

# run: sees_writes() == 6
# run: once() == 3
"""
from kpy import Array, Slice, u32

calls: u32 = 0
data: Array[u32, 3] = [1, 1, 1]


def get() -> Slice[u32]:
    global calls
    calls += 1
    return data[:]


def sees_writes() -> u32:
    a: Array[u32, 3] = [1, 1, 1]
    s: u32 = 0
    for i, x in enumerate(a):
        if i < 2:
            a[i + 1] = x + 1
        s += x
    return s


def once() -> u32:
    n: u32 = 0
    for x in get():
        n += calls * x
    return n
