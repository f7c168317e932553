# SPDX-License-Identifier: BSD-3-Clause
"""A struct of functions: an operations table, as drivers give.

# run: run(0) == 105
# run: run(1) == 95
# run: constant() == 42
"""
from kpy import Fn, Ptr, struct, u32


@struct
class Ops:
    apply: Fn[[Ptr["Device"], u32], u32]
    reset: Fn[[Ptr["Device"]], None]


@struct
class Device:
    ops: Ptr[Ops]
    base: u32


def add(d: Ptr[Device], n: u32) -> u32:
    return d.base + n


def sub(d: Ptr[Device], n: u32) -> u32:
    return d.base - n


def reset(d: Ptr[Device]) -> None:
    d.base = 100


adder: Ops = Ops(apply=add, reset=reset)
subber: Ops = Ops(apply=sub, reset=reset)


def run(which: u32) -> u32:
    d = Device(ops=adder)
    if which == 1:
        d.ops = subber
    d.ops.reset(d)
    return d.ops.apply(d, 5)


def constant() -> u32:
    d = Device(ops=adder, base=40)
    return adder.apply(d, 2)
