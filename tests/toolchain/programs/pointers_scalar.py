# SPDX-License-Identifier: BSD-3-Clause
"""Pointers to scalars: fields, elements and locals.

# run: through() == 6
# run: to_element() == 50
# run: compare() == (True, False)
"""
from kpy import Array, Ptr, copy, ref, struct, u32


@struct
class Box:
    a: u32
    b: u32


def incr(p: Ptr[u32]) -> None:
    n: u32 = 0
    copy(n, p)
    n += 1
    copy(p, n)


def through() -> u32:
    b = Box(a=1, b=5)
    incr(ref(b.b))
    return b.b


def to_element() -> u32:
    a: Array[u32, 3] = [1, 49, 3]
    incr(ref(a[1]))
    return a[1]


def compare() -> tuple[bool, bool]:
    a = Box(a=1)
    b = Box(a=1)
    p = ref(a)
    return p == ref(a), p == ref(b)
