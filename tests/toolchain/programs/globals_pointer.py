# SPDX-License-Identifier: BSD-3-Clause
"""Globals that point to globals.

# run: follow() == 9
# run: chain() == 3
"""
from kpy import Ptr, struct, u32


@struct
class Node:
    next: Ptr["Node"] | None
    n: u32


tail: Node = Node(n=3)
head: Node = Node(next=tail, n=9)


def follow() -> u32:
    return head.n


def chain() -> u32:
    if head.next is None:
        return 0
    return head.next.n
