# SPDX-License-Identifier: BSD-3-Clause
"""Arrays: zeroed storage, literals, constant and run-time indices.

# run: zero() == 0
# run: literal() == 60
# run: at(2) == 30
# run: last() == 30
# trap: at(3) INDEX 3 3 at `a[i]`
# trap: put(3) INDEX 3 3
# run: put(1) == 7
# run: length() == 3
# run: matrix() == 12
"""
from kpy import Array, u8, u32, u64


def zero() -> u32:
    a: Array[u32, 8]
    s: u32 = 0
    for x in a:
        s += x
    return s


def literal() -> u32:
    a: Array[u32, 3] = [10, 20, 30]
    return a[0] + a[1] + a[2]


def at(i: u64) -> u32:
    a: Array[u32, 3] = [10, 20, 30]
    return a[i]


def last() -> u32:
    a: Array[u32, 3] = [10, 20, 30]
    return a[-1]


def put(i: u64) -> u32:
    a: Array[u32, 3]
    a[i] = 7
    return a[0] + a[1] + a[2]


def length() -> u64:
    a: Array[u8, 3]
    return len(a)


def matrix() -> u32:
    m: Array[Array[u32, 3], 2]
    m[1][2] = 12
    m[0][2] = 5
    return m[1][2]
