# SPDX-License-Identifier: BSD-3-Clause
"""kmalloc_obj: many objects of one type, from slabs of their own.

A slab is 128 KiB, aligned to as much; behind its head lies an array of pointers to its free
objects, used in a circle by three numbers that only grow: objects are taken at `aindex`; who frees
one reserves a place at `findex`, stores the pointer, and moves `xindex` past it when all earlier
places are filled.  Allocating takes no locked operation: only the CPU whose *active* (or
*alternate*) slab it is does so.  Freeing may be done by any CPU and needs no message.

When both slabs of a CPU are used up they go on the type's list of empty slabs, and others come from
its partial or full ones (full of free objects, that is), or are new.  Freeing does not move slabs
between lists: poll(), once a second, does, and so does a CPU that finds nothing better.

A slab all of whose objects are free is kept, up to KEEP_FULL for each type; others are retired.
Their memory is used for something else only when every CPU has since been outside of critical
sections: who follows a pointer to an object inside one may find it freed, or another, but of
this type.  What has waited long enough is kept for any type, up to KEEP_FREE slabs a CPU.

Invariants
  B1  aindex <= xindex <= findex, and findex - aindex <= count; free objects are those at aindex to
      xindex.
  B2  A slab is active or alternate on one CPU, or on one list of its type, or retired, or free.
  B3  aindex moves only on the CPU whose slab it is, or under the type's lock if it is nobody's.
  B4  A retired slab is reused only after every CPU has executed a message sent after that.
  B5  An object's bit is set in the slab's bitmap exactly while it is in use.
Locking   [l] the type's lock   [o] the CPU, in a critical section   [a] atomic   [I] fixed
Tests     tests/unit/mem/test_kmalloc_obj.py, tests/guest/memory.py
Source    DragonFly sys/kern/kern_kmalloc.c (design)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    MPtr,
    PerCpu,
    Ptr,
    VirtAddr,
    address_of,
    cast,
    fault_site,
    noinline,
    panic,
    pause,
    pointer_at,
    ref,
    sizeof,
    struct,
    u32,
    u64,
    unwrap,
    wrapping,
)

from kernel.lib import queue
from kernel.lwkt import crit, globaldata, ipiq, spin
from kernel.lwkt.cpumask import AtomicCpumask
from kernel.lwkt.globaldata import find, gd
from kernel.machine.types import MAX_CPUS, PAGE_SHIFT
from kernel.mem import kva, malloc_type
from kernel.mem.flags import M
from kernel.mem.malloc_type import MallocType

UNSAFE: Final = True     # a slab is found by masking an object's address

MAGIC: Final[u32] = 0x4B4D_4F42
SLAB_SIZE: Final = 128 * 1024
SLAB_PAGES: Final = 32
SLAB_MASK: Final[u64] = 0xFFFF_FFFF_FFFE_0000
KEEP_FULL: Final = 4            # full slabs of each type
KEEP_FREE: Final = 128          # free slabs of each CPU
LOOK_AT: Final = 8              # empty slabs that an allocation looks at
MAX_TYPES: Final = 256


@struct(align=64)
class ObjSlab:
    """The head of a slab; pointers, then objects follow."""
    magic: u32                      # [I]
    count: u32                      # [I] objects
    type: Ptr["ObjType"]            # [I]
    link: queue.Link["ObjSlab"]     # [l] a list of its type; [o] free or retired
    objects: u64                    # [I] address of the first
    orig_cpu: u32                   # [I] the CPU that made it
    aindex: Atomic[u32]             # [a] B3
    pad: Array[u64, 2]
    findex: Atomic[u32]             # [a] others write here, so another line
    xindex: Atomic[u32]             # [a]
    bitmap: MPtr[Atomic[u64]]       # [a] B5
    fobjs: MPtr[u64]                # [a] the circle


@struct
class Mine:
    """A CPU's slabs of one type."""
    active: Ptr[ObjSlab] | None     # [o]
    alternate: Ptr[ObjSlab] | None  # [o]


@struct
class ObjType:
    """A type of objects; zeroed storage and create() make one."""
    kind: MallocType                                # counts, limit
    size: u64                                       # [I] of an object, rounded up
    per_slab: u32                                   # [I]
    number: u32                                     # [I] in `types`
    zeroed: bool                                    # [I] objects of a new slab are zero
    lock: spin.Spinlock
    partial: queue.TailQueue[ObjSlab, "link"]       # [l] some objects free
    full: queue.TailQueue[ObjSlab, "link"]          # [l] all free
    empty: queue.TailQueue[ObjSlab, "link"]         # [l] none were free when last looked at
    nfull: u32                                      # [l]
    nslabs: u64                                     # [l] all, but retired ones
    mine: Array[Mine, MAX_CPUS]                     # [o] each CPU's


