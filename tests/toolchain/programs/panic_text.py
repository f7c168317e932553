# SPDX-License-Identifier: BSD-3-Clause
"""panic does not return.

# run: give(1) == 10
# trap: give(2) PANIC "no 2 here"
"""
from kpy import panic, u32


def give(n: u32) -> u32:
    if n == 1:
        return 10
    panic(f"no {n} here")
