# SPDX-License-Identifier: BSD-3-Clause
"""Intrusive doubly linked lists: each element brings its own link, nothing is allocated.

    @struct
    class Thread:
        runq_link: queue.Link["Thread"]

    tdrunq: queue.TailQueue[Thread, "runq_link"]

Invariants
  Q1  first is None exactly if last is.
  Q2  For neighbours a, b in a queue: a.next is b and b.prev is a; the ends have None.
  Q3  An element is in at most one queue for each of its links; the caller knows whether it is.
Tests     tests/unit/lib/test_queue.py
Source    sys/queue.h of the BSDs (TAILQ), for the operations
"""
from kpy import FieldVar, Generic, Iterator, Ptr, TypeVar, field, inline, struct

T = TypeVar("T")
F = FieldVar("F")


@struct
class Link(Generic[T]):
    """What an element carries for each queue that it may be in."""
    next: Ptr[T] | None
    prev: Ptr[T] | None


@struct
class TailQueue(Generic[T, F]):
    """Insert and remove anywhere in constant time; iterate from the front."""
    first: Ptr[T] | None
    last: Ptr[T] | None

    @inline
    def empty(self) -> bool:
        return self.first is None

    def push_back(self, item: Ptr[T]) -> None:
        tail = self.last
        field(item, F).next = None
        field(item, F).prev = tail
        if tail is None:
            self.first = item
        else:
            field(tail, F).next = item
        self.last = item

    def push_front(self, item: Ptr[T]) -> None:
        head = self.first
        field(item, F).prev = None
        field(item, F).next = head
        if head is None:
            self.last = item
        else:
            field(head, F).prev = item
        self.first = item

    def insert_before(self, place: Ptr[T], item: Ptr[T]) -> None:
        """Put `item` before `place`, which is in this queue."""
        before = field(place, F).prev
        field(item, F).prev = before
        field(item, F).next = place
        field(place, F).prev = item
        if before is None:
            self.first = item
        else:
            field(before, F).next = item

    def remove(self, item: Ptr[T]) -> None:
        """Take out `item`, which is in this queue."""
        before = field(item, F).prev
        after = field(item, F).next
        if before is None:
            self.first = after
        else:
            field(before, F).next = after
        if after is None:
            self.last = before
        else:
            field(after, F).prev = before

    def pop_front(self) -> Ptr[T] | None:
        """Take out the first element; None of an empty queue."""
        item = self.first
        if item is not None:
            self.remove(item)
        return item

    @inline
    def __iter__(self) -> Iterator[Ptr[T]]:
        """From the front.  The current element may be removed on the way, no other."""
        item = self.first
        while item is not None:
            following = field(item, F).next
            yield item
            item = following
