# SPDX-License-Identifier: BSD-3-Clause
"""Mistakes that mypy must see: each line's expected code is in its `# error:` comment."""
from kpy import (
    Array,
    Atomic,
    Errno,
    Final,
    Ptr,
    Slice,
    Str,
    bits,
    enum,
    flags,
    ref,
    struct,
    throws,
    trunc,
    u1,
    u7,
    u8,
    u32,
    u64,
)

LIMIT: Final = 3


@enum(u8)
class Kind:
    A = 1
    B = 2


@flags(u8)
class Mode:
    R = 1


@bits(u8)
class Ctl:
    on: u1
    rest: u7


@struct
class Node:
    next: Ptr["Node"] | None
    value: u32
    refs: Atomic[u32]

    def twice(self) -> u32:
        return self.value * 2


def add(a: u32, text: Str) -> u32:
    return a + text                     # error: operator


def no_narrowing(n: Ptr[Node]) -> u32:
    return n.next.value                 # error: union-attr


def wrong_field(n: Ptr[Node]) -> u32:
    return n.valu                       # error: attr-defined


def wrong_argument(n: Ptr[Node]) -> u32:
    return add(n, "x")                  # error: arg-type


def missing_argument() -> u32:
    return add(1)                       # error: call-arg


def wrong_keyword() -> u32:
    n = Node(val=3)                     # error: call-arg
    return n.value


def wrong_member(k: Kind) -> bool:
    return k == Kind.C                  # error: attr-defined


def number_for_enum() -> Kind:
    return 1                            # error: return-value


def not_exhaustive(k: Kind) -> u32:     # error: return
    match k:
        case Kind.A:
            return 1


def enum_for_number(m: Mode) -> u32:
    return m                            # error: return-value


def bit_field(c: Ctl) -> u8:
    return c.off                        # error: attr-defined


def not_atomic(n: Ptr[Node]) -> u32:
    return n.refs + 1                   # error: operator


def element(a: Array[Node, 4], s: Slice[u8]) -> u64:
    x: Str = a[0].value                 # error: assignment
    return len(s) + len(x)


def final() -> None:
    global LIMIT
    LIMIT = 4                           # error: misc


@throws
def wrong_error() -> None:
    raise Errno("no such file")         # error: arg-type


def wrong_trunc() -> u8:
    return trunc(8, 300)                # error: arg-type


def method(n: Ptr[Node]) -> u32:
    m = ref(n)
    return m.twice(1)                   # error: call-arg


def unknown(n: Ptr[Nod]) -> None:       # error: name-defined
    n.value = 1
