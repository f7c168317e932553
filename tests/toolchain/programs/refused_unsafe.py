# SPDX-License-Identifier: BSD-3-Clause
"""What only unsafe modules may do.

# error: K0801 at `address_of(p)`
# error: K0801 at `pointer_at(u32, n)`
# error: K0802 at `p.value`
"""
from kpy import Ptr, UserPtr, address_of, pointer_at, u32, u64


def raw(p: Ptr[u32]) -> u64:
    return u64(address_of(p))


def at(n: u64) -> Ptr[u32]:
    return pointer_at(u32, n)


def user(p: UserPtr[u32]) -> u32:
    return p.value
