# SPDX-License-Identifier: BSD-3-Clause
"""Bit structs: one integer with named bits.

# run: build() == 0x2B
# run: read(0x2B) == (True, 5, 1)
# run: set_mode(0, 7) == 14
# trap: set_mode(0, 8) CONVERSION
# run: with_() == 0x100
# run: whole() == 4
"""
from kpy import bits, bits_of, from_bits, sizeof, u1, u3, u8, u16, u64


@bits(u16)
class Ctrl:
    en: u1
    mode: u3
    _gap: u1
    level: u3
    last: u8


def build() -> u16:
    c = Ctrl(en=1, mode=5, level=1)
    return bits_of(c)


def read(n: u16) -> tuple[bool, u8, u8]:
    c = from_bits(Ctrl, n)
    return c.en == 1, c.mode, c.level


def set_mode(n: u16, mode: u8) -> u16:
    c = from_bits(Ctrl, n)
    c.mode = u3(mode)
    return bits_of(c)


def with_() -> u16:
    c = Ctrl()
    c.last = 1
    return bits_of(c)


def whole() -> u64:
    return sizeof(Ctrl) * 2
