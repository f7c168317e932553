# SPDX-License-Identifier: BSD-3-Clause
"""`in` looks into ranges, slices and flags.

# run: found(b"hello", 108) == True
# run: found(b"hello", 122) == False
# run: vowel(101) == True
"""
from kpy import Slice, u8


def found(s: Slice[u8], c: u8) -> bool:
    for x in s:
        if x == c:
            return True
    return False


def vowel(c: u8) -> bool:
    return found("aeiou", c)
