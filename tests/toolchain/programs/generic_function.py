# SPDX-License-Identifier: BSD-3-Clause
"""Generic functions: made for each type they are called with.

# run: biggest() == (9, 70000)
# run: swapped() == (2, 1)
# run: filled() == 12
"""
from kpy import Array, Ptr, Slice, TypeVar, copy, ref, u8, u16, u32

T = TypeVar("T")


def larger(a: T, b: T) -> T:
    return a if a > b else b


def biggest() -> tuple[u8, u32]:
    a: u8 = 9
    b: u8 = 3
    c: u32 = 70000
    d: u32 = 1
    return larger(a, b), larger(c, d)


def swap(a: Ptr[T], b: Ptr[T]) -> None:
    x: Array[T, 1]
    copy(x[0], a)
    copy(a, b)
    copy(b, x[0])


def swapped() -> tuple[u32, u32]:
    xs: Array[u32, 2] = [1, 2]
    swap(ref(xs[0]), ref(xs[1]))
    return xs[0], xs[1]


def fill(s: Slice[T], x: T) -> None:
    for i in range(len(s)):
        s[i] = x


def filled() -> u32:
    a: Array[u16, 3]
    n: u16 = 4
    fill(a[:], n)
    return a[0] + a[1] + a[2]
