# SPDX-License-Identifier: BSD-3-Clause
"""A @throws function that gives a tuple.

# run: good() == 34
# raises: pair(0) 9
"""
from kpy import Errno, throws, u32, u64


@throws
def pair(n: u32) -> tuple[u32, u64]:
    if n == 0:
        raise Errno(9)
    return n, n + 1


def good() -> u64:
    try:
        a, b = pair(3)
        return a * 10 + b
    except Errno:
        return 0
