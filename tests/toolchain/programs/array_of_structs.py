# SPDX-License-Identifier: BSD-3-Clause
"""Elements of arrays of structs are places: no copy on access.

# run: mutate() == 3
# run: pointer() == 8
# run: loop() == 15
"""
from kpy import Array, ref, struct, u32


@struct
class Item:
    n: u32
    m: u32


def mutate() -> u32:
    a: Array[Item, 4]
    a[1].n = 1
    a[1].n += 2
    return a[1].n


def pointer() -> u32:
    a: Array[Item, 4]
    p = ref(a[2])
    p.m = 8
    return a[2].m


def loop() -> u32:
    a: Array[Item, 5]
    for i, item in enumerate(a):
        item.n = u32(i) + 1
    s: u32 = 0
    for item in a:
        s += item.n
    return s
