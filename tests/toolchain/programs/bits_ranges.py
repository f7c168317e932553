# SPDX-License-Identifier: BSD-3-Clause
"""Bit structs by Bit[n] and Bits[high, low].

# run: build() == 0x4081
# run: read(0x4080) == (False, 1, 1)
# run: update(0x0780) == 0x0680
"""
from kpy import Bit, Bits, bits, bits_of, from_bits, u8, u32


@bits(u32)
class Cc:
    EN: Bit[0]
    MPS: Bits[10, 7]
    SHN: Bits[15, 14]


def build() -> u32:
    c = Cc(EN=1, MPS=1)
    c.SHN = 1
    return bits_of(c)


def read(n: u32) -> tuple[bool, u8, u8]:
    c = from_bits(Cc, n)
    return c.EN == 1, c.MPS, c.SHN


def update(n: u32) -> u32:
    c = from_bits(Cc, n)
    c.MPS -= 2
    return bits_of(c)
