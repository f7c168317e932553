# SPDX-License-Identifier: BSD-3-Clause
"""Memory that decompressing a block needs for a while: one is kept for the next reader.

Tests     tests/unit/fs/hammer2/test_strategy.py
"""
from typing import Final

from kpy import Errno, Ptr, VirtAddr, address_of, pointer_at, throws, u64

from kernel import mem
from kernel.fs.hammer2 import mount
from kernel.lib.errno import ENOMEM

UNSAFE: Final = True     # the spare one is kept as an address, which can be swapped


@throws
def get(m: Ptr[mount.Mount]) -> Ptr[mount.Scratch]:
    """One that nobody else uses.

    Errors   ENOMEM.
    """
    address = m.spare.swap(0)
    if address != 0:
        # safe: put() stored it, and took its hands off
        return pointer_at(mount.Scratch, VirtAddr(address))
    made = mem.new(mount.Scratch, mount.M_HAMMER2, mem.M.WAITOK | mem.M.NULLOK)
    if made is None:
        raise Errno(ENOMEM)
    return made


def put(m: Ptr[mount.Mount], scratch: Ptr[mount.Scratch]) -> None:
    """Keep it, in place of one that was kept."""
    _free(m.spare.swap(u64(address_of(scratch))))


def free(m: Ptr[mount.Mount]) -> None:
    """Keep none."""
    _free(m.spare.swap(0))


def _free(address: u64) -> None:
    if address != 0:
        mem.free_address(address, mount.M_HAMMER2)
