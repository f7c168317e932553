# SPDX-License-Identifier: BSD-3-Clause
"""Insertion sort in place.

# run: sorted_([5, 3, 9, 1, 1]) == 11359
# run: sorted_([]) == 0
"""
from kpy import Slice, u32


def sort(s: Slice[u32]) -> None:
    for i in range(1, len(s)):
        x = s[i]
        j = i
        while j > 0 and s[j - 1] > x:
            s[j] = s[j - 1]
            j -= 1
        s[j] = x


def sorted_(s: Slice[u32]) -> u32:
    sort(s)
    n: u32 = 0
    for x in s:
        n = n * 10 + x
    return n
