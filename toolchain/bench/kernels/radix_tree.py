# SPDX-License-Identifier: BSD-3-Clause
"""A radix tree of 16 ways over 32-bit keys, nodes from a pool: fill once, look up often."""
from kpy import Array, Final, Ptr, ref, struct, trunc, u32, u64, wrapping

POOL: Final = 16384
KEYS: Final = 2048


@struct
class Node:
    slots: Array[Ptr["Node"] | None, 16]
    value: u64


pool: Array[Node, POOL]
used: u64 = 0
root: Ptr[Node] | None = None


def key_of(i: u64) -> u32:
    return trunc(u32, wrapping(i * 2654435761) >> 3)


def new_node() -> Ptr[Node]:
    global used
    node = ref(pool[used])
    used += 1
    for i in range(16):
        node.slots[i] = None
    node.value = 0
    return node


def top() -> Ptr[Node]:
    global root
    if root is not None:
        return root
    node = new_node()
    root = node
    return node


def store(key: u32, value: u64) -> None:
    p = top()
    shift: u32 = 32
    while shift != 0:
        shift -= 4
        at = (key >> shift) & 15
        child = p.slots[at]
        if child is None:
            child = new_node()
            p.slots[at] = child
        p = child
    p.value = value


def find(key: u32) -> u64:
    p = root
    shift: u32 = 32
    while p is not None and shift != 0:
        shift -= 4
        p = p.slots[(key >> shift) & 15]
    return p.value if p is not None else 0


def setup() -> None:
    global root, used
    root = None
    used = 0
    for i in range(KEYS):
        store(key_of(i), i + 1)


def run(rounds: u64) -> u64:
    total: u64 = 0
    for n in range(rounds):
        for i in range(KEYS * 2):
            total = wrapping(total * 5 + find(key_of(i)))
    return total
