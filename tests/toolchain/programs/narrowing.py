# SPDX-License-Identifier: BSD-3-Clause
"""Ptr | None must be tested before use; the test narrows names and attribute paths.

# run: length3() == 3
# run: value(0) == 0
# run: value(1) == 7
# run: early() == 7
# run: path() == 9
# run: walrus() == 2
"""
from kpy import Ptr, ref, struct, u32


@struct
class Node:
    next: Ptr["Node"] | None
    n: u32


def length(first: Ptr[Node] | None) -> u32:
    count: u32 = 0
    p = first
    while p is not None:
        count += 1
        p = p.next
    return count


def length3() -> u32:
    a: Node
    b: Node
    c: Node
    a.next = b
    b.next = c
    return length(a)


def get(p: Ptr[Node] | None) -> u32:
    if p is None:
        return 0
    return p.n


def value(which: u32) -> u32:
    n = Node(n=7)
    return get(n) if which == 1 else get(None)


def early() -> u32:
    a = Node(n=1)
    b = Node(n=7)
    a.next = b
    if a.next is None:
        return 0
    return a.next.n


def path() -> u32:
    a = Node(n=1)
    b = Node(n=9)
    a.next = b
    p = ref(a)
    if p.next is not None and p.next.n == 9:
        return p.next.n
    return 0


def second(first: Ptr[Node]) -> u32:
    if (p := first.next) is not None:
        return p.n
    return 0


def walrus() -> u32:
    a = Node(n=1)
    b = Node(n=2)
    a.next = b
    return second(a) + second(b)
