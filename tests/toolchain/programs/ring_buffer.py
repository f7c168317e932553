# SPDX-License-Identifier: BSD-3-Clause
"""A ring buffer with wrapping indices.

# run: run() == 13
# run: full() == 4
"""
from kpy import Array, struct, u8, u32, wrapping


@struct
class Ring:
    data: Array[u8, 4]
    head: u8
    tail: u8

    def put(self, c: u8) -> bool:
        if wrapping(self.head - self.tail) == 4:
            return False
        self.data[self.head % 4] = c
        self.head = wrapping(self.head + 1)
        return True

    def get(self) -> u8:
        c = self.data[self.tail % 4]
        self.tail = wrapping(self.tail + 1)
        return c


def run() -> u32:
    r = Ring(head=254, tail=254)
    r.put(1)
    r.put(5)
    r.put(7)
    return r.get() + r.get() + r.get()


def full() -> u32:
    r: Ring
    n: u32 = 0
    while r.put(1):
        n += 1
    return n
