# SPDX-License-Identifier: BSD-3-Clause
"""Storage for threads: the structure, and a stack above a page that is not mapped.

Both are kept in a cache when a thread has ended, since most threads live shortly.  A stack that
overflows runs into the unmapped page: a page fault, not somebody else's memory.

Invariants
  R1  stack_base .. stack_base + STACK_SIZE is mapped, the page below stack_base is not.
  R2  What thread_alloc() gives has stack_base and stack_size set; the rest is as its last user
      left it.
Tests     tests/unit/mem/test_threads.py, tests/guest/memory.py
"""
from typing import Final

from kpy import Ptr, VirtAddr, address_of, implements, panic, pointer_at, sizeof, u32, u64, zeroed

from kernel.lwkt import upcalls
from kernel.lwkt.thread import Thread
from kernel.machine.types import PAGE_SHIFT
from kernel.mem import kva, objcache, slab
from kernel.mem.flags import NOWAIT, M
from kernel.mem.malloc_type import MallocType
from kernel.mem.objcache import ObjCache

UNSAFE: Final = True     # objcache keeps addresses

STACK_SIZE: Final = 24 * 1024
STACK_PAGES: Final = 6
GUARD_PAGES: Final = 1
MIN_CACHED: Final = 32

M_THREAD: MallocType = MallocType(name="thread")
cache: ObjCache = zeroed(ObjCache)


def init(cpus: u32) -> None:
    """Boot CPU, once, when kmalloc works."""
    cache.name = "thread"
    cache.alloc = _alloc
    cache.free = _free
    cache.ctor = _ctor
    cache.dtor = _dtor
    cache.kind = M_THREAD
    if not objcache.create(cache, 0, max(MIN_CACHED, 4 * u64(cpus)), cpus, M.RNOWAIT):
        panic("no memory for the cache of threads")


@implements(upcalls.thread_alloc)
def thread_alloc() -> Ptr[Thread] | None:
    found = objcache.get_nowait(cache, NOWAIT)
    # safe: what _alloc() made
    return None if found == 0 else pointer_at(Thread, VirtAddr(found))


@implements(upcalls.thread_free)
def thread_free(td: Ptr[Thread]) -> None:
    objcache.put(cache, u64(address_of(td)))


def _alloc(unused: u64, how: M) -> u64:
    memory = slab.kmalloc_nowait(sizeof(Thread), M_THREAD, how)
    return 0 if memory is None else u64(address_of(memory))


def _free(item: u64, unused: u64) -> None:
    slab.free_address(item, M_THREAD)


def _ctor(item: u64, unused: u64, how: M) -> bool:
    """The stack."""
    base = kva.alloc(STACK_PAGES, how, 1, GUARD_PAGES)
    if base == 0:
        return False
    td = pointer_at(Thread, VirtAddr(item))     # safe: what _alloc() made
    td.stack_base = base
    td.stack_size = STACK_PAGES << PAGE_SHIFT
    return True


def _dtor(item: u64, unused: u64) -> None:
    td = pointer_at(Thread, VirtAddr(item))
    kva.free(td.stack_base, STACK_PAGES, GUARD_PAGES)
