# SPDX-License-Identifier: BSD-3-Clause
"""while, break, continue, else, nested.

# run: collatz(27) == 111
# run: skip() == 25
# run: search(7) == 7
# run: search(50) == 100
# run: nested() == 6
# run: forever() == 10
"""
from kpy import u32, u64


def collatz(n: u64) -> u32:
    steps: u32 = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def skip() -> u32:
    s: u32 = 0
    i: u32 = 0
    while i < 10:
        i += 1
        if i % 2 == 0:
            continue
        s += i
    return s


def search(x: u32) -> u32:
    i: u32 = 0
    while i < 10:
        if i == x:
            break
        i += 1
    else:
        return 100
    return i


def nested() -> u32:
    n: u32 = 0
    for i in range(3):
        for j in range(10):
            if j == 2:
                break
            n += 1
    return n


def forever() -> u32:
    n: u32 = 0
    while True:
        n += 1
        if n == 10:
            return n
