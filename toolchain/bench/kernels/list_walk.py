# SPDX-License-Identifier: BSD-3-Clause
"""A linked list whose order is not that of memory: every step waits for a load."""
from kpy import Array, Final, Ptr, ref, struct, u64, wrapping

COUNT: Final = 4096


@struct
class Node:
    next: Ptr["Node"] | None
    value: u64


nodes: Array[Node, COUNT]
head: Ptr[Node] | None = None


def setup() -> None:
    global head
    head = None
    for i in range(COUNT):
        node = ref(nodes[(i * 1597) % COUNT])
        node.value = i
        node.next = head
        head = node


def run(rounds: u64) -> u64:
    total: u64 = 0
    for _ in range(rounds):
        p = head
        while p is not None:
            total = wrapping(total * 3 + p.value)
            p = p.next
    return total
