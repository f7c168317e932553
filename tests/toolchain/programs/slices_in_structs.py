# SPDX-License-Identifier: BSD-3-Clause
"""Slices as fields: buffers with a cursor.

# run: parse(b"12 34 5 ") == 51
# run: left(b"abc") == 1
"""
from kpy import Slice, struct, u8, u32, u64


@struct
class Reader:
    data: Slice[u8]
    at: u64

    def more(self) -> bool:
        return self.at < len(self.data)

    def next(self) -> u8:
        c = self.data[self.at]
        self.at += 1
        return c


def parse(s: Slice[u8]) -> u32:
    r = Reader(data=s)
    total: u32 = 0
    n: u32 = 0
    while r.more():
        c = r.next()
        if c == ord(" "):
            total += n
            n = 0
        else:
            n = n * 10 + (c - ord("0"))
    return total


def left(s: Slice[u8]) -> u64:
    r = Reader(data=s)
    r.next()
    r.data = r.data[1:]
    return len(r.data[r.at:])
