# SPDX-License-Identifier: BSD-3-Clause
"""A bit struct as a field: stores read, modify and write only its bits.

# run: entry() == 0x1003
# run: array() == 6
"""
from kpy import Array, bits, bits_of, flags, from_bits, struct, u1, u8, u30, u32


@bits(u32)
class Flags:
    present: u1
    write: u1
    rest: u30


@struct
class Entry:
    before: u8
    flags: Flags
    after: u8


def entry() -> u32:
    e: Entry
    e.flags = from_bits(Flags, 0x1002)
    e.flags.present = 1
    return bits_of(e.flags)


def array() -> u32:
    a: Array[Flags, 2]
    a[1].write = 1
    a[1].rest = 1
    return bits_of(a[1]) + bits_of(a[0])
