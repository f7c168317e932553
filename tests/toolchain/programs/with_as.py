# SPDX-License-Identifier: BSD-3-Clause
"""with ... as: what __enter__ gives.

# run: bound() == 47
# run: several() == 1234
"""
from kpy import struct, u32

log: u32 = 0


@struct
class Guard:
    n: u32

    def __enter__(self) -> u32:
        global log
        log = log * 10 + self.n
        return self.n * 10 + 2

    def __exit__(self) -> None:
        global log
        log = log * 10 + 5 - self.n


def bound() -> u32:
    g = Guard(n=4)
    with g as x:
        return x + 5


def several() -> u32:
    global log
    log = 0
    a = Guard(n=1)
    b = Guard(n=2)
    with a, b:
        pass
    return log
