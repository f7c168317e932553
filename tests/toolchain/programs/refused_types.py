# SPDX-License-Identifier: BSD-3-Clause
"""Types that do not fit: refused, one message each.

# error: K0308 at `x`
# error: K0316 at `a < b`
# error: K0316 at `a + b`
# error: K0316 at `n + s`
# error: K0309 at `n`
# error: K0327 at `a / b`
# error: K0311 at `300`
# error: K0310 at `x`
"""
from kpy import Ptr, Str, i32, struct, u8, u32


@struct
class Node:
    next: Ptr["Node"] | None
    n: u32


def narrow(x: u32) -> u8:
    return x


def signs(a: u32, b: i32) -> bool:
    return a < b


def mixed(a: u32, b: i32) -> u32:
    return a + b


def text(n: u32, s: Str) -> u32:
    return n + s


def truth(n: u32) -> u32:
    return 1 if n else 0


def divide(a: u32, b: u32) -> u32:
    return a / b


def too_big() -> u8:
    return 300


def no_context() -> u32:
    x = 0
    return x
