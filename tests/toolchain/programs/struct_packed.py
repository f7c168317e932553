# SPDX-License-Identifier: BSD-3-Clause
"""packed, align and size.

# run: sizes() == (10, 64, 128)
# run: fields() == 0x1234
# run: wide() == 0x123456789ABCDEF0
"""
from kpy import sizeof, struct, u16, u32, u64


@struct(packed=True)
class Gdtr:
    limit: u16
    base: u64


@struct(align=64)
class Line:
    n: u32


@struct(size=128, align=128)
class Page:
    n: u32


def sizes() -> tuple[u64, u64, u64]:
    return sizeof(Gdtr), sizeof(Line), sizeof(Page)


def fields() -> u16:
    g = Gdtr(limit=0x1234, base=0xFFFF_FFFF_FFFF_FFFF)
    return g.limit


def wide() -> u64:
    g = Gdtr(limit=0xFFFF, base=0x1234_5678_9ABC_DEF0)
    g.limit = 0
    return g.base
