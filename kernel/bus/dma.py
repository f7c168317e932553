# SPDX-License-Identifier: BSD-3-Clause
"""Memory that a device reads and writes by itself.

It is one run of physical addresses, aligned to its size (a power of two pages), seen by the CPU
through the physical map; on a PC device and CPU see each other's writes without further ado.  What
is ordered for the device is ordered by who writes it: data, release fence, doorbell.

A device may be given addresses below 4 GiB only (LIMIT_4G), if that is all that it can reach.

Invariants
  M1  Memory is given back only when its device cannot reach it any more: bus mastering is off, or
      the device has gone (kernel/bus/driver.py, release()).
Tests     tests/unit/bus/test_driver.py
"""
from typing import Final

from kpy import (
    Errno,
    PhysAddr,
    Ptr,
    Slice,
    Type,
    TypeVar,
    VirtAddr,
    clz,
    make_slice,
    pointer_at,
    sizeof,
    struct,
    throws,
    u64,
)

from kernel.lib import queue
from kernel.lib.errno import ENOMEM
from kernel.machine.types import PAGE_SHIFT, PAGE_SIZE
from kernel.mem import page, slab
from kernel.mem.flags import NOWAIT, M
from kernel.mem.malloc_type import MallocType

T = TypeVar("T")

UNSAFE: Final = True     # memory is looked at as what its user says it is

LIMIT_4G: Final = page.LIMIT_4G
NO_LIMIT: Final = page.NO_LIMIT

M_DMA: MallocType = MallocType(name="dma")


@struct
class Memory:
    """A run of memory for a device."""
    link: queue.Link["Memory"]      # [b] Device.memories
    address: PhysAddr               # [I] as the device sees it
    va: VirtAddr                    # [I] as the CPU sees it
    size: u64                       # [I] bytes, a power of two pages
    frame: Ptr[page.Page]           # [I] the first


@throws
def alloc(size: u64, below: u64 = NO_LIMIT) -> Ptr[Memory]:
    """At least `size` bytes, zeroed.

    Context  thread.
    Errors   ENOMEM.
    """
    assert size != 0
    pages = round_up((size + PAGE_SIZE - 1) >> PAGE_SHIFT)
    made = slab.new(Memory, M_DMA, NOWAIT)
    if made is None:
        raise Errno(ENOMEM)
    frame = page.alloc_contig(pages, NOWAIT | M.ZERO, below)
    if frame is None:
        slab.kfree(made, M_DMA)
        raise Errno(ENOMEM)
    made.frame = frame
    made.address = page.addr(frame)
    made.va = page.virt(frame)
    made.size = pages << PAGE_SHIFT
    return made


def free(memory: Ptr[Memory]) -> None:
    """Give back what alloc() gave (M1)."""
    page.free_contig(memory.frame, memory.size >> PAGE_SHIFT)
    slab.kfree(memory, M_DMA)


def view(cls: Type[T], memory: Ptr[Memory], at: u64 = 0) -> Ptr[T]:
    """The T that lies `at` bytes into it."""
    assert at <= memory.size and sizeof(cls) <= memory.size - at
    return pointer_at(cls, memory.va + at)         # safe: inside, as just seen


def array(cls: Type[T], memory: Ptr[Memory], at: u64, count: u64) -> Slice[T]:
    """The `count` Ts that lie `at` bytes into it."""
    assert at <= memory.size and count <= (memory.size - at) // sizeof(cls)
    return make_slice(pointer_at(cls, memory.va + at), count)     # safe: likewise


def round_up(count: u64) -> u64:
    """The power of two that is not below `count`, which is not 0."""
    return u64(1) << (64 - clz(count - 1)) if count > 1 else 1
