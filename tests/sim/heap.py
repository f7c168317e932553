# SPDX-License-Identifier: BSD-3-Clause
"""Memory for the world of a scenario: frames, kernel addresses, kmalloc(), objects.

    heap.needed()               in a scenario: it has some
    heap.up(), heap.here()      where it has more to bring up than memory: in what start_with() and
                                on_each() call, before that
"""
from typing import Final

from kpy import Ptr, address_of, ref, sizeof, u64

from kernel import machine
from kernel.lwkt.globaldata import gd
from kernel.mem import kmalloc_obj, kva, malloc_type, page, slab
from tests.sim import world

UNSAFE: Final = True        # says by address what is a CPU's own

MIB: Final = 1 << 20

kind: malloc_type.MallocType = malloc_type.MallocType(name="sim", limit=MIB)
begun: u64 = 0              # free frames, once memory is up


def needed(size: u64 = 2 * MIB) -> None:
    """There are `size` bytes of memory."""
    world.memory(size)
    world.start_with(up)
    world.on_each(here)


def up() -> None:
    """On CPU 0, once."""
    global begun
    page.init(machine.memory_regions(), world.cpus)
    kva.init()
    slab.init(world.ram)
    begun = page.count_free()


def here() -> None:
    """On each CPU; what it has is its own."""
    page.init_cpu(gd.cpuid, world.cpus)
    kva.init_cpu(gd.cpuid)
    slab.init_cpu(gd.cpuid)
    kmalloc_obj.init_cpu(gd.cpuid)
    malloc_type.attach(kind)
    world.owned(u64(address_of(ref(page.local))), sizeof(page.Local))
    world.owned(u64(address_of(ref(kva.local))), sizeof(kva.Local))
    world.owned(u64(address_of(ref(slab.slab))), sizeof(slab.Slab))
    world.owned(u64(address_of(ref(kmalloc_obj.local))), sizeof(kmalloc_obj.Local))
    world.owned(u64(address_of(ref(malloc_type.uses))),
                sizeof(malloc_type.Use) * malloc_type.MAX_TYPES)


def all_freed(what: Ptr[malloc_type.MallocType]) -> None:
    """At the end of a run: nothing of this type is in use."""
    assert malloc_type.sum(what).inuse == 0, "memory was not given back"
