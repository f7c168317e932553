# SPDX-License-Identifier: BSD-3-Clause
"""A @throws function that gives a struct.

# run: good() == 7
# run: bad() == 3
"""
from kpy import Errno, i32, struct, throws, u32


@struct
class Pair:
    a: u32
    b: u32


@throws
def make(n: u32) -> Pair:
    if n == 0:
        raise Errno(3)
    return Pair(a=n, b=n + 1)


def good() -> u32:
    try:
        p = make(3)
        return p.a + p.b
    except Errno:
        return 0


def bad() -> i32:
    try:
        p = make(0)
        return i32(p.a)
    except Errno as e:
        return e.code
