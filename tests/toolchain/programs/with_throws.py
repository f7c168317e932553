# SPDX-License-Identifier: BSD-3-Clause
"""A call that throws inside with inside try: release happens before the handler.

# run: order() == 1324
# run: enter_fails() == 4
"""
from kpy import Errno, Ptr, struct, throws, u32

log: u32 = 0


def mark(n: u32) -> None:
    global log
    log = log * 10 + n


@struct
class Token:
    n: u32

    def __enter__(self) -> None:
        mark(1)

    def __exit__(self) -> None:
        mark(2)


@throws
def fail() -> u32:
    mark(3)
    raise Errno(5)


def order() -> u32:
    global log
    log = 0
    t: Token
    try:
        with t:
            x = fail()
            mark(x)
    except Errno:
        mark(4)
    return log


@throws
def get() -> Ptr[Token]:
    raise Errno(7)


def enter_fails() -> u32:
    global log
    log = 0
    try:
        with get():
            mark(9)
    except Errno:
        mark(4)
    return log
