# SPDX-License-Identifier: BSD-3-Clause
"""assert stops with its text, and with a message if it has one.

# run: positive(3) == 3
# trap: positive(0) ASSERT "n must not be 0, is 0 (n = 0)"
# run: plain(2) == 2
# trap: plain(300) ASSERT "(n = 300)" at `assert n < 256`
"""
from kpy import u32


def positive(n: u32) -> u32:
    assert n != 0, f"n must not be 0, is {n}"
    return n


def plain(n: u32) -> u32:
    assert n < 256
    return n
