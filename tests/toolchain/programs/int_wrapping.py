# SPDX-License-Identifier: BSD-3-Clause
"""wrapping(...) and @wrapping: the wrap is meant, in every build.

# run: hash_(b"abc") == 193485963
# run: dec(0) == 255
# run: inc_all(255) == 0
# run: neg_mask(1) == 4294967295
# run: neg_mask(0) == 0
# run: only_inside(255) == 0
# trap: outside(255) OVERFLOW 255 1
"""
from kpy import Slice, u8, u32, wrapping


def hash_(s: Slice[u8]) -> u32:
    h: u32 = 5381
    for c in s:
        h = wrapping(h * 33 + c)
    return h


def dec(x: u8) -> u8:
    return wrapping(x - 1)


@wrapping
def inc_all(x: u8) -> u8:
    x += 1
    return x


def neg_mask(c: u32) -> u32:
    return wrapping(0 - (c & 1))


def only_inside(x: u8) -> u8:
    y = wrapping(x + 1)
    return y + 0


def outside(x: u8) -> u8:
    y = wrapping(x + 0)
    return y + 1
