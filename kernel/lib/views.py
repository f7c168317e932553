# SPDX-License-Identifier: BSD-3-Clause
"""Structures where they lie: what came from a disk or a wire, looked at through a struct.

Invariants
  V1  The whole struct lies inside the slice, at an address that suits it.
  V2  Any bytes are a value of such a struct: it has numbers, of one byte order or the other, and
      enums that are tested before they are matched; no bools and no pointers.
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
    alignof,
    inline,
    kassert,
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
    address = u64(address_of(data[at:at + sizeof(cls)]))
    kassert(address % alignof(cls) == 0)
    # safe: the slice is as long as the struct (V1)
    return pointer_at(cls, VirtAddr(address))
