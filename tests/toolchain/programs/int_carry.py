# SPDX-License-Identifier: BSD-3-Clause
"""add_carry and its relatives give the wrapped result and whether it wrapped.

# run: add(250, 5) == (255, False)
# run: add(250, 6) == (0, True)
# run: sub(3, 4) == (255, True)
# run: mul(16, 16) == (0, True)
# run: wide(18446744073709551615, 1, 5, 6) == (0, 12)
"""
from kpy import add_carry, mul_overflow, sub_borrow, u8, u64


def add(a: u8, b: u8) -> tuple[u8, bool]:
    return add_carry(a, b)


def sub(a: u8, b: u8) -> tuple[u8, bool]:
    return sub_borrow(a, b)


def mul(a: u8, b: u8) -> tuple[u8, bool]:
    r, over = mul_overflow(a, b)
    return r, over


def wide(alo: u64, blo: u64, ahi: u64, bhi: u64) -> tuple[u64, u64]:
    lo, carry = add_carry(alo, blo)
    hi = ahi + bhi
    if carry:
        hi += 1
    return lo, hi
