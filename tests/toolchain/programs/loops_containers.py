# SPDX-License-Identifier: BSD-3-Clause
"""A struct with `__iter__` in a `for`: itself, what a call returns, and counted by enumerate.

# run: itself() == 6
# run: returned() == 6
# run: by_method() == 6
# run: counted() == 8
# run: counted_generator() == 24
# run: passed_over() == 13
# run: calls_made() == 1
"""
from kpy import Array, Iterator, Ptr, inline, ref, struct, u32, u64


@struct
class Bag:
    items: Array[u32, 4]
    count: u64

    def add(self, item: u32) -> None:
        self.items[self.count] = item
        self.count += 1

    @inline
    def __iter__(self) -> Iterator[u32]:
        for item in self.items[:self.count]:
            yield item

    @inline
    def doubled(self) -> Iterator[u32]:
        for item in self.items[:self.count]:
            yield item * 2


@struct
class Shelf:
    bags: Array[Bag, 2]

    def bag(self, number: u64) -> Ptr[Bag]:
        return ref(self.bags[number])


shelf: Shelf
calls: u32 = 0


def fill() -> Ptr[Bag]:
    global calls
    calls += 1
    bag = shelf.bag(1)
    bag.count = 0
    bag.add(1)
    bag.add(2)
    bag.add(3)
    return bag


def itself() -> u32:
    bag = fill()
    total: u32 = 0
    for item in bag:
        total += item
    return total


def returned() -> u32:
    total: u32 = 0
    for item in fill():
        total += item
    return total


def by_method() -> u32:
    fill()
    total: u32 = 0
    for item in shelf.bag(1):
        total += item
    return total


def counted() -> u64:
    total: u64 = 0
    for place, item in enumerate(fill()):
        total += place * item
    return total


def counted_generator() -> u64:
    bag = fill()
    bag.add(1)
    total: u64 = 0
    for place, item in enumerate(bag.doubled()):
        total += place * (item + 1 - 1)
        place += 100
    return total + 2


def passed_over() -> u64:
    total: u64 = 0
    for place, item in enumerate(fill()):
        if item == 2:
            continue
        total += place * 5 + item - 1
    else:
        total += 1
    return total


def calls_made() -> u32:
    global calls
    calls = 0
    for _ in fill():
        pass
    return calls