@struct
class Grace:
    """Slabs that wait until every CPU has been outside of critical sections (B4)."""
    waiting: queue.TailQueue[ObjSlab, "link"]       # [o] retired, their messages sent
    next: queue.TailQueue[ObjSlab, "link"]          # [o] retired since
    pending: AtomicCpumask                          # [a] CPUs that have not answered
    flying: bool                                    # [o]


@struct
class Local:
    """A CPU's part of it."""
    free: queue.TailQueue[ObjSlab, "link"]          # [o] any type's
    nfree: u32                                      # [o]
    grace: Grace                                    # [o]
    made: u64                                       # [o] statistics
    retired: u64                                    # [o]
    returned: u64                                   # [o]


local: PerCpu[Local]
locals: Array[Ptr[Local] | None, MAX_CPUS]          # [I]
types: Array[Ptr[ObjType] | None, MAX_TYPES]        # [t] for poll()
types_lock: spin.Spinlock


def init_cpu(cpu: u32) -> None:
    """Make this CPU's part known."""
    locals[cpu] = ref(local)


def create(kind: Ptr[ObjType], size: u64) -> None:
    """Make a type of zeroed storage whose kind.name is set, for objects of `size` bytes.

    Panics   there are MAX_TYPES, or an object has no room in a slab.
    """
    align = size & wrapping(-size)
    kind.size = (max(size, 8) + 7) & ~u64(7)
    if align > 8:
        kind.size = (size + align - 1) & ~(align - 1)
    kind.per_slab = u32((SLAB_SIZE - sizeof(ObjSlab) - 64) * 8 // (kind.size * 8 + 64 + 1))
    assert kind.per_slab != 0, "objects too large for kmalloc_obj"
    assert _first(kind.per_slab, kind.size) + kind.per_slab * kind.size <= SLAB_SIZE
    kind.lock.name = kind.kind.name
    with types_lock:
        for i in range(MAX_TYPES):
            if types[i] is None:
                types[i] = kind
                kind.number = u32(i)
                return
    panic("too many types of objects")


# --- Allocating and freeing ----------------------------------------------------------------


@fault_site("alloc")
def alloc(kind: Ptr[ObjType], how: M) -> u64:
    """The address of an object, zeroed if asked; 0 if there is no memory, or at the limit.

    Context  any but an IPI callback; no spinlock.
    """
    crit.crit_enter()
    mine = ref(kind.mine[gd.cpuid])
    slab = mine.active
    if slab is None or slab.aindex.load_relaxed() == slab.xindex.load_acquire():
        slab = _next_slab(kind, mine, how)
    if slab is None or not malloc_type.admit(kind.kind, kind.size):
        crit.crit_exit()
        return 0
    at = slab.aindex.load_relaxed()
    found = slab.fobjs[at % slab.count]
    slab.aindex.store(wrapping(at + 1), order="release")
    _mark(slab, found)
    malloc_type.count(kind.kind, kind.size)
    crit.crit_exit()
    if M.ZERO in how:
        _zero(found, kind.size)
    return found


def free(kind: Ptr[ObjType], item: u64) -> None:
    """Give an object back.

    Context  any; a critical section until it is done.
    Panics   it is free already, or no object of this type.
    """
    # safe: every object lies in a slab, at whose start is its head
    slab = pointer_at(ObjSlab, VirtAddr(item & SLAB_MASK))
    assert slab.magic == MAGIC and slab.type is kind, "kfree_obj: no object of this type"
    crit.crit_enter()
    _unmark(slab, item)
    at = slab.findex.add(1, order="relaxed")
    slab.fobjs[at % slab.count] = item

    while slab.xindex.load_acquire() != at:         # those before us are in critical sections too
        pause()                                     # ... and what they stored goes with ours
    slab.xindex.store(wrapping(at + 1), order="release")

    malloc_type.discount(kind.kind, kind.size)
    crit.crit_exit()


def available(slab: Ptr[ObjSlab]) -> u32:
    """The free objects of a slab; others may add to them."""
    return wrapping(slab.xindex.load_acquire() - slab.aindex.load_relaxed())


@noinline
def _next_slab(kind: Ptr[ObjType], mine: Ptr[Mine], how: M) -> Ptr[ObjSlab] | None:
    """The active slab is used up: the alternate one, or one of the type's, or a new one."""
    other = mine.alternate
    if other is not None and available(other) != 0:
        mine.alternate = mine.active
        mine.active = other
        return other
    found = _exchange(kind, mine)
    if found is None:
        found = _new_slab(kind, how)
        if found is None:
            return None
        with kind.lock:
            kind.nslabs += 1
    used_up = mine.alternate
    if used_up is not None:
        with kind.lock:
            kind.empty.push_back(used_up)
    mine.alternate = mine.active
    mine.active = found
    return found


def _exchange(kind: Ptr[ObjType], mine: Ptr[Mine]) -> Ptr[ObjSlab] | None:
    """A slab with free objects from the type's lists."""
    with kind.lock:
        found = kind.partial.pop_front()
        if found is not None:
            return found
        found = kind.full.pop_front()
        if found is not None:
            kind.nfull -= 1
            return found
        left: u32 = LOOK_AT
        for slab in kind.empty:
            if available(slab) != 0:
                kind.empty.remove(slab)
                return slab
            left -= 1
            if left == 0:
                break
    return None


# --- Slabs ---------------------------------------------------------------------------------


def _first(count: u32, size: u64) -> u64:
    """Where the first of `count` objects lies in a slab."""
    heads = sizeof(ObjSlab) + (u64(count) + 63) // 64 * 8 + u64(count) * 8
    align = min(size & wrapping(-size), 4096)
    return (heads + align - 1) & ~(align - 1)


def _new_slab(kind: Ptr[ObjType], how: M) -> Ptr[ObjSlab] | None:
    """A slab whose objects are all free."""
    slab = local.free.pop_front()
    if slab is not None:
        local.nfree -= 1
    else:
        va = kva.alloc(SLAB_PAGES, how, SLAB_PAGES)
        if va == 0:
            return None
        local.made += 1
        slab = pointer_at(ObjSlab, VirtAddr(va))        # safe: SLAB_SIZE bytes that are ours
    base = u64(address_of(slab))
    count = kind.per_slab
    slab.count = count
    slab.type = kind
    slab.orig_cpu = gd.cpuid
    slab.objects = base + _first(count, kind.size)
    slab.bitmap = cast(MPtr[Atomic[u64]], pointer_at(u64, VirtAddr(base + sizeof(ObjSlab))))
    slab.fobjs = cast(MPtr[u64], pointer_at(u64, VirtAddr(
        base + sizeof(ObjSlab) + (u64(count) + 63) // 64 * 8)))
    for i in range((count + 63) // 64):
        slab.bitmap[i].store(0, order="relaxed")
    for i in range(count):
        slab.fobjs[i] = slab.objects + i * kind.size
        if kind.zeroed:
            _zero(slab.objects + i * kind.size, kind.size)
    slab.aindex.store(0, order="relaxed")
    slab.findex.store(count, order="relaxed")
    slab.xindex.store(count, order="release")
    slab.magic = MAGIC
    return slab


def _mark(slab: Ptr[ObjSlab], item: u64) -> None:
    number = (item - slab.objects) // slab.type.size
    bit = u64(1) << (number % 64)
    before = slab.bitmap[number // 64].or_(bit, order="relaxed")
    assert before & bit == 0, "kmalloc_obj: the object is in use already"


def _unmark(slab: Ptr[ObjSlab], item: u64) -> None:
    offset = wrapping(item - slab.objects)
    number = offset // slab.type.size
    assert offset % slab.type.size == 0 and number < slab.count, "kfree_obj: not an object's start"
    bit = u64(1) << (number % 64)
    before = slab.bitmap[number // 64].and_(~bit, order="relaxed")
    assert before & bit != 0, "kfree_obj: the object is free already"


def _zero(item: u64, size: u64) -> None:
    words = cast(MPtr[u64], pointer_at(u64, VirtAddr(item)))     # safe: an object of the caller's
    for i in range(size // 8):
        words[i] = 0


# --- Giving back ---------------------------------------------------------------------------


def poll() -> None:
    """Sort the slabs of all types, retire those not needed, reuse those that have waited.

    Once a second, on each CPU; sorting is the first one's.  Context: thread, no spinlock.
    """
    if gd.cpuid == 0:
        for i in range(MAX_TYPES):
            with types_lock:                    # that it does not end meanwhile
                kind = types[i]
                if kind is not None:
                    _sort(kind)
                    while (slab := _surplus(kind)) is not None:
                        _retire(slab)
    _advance()


def destroy(kind: Ptr[ObjType]) -> None:
    """End a type that nobody uses any more, on any CPU; all its memory goes back.

    Objects that were not freed are lost with it: who ends a type knows that nobody refers to them.

    Context  thread, no spinlock.
    """
    with types_lock:
        types[kind.number] = None
    for cpu in globaldata.numbers():
        _drop(kind, ref(kind.mine[cpu]).active)
        _drop(kind, ref(kind.mine[cpu]).alternate)
        kind.mine[cpu] = Mine()
    while (slab := _any(kind)) is not None:
        _retire(slab)
    kind.nfull = 0
    assert kind.nslabs == 0
    malloc_type.forget(kind.kind)


def drain() -> None:
    """Wait for what is retired, and give all free slabs of this CPU back to kva.

    Context  thread, no spinlock.
    """
    _advance()
    while local.grace.flying:           # races: who interrupts may end it, but not begin again
        _wait_for_grace()
        _advance()
    _return_slabs(0)


def _drop(kind: Ptr[ObjType], slab: Ptr[ObjSlab] | None) -> None:
    """A CPU's slab is nobody's now.  The type is nobody's either: no lock."""
    if slab is not None:
        kind.partial.push_back(slab)


def _any(kind: Ptr[ObjType]) -> Ptr[ObjSlab] | None:
    """Take a slab off any list of a type that is nobody's any more."""
    slab = kind.partial.pop_front()
    if slab is None:
        slab = kind.full.pop_front()
    if slab is None:
        slab = kind.empty.pop_front()
    if slab is not None:
        kind.nslabs -= 1
    return slab


def _sort(kind: Ptr[ObjType]) -> None:
    """Put each slab where what is free in it says."""
    with kind.lock:
        for slab in kind.empty:
            if available(slab) != 0:
                kind.empty.remove(slab)
                kind.partial.push_back(slab)
        for slab in kind.partial:
            if available(slab) == slab.count:
                kind.partial.remove(slab)
                kind.full.push_back(slab)
                kind.nfull += 1


def _surplus(kind: Ptr[ObjType]) -> Ptr[ObjSlab] | None:
    """A full slab beyond those that are kept."""
    with kind.lock:
        if kind.nfull <= KEEP_FULL:
            return None
        kind.nfull -= 1
        kind.nslabs -= 1
        return kind.full.pop_front()


def _retire(slab: Ptr[ObjSlab]) -> None:
    """Nobody allocates from this slab any more."""
    crit.crit_enter()
    local.retired += 1
    local.grace.next.push_back(slab)
    crit.crit_exit()


def _advance() -> None:
    """If all CPUs have answered, what waited is free; what was retired since begins to wait."""
    crit.crit_enter()
    grace = ref(local.grace)
    if grace.flying and grace.pending.empty():
        grace.flying = False
        while (slab := grace.waiting.pop_front()) is not None:
            slab.magic = 0
            local.free.push_front(slab)
            local.nfree += 1
    if not grace.flying and grace.next.first is not None:
        while (slab := grace.next.pop_front()) is not None:
            grace.waiting.push_back(slab)
        grace.flying = True
        for cpu in globaldata.numbers():
            if cpu != gd.cpuid and kva.runs(cpu):
                grace.pending.add(cpu)
        for cpu in globaldata.numbers():         # after the mask
            if cpu != gd.cpuid and cpu in grace.pending:
                ipiq.send_passive(find(cpu), _passed, u64(address_of(grace)), 0)
    crit.crit_exit()
    _return_slabs(KEEP_FREE)


def _passed(record: u64, unused: u64) -> None:
    """On another CPU, hence outside of its critical sections: B4."""
    # safe: part of the sender's per-CPU storage
    grace = pointer_at(Grace, VirtAddr(record))
    grace.pending.discard(gd.cpuid)


def _wait_for_grace() -> None:
    """Ask those who have not answered, with a doorbell."""
    for cpu in globaldata.numbers():
        if cpu != gd.cpuid and cpu in local.grace.pending:
            if kva.runs(cpu):
                ipiq.wait(find(cpu), ipiq.send(find(cpu), _ring, 0, 0))
            else:
                local.grace.pending.discard(cpu)


def _ring(unused1: u64, unused2: u64) -> None:
    """A message that does nothing but come after others."""


def _return_slabs(keep: u32) -> None:
    while True:
        crit.crit_enter()
        if local.nfree <= keep:
            crit.crit_exit()
            return
        slab = unwrap(local.free.pop_front())
        local.nfree -= 1
        local.returned += 1
        crit.crit_exit()
        kva.free(u64(address_of(slab)), SLAB_SIZE >> PAGE_SHIFT)
