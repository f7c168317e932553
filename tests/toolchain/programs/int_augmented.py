# SPDX-License-Identifier: BSD-3-Clause
"""Every augmented assignment, on locals, elements and fields.

# run: all_ops(7) == 7
# run: element() == 1050
# run: field() == 6
# trap: below(3) OVERFLOW 3 4 at `x -= 4`
"""
from kpy import Array, struct, u8, u16, u32


@struct
class Box:
    n: u16


def all_ops(x: u32) -> u32:
    x += 3
    x *= 5
    x -= 2
    x //= 3
    x <<= 4
    x >>= 2
    x |= 3
    x &= 0x1F
    x ^= 4
    x %= 28
    return x


def element() -> u32:
    a: Array[u32, 3] = [1, 2, 3]
    a[1] += 40
    a[1] *= 25
    return a[1]


def field() -> u16:
    b = Box(n=12)
    b.n //= 2
    return b.n


def below(x: u8) -> u8:
    x -= 4
    return x
