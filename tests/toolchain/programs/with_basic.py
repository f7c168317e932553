# SPDX-License-Identifier: BSD-3-Clause
"""with: __enter__ before, __exit__ on every way out.

# run: falls() == 123
# run: returns() == 123
# run: breaks() == 1213
# run: raises(1) == 1234
# run: raises(0) == 1235
# run: nested() == 12345
"""
from kpy import Errno, i32, struct, throws, u32

log: u32 = 0


def mark(n: u32) -> None:
    global log
    log = log * 10 + n


@struct
class Lock:
    opening: u32
    closing: u32

    def __enter__(self) -> None:
        mark(self.opening)

    def __exit__(self) -> None:
        mark(self.closing)


lock: Lock = Lock(opening=1, closing=3)


def clear() -> None:
    global log
    log = 0


def falls() -> u32:
    clear()
    with lock:
        mark(2)
    return log


def inner() -> u32:
    with lock:
        mark(2)
        return 0


def returns() -> u32:
    clear()
    inner()
    return log


def breaks() -> u32:
    clear()
    quick = Lock(opening=2, closing=1)
    mark(1)
    while True:
        with quick:
            break
    mark(3)
    return log


@throws
def fails(n: i32) -> None:
    with lock:
        mark(2)
        if n != 0:
            raise Errno(n)


def raises(n: i32) -> u32:
    clear()
    try:
        fails(n)
        mark(5)
    except Errno:
        mark(4)
    return log


def nested() -> u32:
    clear()
    inside = Lock(opening=2, closing=3)
    outside = Lock(opening=1, closing=5)
    with outside:
        with inside:
            pass
        mark(4)
    return log
