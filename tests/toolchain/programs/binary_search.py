# SPDX-License-Identifier: BSD-3-Clause
"""Binary search, with the classic overflow put right.

# run: find([1, 3, 5, 7, 9], 7) == 3
# run: find([1, 3, 5, 7, 9], 4) == -1
# run: find([], 4) == -1
"""
from kpy import Slice, i64, u32, u64


def find(s: Slice[u32], x: u32) -> i64:
    lo: u64 = 0
    hi = len(s)
    while lo < hi:
        mid = lo + (hi - lo) // 2
        if s[mid] == x:
            return i64(mid)
        if s[mid] < x:
            lo = mid + 1
        else:
            hi = mid
    return -1
