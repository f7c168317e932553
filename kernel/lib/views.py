# SPDX-License-Identifier: BSD-3-Clause
"""Structures where they lie: what came from a disk or a wire, looked at through a struct.

Invariants
  V1  The whole struct lies inside the slice, and any bytes are a value of it: such structs have
      fields of one byte alignment, without pointers.
Tests     tests/unit/lib/test_views.py
"""
from typing import Final

from kpy import (
    Ptr,
    Slice,
    Type,
    TypeVar,
    VirtAddr,
    address_of,
    inline,
    pointer_at,
    sizeof,
    u8,
    u64,
)

UNSAFE: Final = True     # bytes become a struct; V1 is tested first

T = TypeVar("T")


@inline
def view(cls: Type[T], data: Slice[u8], at: u64) -> Ptr[T]:
    """The T at data[at]; a failed check if it is not all there."""
    # safe: the slice is as long as the struct, which lies at any address
    return pointer_at(cls, VirtAddr(address_of(data[at:at + sizeof(cls)])))
