# SPDX-License-Identifier: BSD-3-Clause
"""Addresses and pointers convert in unsafe modules only.

# run: round_trip() == 5
# run: physical(0x1000) == 0x3000
# run: distance(0x5000, 0x1000) == 0x4000
# run: aligned(0x1234) == False
"""
from kpy import Array, Final, PhysAddr, VirtAddr, address_of, copy, pointer_at, ref, u32, u64

UNSAFE: Final = True


def round_trip() -> u32:
    a: Array[u32, 2] = [4, 5]
    va = address_of(ref(a[1]))
    n: u32 = 0
    copy(n, pointer_at(u32, va))
    return n


def physical(n: u64) -> u64:
    pa = PhysAddr(n)
    pa = pa + 0x2000
    return u64(pa)


def distance(a: u64, b: u64) -> u64:
    return PhysAddr(a) - PhysAddr(b)


def aligned(n: u64) -> bool:
    return u64(VirtAddr(n)) % 4096 == 0
