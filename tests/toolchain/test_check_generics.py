# SPDX-License-Identifier: BSD-3-Clause
"""Generics and generators are checked where they are defined, but for what depends on a T."""
from __future__ import annotations

import pytest

from tests.toolchain.diagnose import codes, diagnostics

HEAD = """
from kpy import Array, ConstVar, Errno, FieldVar, Generic, Iterator, Ptr, TypeVar, field, inline
from kpy import struct, u32, u64

T = TypeVar("T")
N = ConstVar("N")
F = FieldVar("F")
"""


def test_unknown_name_in_a_generic_function_nobody_calls():
    assert codes(HEAD + """
def largest(a: T, b: T) -> T:
    return lenght(a)
""") == ["K0202 10:12"]


def test_unknown_name_in_a_generic_class_nobody_names():
    assert codes(HEAD + """
@struct
class Box(Generic[T]):
    item: T
    more: Missing
    def get(self) -> T:
        return self.item if sise > 0 else self.item
""") == ["K0202 12:11", "K0202 14:29"]


def test_unknown_name_in_a_generator_nobody_loops_over():
    assert codes(HEAD + """
@inline
def each(n: u32) -> Iterator[u32]:
    i: u32 = 0
    while i < limit:
        yield i
        i += 1
""") == ["K0202 12:15"]


def test_names_a_generic_has():
    assert codes(HEAD + """
@struct
class Box(Generic[T, N]):
    item: T
    def fits(self, other: u32 = 3) -> bool:
        total: u32 = 0
        for i in range(other):
            if (half := i // 2) > N:
                total += half
        return total < len(b"abc")

def first(p: Ptr[T], q: Ptr[T]) -> Ptr[T]:
    return p
""") == []


def test_error_in_an_instance_says_what_required_it():
    found = codes(HEAD + """
def smaller(a: T) -> bool:
    return a < "x"

def use() -> bool:
    return smaller(u32(3))
""")
    assert found == ["K0316 10:12"]


UNUSED = {     # name: (what is said, lines counted from the source below; source)
    "an operation of known types": ("K0316 3:12", """
def f(p: Ptr[T], n: u32) -> u32:
    return n & "mask"
"""),
    "a field of a known struct": ("K0203 3:12", """
def f(p: Ptr[T], q: Ptr[Point]) -> u32:
    return q.z
"""),
    "a result of another type": ("K0308 3:12", """
def f(p: Ptr[T]) -> u32:
    return True
"""),
    "too many arguments of a function": ("K0335 3:22", """
def f(p: Ptr[T], n: u32) -> u32:
    return helper(n, n)
"""),
    "too many arguments of a generic function": ("K0335 6:17", """
def g(p: Ptr[T]) -> u32:
    return 1

def f(p: Ptr[T]) -> u32:
    return g(p, p)
"""),
    "too few arguments of a generic function": ("K0335 6:12", """
def g(p: Ptr[T], n: u32) -> u32:
    return 1

def f(p: Ptr[T]) -> u32:
    return g(p)
"""),
    "a number as a condition": ("K0309 3:8", """
def f(p: Ptr[T], n: u32) -> u32:
    if n:
        return 1
    return 2
"""),
    "no such member of its own class": ("K0203 7:9", """
@struct
class Box(Generic[T, N]):
    items: Array[T, N]
    count: u64
    def push(self, item: Ptr[T]) -> None:
        self.cuont += 1
"""),
    "too many arguments of its own method": ("K0335 8:29", """
@struct
class Box(Generic[T]):
    item: T
    def get(self) -> u32:
        return 1
    def both(self) -> u32:
        return 2 * self.get(self.item)
"""),
    "an error from what does not throw": ("K0602 3:5", """
def f(p: Ptr[T]) -> None:
    raise Errno(5)
"""),
    "a generator": ("K0316 6:9", """
@inline
def each(n: u32) -> Iterator[u32]:
    i: u32 = 0
    while i < n:
        i += "one"
        yield i
"""),
}
HEAD2 = HEAD + """
@struct
class Point:
    x: u32

def helper(n: u32) -> u32:
    return n
"""


@pytest.mark.parametrize("name", UNUSED)
def test_nothing_uses_it_and_it_is_said_all_the_same(name):
    said, source = UNUSED[name]
    code, place = said.split()
    line, column = map(int, place.split(":"))
    assert codes(HEAD2 + source) == [f"{code} {HEAD2.count(chr(10)) + line}:{column}"]


def test_what_depends_on_a_type_variable_is_left_to_the_instances():
    assert codes(HEAD2 + """
@struct
class Box(Generic[T, N, F]):
    items: Array[T, N]
    count: u64
    def push(self, item: Ptr[T]) -> bool:
        if self.count == N:
            return False
        link = field(item, F)
        link.next = item.next + 1
        self.items[self.count] = item.value
        for each in self.items:
            each.touch(None)
        total = T(3) + T.MAX
        for i in range(N):
            total += self.items[i].cost(1, "two")
        match item.kind:
            case 1:
                return total
            case _:
                pass
        return total > N

def pick(c: bool, a: T, b: T) -> T:
    x = a if c else b
    y: T = x
    return helper2(y, 1)

def helper2(a: T, n: u32) -> T:
    return a[n:].more
""") == []


def test_an_error_in_every_instance_is_reported_once():
    found = diagnostics(HEAD2 + """
def f(a: T, n: u32) -> bool:
    return n < "x"

def g(a: T) -> bool:
    return a < "x"

def use() -> bool:
    return f(u32(1), 2) or f(True, 2) or g(u32(3)) or g(u64(3))
""")
    assert [d.code for d in found] == ["K0316", "K0316"]
    assert [text for text, _ in found[0].notes] == []
    assert [text for text, _ in found[1].notes] == ["required by `g[u32]`"]
