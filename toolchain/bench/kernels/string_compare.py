# SPDX-License-Identifier: BSD-3-Clause
"""Path components compared a byte at a time with a directory of names."""
from kpy import Array, Final, Slice, i64, struct, trunc, u8, u64, wrapping

NAMES: Final = 256


@struct
class Name:
    length: u64
    text: Array[u8, 48]


names: Array[Name, NAMES]


def setup() -> None:
    x: u64 = 1
    for i in range(NAMES):
        x = wrapping(x * 6364136223846793005 + 1442695040888963407)
        length = 20 + (x >> 60)
        names[i].length = length
        for k in range(length):
            names[i].text[k] = trunc(u8, 97 + ((i >> (k % 3)) & 7) * (k // 17))


def compare(a: Slice[u8], b: Slice[u8]) -> i64:
    n = min(len(a), len(b))
    for i in range(n):
        if a[i] != b[i]:
            return i64(a[i]) - i64(b[i])
    return trunc(i64, len(a)) - trunc(i64, len(b))


def run(rounds: u64) -> u64:
    total: u64 = 0
    for _ in range(rounds):
        for i in range(NAMES):
            wanted = names[i].text[:names[i].length]
            for k in range(0, NAMES, 3):
                order = compare(wanted, names[k].text[:names[k].length])
                if order == 0:
                    total = wrapping(total * 3 + k)
                elif order < 0:
                    total = wrapping(total + 1)
    return total
