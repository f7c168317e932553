# SPDX-License-Identifier: BSD-3-Clause
"""Recursion a thousand calls deep, as a kernel should not do.

# run: down(1000) == 500500
# run: even(301) == False
"""
from kpy import recursive, u32


@recursive(1024)
def down(n: u32) -> u32:
    return 0 if n == 0 else n + down(n - 1)


@recursive(512)
def even(n: u32) -> bool:
    return True if n == 0 else odd(n - 1)


@recursive(512)
def odd(n: u32) -> bool:
    return False if n == 0 else even(n - 1)
