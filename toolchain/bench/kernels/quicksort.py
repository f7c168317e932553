# SPDX-License-Identifier: BSD-3-Clause
"""Quicksort with a stack of its own, insertion sort below sixteen."""
from kpy import Array, Final, Slice, trunc, u32, u64, wrapping

COUNT: Final = 8192
DEPTH: Final = 64

source: Array[u32, COUNT]
work: Array[u32, COUNT]


def setup() -> None:
    x: u64 = 1
    for i in range(COUNT):
        x = wrapping(x * 6364136223846793005 + 1442695040888963407)
        source[i] = trunc(u32, x >> 32)


def insertion(s: Slice[u32]) -> None:
    for i in range(1, len(s)):
        x = s[i]
        j = i
        while j > 0 and s[j - 1] > x:
            s[j] = s[j - 1]
            j -= 1
        s[j] = x


def sort(s: Slice[u32]) -> None:
    low: Array[u64, DEPTH]
    high: Array[u64, DEPTH]
    top: u64 = 1
    high[0] = len(s)
    while top != 0:
        top -= 1
        lo = low[top]
        hi = high[top]
        while hi - lo > 16:
            pivot = s[lo + (hi - lo) // 2]
            i = lo
            j = hi - 1
            while True:
                while s[i] < pivot:
                    i += 1
                while s[j] > pivot:
                    j -= 1
                if i >= j:
                    break
                x = s[i]
                s[i] = s[j]
                s[j] = x
                i += 1
                j -= 1
            low[top] = j + 1
            high[top] = hi
            top += 1
            hi = j + 1
        insertion(s[lo:hi])


def run(rounds: u64) -> u64:
    total: u64 = 0
    for _ in range(rounds):
        for i in range(COUNT):
            work[i] = source[i]
        sort(work[:])
        for i in range(1, COUNT):
            assert work[i - 1] <= work[i]
        total = wrapping(total * 31 + work[COUNT // 3])
    return total
