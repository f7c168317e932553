# SPDX-License-Identifier: BSD-3-Clause
"""memcpy and its family, which generated code calls for large copies.

Eight bytes at a time: under QEMU's TCG a byte-wide `rep` costs one step a byte, and without SSE
eight bytes are what one instruction can move.

Source    System V ABI names; ISO C 7.24 for what they promise
"""
from typing import Final

from kpy import MPtr, cast, export, i32, le64, u8, u64

UNSAFE: Final = True     # these are the primitives that safe copying is made of


@export("memcpy")
def memcpy(to: MPtr[u8], source: MPtr[u8], size: u64) -> MPtr[u8]:
    """Copy `size` bytes between ranges that do not overlap."""
    i: u64 = 0
    while i + 8 <= size:
        cast(MPtr[le64], to + i)[0] = cast(MPtr[le64], source + i)[0]
        i += 8
    while i < size:
        to[i] = source[i]
        i += 1
    return to


@export("memmove")
def memmove(to: MPtr[u8], source: MPtr[u8], size: u64) -> MPtr[u8]:
    """Copy `size` bytes between ranges that may overlap."""
    if to <= source or to >= source + size:
        return memcpy(to, source, size)
    i = size
    while i >= 8:
        i -= 8
        cast(MPtr[le64], to + i)[0] = cast(MPtr[le64], source + i)[0]
    while i > 0:
        i -= 1
        to[i] = source[i]
    return to


@export("memset")
def memset(to: MPtr[u8], value: i32, size: u64) -> MPtr[u8]:
    """Fill `size` bytes with the low byte of `value`."""
    byte = u8(value & 0xFF)
    i: u64 = 0
    while i < size:
        to[i] = byte
        i += 1
    return to


@export("memcmp")
def memcmp(left: MPtr[u8], right: MPtr[u8], size: u64) -> i32:
    """Below, at or above 0 as `left` orders before, equal to or after `right`, bytewise."""
    i: u64 = 0
    while i < size:
        if left[i] != right[i]:
            return i32(left[i]) - i32(right[i])
        i += 1
    return 0
