# SPDX-License-Identifier: BSD-3-Clause
"""A pointer that a case binds into a Union ends when the Union is assigned again."""
from __future__ import annotations

import pytest

from tests.toolchain.diagnose import codes

HEAD = """
from kpy import Array, Ptr, Union, copy, ref, struct, u64

@struct
class Inner:
    n: u64

@struct
class Read:
    offset: u64
    inner: Inner

@struct
class Flush:
    n: u64

Request = Union[Read, Flush]

@struct
class Holder:
    req: Request
    other: Request
    n: u64

glob: Request

def use(p: Ptr[Read]) -> bool:
    return p.offset > 3

"""
LINES = HEAD.count("\n")
FINE = {
    "a store to another field": """
def f(h: Ptr[Holder]) -> u64:
    match h.req:
        case Read() as r:
            h.n = 1
            h.other = Flush()
            return r.offset
        case _:
            return 0
""",
    "the pointer in what is assigned": """
def f(h: Ptr[Holder]) -> None:
    match h.req:
        case Read() as r:
            h.req = Flush(n=r.offset)
        case _:
            pass
""",
    "a copied field": """
def f(h: Ptr[Holder]) -> u64:
    match h.req:
        case Read(offset=n):
            h.req = Flush()
            return n
        case _:
            return 0
""",
    "another local": """
def f() -> u64:
    x: Request
    y: Request
    match x:
        case Read() as r:
            y = Flush()
            return r.offset
        case _:
            return 1
""",
    "a store on a way that leaves": """
def f(h: Ptr[Holder]) -> u64:
    match h.req:
        case Read() as r:
            if use(r):
                h.req = Flush()
                return 2
            return r.offset
        case _:
            return 0
""",
    "the name bound again": """
def f(h: Ptr[Holder], other: Ptr[Read]) -> u64:
    match h.req:
        case Read() as r:
            h.req = Flush()
            r = other
            return r.offset
        case _:
            return 0
""",
}
ENDED = {     # the use that is refused: line in the source below, column
    "the field": ("6:20", """
def f(h: Ptr[Holder]) -> u64:
    match h.req:
        case Read() as r:
            h.req = Flush()
            return r.offset
        case _:
            return 0
"""),
    "the field through another pointer": ("6:20", """
def f(h: Ptr[Holder], g: Ptr[Holder]) -> u64:
    match h.req:
        case Read() as r:
            g.req = Flush()
            return r.offset
        case _:
            return 0
"""),
    "a global, in a loop": ("6:19", """
def f() -> u64:
    global glob
    match glob:
        case Read(inner=i):
            while i.n > 0:
                glob = Flush()
            return 1
        case _:
            return 0
"""),
    "on one of two ways": ("7:20", """
def f(h: Ptr[Holder], k: Ptr[Holder]) -> u64:
    match h.req:
        case Read() as r:
            if k.n > 3:
                copy(h.req, k.other)
            return r.offset
        case _:
            return 0
"""),
    "the struct around it": ("6:20", """
def f(h: Ptr[Holder], k: Ptr[Holder]) -> u64:
    match h.req:
        case Read() as r:
            copy(h, k)
            return r.offset
        case _:
            return 0
"""),
    "an element": ("6:20", """
def f(h: Ptr[Array[Request, 3]], i: u64) -> u64:
    match h[0]:
        case Read() as r:
            h[i] = Flush()
            return r.offset
        case _:
            return 0
"""),
    "a local, and once only": ("7:20", """
def f() -> u64:
    x: Request
    match x:
        case Read() as r:
            x = Flush()
            return r.offset + r.inner.n
        case _:
            return 1
"""),
}


@pytest.mark.parametrize("name", FINE)
def test_it_holds_until_then(name):
    assert codes(HEAD + FINE[name]) == []


@pytest.mark.parametrize("name", ENDED)
def test_it_ends_with(name):
    where, source = ENDED[name]
    line, column = map(int, where.split(":"))
    assert codes(HEAD + source) == [f"K0348 {LINES + line}:{column}"]
