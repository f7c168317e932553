# SPDX-License-Identifier: BSD-3-Clause
"""Constant indices and negative constant indices.

# run: ends(b"abc") == (97, 99)
# run: tail(b"abcd") == b"cd"
# trap: ends(b"") INDEX
"""
from kpy import Slice, u8


def ends(s: Slice[u8]) -> tuple[u8, u8]:
    return s[0], s[-1]


def tail(s: Slice[u8]) -> Slice[u8]:
    return s[-2:]
