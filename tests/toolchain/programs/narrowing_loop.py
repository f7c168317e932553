# SPDX-License-Identifier: BSD-3-Clause
"""Narrowing holds in a loop's condition and after continue.

# run: find(3) == 30
# run: find(9) == 0
"""
from kpy import Array, Ptr, struct, u32


@struct
class Node:
    next: Ptr["Node"] | None
    key: u32
    value: u32


nodes: Array[Node, 4]


def build() -> Ptr[Node] | None:
    for i in range(4):
        nodes[i].key = u32(i)
        nodes[i].value = u32(i) * 10
        nodes[i].next = None
    for i in range(3):
        nodes[i].next = nodes[i + 1]
    return nodes[0]


def find(key: u32) -> u32:
    p = build()
    while p is not None and p.key != key:
        p = p.next
    if p is None:
        return 0
    return p.value
