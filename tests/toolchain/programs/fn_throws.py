# SPDX-License-Identifier: BSD-3-Clause
"""ThrowsFn values: a raise comes through the pointer.

# run: tried(0) == -5
# run: tried(3) == 30
"""
from kpy import Errno, Final, ThrowsFn, i32, throws

EIO: Final = 5


@throws
def work(x: i32) -> i32:
    if x == 0:
        raise Errno(EIO)
    return x * 10


@throws
def through(f: ThrowsFn[[i32], i32], x: i32) -> i32:
    return f(x)


def tried(x: i32) -> i32:
    try:
        return through(work, x)
    except Errno as e:
        return -e.code
