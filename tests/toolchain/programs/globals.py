# SPDX-License-Identifier: BSD-3-Clause
"""Globals: zero or constant initial values, assigned after `global`.

# run: bump() == 1
# run: twice() == 3
# run: table() == 30
# run: struct_global() == 12
# run: text() == b"hi"
"""
from kpy import Array, Str, struct, u32


@struct
class State:
    a: u32
    b: u32


count: u32 = 0
step: u32 = 3
numbers: Array[u32, 3] = [10, 20, 30]
state: State = State(a=5, b=7)
greeting: Str = "hi"


def bump() -> u32:
    global count
    count += 1
    return count


def twice() -> u32:
    return step


def table() -> u32:
    return numbers[2]


def struct_global() -> u32:
    return state.a + state.b


def text() -> Str:
    return greeting
