# SPDX-License-Identifier: BSD-3-Clause
"""Requests to disks, straight to the driver: what they read, how many at once, what they cost."""
from typing import Final

from kpy import (
    Array,
    Atomic,
    PhysAddr,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    i32,
    kprintf,
    make_slice,
    may_block,
    no_block,
    panic,
    pointer_at,
    ref,
    sizeof,
    struct,
    table,
    u8,
    u32,
    u64,
    wrapping,
    zeroed,
)

from kernel import machine
from kernel.io import bio, disk
from kernel.io.bio import Bio, BioCmd
from kernel.lib import words
from kernel.lib.errno import ENXIO
from kernel.lwkt import globaldata, sched, sleepq
from kernel.lwkt.globaldata import gd
from kernel.lwkt.thread import Pri
from kernel.machine.types import PAGE_SIZE
from kernel.mem import page
from kernel.mem.flags import NOWAIT, M
from tests.guest import support

UNSAFE: Final = True        # requests and their pages are found by address

DEPTH: Final = 32
BLOCK: Final = 4096
MAX_CPUS: Final = 4
MAX_DISKS: Final = 8
MAX_PAGES: Final = 64
ROUNDS: Final = 128
UNDISTURBED_NS: Final = 100     # the loop of the thread that does nothing takes less
LENGTHS: Final[Array[u64, 5]] = [1, 2, 3, 16, 61]       # blocks of 4 KiB
OFFSETS: Final[Array[u32, 3]] = [0, 512, 2048]
DEPTHS: Final[Array[u64, 2]] = [1, 32]


@struct
class Load:
    """What one CPU keeps under way."""
    requests: Array[Bio, DEPTH]
    pages: Array[PhysAddr, DEPTH]
    where: Array[u64, DEPTH]            # the number of the block that each request reads
    next: u64                           # blocks asked for so far
    limit: u64
    done: Atomic[u64]
    errors: Atomic[u64]
    wrong: Atomic[u64]
    dp: Ptr[disk.Disk]
    check: bool                         # each block begins with its number


loads: Array[Load, MAX_DISKS] = zeroed(Array[Load, MAX_DISKS])
one: Bio = zeroed(Bio)
frames: Array[PhysAddr, MAX_PAGES]
spare_stop: Atomic[u32]
spare_ticks: u64 = 0
switched: Atomic[u64]


def first_disk() -> Ptr[disk.Disk] | None:
    """The disk that the tests use, if there is one."""
    dp = disk.nth(0)
    if dp is None:
        kprintf("no disk here\n")
    return dp


def a_page() -> PhysAddr:
    frame = page.alloc(NOWAIT | M.ZERO)
    if frame is None:
        panic("no memory")
    return page.addr(frame)


def bytes_at(pa: PhysAddr) -> Slice[u8]:
    return make_slice(pointer_at(u8, machine.phys_to_virt(pa)), PAGE_SIZE)


@may_block
def transfer(dp: Ptr[disk.Disk], command: BioCmd, where: u64, length: u64, offset: u32 = 0) -> i32:
    """One request, waited for, with `frames` as its data; its error."""
    bio.init_waited(one, command, where, length)
    count = (offset + length + PAGE_SIZE - 1) // PAGE_SIZE
    if command in (BioCmd.READ, BioCmd.WRITE):
        for i in range(count):
            if frames[i] == PhysAddr(0):
                frames[i] = a_page()
        bio.set_pages(one, frames[:count], offset)
    disk.strategy(dp, one)
    return bio.biowait(one)


@no_block
def _again(request: Ptr[Bio]) -> None:
    """A block of the load is here: ask for the next."""
    load = pointer_at(Load, VirtAddr(bio.info_of(request)))
    slot = (u64(address_of(request)) - u64(address_of(ref(load.requests[0])))) // sizeof(Bio)
    if request.error != 0:
        load.errors.add(1)
    elif load.check and word_at(load.pages[slot]) != load.where[slot]:
        load.wrong.add(1)
    if load.next < load.limit and request.error != ENXIO:
        _ask(load, slot)                # not of a disk that is gone: that fails here and now
    elif load.done.add(1) == DEPTH - 1:
        sleepq.wakeup(u64(address_of(load)))


