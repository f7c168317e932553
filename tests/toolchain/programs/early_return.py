# SPDX-License-Identifier: BSD-3-Clause
"""Returns in every position.

# run: sign(-5) == -1
# run: sign(0) == 0
# run: sign(9) == 1
# run: deep(3) == 3
# run: deep(100) == 99
"""
from kpy import i32, u32


def sign(n: i32) -> i32:
    if n < 0:
        return -1
    elif n == 0:
        return 0
    else:
        return 1


def deep(n: u32) -> u32:
    for i in range(10):
        for j in range(10):
            if i * 10 + j == n:
                return n
    return 99
