# SPDX-License-Identifier: BSD-3-Clause
"""Function values: stored, passed, called.

# run: apply(0, 5) == 6
# run: apply(1, 5) == 10
# run: twice() == 12
# run: from_table(1) == 20
# trap: from_table(2) INDEX 2 2
"""
from kpy import Array, Fn, u32, u64


def inc(x: u32) -> u32:
    return x + 1


def double(x: u32) -> u32:
    return x * 2


def call(f: Fn[[u32], u32], x: u32) -> u32:
    return f(x)


def apply(which: u32, x: u32) -> u32:
    return call(inc, x) if which == 0 else call(double, x)


def twice() -> u32:
    f: Fn[[u32], u32] = double
    return f(f(3))


TABLE: Array[Fn[[u32], u32], 2] = [inc, double]


def from_table(i: u64) -> u32:
    return TABLE[i](10)
