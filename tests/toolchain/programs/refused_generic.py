# SPDX-License-Identifier: BSD-3-Clause
"""Generic code: what cannot be told or does not fit.

# error: K0306 at `Ring[u32]`
# error: K0308 at `b`
"""
from kpy import Array, ConstVar, Generic, Str, TypeVar, struct, u32

T = TypeVar("T")
N = ConstVar("N")


@struct
class Ring(Generic[T, N]):
    items: Array[T, N]

    def first(self) -> T:
        return self.items[0]


def zero_of(n: u32) -> u32:
    r: Ring[u32]
    return r.first()


def same(a: T, b: T) -> bool:
    return a == b


def differs(a: u32, b: Str) -> bool:
    return same(a, b)
