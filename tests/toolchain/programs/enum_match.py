# SPDX-License-Identifier: BSD-3-Clause
"""match over an enum, exhaustive without a default.

# run: cost(0) == 1
# run: cost(1) == 10
# run: cost(2) == 100
# run: either(2) == 1
# run: either(1) == 2
"""
from kpy import enum, u32


@enum(u32)
class Size:
    SMALL = 0
    MIDDLE = 1
    LARGE = 2


def cost(n: u32) -> u32:
    match Size(n):
        case Size.SMALL:
            return 1
        case Size.MIDDLE:
            return 10
        case Size.LARGE:
            return 100


def either(n: u32) -> u32:
    s = Size(n)
    match s:
        case Size.SMALL | Size.LARGE:
            return 1
        case _:
            return 2
