# SPDX-License-Identifier: BSD-3-Clause
"""Slices of structs: elements are places.

# run: total() == 66
"""
from kpy import Array, Slice, struct, u16, u64


@struct
class Entry:
    key: u16
    value: u64


def bump(es: Slice[Entry]) -> None:
    for e in es:
        e.value += 1


def total() -> u64:
    a: Array[Entry, 3]
    a[0].value = 10
    a[1].value = 20
    a[2].value = 33
    bump(a[:])
    return a[0].value + a[1].value + a[2].value
