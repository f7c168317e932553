# SPDX-License-Identifier: BSD-3-Clause
"""What memory is used for: counted by each CPU for itself, and right all the same.

Covers    kernel/mem/malloc_type.py Y1 to Y3
"""
from typing import Final

from kpy import Array, Atomic, Errno, Ptr, panic, ref, u32, u64, zeroed

from kernel.lwkt import crit, globaldata, intr
from kernel.mem import malloc_type
from kernel.mem.malloc_type import LOOSE, MallocType
from tests.sim import heap, world

UNSAFE: Final = True        # zeroed storage

CPUS: Final = 2
PART: Final[u64] = 40_000   # two of them are more than a grant
VECTOR: Final = 5

kind: MallocType = MallocType(name="accounts")
own: Array[MallocType, CPUS] = zeroed(Array[MallocType, CPUS])
limit: u64 = 0
granted: Atomic[u64]        # parts that somebody has
refused: Atomic[u32]
most: Atomic[u64]           # that there were at a time
gone: Atomic[u32]
info: intr.IntrInfo = zeroed(intr.IntrInfo)
handler: intr.Handler = zeroed(intr.Handler)
handled: Atomic[u32]


def _up() -> None:
    heap.up()
    malloc_type.init(world.ram)
    kind.limit = limit


def _with_limit(bytes_: u64) -> None:
    global limit
    heap.needed()
    world.start_with(_up)
    limit = bytes_
    world.check(_balanced)


def _take() -> bool:
    """A part, if it is granted."""
    if not malloc_type.admit(kind, PART):
        refused.add(1)
        return False
    crit.crit_enter()
    malloc_type.count(kind, PART)
    crit.crit_exit()
    now = granted.add(1) + 1
    if now > most.load():
        most.store(now)
    return True


def _give() -> None:
    granted.sub(1)
    crit.crit_enter()
    malloc_type.discount(kind, PART)
    crit.crit_exit()


def _take_and_give(times: u64) -> None:
    """Several at a time, all given back."""
    had: u64 = 0
    for _ in range(times):
        if _take():
            had += 1
    for _ in range(had):
        _give()


def _balanced() -> None:
    """Y1: nobody counts any more."""
    now = malloc_type.sum(kind)
    assert now.memuse == 0 and now.inuse == 0, "something is still counted"
    granted_all: u64 = 0
    for cpu in globaldata.numbers():
        theirs = malloc_type.cpu_uses[cpu]
        if theirs is not None:
            granted_all += theirs[kind.index.load()].loose_left
    assert granted_all == now.loosememuse
    assert kind.loosememuse.load() >= now.memuse


def first_use() -> None:
    """Two CPUs are the first to use a type: it has one number, and its limit."""
    _with_limit(0)
    world.thread(_take_and_give, 1, 0)
    world.thread(_take_and_give, 1, 1)
    world.check(_one_number)


def _one_number() -> None:
    numbers: u32 = 0
    for i in range(malloc_type.MAX_TYPES):
        if malloc_type.types[i] is kind:
            numbers += 1
    assert numbers == 1 and kind.limit != 0 and refused.load() == 0
    _balanced()


def enough() -> None:
    """Both may have all that they ask for, however it is granted."""
    _with_limit(10 * LOOSE)
    world.thread(_take_and_give, 3, 0)
    world.thread(_take_and_give, 3, 1)
    world.check(_all_granted)


def _all_granted() -> None:
    assert refused.load() == 0, "refused below the limit"
    assert kind.loosememuse.load() <= 10 * LOOSE
    _balanced()


def limited() -> None:
    """Near the limit: no more is granted than that, and what each CPU holds loose."""
    _with_limit(2 * PART)
    world.thread(_take_and_give, 4, 0)
    world.thread(_take_and_give, 4, 1)
    world.check(_few_granted)


def _few_granted() -> None:
    assert most.load() <= (2 * PART + CPUS * LOOSE) // PART, "Y2"
    _balanced()


def _take_only(times: u64) -> None:
    for _ in range(times):
        _take()


def granted_exactly() -> None:
    """Below the limit each grant is counted."""
    _with_limit(20 * LOOSE)
    world.thread(_take_only, 3, 0)
    world.thread(_take_only, 3, 1)
    world.check(_counted_exactly)


def _counted_exactly() -> None:
    now = malloc_type.sum(kind)
    assert kind.loosememuse.load() == now.memuse + now.loosememuse, "a grant was not counted"


def granted_while_summed() -> None:
    """Near the limit: who replaces the number by a sum loses at most what is under way."""
    _with_limit(6 * PART)
    world.thread(_take_only, 3, 0)
    world.thread(_take_only, 4, 1)
    world.check(_counted_nearly)


def _counted_nearly() -> None:
    now = malloc_type.sum(kind)
    assert kind.loosememuse.load() + LOOSE >= now.memuse + now.loosememuse, "Y2"
    assert now.memuse <= 6 * PART + CPUS * LOOSE, "Y2"


# --- Interrupted ----------------------------------------------------------------------------


def _handle(self: Ptr[intr.Handler]) -> None:
    _take_only(1)
    handled.store(1)


def _up_with_handler() -> None:
    _up()
    handler.func = _handle
    handler.name = "accounts"
    try:
        intr.register(info, 0, VECTOR, b"accounts")
    except Errno:
        panic("no interrupt thread")
    intr.add_handler(info, 0, handler)


def _interrupted(times: u64) -> None:
    world.interrupt(0, VECTOR)
    _take_only(times)
    while handled.load() == 0:
        world.wait()


def counted_preempted() -> None:
    """An interrupt thread counts in the middle of a count of its CPU."""
    _with_limit(10 * LOOSE)
    world.start_with(_up_with_handler)
    world.thread(_interrupted, 2, 0)
    world.thread(_take_only, 3, 1)
    world.check(_counted_exactly)


# --- Types that end -------------------------------------------------------------------------


def _begin_and_end(unused: u64) -> None:
    """A type of this CPU's; the other's has another number meanwhile."""
    mine = ref(own[globaldata.gd.cpuid])
    for _ in range(2):
        mine.name = "passing"
        assert malloc_type.admit(mine, 1)
        assert malloc_type.types[mine.index.load()] is mine, "two types have one number"
        crit.crit_enter()
        malloc_type.count(mine, 1)
        malloc_type.discount(mine, 1)
        crit.crit_exit()
        assert malloc_type.sum(mine).calls == 1, "counted for another type"
        malloc_type.detach(mine)
    gone.add(1)


def types_pass() -> None:
    """Two CPUs begin types and end them: numbers are used again."""
    _with_limit(0)
    world.thread(_begin_and_end, 0, 0)
    world.thread(_begin_and_end, 0, 1)
    world.check(_none_left)


def _none_left() -> None:
    for i in range(CPUS):
        assert own[i].index.load() == 0
    assert gone.load() == CPUS
