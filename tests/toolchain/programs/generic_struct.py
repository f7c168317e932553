# SPDX-License-Identifier: BSD-3-Clause
"""Generic structs over a type and a size.

# run: small() == (3, 1)
# run: wide() == 70000
# run: sizes() == (12, 72)
# trap: overfull() INDEX 2 2
"""
from kpy import Array, ConstVar, Generic, TypeVar, sizeof, struct, u8, u32, u64

T = TypeVar("T")
N = ConstVar("N")


@struct
class Stack(Generic[T, N]):
    items: Array[T, N]
    used: u64

    def push(self, x: T) -> None:
        self.items[self.used] = x
        self.used += 1

    def pop(self) -> T:
        self.used -= 1
        return self.items[self.used]

    def capacity(self) -> u64:
        return N


def small() -> tuple[u8, u64]:
    s: Stack[u8, 4]
    s.push(1)
    s.push(3)
    return s.pop(), s.used


def wide() -> u32:
    s: Stack[u32, 2]
    s.push(70000)
    return s.pop()


def sizes() -> tuple[u64, u64]:
    a: Stack[u8, 4]
    b: Stack[u64, 8]
    return a.capacity() + 8, sizeof(b)


def overfull() -> u8:
    s: Stack[u8, 2]
    s.push(1)
    s.push(2)
    s.push(3)
    return s.pop()
