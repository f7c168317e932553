# SPDX-License-Identifier: BSD-3-Clause
"""Locals lent to a global list and to a global slice, and taken back.

# run: chain(3) == 6
# run: summed() == 21
"""
from kpy import Array, Ptr, Slice, lend, struct, u8, u32


@struct
class Waiter:
    next: "Ptr[Waiter] | None"
    value: u32


first: Ptr[Waiter] | None = None
line: Slice[u8]


def enqueue(waiter: Ptr[Waiter]) -> None:
    global first
    waiter.next = first
    first = waiter


def total() -> u32:
    found: u32 = 0
    item = first
    while item is not None:
        found += item.value
        item = item.next
    return found


def chain(n: u32) -> u32:
    global first
    one = Waiter(value=n)
    two = Waiter(value=n)
    enqueue(lend(one))
    enqueue(lend(two))
    found = total()
    first = None
    return found


def keep(data: Slice[u8]) -> None:
    global line
    line = data


def summed() -> u32:
    data: Array[u8, 6] = [1, 2, 3, 4, 5, 6]
    keep(lend(data))
    found: u32 = 0
    for byte in line:
        found += byte
    keep(b"")
    return found
