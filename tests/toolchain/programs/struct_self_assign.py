# SPDX-License-Identifier: BSD-3-Clause
"""A struct literal is complete before it is stored.

# run: swap() == (2, 1)
"""
from kpy import struct, u32


@struct
class Pair:
    a: u32
    b: u32


def swap() -> tuple[u32, u32]:
    p = Pair(a=1, b=2)
    p = Pair(a=p.b, b=p.a)
    return p.a, p.b
