# SPDX-License-Identifier: BSD-3-Clause
"""match on integers: values, alternatives, guards, default.

# run: name(0) == 100
# run: name(1) == 101
# run: name(3) == 102
# run: name(9) == 200
# run: guard(4) == 1
# run: guard(5) == 2
# run: bound(7) == 8
# run: bound(-7) == 1
"""
from kpy import Final, i32, u32

SPECIAL: Final = 9


def name(n: u32) -> u32:
    match n:
        case 0:
            return 100
        case 1:
            return 101
        case 2 | 3 | 4:
            return 102
        case _:
            return 103 if n != SPECIAL else 200


def guard(n: u32) -> u32:
    match n:
        case 4 if n > 3:
            return 1
        case _:
            return 2


def bound(n: i32) -> i32:
    match n:
        case -7:
            return 1
        case x:
            return x + 1
