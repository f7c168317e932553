# SPDX-License-Identifier: BSD-3-Clause
"""Slices and strings compare by content.

# run: same(b"abc", b"abc") == True
# run: same(b"abc", b"abd") == False
# run: same(b"abc", b"ab") == False
# run: same(b"", b"") == True
# run: differs(b"a", b"b") == True
# run: is_root("/") == True
# run: is_root("/x") == False
"""
from kpy import Slice, Str, u8


def same(a: Slice[u8], b: Slice[u8]) -> bool:
    return a == b


def differs(a: Slice[u8], b: Slice[u8]) -> bool:
    return a != b


def is_root(s: Str) -> bool:
    return s == "/"
