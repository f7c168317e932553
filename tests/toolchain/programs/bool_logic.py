# SPDX-License-Identifier: BSD-3-Clause
"""bool: and, or, not, short circuit, conversion.

# run: both(True, False) == False
# run: either(True, False) == True
# run: neither(False, False) == True
# run: guarded(0) == False
# run: guarded(3) == True
# run: count(True, True, False) == 2
# run: pick(True) == 10
# run: pick(False) == 20
# run: differs(True, False) == True
"""
from kpy import u32


def both(a: bool, b: bool) -> bool:
    return a and b


def either(a: bool, b: bool) -> bool:
    return a or b


def neither(a: bool, b: bool) -> bool:
    return not (a or b)


def guarded(n: u32) -> bool:
    return n != 0 and 12 // n == 4


def count(a: bool, b: bool, c: bool) -> u32:
    return u32(a) + u32(b) + u32(c)


def pick(a: bool) -> u32:
    return 10 if a else 20


def differs(a: bool, b: bool) -> bool:
    return a != b
