# SPDX-License-Identifier: BSD-3-Clause
"""Kernel memory on all CPUs at once: slabs, frames, TLBs, objects, and a wait."""
from typing import Final

from kpy import (
    Array,
    Atomic,
    MPtr,
    PhysAddr,
    Ptr,
    VirtAddr,
    address_of,
    cast,
    kprintf,
    may_block,
    pointer_at,
    ref,
    struct,
    table,
    u32,
    u64,
    unwrap,
    volatile_load,
    volatile_store,
    zeroed,
)

from kernel import machine
from kernel.lwkt import sleepq
from kernel.lwkt.globaldata import gd
from kernel.machine.types import PAGE_SIZE, Prot
from kernel.mem import kmalloc_obj, kva, malloc_type, objcache, page, slab
from kernel.mem.flags import NOWAIT, M
from kernel.mem.kmalloc_obj import ObjType
from kernel.mem.malloc_type import MallocType
from kernel.mem.objcache import ObjCache
from tests.guest import support
from tests.guest.support import Random

UNSAFE: Final = True        # looks at memory by its address

OPERATIONS: Final = 1_000_000
SLOTS: Final = 2048
ROUNDS: Final = 10_000


@struct
class Signal:
    """A number to wait for."""
    count: Atomic[u32]


M_TEST: MallocType = MallocType(name="test")
slots: Array[Atomic[u64], SLOTS]
remote: Atomic[u64]         # chunks freed by another CPU than allocated them
zones: Atomic[u64]
counted: Atomic[u64]
place: Atomic[u64]          # the address that readers look at
turn: Signal                # the value that they must find there
seen: Signal                # readers that have
objects: ObjType = zeroed(ObjType)
cache: ObjCache = zeroed(ObjCache)
made: Atomic[u64]
ended: Atomic[u64]


# --- Slabs ---------------------------------------------------------------------------------


