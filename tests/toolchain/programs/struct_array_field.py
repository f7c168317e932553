# SPDX-License-Identifier: BSD-3-Clause
"""Arrays in structs and structs in arrays.

# run: fill() == 10
# run: table() == 203
# trap: outside(4) INDEX 4 4
"""
from kpy import Array, struct, u8, u16, u32, u64


@struct
class Row:
    cells: Array[u16, 4]
    used: u8


rows: Array[Row, 3]


def fill() -> u32:
    r: Row
    for i in range(4):
        r.cells[i] = u16(i + 1)
    s: u32 = 0
    for c in r.cells:
        s += c
    return s


def table() -> u32:
    rows[2].cells[1] = 200
    rows[2].used = 3
    rows[1].used = 99
    return rows[2].cells[1] + rows[2].used + rows[0].used


def outside(i: u64) -> u16:
    r: Row
    return r.cells[i]
