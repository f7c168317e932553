# SPDX-License-Identifier: BSD-3-Clause
"""Generics over a field's name: an intrusive list.

# run: two_lists() == (321, 13)
# run: empty() == 0
"""
from kpy import Array, FieldVar, Generic, Iterator, Ptr, TypeVar, field, inline, struct, u32

T = TypeVar("T")
F = FieldVar("F")


@struct
class Link(Generic[T]):
    next: Ptr[T] | None


@struct
class List(Generic[T, F]):
    first: Ptr[T] | None

    def push(self, p: Ptr[T]) -> None:
        field(p, F).next = self.first
        self.first = p

    @inline
    def __iter__(self) -> Iterator[Ptr[T]]:
        p = self.first
        while p is not None:
            yield p
            p = field(p, F).next


@struct
class Thread:
    id: u32
    runq: Link["Thread"]
    allq: Link["Thread"]


def two_lists() -> tuple[u32, u32]:
    threads: Array[Thread, 3]
    run: List[Thread, "runq"]
    every: List[Thread, "allq"]
    for i in range(3):
        threads[i].id = u32(i) + 1
        run.push(threads[i])
    every.push(threads[2])
    every.push(threads[0])
    n: u32 = 0
    for t in run:
        n = n * 10 + t.id
    m: u32 = 0
    for t in every:
        m = m * 10 + t.id
    return n, m


def empty() -> u32:
    run: List[Thread, "runq"]
    n: u32 = 0
    for t in run:
        n += t.id
    return n
