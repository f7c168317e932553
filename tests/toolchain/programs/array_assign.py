# SPDX-License-Identifier: BSD-3-Clause
"""Arrays are copied whole by copy() only.

# run: copies() == (1, 9)
# run: fill() == 12
"""
from kpy import Array, copy, u32


def copies() -> tuple[u32, u32]:
    a: Array[u32, 2] = [1, 2]
    b: Array[u32, 2]
    copy(b, a)
    b[0] = 9
    return a[0], b[0]


def fill() -> u32:
    a: Array[u32, 4]
    for i in range(4):
        a[i] = 3
    return a[0] + a[1] + a[2] + a[3]
