# SPDX-License-Identifier: BSD-3-Clause
"""What a pointer points to is filled by copy() with a new value.

# run: through(True) == 7
# run: through(False) == 30
# run: plain() == 9
# run: from_call() == 5
"""
from kpy import Ptr, Union, copy, struct, u32


@struct
class Circle:
    radius: u32


@struct
class Box:
    width: u32
    height: u32


Shape = Union[Circle, Box]


def make(shape: Ptr[Shape], round_: bool) -> None:
    if round_:
        copy(shape, Circle(radius=7))
    else:
        copy(shape, Box(5, 6))


def through(round_: bool) -> u32:
    shape: Shape
    make(shape, round_)
    match shape:
        case Circle(radius=r):
            return r
        case Box(width=w, height=h):
            return w * h


def reset(box: Ptr[Box]) -> None:
    copy(box, Box(width=box.height, height=box.width))


def plain() -> u32:
    box = Box(width=4, height=9)
    reset(box)
    return box.width


def unit(size: u32) -> Box:
    return Box(size, size)


def from_call() -> u32:
    box: Box
    copy(box, unit(5))
    return box.height
