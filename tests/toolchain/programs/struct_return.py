# SPDX-License-Identifier: BSD-3-Clause
"""Functions return structs by value; the result may be used in place.

# run: corner() == 9
# run: chained() == 12
# run: replaced() == (4, 3)
"""
from kpy import Ptr, struct, u32


@struct
class Pair:
    a: u32
    b: u32


def make(a: u32, b: u32) -> Pair:
    return Pair(a=a, b=b)


def swapped(p: Ptr[Pair]) -> Pair:
    return Pair(a=p.b, b=p.a)


def corner() -> u32:
    return make(4, 5).a + make(4, 5).b


def chained() -> u32:
    q = make(2, 12)
    p = swapped(q)
    return p.a


def replaced() -> tuple[u32, u32]:
    p = make(3, 4)
    p = swapped(p)
    return p.a, p.b
