# SPDX-License-Identifier: BSD-3-Clause
"""Null, copies and storage: what Python would do silently is asked for by name.

# error: K0401 at `p.next`
# error: K0337 at `a`
# error: K0308 at `None`
# error: K0343 at `a`
# error: K0329 at `p == None`
"""
from kpy import Ptr, struct, u32


@struct
class Node:
    next: Ptr["Node"] | None
    n: u32


def may_be_null(p: Ptr[Node]) -> u32:
    return p.next.n


def copies() -> u32:
    a = Node(n=1)
    b = a
    return b.n


def none_for_ptr() -> u32:
    return take(None)


def take(p: Ptr[Node]) -> u32:
    return p.n


def escapes() -> Ptr[Node]:
    a = Node(n=1)
    return a


def compares(p: Ptr[Node] | None) -> bool:
    return p == None
