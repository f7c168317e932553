# SPDX-License-Identifier: BSD-3-Clause
"""Struct storage is passed by address, as Python would alias it.

# run: by_reference() == 11
# run: alias() == 5
# run: copies() == (1, 9)
# run: through_call() == 42
"""
from kpy import Ptr, copy, ref, struct, u32


@struct
class Cell:
    n: u32


def bump(c: Ptr[Cell]) -> None:
    c.n += 1


def by_reference() -> u32:
    c = Cell(n=10)
    bump(c)
    return c.n


def alias() -> u32:
    a = Cell(n=1)
    b = ref(a)
    b.n = 5
    return a.n


def copies() -> tuple[u32, u32]:
    a = Cell(n=1)
    b: Cell
    copy(b, a)
    b.n = 9
    return a.n, b.n


def make(n: u32) -> Cell:
    return Cell(n=n)


def through_call() -> u32:
    c = make(42)
    return c.n
