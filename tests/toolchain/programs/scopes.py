# SPDX-License-Identifier: BSD-3-Clause
"""A local lives in its function; the same name elsewhere is another.

# run: first() == 3
# run: branch(True) == 1
# run: branch(False) == 2
# run: loop() == 12
"""
from kpy import Array, u32

n: u32 = 50


def first() -> u32:
    n: u32 = 3
    return n


def branch(b: bool) -> u32:
    if b:
        x: u32 = 1
    else:
        x = 2
    return x


def loop() -> u32:
    t: u32 = 0
    for i in range(3):
        a: Array[u32, 2]
        a[0] += 4
        t += a[0]
    return t
