# SPDX-License-Identifier: BSD-3-Clause
"""Taking command lines apart: words and numbers.

Tests     tests/unit/lib/test_words.py
"""
from typing import Final

from kpy import Slice, add_carry, mul_overflow, u8, u64

SPACE: Final = 32
ZERO: Final = 48
NINE: Final = 57
LOWER_A: Final = 97
LOWER_F: Final = 102


def split(line: Slice[u8]) -> tuple[Slice[u8], Slice[u8]]:
    """The first word of a line, and what follows it; both empty where there is none."""
    start: u64 = 0
    while start < len(line) and line[start] == SPACE:
        start += 1
    end = start
    while end < len(line) and line[end] != SPACE:
        end += 1
    rest = end
    while rest < len(line) and line[rest] == SPACE:
        rest += 1
    return line[start:end], line[rest:]


def number(word: Slice[u8]) -> tuple[u64, bool]:
    """The number at the start of `word`, decimal or 0x...; False if it is none or too large."""
    text, _ = split(word)
    base: u64 = 10
    if len(text) > 2 and text[0] == ZERO and text[1] == 120:
        base = 16
        text = text[2:]
    value: u64 = 0
    for c in text:
        digit = _digit(c)
        scaled, lost = mul_overflow(value, base)
        total, carry = add_carry(scaled, digit)
        if digit >= base or lost or carry:
            return 0, False
        value = total
    return value, len(text) != 0


def value_of(line: Slice[u8], key: Slice[u8]) -> Slice[u8]:
    """What follows `key=` among the words of `line`; empty if it is not there."""
    word, rest = split(line)
    while len(word) != 0:
        if len(word) > len(key) and word[:len(key)] == key and word[len(key)] == 61:
            return word[len(key) + 1:]
        word, rest = split(rest)
    return word


def _digit(c: u8) -> u64:
    """The value of a digit; 255 if it is none."""
    if ZERO <= c <= NINE:
        return c - ZERO
    if LOWER_A <= c <= LOWER_F:
        return c - LOWER_A + 10
    return 255
