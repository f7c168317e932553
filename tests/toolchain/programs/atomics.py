# SPDX-License-Identifier: BSD-3-Clause
"""Atomic[T]: touched by methods only.

# run: counter() == (0, 1, 6)
# run: swaps() == (3, 9)
# run: cas() == (True, False, 5)
# run: bits() == (15, 12)
# run: wraps() == 0
# run: pointer() == 7
# run: through_a_pointer() == 12
"""
from kpy import Atomic, Ptr, ref, relaxed, release, struct, u8, u32


@struct
class Lock:
    word: Atomic[u32]
    n: u32


@struct
class Holder:
    owner: Atomic[Ptr[Lock] | None]


def counter() -> tuple[u32, u32, u32]:
    k: Lock
    a = k.word.load()
    k.word.store(1)
    b = k.word.load(order=relaxed)
    k.word.add(5)
    return a, b, k.word.load_acquire()


def swaps() -> tuple[u32, u32]:
    k: Lock
    k.word.store(3, order=release)
    old = k.word.swap(9)
    return old, k.word.load()


def cas() -> tuple[bool, bool, u32]:
    k: Lock
    a = k.word.cas(0, 5)
    b = k.word.cas_acquire(0, 6)
    return a, b, k.word.load()


def bits() -> tuple[u32, u32]:
    k: Lock
    k.word.or_(15)
    old = k.word.and_(12)
    return old, k.word.load()


def _count(k: Ptr[Atomic[u32]], by: u32) -> None:
    k.add_relaxed(by)


def through_a_pointer() -> u32:
    k: Lock
    _count(ref(k.word), 5)
    _count(ref(k.word), 7)
    return k.word.load()


def wraps() -> u8:
    a: Atomic[u8]
    a.store(255)
    a.add(1)
    return a.load()


def pointer() -> u32:
    k = Lock(n=7)
    h: Holder
    if h.owner.cas(None, k):
        p = h.owner.load()
        if p is not None:
            return p.n
    return 0
