# SPDX-License-Identifier: BSD-3-Clause
"""Operands of and/or are evaluated left to right, and only as far as needed.

# run: order(True) == 12
# run: order(False) == 1
# run: any_(False, True) == 12
"""
from kpy import u32

log: u32 = 0


def mark(n: u32, result: bool) -> bool:
    global log
    log = log * 10 + n
    return result


def order(first: bool) -> u32:
    global log
    log = 0
    if mark(1, first) and mark(2, True):
        return log
    return log


def any_(a: bool, b: bool) -> u32:
    global log
    log = 0
    if mark(1, a) or mark(2, b) or mark(3, True):
        return log
    return 0
