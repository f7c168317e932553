# SPDX-License-Identifier: BSD-3-Clause
"""try, except, else and finally on every way out.

# run: trace(0) == 134
# run: trace(1) == 124
# run: returns() == 5
# run: log_after_returns() == 9
# run: nested(1) == 12
# run: nested(2) == 23
"""
from kpy import Errno, i32, throws, u32

log: u32 = 0


def mark(n: u32) -> None:
    global log
    log = log * 10 + n


@throws
def fail(n: i32) -> None:
    if n != 0:
        raise Errno(n)


def trace(n: i32) -> u32:
    global log
    log = 0
    try:
        mark(1)
        fail(n)
    except Errno:
        mark(2)
    else:
        mark(3)
    finally:
        mark(4)
    return log


def inner() -> u32:
    try:
        return 5
    finally:
        mark(9)


def returns() -> u32:
    return inner()


def log_after_returns() -> u32:
    global log
    log = 0
    inner()
    return log


def nested(n: i32) -> u32:
    global log
    log = 0
    try:
        try:
            fail(n)
        except Errno as e:
            mark(u32(e.code))
            fail(e.code - 1)
    except Errno:
        mark(3)
    else:
        mark(2)
    return log
