# SPDX-License-Identifier: BSD-3-Clause
"""Endian integers convert to and from the host's explicitly.

# run: big(0x12345678) == 0x12
# run: little(0x12345678) == 0x78
# run: round_trip(0x1234) == 0x1234
# run: header() == 513
# run: wide() == 0x0102030405060708
"""
from kpy import Slice, be16, be32, be64, le16, le32, struct, trunc, u8, u16, u32, u64


@struct(packed=True)
class Header:
    magic: be32
    length: le16
    port: be16


def first_byte(b: Slice[u8]) -> u8:
    return b[0]


def big(n: u32) -> u8:
    h: Header
    h.magic = be32(n)
    return trunc(u8, u32(h.magic) >> 24)


def little(n: u32) -> u8:
    x = le32(n)
    return trunc(u8, u32(x))


def round_trip(n: u16) -> u16:
    return u16(be16(n))


def header() -> u16:
    h: Header
    h.port = be16(513)
    h.length = le16(3)
    return u16(h.port)


def wide() -> u64:
    x = be64(0x0102_0304_0506_0708)
    return u64(x)
