# SPDX-License-Identifier: BSD-3-Clause
"""What is known of pointers and variables, and when it ends."""
from __future__ import annotations

import pytest

from tests.toolchain.diagnose import codes

HEAD = """
from kpy import Array, Ptr, Slice, struct, u32, u64, unwrap

@struct
class Node:
    next: "Ptr[Node] | None"
    other: "Ptr[Node] | None"
    value: u32

def touch(n: Ptr[Node]) -> None:
    n.next = None

"""
FINE = {
    "early return": """
def f(p: Ptr[Node] | None) -> u32:
    if p is None:
        return 0
    return p.value
""",
    "and": """
def f(p: Ptr[Node] | None) -> bool:
    return p is not None and p.value == 3
""",
    "or": """
def f(p: Ptr[Node] | None) -> bool:
    return p is None or p.value == 3
""",
    "not": """
def f(p: Ptr[Node] | None) -> u32:
    if not (p is None):
        return p.value
    return 0
""",
    "conditional expression": """
def f(p: Ptr[Node] | None) -> u32:
    return p.value if p is not None else 0
""",
    "attribute path": """
def f(p: Ptr[Node]) -> u32:
    if p.next is not None and p.next.next is not None:
        return p.next.next.value
    return 0
""",
    "walrus in while": """
def f(p: Ptr[Node]) -> u32:
    while (q := p.next) is not None:
        p = q
    return p.value
""",
    "both branches assign": """
def f(c: bool, p: Ptr[Node]) -> u32:
    if c:
        q = p.next
    else:
        q = None
    x: u32 = 1
    if q is not None:
        x = q.value
    return x
""",
    "local survives a call": """
def f(p: Ptr[Node] | None) -> u32:
    if p is None:
        return 0
    touch(p)
    return p.value
""",
    "store of a pointer that is not null": """
def f(p: Ptr[Node], q: Ptr[Node]) -> u32:
    p.next = q
    return p.next.value
""",
    "assert": """
def f(p: Ptr[Node] | None) -> u32:
    assert p is not None
    return p.value
""",
    "break carries": """
def f(p: Ptr[Node]) -> u32:
    while True:
        q = p.next
        if q is not None:
            break
    return q.value
""",
    "unwrap": """
def f(p: Ptr[Node] | None) -> u32:
    return unwrap(p).value
""",
}
REFUSED = {
    "untested": ("K0401", """
def f(p: Ptr[Node] | None) -> u32:
    return p.value
"""),
    "path after a call": ("K0401", """
def f(p: Ptr[Node]) -> u32:
    if p.next is None:
        return 0
    touch(p)
    return p.next.value
"""),
    "path after a store through another pointer": ("K0401", """
def f(p: Ptr[Node], q: Ptr[Node]) -> u32:
    if p.next is None:
        return 0
    q.next = None
    return p.next.value
"""),
    "path after its root changed": ("K0401", """
def f(p: Ptr[Node], q: Ptr[Node]) -> u32:
    if p.next is None:
        return 0
    p = q
    return p.next.value
"""),
    "second round of a loop": ("K0401", """
def f(p: Ptr[Node] | None) -> u32:
    if p is None:
        return 0
    s: u32 = 0
    while s < 10:
        s += p.value
        p = p.next
    return s
"""),
    "one branch only": ("K0401", """
def f(p: Ptr[Node] | None, c: bool) -> u32:
    if c:
        if p is None:
            return 0
    return p.value
"""),
    "or does not prove": ("K0401", """
def f(p: Ptr[Node] | None, c: bool) -> u32:
    if p is not None or c:
        return p.value
    return 0
"""),
    "assigned in one branch": ("K0403", """
def f(c: bool) -> u32:
    if c:
        x: u32 = 1
    return x
"""),
    "assigned in a loop that may not run": ("K0403", """
def f(n: u32) -> u32:
    for i in range(n):
        x = i
    return x
"""),
    "assigned in try only": ("K0403", """
from kpy import Errno, throws
@throws
def g() -> u32:
    raise Errno(1)
def f() -> u32:
    try:
        x = g()
    except Errno:
        pass
    return x
"""),
    "missing return": ("K0408", """
def f(c: bool) -> u32:
    if c:
        return 1
"""),
    "address of a local": ("K0343", """
def f() -> Ptr[Node]:
    n = Node(value=1)
    return n
"""),
    "slice of a local": ("K0343", """
def f() -> Slice[u32]:
    a: Array[u32, 4]
    return a[1:]
"""),
    "address-taken pointer after a call": ("K0401", """
def change(p: "Ptr[Ptr[Node] | None]") -> None:
    pass
from kpy import ref
def f(p: Ptr[Node]) -> u32:
    q = p.next
    change(ref(q))
    if q is None:
        return 0
    touch(p)
    return q.value
"""),
}


@pytest.mark.parametrize("name", FINE)
def test_accepted(name):
    assert codes(HEAD + FINE[name]) == []


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    code, source = REFUSED[name]
    assert {c.split()[0] for c in codes(HEAD + source)} == {code}
