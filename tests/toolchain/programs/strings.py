# SPDX-License-Identifier: BSD-3-Clause
"""Strings: text is bytes; literals are constants.

# run: length() == 5
# run: utf8() == 2
# run: char("hello", 1) == 101
# run: raw() == 3
# run: is_digit("7") == True
# run: is_digit("x") == False
# run: parse("1234") == 1234
# run: parse("") == 0
# run: count("banana", "a") == 3
"""
from kpy import Str, u8, u32, u64


def length() -> u64:
    return len("hello")


def utf8() -> u64:
    return len("é")


def char(s: Str, i: u64) -> u8:
    return s[i]


def raw() -> u8:
    b = b"\x01\x02\x03"
    return b[2]


def is_digit(s: Str) -> bool:
    return ord("0") <= s[0] <= ord("9")


def parse(s: Str) -> u32:
    n: u32 = 0
    for c in s:
        n = n * 10 + (c - ord("0"))
    return n


def count(s: Str, what: Str) -> u32:
    n: u32 = 0
    for c in s:
        if c == what[0]:
            n += 1
    return n
