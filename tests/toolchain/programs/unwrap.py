# SPDX-License-Identifier: BSD-3-Clause
"""unwrap(p) asserts that a pointer is not null.

# run: good() == 4
# trap: bad() NULL
"""
from kpy import Ptr, struct, u32, unwrap


@struct
class Node:
    next: Ptr["Node"] | None
    n: u32


def good() -> u32:
    a = Node(n=1)
    b = Node(n=4)
    a.next = b
    return unwrap(a.next).n


def bad() -> u32:
    a = Node(n=1)
    return unwrap(a.next).n
