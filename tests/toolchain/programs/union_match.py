# SPDX-License-Identifier: BSD-3-Clause
"""Tagged unions: match binds the fields of the variant that is there.

# run: area(0, 3, 4) == 12
# run: area(1, 5, 0) == 75
# run: area(2, 9, 9) == 0
# run: positional(0, 3, 4) == 34
"""
from kpy import Union, struct, u8, u32


@struct
class Rect:
    w: u32
    h: u32


@struct
class Circle:
    r: u32


@struct
class Empty:
    pad: u8


Shape = Union[Rect, Circle, Empty]


def make(kind: u32, a: u32, b: u32) -> Shape:
    if kind == 0:
        return Rect(w=a, h=b)
    if kind == 1:
        return Circle(r=a)
    return Empty()


def area(kind: u32, a: u32, b: u32) -> u32:
    s = make(kind, a, b)
    match s:
        case Rect(w=w, h=h):
            return w * h
        case Circle(r=r):
            return 3 * r * r
        case Empty():
            return 0


def positional(kind: u32, a: u32, b: u32) -> u32:
    s = make(kind, a, b)
    match s:
        case Rect(w, h):
            return w * 10 + h
        case _:
            return 1
