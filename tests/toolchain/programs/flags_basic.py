# SPDX-License-Identifier: BSD-3-Clause
"""Flags combine with | & ^ ~ and are asked with `in`.

# run: build() == 5
# run: has(5) == True
# run: has(2) == False
# run: drop(7) == 5
# run: toggled(1) == 3
# run: none(0) == True
# run: constant(4) == False
# run: constant(2) == True
"""
from typing import Final

from kpy import flags, u32


@flags(u32)
class Mode:
    READ = 1
    WRITE = 2
    EXEC = 4


BOTH: Final[Mode] = Mode.READ | Mode.WRITE
OTHERS: Final[Mode] = ~BOTH & Mode.EXEC


def constant(n: u32) -> bool:
    return Mode(n) in BOTH and OTHERS == Mode.EXEC


def build() -> u32:
    m = Mode.READ | Mode.EXEC
    return u32(m)


def has(n: u32) -> bool:
    return Mode.READ in Mode(n)


def drop(n: u32) -> u32:
    m = Mode(n)
    m &= ~Mode.WRITE
    return u32(m)


def toggled(n: u32) -> u32:
    return u32(Mode(n) ^ Mode.WRITE)


def none(n: u32) -> bool:
    return Mode(n) == Mode(0)
