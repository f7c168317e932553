# SPDX-License-Identifier: BSD-3-Clause
"""A free list over a static pool, with alloc that throws.

# run: all() == 4
# run: reuse() == 1
"""
from kpy import Array, Errno, Final, Ptr, struct, throws, u32

ENOMEM: Final = 12


@struct
class Buf:
    next: Ptr["Buf"] | None
    used: bool


pool: Array[Buf, 4]
free: Ptr[Buf] | None = None


def init() -> None:
    global free
    free = None
    for b in pool:
        b.used = False
        b.next = free
        free = b


@throws
def alloc() -> Ptr[Buf]:
    global free
    b = free
    if b is None:
        raise Errno(ENOMEM)
    free = b.next
    b.used = True
    return b


def release_(b: Ptr[Buf]) -> None:
    global free
    b.used = False
    b.next = free
    free = b


def all() -> u32:
    init()
    n: u32 = 0
    try:
        while True:
            b = alloc()
            assert b.used
            n += 1
    except Errno as e:
        assert e.code == ENOMEM
    return n


def reuse() -> u32:
    init()
    try:
        a = alloc()
        release_(a)
        b = alloc()
        return 1 if a == b else 0
    except Errno:
        return 99
