# SPDX-License-Identifier: BSD-3-Clause
"""Recursive functions state a bound.

# run: fact(10) == 3628800
# run: depth() == 3
# trap: fact(21) OVERFLOW
# run: ack(2, 3) == 9
"""
from kpy import Ptr, recursive, struct, u32, u64


@struct
class Tree:
    left: Ptr["Tree"] | None
    right: Ptr["Tree"] | None


@recursive(32)
def fact(n: u64) -> u64:
    if n == 0:
        return 1
    return n * fact(n - 1)


@recursive(16)
def height(t: Ptr[Tree] | None) -> u32:
    if t is None:
        return 0
    return 1 + max(height(t.left), height(t.right))


def depth() -> u32:
    a: Tree
    b: Tree
    c: Tree
    d: Tree
    a.left = b
    a.right = c
    c.left = d
    return height(a)


@recursive(100)
def ack(m: u32, n: u32) -> u32:
    if m == 0:
        return n + 1
    if n == 0:
        return ack(m - 1, 1)
    return ack(m - 1, ack(m, n - 1))
