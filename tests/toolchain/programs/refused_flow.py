# SPDX-License-Identifier: BSD-3-Clause
"""Control flow that Python allows and kpy does not.

# error: K0408 at `falls_off`
# error: K0402 at `match k: case Kind.A: return 1`
# error: K0403 at `x`
# error: K0202 at `undefined`
"""
from kpy import enum, u8, u32


@enum(u8)
class Kind:
    A = 0
    B = 1


def falls_off(n: u32) -> u32:
    if n == 1:
        return 2


def not_exhaustive(k: Kind) -> u32:
    match k:
        case Kind.A:
            return 1


def unassigned(n: u32) -> u32:
    if n == 1:
        x: u32 = 5
    return x


def wrong_break() -> None:
    n: u32 = 0
    while n < 3:
        n += 1
    undefined()