@no_block
def _ask(load: Ptr[Load], slot: u64) -> None:
    request = ref(load.requests[slot])
    blocks = disk.size_of(load.dp) // BLOCK
    number = wrapping(load.next * 2654435761) % blocks
    load.next += 1
    load.where[slot] = number
    bio.init(request, BioCmd.READ, number * BLOCK, BLOCK, _again, u64(address_of(load)))
    bio.set_pages(request, load.pages[slot:slot + 1], 0)
    disk.strategy(load.dp, request)


def word_at(pa: PhysAddr) -> u64:
    return pointer_at(u64, machine.phys_to_virt(pa)).value


@may_block
def run_load(load: Ptr[Load], dp: Ptr[disk.Disk], blocks: u64, depth: u64, check: bool) -> None:
    """Read `blocks` blocks in an order that jumps, `depth` under way at a time."""
    load.dp = dp
    load.next = 0
    load.limit = blocks
    load.check = check
    load.done.store(DEPTH - depth)
    load.errors.store(0)
    load.wrong.store(0)
    for slot in range(depth):
        if load.pages[slot] == PhysAddr(0):
            load.pages[slot] = a_page()
    for slot in range(depth):
        _ask(load, slot)
    ident = u64(address_of(load))
    while True:
        sleepq.tsleep_interlock(ident)
        if load.done.load() == DEPTH:
            sleepq.tsleep_remove()
            return
        sleepq.tsleep(ident, sleepq.SleepFlag.PINTERLOCKED, "load", 0)


