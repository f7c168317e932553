# SPDX-License-Identifier: BSD-3-Clause
"""Names in generics and generators that nothing uses are checked all the same."""
from __future__ import annotations

from tests.toolchain.diagnose import codes

HEAD = """
from kpy import ConstVar, FieldVar, Generic, Iterator, Ptr, TypeVar, field, inline, struct, u32

T = TypeVar("T")
N = ConstVar("N")
F = FieldVar("F")
"""


def test_unknown_name_in_a_generic_function_nobody_calls():
    assert codes(HEAD + """
def largest(a: T, b: T) -> T:
    return lenght(a)
""") == ["K0202 9:12"]


def test_unknown_name_in_a_generic_class_nobody_names():
    assert codes(HEAD + """
@struct
class Box(Generic[T]):
    item: T
    more: Missing
    def get(self) -> T:
        return self.item if sise > 0 else self.item
""") == ["K0202 11:11", "K0202 13:29"]


def test_unknown_name_in_a_generator_nobody_loops_over():
    assert codes(HEAD + """
@inline
def each(n: u32) -> Iterator[u32]:
    i: u32 = 0
    while i < limit:
        yield i
        i += 1
""") == ["K0202 11:15"]


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
    assert found == ["K0316 9:12"]
