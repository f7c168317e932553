# SPDX-License-Identifier: BSD-3-Clause
"""Structs: declared storage is zero, fields are set and read, layout is C's.

# run: zero() == 0
# run: sum_() == 60
# run: partial() == 7
# run: layout() == (16, 8, 4, 8)
# run: nested() == 33
"""
from kpy import alignof, offsetof, sizeof, struct, u8, u32, u64


@struct
class Point:
    x: u8
    y: u32
    z: u64


@struct
class Line:
    a: Point
    b: Point


def zero() -> u64:
    p: Point
    return p.x + p.y + p.z


def sum_() -> u64:
    p = Point(x=10, y=20, z=30)
    return p.x + p.y + p.z


def partial() -> u64:
    p = Point(y=7)
    return p.x + p.y + p.z


def layout() -> tuple[u64, u64, u64, u64]:
    return sizeof(Point), alignof(Point), offsetof(Point, "y"), offsetof(Point, "z")


def nested() -> u64:
    n: Line
    n.a.x = 1
    n.b.y = 32
    return n.a.x + n.b.y + n.a.z
