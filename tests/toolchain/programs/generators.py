# SPDX-License-Identifier: BSD-3-Clause
"""@inline generators are expanded into the loop that uses them.

# run: evens(10) == 20
# run: stop_early() == 3
# run: pairs() == 30
# run: in_loop() == 9
"""
from kpy import Array, Iterator, Slice, inline, u32, u64


@inline
def even(n: u32) -> Iterator[u32]:
    i: u32 = 0
    while i < n:
        yield i
        i += 2


def evens(n: u32) -> u32:
    s: u32 = 0
    for x in even(n):
        s += x
    return s


def stop_early() -> u32:
    n: u32 = 0
    for x in even(1000):
        if x == 6:
            break
        if x == 2:
            n += 1
            continue
        n += 1
    return n


@inline
def both(s: Slice[u32]) -> Iterator[tuple[u64, u32]]:
    for i, x in enumerate(s):
        yield i, x * 10


def pairs() -> u64:
    a: Array[u32, 3] = [0, 0, 1]
    t: u64 = 0
    for i, x in both(a[:]):
        t += i * 10 + x - i * 10 + i * x
    return t


def in_loop() -> u32:
    n: u32 = 0
    for i in range(3):
        for x in even(6):
            n += 1
    return n