def _fill(address: u64, size: u64) -> None:
    """Each chunk holds its size and CPU, and its own address at both ends."""
    words = cast(MPtr[u64], pointer_at(u64, VirtAddr(address)))
    words[0] = size << 8 | gd.cpuid
    words[1] = address
    words[size // 8 - 1] = address if size >= 24 else words[size // 8 - 1]


def _check(address: u64) -> None:
    words = cast(MPtr[u64], pointer_at(u64, VirtAddr(address)))
    size = words[0] >> 8
    assert words[1] == address, "a chunk was overwritten"
    assert size < 24 or words[size // 8 - 1] == address, "a chunk's end was overwritten"
    if words[0] & 0xFF != gd.cpuid:
        remote.add(1, order="relaxed")


def _churn(seed: u64) -> None:
    """Exchange what is in random slots: half of the frees are of others' chunks."""
    random = Random(state=seed)
    rounds = u64(OPERATIONS) // support.cpus()
    for _ in range(rounds):
        number = random.next(SLOTS)
        fresh: u64 = 0
        if random.next(4) != 0:
            size = 16 + (random.next(256) if random.next(8) != 0 else random.next(6000)) // 8 * 8
            fresh = u64(address_of(unwrap(slab.kmalloc(size, M_TEST, M.WAITOK))))
            _fill(fresh, size)
        old = slots[number].swap(fresh, order="acq_rel")
        if old != 0:
            _check(old)
            slab.free_address(old, M_TEST)
    support.done()


def _give_all_back(unused: u64) -> None:
    slab.drain()
    kva.drain()
    zones.add(slab.slab.nzones)
    support.done()


@may_block
def _count_zones() -> u64:
    """The zones of all CPUs, once nothing that can go back is kept and no message is under way."""
    for _ in range(3):
        support.pause_ticks(3)
        zones.store(0)
        for cpu in range(support.cpus()):
            support.spawn(_give_all_back, 0, cpu)
        support.join()
    return zones.load()


@may_block
def _churn_everywhere() -> None:
    for cpu in range(support.cpus()):
        support.spawn(_churn, 0x9E37_79B9 + cpu, cpu)
    support.join()


@may_block
def _churn_and_count(checked: bool) -> None:
    remote.store(0)
    slab.debug = checked
    before = _count_zones()
    _churn_everywhere()
    for i in range(SLOTS):
        old = slots[i].swap(0)
        if old != 0:
            _check(old)
            slab.free_address(old, M_TEST)
    slab.debug = False
    after = _count_zones()
    total = malloc_type.sum(M_TEST)
    assert total.inuse == 0 and total.memuse == 0
    assert after <= before, f"zones were kept: {after}, before {before}"
    kprintf(f"{total.calls} allocations, {remote.load()} freed on another CPU, "
            f"{before} zones before, {after} after\n")


@table("guest_test", 110)
def slabs_with_frees_from_elsewhere() -> None:
    """1e6 random kmalloc and kfree on all CPUs; no chunk is overwritten, all zones go back."""
    _churn_and_count(False)


@table("guest_test", 111)
def slabs_are_sound_when_checked() -> None:
    """The same with every free and every chunk checked."""
    _churn_and_count(True)


# --- Frames --------------------------------------------------------------------------------


def _frames(seed: u64) -> None:
    held: Array[u64, 64]
    random = Random(state=seed)
    for _ in range(ROUNDS * 2):
        at = random.next(64)
        if held[at] != 0:
            frame = unwrap(page.of(PhysAddr(held[at])))
            word = cast(MPtr[u64], pointer_at(u64, page.virt(frame)))
            assert word[0] == held[at] and word[511] == seed, "two have one frame"
            page.free(frame)
            held[at] = 0
        else:
            frame = unwrap(page.alloc(M.USE_RESERVE))
            held[at] = u64(page.addr(frame))
            word = cast(MPtr[u64], pointer_at(u64, page.virt(frame)))
            word[0] = held[at]
            word[511] = seed
    for at in range(64):
        if held[at] != 0:
            page.free(unwrap(page.of(PhysAddr(held[at]))))
    support.done()


@table("guest_test", 112)
def frames_belong_to_one() -> None:
    """Frames allocated and freed on all CPUs are each with one owner, and all come back."""
    for _ in range(8):                  # until each CPU keeps as many threads as it ever will
        _count_zones()
    before = page.count_free()
    for cpu in range(support.cpus()):
        support.spawn(_frames, 77 + cpu, cpu)
    support.join()
    _count_zones()
    after = page.count_free()
    assert after + 16 >= before, f"frames were lost: {after} of {before}"
    kprintf(f"{support.cpus() * ROUNDS * 2} operations, {before} frames free before, "
            f"{after} after\n")


def _want(size: u64) -> None:
    """Memory that there is not: sleeps until there is."""
    counted.store(u64(address_of(unwrap(slab.kmalloc(size, M_TEST, M.WAITOK)))))
    support.done()


@table("guest_test", 118)
def waiting_for_memory() -> None:
    """A thread that asks for memory when all is used sleeps until some is freed."""
    counted.store(0)
    support.spawn(_want, 64, 0)         # a thread of its own is there, and a zone
    support.join()
    slab.free_address(counted.load(), M_TEST)
    first: u64 = 0
    hogged: u64 = 0
    while True:                         # every frame but the reserves, in a chain
        frame = page.alloc(M.RNOWAIT)
        if frame is None:
            break
        pointer_at(u64, page.virt(frame)).value = first
        first = u64(page.addr(frame))
        hogged += 1
    counted.store(0)
    support.spawn(_want, 200_000, 0)
    support.pause_ticks(20)
    assert counted.load() == 0, "there was memory left"
    assert page.waiters.load() == 1
    while first != 0:
        frame = unwrap(page.of(PhysAddr(first)))
        first = pointer_at(u64, page.virt(frame)).value
        page.free(frame)
    support.join()
    assert counted.load() != 0 and page.waiters.load() == 0
    slab.free_address(counted.load(), M_TEST)
    kprintf(f"slept until {hogged} frames came back\n")


# --- TLBs ----------------------------------------------------------------------------------


def _read(cpu: u64) -> None:
    """See every value that the master puts where it says."""
    for expected in range(1, ROUNDS + 1):
        _await(turn, u32(expected))
        address = place.load_acquire()
        value = volatile_load(pointer_at(u64, VirtAddr(address)).value)
        assert value == expected, f"a stale translation of {address:#x}"
        if seen.count.add(1, order="release") + 1 == support.cpus() - 1:
            sleepq.wakeup(u64(address_of(ref(seen))))
    support.done()


@may_block
def _await(number: Ptr[Signal], wanted: u32) -> None:
    """Sleep until `number` is at least `wanted`."""
    ident = u64(address_of(number))
    while number.count.load() < wanted:
        sleepq.tsleep_interlock(ident)
        if number.count.load() >= wanted:
            sleepq.tsleep_remove()
            return
        sleepq.tsleep(ident, sleepq.SleepFlag.PINTERLOCKED, "turn", 0)


@may_block
def _show(address: u64, value: u32) -> None:
    """Have every other CPU read `value` at `address`."""
    volatile_store(pointer_at(u64, VirtAddr(address)).value, u64(value))
    place.store(address)
    seen.count.store(0)
    turn.count.store(value)
    sleepq.wakeup(u64(address_of(ref(turn))))
    _await(seen, support.cpus() - 1)


@may_block
def _start_readers() -> None:
    turn.count.store(0)
    for cpu in range(support.cpus()):
        if cpu != gd.cpuid:
            support.spawn(_read, cpu, cpu)


@table("guest_test", 113)
def tlb_shootdown() -> None:
    """One address gets another frame 10,000 times; no CPU reads through an old translation."""
    _start_readers()
    frames: Array[u64, 2]
    for i in range(2):
        frames[i] = u64(page.addr(unwrap(page.alloc(M.ZERO))))
    va = kva.reserve(1)
    for round_ in range(1, ROUNDS + 1):
        frame = unwrap(page.of(PhysAddr(frames[round_ % 2])))
        assert kva.map_page(va, frame, Prot.WRITE)
        _show(va, u32(round_))
        machine.pmap_remove(VirtAddr(va))
        kva.shootdown(va, 1)
    support.join()
    kva.release(va, 1)
    for i in range(2):
        page.free(unwrap(page.of(PhysAddr(frames[i]))))
    kprintf(f"{ROUNDS} rounds, {support.cpus() - 1} other CPUs\n")


@table("guest_test", 114)
def addresses_come_back_clean() -> None:
    """Memory mapped, read everywhere and freed 10,000 times; addresses are used again, and none
    while a CPU still translates it in the old way."""
    _start_readers()
    launched = kva.local.counters.launched
    lowest: u64 = 0xFFFF_FFFF_FFFF_FFFF
    highest: u64 = 0
    for round_ in range(1, ROUNDS + 1):
        va = kva.alloc(1, M.USE_RESERVE)
        assert va != 0
        lowest = min(lowest, va)
        highest = max(highest, va)
        _show(va, u32(round_))
        kva.free(va, 1)
    support.join()
    kprintf(f"{ROUNDS} rounds in {(highest - lowest) // PAGE_SIZE + 1} addresses, "
            f"{kva.local.counters.launched - launched} batches\n")


# --- Objects -------------------------------------------------------------------------------


def _objects(seed: u64) -> None:
    random = Random(state=seed)
    for _ in range(ROUNDS * 5):
        number = random.next(SLOTS)
        fresh: u64 = 0
        if random.next(3) != 0:
            fresh = kmalloc_obj.alloc(objects, NOWAIT)
            assert fresh != 0
            _fill(fresh, 208)
        old = slots[number].swap(fresh, order="acq_rel")
        if old != 0:
            _check(old)
            kmalloc_obj.free(objects, old)
    support.done()


def _poll(unused: u64) -> None:
    kmalloc_obj.poll()
    kmalloc_obj.drain()
    support.done()


@table("guest_test", 115)
def objects_of_one_type() -> None:
    """Objects allocated and freed on all CPUs; the end of their type gives all memory back."""
    objects.kind.name = "objects"
    kmalloc_obj.create(objects, 208)
    remote.store(0)
    for cpu in range(support.cpus()):
        support.spawn(_objects, 5 + cpu, cpu)
    support.join()
    for cpu in range(support.cpus()):
        support.spawn(_poll, 0, cpu)
    support.join()
    most = objects.nslabs
    for i in range(SLOTS):
        old = slots[i].swap(0)
        if old != 0:
            kmalloc_obj.free(objects, old)
    total = malloc_type.sum(objects.kind)
    assert total.inuse == 0
    kmalloc_obj.destroy(objects)
    kmalloc_obj.drain()
    assert objects.nslabs == 0
    kprintf(f"{total.calls} objects, {remote.load()} freed on another CPU, {most} slabs\n")


def _make_object(unused: u64, how: M) -> u64:
    memory = slab.kmalloc_nowait(64, M_TEST, how)
    return 0 if memory is None else u64(address_of(memory))


def _free_object(item: u64, unused: u64) -> None:
    slab.free_address(item, M_TEST)


def _construct(item: u64, unused: u64, how: M) -> bool:
    cast(MPtr[u64], pointer_at(u64, VirtAddr(item)))[0] = item
    made.add(1)
    return True


def _destruct(item: u64, unused: u64) -> None:
    assert cast(MPtr[u64], pointer_at(u64, VirtAddr(item)))[0] == item
    ended.add(1)


def _cached(seed: u64) -> None:
    random = Random(state=seed)
    for _ in range(ROUNDS * 5):
        number = random.next(512)
        fresh = objcache.get(cache, M.WAITOK)
        assert cast(MPtr[u64], pointer_at(u64, VirtAddr(fresh)))[0] == fresh, "not constructed"
        old = slots[number].swap(fresh, order="acq_rel")
        if old != 0:
            objcache.put(cache, old)
    support.done()


@table("guest_test", 116)
def constructed_objects() -> None:
    """Objects pass through magazines on all CPUs, constructed once and destroyed once."""
    made.store(0)
    ended.store(0)
    cache.name = "test"
    cache.alloc = _make_object
    cache.free = _free_object
    cache.ctor = _construct
    cache.dtor = _destruct
    cache.kind = M_TEST
    assert objcache.create(cache, 4096, 256, support.cpus(), M.WAITOK)
    for cpu in range(support.cpus()):
        support.spawn(_cached, 11 + cpu, cpu)
    support.join()
    for i in range(512):
        old = slots[i].swap(0)
        if old != 0:
            objcache.put(cache, old)
    objcache.destroy(cache)
    assert made.load() == ended.load() and malloc_type.sum(M_TEST).inuse == 0
    kprintf(f"{support.cpus() * ROUNDS * 5} uses of {made.load()} objects\n")
