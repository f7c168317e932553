# SPDX-License-Identifier: BSD-3-Clause
"""MPtr: many, unchecked, in unsafe modules only.

# run: total() == 10
# run: stepping() == 3
# run: difference() == 2
# run: made() == 9
# run: blocks() == 0
"""
from kpy import (
    Array,
    Final,
    MPtr,
    cast,
    i32,
    i64,
    make_slice,
    memcmp,
    memcpy,
    memset,
    ref,
    u8,
    u32,
    u64,
)

UNSAFE: Final = True


def total() -> u32:
    a: Array[u32, 4] = [1, 2, 3, 4]
    p = cast(MPtr[u32], ref(a[0]))
    s: u32 = 0
    for i in range(4):
        s += p[i64(i)]
    return s


def stepping() -> u32:
    a: Array[u32, 4] = [1, 2, 3, 4]
    p = cast(MPtr[u32], ref(a[0]))
    p = p + 2
    return p[0]


def difference() -> i64:
    a: Array[u64, 4]
    p = cast(MPtr[u64], ref(a[1]))
    q = cast(MPtr[u64], ref(a[3]))
    return q - p


def made() -> u32:
    a: Array[u32, 4] = [1, 2, 3, 4]
    s = make_slice(cast(MPtr[u32], ref(a[1])), 3)
    t: u32 = 0
    for x in s:
        t += x
    return t


def blocks() -> i32:
    a: Array[u8, 16]
    b: Array[u8, 16]
    memset(ref(a[0]), 7, 16)
    memcpy(ref(b[0]), ref(a[0]), 16)
    return memcmp(ref(a[0]), ref(b[0]), 16)
