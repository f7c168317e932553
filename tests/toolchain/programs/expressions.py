# SPDX-License-Identifier: BSD-3-Clause
"""Evaluation order, nesting, conditional expressions, walrus.

# run: order() == 123
# run: nested(3) == 30
# run: cond(5) == 1
# run: walrus(20) == 20
# run: precedence() == 27
"""
from kpy import u32

log: u32 = 0


def mark(n: u32) -> u32:
    global log
    log = log * 10 + n
    return n


def order() -> u32:
    global log
    log = 0
    x = mark(1) * mark(2) + mark(3)
    return log if x == 5 else 0


def nested(n: u32) -> u32:
    return ((n + 2) * 2 - 4) * (n + (n - 1)) if n > 2 else 0


def cond(n: u32) -> u32:
    return 0 if n < 3 else 1 if n < 10 else 2


def walrus(n: u32) -> u32:
    if (m := n // 2) > 5:
        return m * 2
    return m


def precedence() -> u32:
    a: u32 = 2
    return a + 3 * 4 + (a << 2) + 5 if a == 2 and not a > 3 else 0
