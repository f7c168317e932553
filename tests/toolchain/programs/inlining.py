# SPDX-License-Identifier: BSD-3-Clause
"""@inline functions behave as calls do.

# run: twice(3) == 14
# run: early(0) == 1
# run: early(5) == 50
# trap: twice(4294967295) OVERFLOW
"""
from kpy import inline, u32


@inline
def bump(n: u32) -> u32:
    n += 1
    return n


def twice(n: u32) -> u32:
    return bump(n) + bump(n) * 2 + bump(bump(n)) - n


@inline
def pick(n: u32) -> u32:
    if n == 0:
        return 1
    return n * 10


def early(n: u32) -> u32:
    return pick(n)
