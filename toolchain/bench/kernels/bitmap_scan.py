# SPDX-License-Identifier: BSD-3-Clause
"""A bitmap of free blocks: find the first zero from a hint, set it, clear it again later."""
from kpy import Array, Final, Slice, ctz, u64, wrapping

WORDS: Final = 1024
NONE: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF

words: Array[u64, WORDS]


def setup() -> None:
    for i in range(WORDS):
        words[i] = 0xFFFF_FFFF_FFFF_FFFF if i % 7 != 0 else 0xFFFF_0FFF_FFFF_FFFF


def find_zero(w: Slice[u64], start: u64) -> u64:
    for i in range(start // 64, len(w)):
        if w[i] != 0xFFFF_FFFF_FFFF_FFFF:
            return i * 64 + ctz(~w[i])
    return NONE


def set_bit(w: Slice[u64], at: u64) -> None:
    one: u64 = 1
    w[at // 64] |= one << (at % 64)


def clear_bit(w: Slice[u64], at: u64) -> None:
    one: u64 = 1
    w[at // 64] &= ~(one << (at % 64))


def run(rounds: u64) -> u64:
    total: u64 = 0
    w = words[:]
    for n in range(rounds):
        hint: u64 = 0
        while True:
            at = find_zero(w, hint)
            if at == NONE:
                break
            set_bit(w, at)
            total = wrapping(total + at)
            hint = at
        for i in range(0, WORDS, 7):
            for b in range(44, 48):
                clear_bit(w, i * 64 + b)
    return total
