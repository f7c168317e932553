# SPDX-License-Identifier: BSD-3-Clause
"""Text in fixed storage: taking command lines apart, writing numbers.

Tests     tests/unit/lib/test_words.py
"""
from typing import Final

from kpy import Slice, add_carry, i32, mul_overflow, u8, u64

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


def until_zero(text: Slice[u8]) -> Slice[u8]:
    """Text in an array that is filled up with zeros: what stands before the first one."""
    for i, c in enumerate(text):
        if c == 0:
            return text[:i]
    return text


def compare(left: Slice[u8], right: Slice[u8]) -> i32:
    """Byte by byte, as memcmp(): below, at or above 0; a prefix comes first."""
    for i in range(min(len(left), len(right))):
        if left[i] != right[i]:
            return -1 if left[i] < right[i] else 1
    if len(left) == len(right):
        return 0
    return -1 if len(left) < len(right) else 1


def write_number(to: Slice[u8], value: u64) -> u64:
    """Write `value` in decimal at the start of `to`, and zeros behind it.

    Returns  the number of digits.
    """
    digits: u64 = 1
    rest = value // 10
    while rest != 0:
        digits += 1
        rest //= 10
    to.fill(0)
    rest = value
    for i in range(digits):
        to[digits - 1 - i] = u8(ZERO + rest % 10)
        rest //= 10
    return digits


def write_text(to: Slice[u8], text: Slice[u8]) -> u64:
    """Write `text` at the start of `to`, as much as fits, then zeros; the bytes written."""
    used = min(len(to), len(text))
    to[:used].copy_from(text[:used])
    to[used:].fill(0)
    return used


def _digit(c: u8) -> u64:
    """The value of a digit; 255 if it is none."""
    if ZERO <= c <= NINE:
        return c - ZERO
    if LOWER_A <= c <= LOWER_F:
        return c - LOWER_A + 10
    return 255
