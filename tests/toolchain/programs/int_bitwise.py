# SPDX-License-Identifier: BSD-3-Clause
"""And, or, xor; masks written as literals take the other side's type.

# run: mix(0xF0F0, 0x0FF0) == 65280
# run: low(0x1234) == 52
# run: toggle(0xFFFF0000) == 0x0000FFFF
# run: signed(-1, 15) == 15
# run: setbit(8, 0) == 9
"""
from kpy import i32, u8, u16, u32


def mix(a: u16, b: u16) -> u16:
    return (a ^ b) | (a & b) & 0


def low(a: u32) -> u32:
    return a & 0xFF


def toggle(a: u32) -> u32:
    return a ^ 0xFFFF_FFFF


def signed(a: i32, b: i32) -> i32:
    return a & b


def setbit(a: u8, n: u8) -> u8:
    one: u8 = 1
    return a | (one << n)
