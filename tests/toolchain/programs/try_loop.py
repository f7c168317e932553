# SPDX-License-Identifier: BSD-3-Clause
"""break and continue out of try inside loops run finally.

# run: run(3) == 12
# run: log_of(3) == 1211
"""
from kpy import Errno, throws, u32

log: u32 = 0


@throws
def fail_at(i: u32, n: u32) -> u32:
    if i == n:
        raise Errno(1)
    return i


def run(n: u32) -> u32:
    global log
    log = 0
    total: u32 = 0
    for i in range(6):
        try:
            total += fail_at(u32(i), n)
            if i == 1:
                continue
            if i == 5:
                break
        except Errno:
            total += 0
            log = log * 10 + 2
        finally:
            log += 0
    return total


def log_of(n: u32) -> u32:
    global log
    log = 0
    i: u32 = 0
    while i < 3:
        i += 1
        try:
            fail_at(i, n - 1)
        except Errno:
            log = log * 10 + 2
            continue
        finally:
            log = log * 10 + 1
    return log
