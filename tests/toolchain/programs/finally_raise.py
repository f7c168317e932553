# SPDX-License-Identifier: BSD-3-Clause
"""A raise through several finally clauses runs each of them once.

# run: run() == 1239
"""
from kpy import Errno, throws, u32

log: u32 = 0


def mark(n: u32) -> None:
    global log
    log = log * 10 + n


@throws
def deep() -> None:
    try:
        try:
            mark(1)
            raise Errno(9)
        finally:
            mark(2)
    finally:
        mark(3)


def run() -> u32:
    global log
    log = 0
    try:
        deep()
    except Errno as e:
        mark(u32(e.code))
    return log
