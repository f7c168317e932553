# SPDX-License-Identifier: BSD-3-Clause
"""Methods of generic structs that give other instances' values.

# run: both() == 30
"""
from kpy import Generic, TypeVar, struct, u32

T = TypeVar("T")


@struct
class Opt(Generic[T]):
    value: T
    present: bool

    def get_or(self, other: T) -> T:
        return self.value if self.present else other


def both() -> u32:
    a = Opt[u32](value=10, present=True)
    b: Opt[u32]
    return a.get_or(1) + b.get_or(20)
