# SPDX-License-Identifier: BSD-3-Clause
"""Lists in @comptime functions are Python's: `*=` changes the list that another name has too.

# run: seen(0) == 8
# run: seen(3) == 2
# run: total() == 1093
"""
from kpy import Array, Final, comptime, u32, u64


@comptime
def doubled() -> Array[u32, 4]:
    items = [1, 2]
    same = items
    items *= 2
    same[0] <<= 3
    return same


@comptime
def powers(base: int, count: int) -> int:
    return sum(base ** n for n in range(count))


ITEMS: Final[Array[u32, 4]] = doubled()
SUM: Final = powers(3, 7)


def seen(i: u64) -> u32:
    return ITEMS[i]


def total() -> u64:
    return SUM
