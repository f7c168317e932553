# SPDX-License-Identifier: BSD-3-Clause
"""Generic instances inside generic instances.

# run: nested() == 15
"""
from kpy import Array, ConstVar, Generic, TypeVar, struct, u32, u64

T = TypeVar("T")
N = ConstVar("N")


@struct
class Vec(Generic[T, N]):
    items: Array[T, N]

    def at(self, i: u64) -> T:
        return self.items[i]


@struct
class Grid(Generic[N]):
    rows: Array[Vec[u32, N], N]

    def total(self) -> u32:
        s: u32 = 0
        for i in range(N):
            for j in range(N):
                s += self.rows[i].at(j)
        return s


def nested() -> u32:
    g: Grid[3]
    g.rows[0].items[0] = 7
    g.rows[2].items[2] = 8
    return g.total()
