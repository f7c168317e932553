# SPDX-License-Identifier: BSD-3-Clause
"""@inline @throws functions.

# run: outer(0) == 7
# run: outer(4) == 8
"""
from kpy import Errno, i32, inline, throws, u32


@inline
@throws
def inner(n: u32) -> u32:
    if n == 0:
        raise Errno(7)
    return n * 2


def outer(n: u32) -> i32:
    try:
        return i32(inner(n))
    except Errno as e:
        return e.code
