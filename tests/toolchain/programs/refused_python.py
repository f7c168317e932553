# SPDX-License-Identifier: BSD-3-Clause
"""Python that a kernel has no use for.

# error: K0318 at `[1, 2, 3]`
# error: K0101 at `{1: 2}`
# error: K0101 at `lambda x: x`
# error: K0107 at `1.5`
# error: K0108 at `f"{s}!"`
# error: K0327 at `n ** 2`
# error: K0324 at `::2`
"""
from kpy import Slice, Str, u8, u32


def lists() -> u32:
    xs = [1, 2, 3]
    return 0


def dicts() -> u32:
    d = {1: 2}
    return 0


def lambdas() -> u32:
    f = lambda x: x
    return 0


def floats() -> u32:
    x: u32 = 1.5
    return x


def strings(s: Str) -> Str:
    return f"{s}!"


def power(n: u32) -> u32:
    return n ** 2


def step(s: Slice[u8]) -> Slice[u8]:
    return s[::2]
