# SPDX-License-Identifier: BSD-3-Clause
"""Slices: an address and a length, checked at every index.

# run: total(b"abc") == 294
# run: total(b"") == 0
# run: first(b"xyz") == 120
# trap: first(b"") INDEX 0 0
# run: middle(b"hello") == b"ell"
# run: head(b"hello", 2) == b"he"
# run: tail(b"hello", 2) == b"llo"
# trap: head(b"hello", 6) SLICE 0 6 at `s[:n]`
# trap: tail(b"hello", 6) SLICE
# run: tail(b"hello", 5) == b""
# trap: part(b"hello", 3, 2) SLICE 3 2
# run: part(b"hello", 3, 3) == b""
"""
from kpy import Slice, u8, u32, u64


def total(s: Slice[u8]) -> u32:
    t: u32 = 0
    for c in s:
        t += c
    return t


def first(s: Slice[u8]) -> u8:
    return s[0]


def middle(s: Slice[u8]) -> Slice[u8]:
    return s[1:4]


def head(s: Slice[u8], n: u64) -> Slice[u8]:
    return s[:n]


def tail(s: Slice[u8], n: u64) -> Slice[u8]:
    return s[n:]


def part(s: Slice[u8], lo: u64, hi: u64) -> Slice[u8]:
    return s[lo:hi]
