# SPDX-License-Identifier: BSD-3-Clause
"""Namespaces: what of a controller is a disk.

Locking   [I] fixed once made
Tests     tests/unit/dev/nvme/test_controller.py, tests/qemu/test_nvme.py
Limits    namespaces whose blocks carry metadata are left out
Source    NVMe 1.4, 5.15 "Identify command", 6.1 "Namespaces"
"""
from typing import Final

from kpy import (
    Array,
    Errno,
    Ptr,
    Slice,
    address_of,
    may_block,
    struct,
    throws,
    u8,
    u32,
    u64,
)

from kernel.dev.nvme import request
from kernel.dev.nvme.pair import M_NVME, Pair
from kernel.dev.nvme.regs import IdentifyNamespace
from kernel.io import disk
from kernel.lib import queue
from kernel.lib.errno import EINVAL, ENOMEM
from kernel.machine.types import MAX_CPUS, PAGE_SHIFT
from kernel.mem import slab
from kernel.mem.flags import NOWAIT

UNSAFE: Final = True     # a disk knows its namespace by address

MIN_SHIFT: Final = 9
SPACE: Final = 32
ZERO: Final[u8] = 48
DOT: Final[u8] = 46

OPS: disk.DiskOps = disk.DiskOps(strategy=request.strategy)


@struct
class Namespace:
    """A disk of a controller."""
    link: queue.Link["Namespace"]                   # [I]
    nsid: u32                                       # [I]
    shift: u32                                      # [I] the logarithm of a block's bytes
    blocks: u64                                     # [I]
    dp: Ptr[disk.Disk] | None                       # [I]
    pair_of: Array[Ptr[Pair], MAX_CPUS]             # [I] by CPU


@throws
def validate(data: Ptr[IdentifyNamespace]) -> u32:
    """The logarithm of the block size of a namespace that we can use.

    Errors   EINVAL it is none, or its blocks are of no size that we know.
    """
    number = u32(data.flbas.FORMAT)
    if data.nsze == 0 or number > data.nlbaf:
        raise Errno(EINVAL)
    kind = data.lbaf[number]
    shift = u32(kind.LBADS)
    if kind.MS != 0 or shift < MIN_SHIFT or shift > PAGE_SHIFT:
        raise Errno(EINVAL)
    if data.nsze > u64.MAX >> shift:
        raise Errno(EINVAL)
    return shift


@throws
@may_block
def make(nsid: u32, data: Ptr[IdentifyNamespace], pair_of: Slice[Ptr[Pair]]) -> Ptr[Namespace]:
    """A namespace, not yet a disk.

    Errors   EINVAL, ENOMEM.
    """
    shift = validate(data)
    ns = slab.new(Namespace, M_NVME, NOWAIT)
    if ns is None:
        raise Errno(ENOMEM)
    ns.nsid = nsid
    ns.shift = shift
    ns.blocks = data.nsze
    for i, pair in enumerate(pair_of):
        ns.pair_of[i] = pair
    return ns


@throws
@may_block
def announce(ns: Ptr[Namespace], info: Ptr[disk.DiskInfo]) -> None:
    """Make it a disk.

    Errors   ENOMEM.
    """
    info.block_size = u32(1) << ns.shift
    info.blocks = ns.blocks
    dp = disk.create(b"nvme", OPS, u64(address_of(ns)))
    ns.dp = dp
    disk.set_info(dp, info)


@may_block
def destroy(ns: Ptr[Namespace]) -> None:
    """The disk goes; its requests have been ended, or are just being."""
    dp = ns.dp
    if dp is not None:
        disk.destroy(dp)
    slab.kfree(ns, M_NVME)


def set_text(to: Slice[u8], text: Slice[u8]) -> u64:
    """Copy a text of the controller's, without the spaces that fill it up; its length."""
    size = min(len(text), len(to))
    while size > 0 and text[size - 1] <= SPACE:
        size -= 1
    to.fill(0)
    for i in range(size):
        to[i] = text[i] if SPACE < text[i] < 127 else SPACE
    return size


def number_serial(serial: Slice[u8], used: u64, nsid: u32) -> None:
    """Tell the namespaces of one controller apart: `.2` behind the second's serial number."""
    digits: u64 = 1
    scale: u32 = 10
    while digits < 9 and nsid >= scale:
        digits += 1
        scale *= 10
    if used + 1 + digits >= len(serial):
        return
    serial[used] = DOT
    at = used + digits
    rest = nsid
    for _ in range(digits):
        serial[at] = ZERO + u8(rest % 10)
        rest //= 10
        at -= 1
