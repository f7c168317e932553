# SPDX-License-Identifier: BSD-3-Clause
"""Kernel memory: frames, addresses, and allocators for what the kernel makes of them.

Each layer keeps, for each CPU, a part that needs a critical section only; locks are taken, and
other CPUs spoken to, a batch at a time.  Nobody allocates in an IPI callback.

page         physical frames by colour; the one place where allocators sleep (wait())
kva          kernel addresses, mapping, and TLBs that follow in batches
malloc_type  what memory is used for: counters, limits
slab         kmalloc: memory of any size: zones that belong to CPUs
kmalloc_obj  many objects of one type, in memory that stays of that type for a while
objcache     constructed objects in magazines
threads      thread structures and their stacks
setup        bringing it up, CPU by CPU; what is done from time to time
flags        how to allocate
"""
from kernel.mem.flags import INTNOWAIT, INTWAIT, NOWAIT, SYSNOWAIT, M
from kernel.mem.malloc_type import MallocType
from kernel.mem.slab import free_address, kfree, kmalloc, kmalloc_nowait, new

__all__ = [
    "INTNOWAIT",
    "INTWAIT",
    "NOWAIT",
    "SYSNOWAIT",
    "M",
    "MallocType",
    "free_address",
    "kfree",
    "kmalloc",
    "kmalloc_nowait",
    "new",
]
