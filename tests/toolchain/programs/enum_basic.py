# SPDX-License-Identifier: BSD-3-Clause
"""Enums: named integers of their own type.

# run: next_() == 1
# run: number(2) == 2
# run: is_red(1) == False
# run: is_red(0) == True
# trap: number(7) NOT_A_MEMBER 7
# run: stored() == 5
"""
from kpy import enum, struct, u8, u32


@enum(u8)
class Colour:
    RED = 0
    GREEN = 1
    BLUE = 2
    GREY = 5


@struct
class Pixel:
    c: Colour
    n: u32


def next_() -> u8:
    c = Colour.GREEN
    return u8(c)


def number(n: u8) -> u8:
    return u8(Colour(n))


def is_red(n: u8) -> bool:
    return Colour(n) == Colour.RED


def stored() -> u8:
    p = Pixel(c=Colour.BLUE, n=1)
    p.c = Colour.GREY
    return u8(p.c)
