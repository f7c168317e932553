# SPDX-License-Identifier: BSD-3-Clause
"""A bitmap of words: set, clear, find first zero.

# run: first() == 3
# run: crossing() == 65
# run: cleared() == 1
"""
from kpy import Array, ctz, struct, u64


@struct
class Bitmap:
    words: Array[u64, 4]

    def set(self, i: u64) -> None:
        one: u64 = 1
        self.words[i // 64] |= one << (i % 64)

    def clear(self, i: u64) -> None:
        one: u64 = 1
        self.words[i // 64] &= ~(one << (i % 64))

    def first_zero(self) -> u64:
        for i, w in enumerate(self.words):
            if w != 0xFFFF_FFFF_FFFF_FFFF:
                return i * 64 + ctz(~w)
        return 256


def first() -> u64:
    b: Bitmap
    b.set(0)
    b.set(1)
    b.set(2)
    b.set(4)
    return b.first_zero()


def crossing() -> u64:
    b: Bitmap
    for i in range(65):
        b.set(u64(i))
    return b.first_zero()


def cleared() -> u64:
    b: Bitmap
    b.set(0)
    b.set(1)
    b.clear(1)
    return b.first_zero()
