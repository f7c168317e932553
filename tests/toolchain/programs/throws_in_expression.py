# SPDX-License-Identifier: BSD-3-Clause
"""An error in the middle of an expression: what came before has happened, the rest has not.

# run: order(2) == 12
# run: order(9) == 123
# run: arguments(0) == 1
"""
from kpy import Errno, throws, u32

log: u32 = 0


@throws
def step(n: u32, bad: u32) -> u32:
    global log
    log = log * 10 + n
    if n == bad:
        raise Errno(1)
    return n


def order(bad: u32) -> u32:
    global log
    log = 0
    try:
        x = step(1, bad) + step(2, bad) + step(3, bad)
        assert x == 6
    except Errno:
        return log
    return log


def use(a: u32, b: u32) -> u32:
    return a + b


def arguments(bad: u32) -> u32:
    global log
    log = 0
    try:
        use(step(1, 1), step(2, bad))
    except Errno:
        return log
    return 99
