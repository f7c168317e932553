# SPDX-License-Identifier: BSD-3-Clause
"""A local may have the name that the compiler gives to a block, whatever their numbers.

# run: with_2(1) == 1
# run: with_5(1) == 1
# run: with_4(1) == 1
# run: with_3(1) == 1
"""
from kpy import Errno, throws, u32


@throws
def with_2(x: u32) -> u32:
    if x > 3:
        raise Errno(5)
    error = x
    return error


@throws
def with_3(x: u32) -> u32:
    if x > 3:
        raise Errno(5)
    y0 = x + 0
    error = x
    return error


@throws
def with_4(x: u32) -> u32:
    if x > 3:
        raise Errno(5)
    y0 = x + 0
    y1 = x + 1
    error = x
    return error


@throws
def with_5(x: u32) -> u32:
    if x > 3:
        raise Errno(5)
    y0 = x + 0
    y1 = x + 1
    y2 = x + 2
    error = x
    return error
