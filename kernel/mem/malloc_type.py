# SPDX-License-Identifier: BSD-3-Clause
"""What memory is used for: every kmalloc() names a type, which counts and has a limit.

    M_TEMP: malloc_type.MallocType = malloc_type.MallocType(name="temp")

A type gets a number at its first use.  Each CPU has an array of counters by that number, so that
counting takes no lock, and few instructions: a CPU is granted LOOSE bytes of a type at a time and
counts down what is left of them.  The type adds up what it granted; that number only rises, and
once it would pass the limit it is replaced by an exact sum over the CPUs.

Invariants
  Y1  Of one CPU alone the numbers mean nothing (it frees what others allocated); sum() is exact
      when no CPU allocates or frees.
  Y2  A type holds more than its limit by at most LOOSE for each CPU: loosememuse lacks no grant
      but those that were under way when it was replaced.
  Y3  uses[0] is no type's, and grants nothing: a type that has no number yet has to ask admit().
Locking   [l] `lock`   [o] the CPU, in a critical section   [a] atomic   [I] fixed after attach()
Tests     tests/unit/mem/test_malloc_type.py
Source    DragonFly sys/sys/malloc.h, kern_slaballoc.c (design)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    PerCpu,
    Ptr,
    Str,
    inline,
    panic,
    ref,
    struct,
    trunc,
    u8,
    u32,
    u64,
    wrapping,
)

from kernel.lwkt import crit, globaldata, spin
from kernel.machine.types import MAX_CPUS

MAX_TYPES: Final = 256
LOOSE: Final[u64] = 64 * 1024


@struct(size=32)
class Use:
    """What one CPU has counted of one type; all numbers modulo 2**64."""
    memuse: u64             # [o] bytes granted, less those freed
    loose_left: u64         # [o] bytes granted, not yet allocated
    calls: u64              # [o] allocations
    frees: u64              # [o]


@struct
class Sum:
    """What all CPUs have counted."""
    memuse: u64             # bytes in use
    inuse: u64              # allocations in use
    calls: u64              # allocations ever
    loosememuse: u64        # bytes granted and not used


@struct
class MallocType:
    """A use of memory."""
    name: Str               # [I] for people
    limit: u64              # bytes; 0 before attach(): a tenth of memory
    loosememuse: Atomic[u64]    # [a] bytes granted, at least
    index: Atomic[u8]       # [a] 0 before attach(); set after `limit`


types: Array[Ptr[MallocType] | None, MAX_TYPES]     # [l] 0 is nobody's
lock: spin.Spinlock
uses: PerCpu[Array[Use, MAX_TYPES]]
cpu_uses: Array[Ptr[Array[Use, MAX_TYPES]] | None, MAX_CPUS]   # [I]
default_limit: u64 = 0                              # [I]


def init(memory: u64) -> None:
    """`memory` bytes there are in all.  Boot CPU, once."""
    global default_limit
    default_limit = memory // 10
    lock.name = "malloc types"


def init_cpu(cpu: u32) -> None:
    """Make this CPU's counters known."""
    cpu_uses[cpu] = ref(uses)


@inline
def mine(kind: Ptr[MallocType]) -> Ptr[Use]:
    """This CPU's counters of a type."""
    return ref(uses[kind.index.load_acquire()])


def admit(kind: Ptr[MallocType], size: u64) -> bool:
    """Whether this CPU may allocate `size` bytes more; it is granted them then.

    Context  any; no spinlock.
    """
    crit.crit_enter()
    if kind.index.load_acquire() == 0:
        attach(kind)
    fits = mine(kind).loose_left >= size or _grant(kind, size)
    crit.crit_exit()
    return fits


def count(kind: Ptr[MallocType], size: u64) -> None:
    """Note an allocation.  Critical section."""
    use = mine(kind)
    use.calls += 1
    if use.loose_left >= size:
        use.loose_left -= size
    else:                                           # another thread was quicker
        use.memuse = wrapping(use.memuse + size)
        kind.loosememuse.add(size, order="relaxed")


def discount(kind: Ptr[MallocType], size: u64) -> None:
    """Note that it was freed.  Critical section."""
    use = mine(kind)
    use.frees += 1
    use.memuse = wrapping(use.memuse - size)


def _grant(kind: Ptr[MallocType], size: u64) -> bool:
    """Let this CPU have LOOSE bytes, or, near the limit, what is just asked for."""
    wanted = max(size, LOOSE)
    before = kind.loosememuse.add(wanted, order="relaxed") + wanted
    if before > kind.limit:
        now = sum(kind)
        granted = now.memuse + now.loosememuse
        given = wanted
        if granted + wanted > kind.limit:
            given = size                            # Y2: others may hold grants they never use
        if now.memuse + given > kind.limit:
            given = 0
        kind.loosememuse.cas(before, granted + given)   # not over what others have added since
        if given == 0:
            return False
        wanted = given
    use = mine(kind)
    use.memuse = wrapping(use.memuse + wanted)
    use.loose_left += wanted
    return True


def attach(kind: Ptr[MallocType]) -> None:
    """Give a type its number, and its limit if it has none."""
    with lock:
        if kind.index.load_relaxed() != 0:
            return
        for i in range(1, MAX_TYPES):
            if types[i] is None:
                types[i] = kind
                if kind.limit == 0:
                    kind.limit = default_limit
                kind.index.store(trunc(u8, i), order="release")
                return
    panic(f"malloc type {kind.name}: there are {MAX_TYPES - 1} already")


def detach(kind: Ptr[MallocType]) -> None:
    """End a type, all of whose memory has been freed: its number may go to another.

    Panics   it has memory in use.
    """
    if kind.index.load_acquire() == 0:
        return
    assert sum(kind).inuse == 0, "memory of this type is in use"
    forget(kind)


def sum(kind: Ptr[MallocType]) -> Sum:
    """The counters of all CPUs together (Y1)."""
    total = Sum()
    index = kind.index.load_acquire()
    if index == 0:
        return total
    frees: u64 = 0
    for cpu in globaldata.numbers():
        theirs = cpu_uses[cpu]
        if theirs is not None:
            use = ref(theirs[index])
            loose = use.loose_left                      # races: Y1, they count on meanwhile
            total.memuse = wrapping(total.memuse + use.memuse - loose)      # races: likewise
            total.calls += use.calls                    # races: likewise
            total.loosememuse += loose
            frees += use.frees                          # races: likewise
    total.inuse = wrapping(total.calls - frees)
    if total.memuse >> 63 != 0:     # less than nothing: a free was seen, and not its grant
        total.memuse = 0
    return total


def forget(kind: Ptr[MallocType]) -> None:
    """End a type whose memory is gone, whatever was still counted as in use."""
    index = kind.index.load_acquire()
    if index == 0:
        return
    with lock:
        for cpu in globaldata.numbers():
            theirs = cpu_uses[cpu]
            if theirs is not None:
                theirs[index] = Use()
        kind.loosememuse.store(0)
        types[index] = None
        kind.index.store(0, order="release")
