# SPDX-License-Identifier: BSD-3-Clause
"""Default and keyword arguments.

# run: short() == 12
# run: full() == 15
# run: named() == 111
"""
from kpy import u32


def add(a: u32, b: u32 = 2, c: u32 = 0) -> u32:
    return a + b + c


def short() -> u32:
    return add(10)


def full() -> u32:
    return add(10, 3, 2)


def named() -> u32:
    return add(10, c=100, b=1)