@table("guest_test", 200)
def disk_reads_what_it_wrote() -> None:
    """Each kind of request, of several lengths, in pages that begin anywhere."""
    dp = first_disk()
    if dp is None:
        return
    for blocks in LENGTHS:
        for offset in OFFSETS:
            length = blocks * 4096
            where = 65536 * blocks
            for i in range((length + offset + PAGE_SIZE - 1) // PAGE_SIZE):
                if frames[i] == PhysAddr(0):
                    frames[i] = a_page()
            fill(length, offset, u8(blocks))
            assert transfer(dp, BioCmd.WRITE, where, length, offset) == 0
            fill(length, offset, 0)
            assert transfer(dp, BioCmd.READ, where, length, offset) == 0
            assert agrees(length, offset, u8(blocks)), f"{length} bytes at {offset}"
    assert transfer(dp, BioCmd.FLUSH, 0, 0) == 0
    if dp.info.write_zeroes:
        assert transfer(dp, BioCmd.WRITE_ZEROES, 65536, 64 << 10) == 0
        assert transfer(dp, BioCmd.READ, 65536, 4096) == 0
        for byte in bytes_at(frames[0]):
            assert byte == 0
        assert transfer(dp, BioCmd.WRITE_ZEROES, 0, disk.size_of(dp)) == 0     # several commands
    if dp.info.trim:
        assert transfer(dp, BioCmd.FREEBLKS, 0, disk.size_of(dp)) == 0
    assert transfer(dp, BioCmd.READ, 0, 4096, 1) == 22, "EINVAL: no controller takes odd addresses"
    kprintf(f"{disk.name_of(dp)} serial {disk.serial_of(dp)} {dp.info.blocks} blocks of "
            f"{dp.info.block_size}\n")


def fill(length: u64, offset: u32, seed: u8) -> None:
    for i in range(length):
        at = offset + i
        bytes_at(frames[at // PAGE_SIZE])[at % PAGE_SIZE] = 0 if seed == 0 else pattern(i, seed)


def agrees(length: u64, offset: u32, seed: u8) -> bool:
    for i in range(length):
        at = offset + i
        if bytes_at(frames[at // PAGE_SIZE])[at % PAGE_SIZE] != pattern(i, seed):
            return False
    return True


def pattern(i: u64, seed: u8) -> u8:
    return u8((i * 7 + (i >> 8) + seed) & 0xFF)


@table("guest_test", 201)
def disk_cost() -> None:
    """Instructions per read of 4 KiB, one and 32 at a time, where the clock counts instructions:
    what passes while the thread of the lowest priority does not run; and behind it whether that
    thread ran in most reads, so that a read has two switches more."""
    dp = first_disk()
    if dp is None:
        return
    load = ref(loads[0])
    spare_stop.store(0)
    support.spawn(_spare, 0, gd.cpuid, Pri.IDLE_WORK)
    for depth in DEPTHS:
        run_load(load, dp, 256, depth, False)
        reads = 32 + 3 * depth                  # few, so that some rounds are undisturbed
        least: u64 = u64.MAX
        slept: u64 = 0
        for _ in range(ROUNDS):                 # the clock's own interrupts come in some of them
            began = machine.cputimer_count()
            spare = spare_ticks
            switches = switched.load()
            run_load(load, dp, reads, depth, False)
            taken = machine.cputimer_count() - began - (spare_ticks - spare)
            if taken < least:
                least = taken
                slept = switched.load() - switches
            assert load.errors.load() == 0
        ns = least * 1000 // (machine.cputimer_hz() // 1_000_000)
        kprintf(f"qd{depth} {ns // reads} {slept * 2 // reads}\n")
    spare_stop.store(1)
    support.join()


def _spare(unused: u64) -> None:
    """Runs when nobody else does, and adds up how long."""
    global spare_ticks
    before = machine.cputimer_count()
    limit = machine.cputimer_hz() * UNDISTURBED_NS // 1_000_000_000
    while spare_stop.load_relaxed() == 0:
        now = machine.cputimer_count()
        if now - before < limit:
            spare_ticks += now - before
        else:
            switched.add(1)             # somebody else ran
        before = now
        sched.yield_()                  # a thread of the kernel gives way by itself
    support.done()


@table("guest_test", 202)
def disk_load_on_all_cpus() -> None:
    """Every CPU reads every disk at depth 32; each block says its own number."""
    index: u64 = 0
    while True:
        dp = disk.nth(index)
        if dp is None:
            break
        began = machine.cputimer_count()
        for cpu in range(min(globaldata.ncpus, MAX_CPUS)):
            loads[cpu].dp = dp
            support.spawn(_load_here, u64(cpu), cpu)
        support.join()
        ms = max(support.elapsed_ms(began), 1)
        errors: u64 = 0
        wrong: u64 = 0
        total: u64 = 0
        for cpu in range(min(globaldata.ncpus, MAX_CPUS)):
            errors += loads[cpu].errors.load()
            wrong += loads[cpu].wrong.load()
            total += loads[cpu].next
        kprintf(f"{disk.name_of(dp)} {total} reads {errors} errors {wrong} wrong "
                f"{total * 1000 // ms} a second\n")
        index += 1
    if index == 0:
        kprintf("no disk here\n")


def _load_here(cpu: u64) -> None:
    blocks, given = words.number(words.value_of(machine.command_line(), b"blocks"))
    load = ref(loads[cpu])
    run_load(load, load.dp, blocks if given else 4096, DEPTH, True)
    support.done()


@table("guest_test", 203)
def disk_load_on_all_disks() -> None:
    """All disks are read at depth 32 at once, each by a CPU."""
    found: u64 = 0
    while found < MAX_DISKS:
        dp = disk.nth(found)
        if dp is None:
            break
        loads[found].dp = dp
        found += 1
    if found == 0:
        kprintf("no disk here\n")
        return
    began = machine.cputimer_count()
    for index in range(found):
        support.spawn(_load_here, index, u32(index) % globaldata.ncpus)
    support.join()
    ms = max(support.elapsed_ms(began), 1)
    for index in range(found):
        load = ref(loads[index])
        kprintf(f"{disk.name_of(load.dp)} {load.next} reads {load.errors.load()} errors "
                f"{load.wrong.load()} wrong {load.next * 1000 // ms} a second\n")
