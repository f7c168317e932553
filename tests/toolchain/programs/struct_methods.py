# SPDX-License-Identifier: BSD-3-Clause
"""Methods take self by address; static methods take none.

# run: bump_twice() == 2
# run: total() == 30
# run: made() == 7
# run: prop() == 12
"""
from kpy import Ptr, struct, u32


@struct
class Counter:
    n: u32
    step: u32

    def bump(self) -> None:
        self.n += self.step

    def total(self, other: Ptr["Counter"]) -> u32:
        return self.n + other.n

    @staticmethod
    def twice(n: u32) -> u32:
        return n * 2

    @property
    def double(self) -> u32:
        return self.n * 2


def bump_twice() -> u32:
    c = Counter(step=1)
    c.bump()
    c.bump()
    return c.n


def total() -> u32:
    a = Counter(n=10)
    b = Counter(n=20)
    return a.total(b)


def made() -> u32:
    return Counter.twice(3) + 1


def prop() -> u32:
    c = Counter(n=6)
    return c.double
