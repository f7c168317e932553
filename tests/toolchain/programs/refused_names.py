# SPDX-License-Identifier: BSD-3-Clause
"""Names that are not there; near misses are suggested.

# error: K0203 at `p.valu`
# error: K0203 at `Kind.FRIST`
# error: K0202 at `functoin`
# error: K0202 at `u23x`
# error: K0335 at `n`
"""
from kpy import Ptr, enum, struct, u8, u32


@struct
class Node:
    value: u32


@enum(u8)
class Kind:
    FIRST = 0


def field_name(p: Ptr[Node]) -> u32:
    return p.valu


def member() -> Kind:
    return Kind.FRIST


def function(n: u32) -> u32:
    return functoin(n)


def type_name(n: u23x) -> u32:
    return 0


def arguments(n: u32) -> u32:
    return arguments_(n, n)


def arguments_(n: u32) -> u32:
    return n
