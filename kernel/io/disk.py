# SPDX-License-Identifier: BSD-3-Clause
"""Disks: what a driver offers, and what the rest of the kernel sees of it.

    dp = disk.create(b"nvme", ops, me)  a disk, named nvme0, nvme1, ... ; nothing known of it yet
    disk.set_info(dp, info)             its medium can be read
    disk.destroy(dp)                    it is gone: requests fail from now on, and dp is no more

A driver answers `strategy`.  Requests enter by strategy(), which counts them, refuses those that
are not whole blocks of the medium, and passes the others to the driver in the caller's context:
there is no queue and no lock between a file system and the driver's own queue of this CPU.

A request with more data than one command of the driver carries goes to it in parts, one after the
other: the request says so itself (bio.parts), so this needs no memory and cannot fail.

Invariants
  D1  A driver sees only requests of whole blocks that lie on the medium, between set_info() and
      destroy(), READ and WRITE with the pages for their length, max_transfer at most; commands
      that info says it does not know are answered here.
  D2  A request is counted in `inflight` of the CPU where it entered, and off on that where it ends.
      It is counted before `state` is looked at; so once the state is GONE and the sum over the
      CPUs is 0, none is under way, and none will be.
  D3  A Disk lives as long as somebody holds it (refs): its driver until destroy(), each device of
      it, each request.
Locking   [l] `lock`   [o] the CPU, in a critical section   [a] atomic   [I] fixed after set_info()
Tests     tests/guest/blocks.py, tests/qemu/test_nvme.py
Source    DragonFly sys/kern/subr_disk.c (design)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Fn,
    NoBlock,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    bits_of,
    copy,
    i32,
    i64,
    inline,
    may_block,
    no_block,
    pointer_at,
    ref,
    struct,
    throws,
    u8,
    u32,
    u64,
    upcall,
)

from kernel import machine
from kernel.io import bio
from kernel.io.bio import Bio, BioCmd, BioFlag
from kernel.lib import queue, words
from kernel.lib.errno import EINVAL, ENOMEM, ENXIO, EOPNOTSUPP
from kernel.lwkt import crit, globaldata, ktr, sleepq, spin
from kernel.lwkt.globaldata import gd
from kernel.machine.types import MAX_CPUS, PAGE_SIZE
from kernel.mem import slab
from kernel.mem.flags import M
from kernel.mem.malloc_type import MallocType

UNSAFE: Final = True        # a Disk travels through a request's track as an address

NAME_BYTES: Final = 16
TEXT_BYTES: Final = 64
COMMANDS: Final = 5
DRAIN_TICKS: Final = 1      # between two looks whether requests have ended

M_DISK: MallocType = MallocType(name="disk")
READY: Final[u32] = 1           # before that 0: no medium yet
GONE: Final[u32] = 2


@struct
class DiskInfo:
    """What the driver knows of the medium."""
    block_size: u32                         # bytes, a power of two from 512 to 4096
    max_transfer: u32                       # bytes that one command carries at most: whole pages
    blocks: u64                             # of block_size
    trim: bool                              # knows FREEBLKS
    write_zeroes: bool                      # knows WRITE_ZEROES
    rotates: bool                           # a seek takes time
    serial: Array[u8, TEXT_BYTES]           # text, filled up with zeros; empty if there is none
    model: Array[u8, TEXT_BYTES]            # the same


@struct
class DiskOps:
    """A driver's half."""
    strategy: NoBlock[Fn[[Ptr["Disk"], Ptr[Bio]], None]]    # start or queue; ends with biodone()


@struct(align=64)
class DiskStats:
    """Counted on one CPU; the sums over the CPUs mean something."""
    inflight: Atomic[i64]               # [a] D2
    requests: Array[u64, COMMANDS]      # [o] by BioCmd, when they end
    bytes: Array[u64, COMMANDS]         # [o] the same
    errors: u64                         # [o]
    busy: u64                           # [o] ticks of cputimer_count(), summed over requests


@struct
class Disk:
    """A whole disk."""
    link: queue.Link["Disk"]                # [l]
    name: Array[u8, NAME_BYTES]             # [I] text, filled up with zeros
    tag: u64                                # [I] the name as traces have it
    ops: Ptr[DiskOps]                       # [I]
    driver: u64                             # [I] the driver's own
    info: DiskInfo                          # [I]
    serno: Array[u8, TEXT_BYTES]            # slices.py: the serial number, made unlike the others'
    state: Atomic[u32]                      # [a]
    refs: Atomic[u32]                       # [a] D3
    stats: Array[DiskStats, MAX_CPUS]


lock: spin.Spinlock
_disks: queue.TailQueue[Disk, "link"]       # [l] in the order in which they came


@upcall
def disk_found(dp: Ptr[Disk]) -> None:
    """A disk can be read: its devices are to be made.  Does not wait for that."""


@upcall
def disk_lost(dp: Ptr[Disk]) -> None:
    """A disk is gone: unmake its devices.  Waits for that."""


# --- For drivers ---------------------------------------------------------------------------


@throws
def create(family: Slice[u8], ops: Ptr[DiskOps], driver: u64) -> Ptr[Disk]:
    """A disk without a medium so far, named after its driver with the lowest number free.

    Context  thread, no spinlock; may wait for memory.
    Errors   ENOMEM.
    """
    dp = slab.new(Disk, M_DISK, M.WAITOK | M.NULLOK)
    if dp is None:
        raise Errno(ENOMEM)
    dp.ops = ops
    dp.driver = driver
    dp.refs.store_relaxed(1)
    with lock:
        number: u64 = 0
        while True:
            _write_name(dp, family, number)
            if not _name_taken(dp):
                break
            number += 1
        dp.tag = ktr.short(name_of(dp))
        _disks.push_back(dp)
    return dp


@may_block
def set_info(dp: Ptr[Disk], info: Ptr[DiskInfo]) -> None:
    """The medium can be read and written from now on; announces the disk."""
    assert 512 <= info.block_size <= PAGE_SIZE
    assert info.max_transfer != 0 and info.max_transfer % PAGE_SIZE == 0
    copy(dp.info, info)
    dp.state.store(READY)
    disk_found(dp)


@may_block
def destroy(dp: Ptr[Disk]) -> None:
    """The disk is gone.  The driver has to end the requests that it has, with ENXIO for instance;
    this waits for that, and then the driver hears no more of the disk."""
    was = dp.state.swap(GONE)
    while _inflight(dp) != 0:
        sleepq.tsleep(u64(address_of(dp)), sleepq.NO_FLAGS, "diskgone", DRAIN_TICKS)
    if was == READY:
        disk_lost(dp)
    with lock:
        _disks.remove(dp)
    drop(dp)


# --- For everybody -------------------------------------------------------------------------


@no_block
def strategy(dp: Ptr[Disk], request: Ptr[Bio]) -> None:
    """Start a request; its offset counts from the start of the disk.

    Errors   in the request: ENXIO no medium, or gone; EINVAL not whole blocks of the medium, or
             pages missing; EOPNOTSUPP a command that the disk does not know.
    """
    crit.crit_enter()
    dp.stats[gd.cpuid].inflight.add(1)
    crit.crit_exit()
    error = _acceptable(dp, request)
    bio.push_bio(request, bio.offset(request), _done, u64(address_of(dp)))
    request.start = machine.cputimer_count()
    ktr.log(ktr.Event.BIO_START, u64(address_of(request)), dp.tag)
    if error != 0:
        bio.fail(request, error)
        return
    if request.length > dp.info.max_transfer and _has_data(request):
        parts = ref(request.parts)
        parts.length = request.length
        parts.done = 0
        parts.pages = request.pages
        _cut(dp, request)
    dp.ops.strategy(dp, request)


def size_of(dp: Ptr[Disk]) -> u64:
    """The medium in bytes."""
    return dp.info.blocks * dp.info.block_size


def name_of(dp: Ptr[Disk]) -> Slice[u8]:
    return words.until_zero(dp.name)


def serial_of(dp: Ptr[Disk]) -> Slice[u8]:
    return words.until_zero(dp.info.serial)


def hold(dp: Ptr[Disk]) -> None:
    """One more who needs the structure (D3)."""
    dp.refs.add(1)


def drop(dp: Ptr[Disk]) -> None:
    """One less."""
    if dp.refs.sub(1) == 1:
        slab.kfree(dp, M_DISK)


def nth(index: u64) -> Ptr[Disk] | None:
    """The disk at a place of the list, held; None after the last.  For listings."""
    with lock:
        for dp in _disks:
            if index == 0:
                hold(dp)
                return dp
            index -= 1
    return None


def sum_stats(dp: Ptr[Disk], total: Ptr[DiskStats]) -> None:
    """Add up what the CPUs have counted; exact when nothing is under way."""
    for cpu in globaldata.numbers():
        stats = ref(dp.stats[cpu])
        for command in range(COMMANDS):
            total.requests[command] += stats.requests[command]
            total.bytes[command] += stats.bytes[command]
        total.errors += stats.errors
        total.busy += stats.busy


# --- Inside --------------------------------------------------------------------------------


@no_block
def _done(request: Ptr[Bio]) -> None:
    """The driver is done with a request."""
    # safe: strategy() put it there, and the request's count in `inflight` keeps it
    dp = pointer_at(Disk, VirtAddr(bio.info_of(request)))
    if request.parts.length != 0 and _goes_on(dp, request):
        return
    command = bits_of(request.command)
    ktr.log(ktr.Event.BIO_DONE, u64(address_of(request)), u64(request.error))
    crit.crit_enter()
    stats = ref(dp.stats[gd.cpuid])
    stats.requests[command] += 1
    if request.error == 0:
        stats.bytes[command] += request.length
    else:
        stats.errors += 1
    stats.busy += machine.cputimer_count() - request.start
    bio.biodone(request)
    stats.inflight.sub(1)
    crit.crit_exit()


@no_block
def _goes_on(dp: Ptr[Disk], request: Ptr[Bio]) -> bool:
    """A part is done: ask the driver for the next, or have the request whole again."""
    parts = ref(request.parts)
    parts.done += request.length
    if request.error == 0 and parts.done < parts.length:
        request.flags &= ~BioFlag.RETRIED
        bio.push_bio(request, bio.offset(request) + parts.done, _done, u64(address_of(dp)))
        _cut(dp, request)
        dp.ops.strategy(dp, request)
        return True
    request.length = parts.length
    request.pages = parts.pages
    parts.length = 0
    return False


def _cut(dp: Ptr[Disk], request: Ptr[Bio]) -> None:
    """The next part, which begins as far into a page as the whole does."""
    parts = ref(request.parts)
    request.length = min(parts.length - parts.done, u64(dp.info.max_transfer))
    request.pages = parts.pages[parts.done // PAGE_SIZE:]


@inline
def _has_data(request: Ptr[Bio]) -> bool:
    return request.command == BioCmd.READ or request.command == BioCmd.WRITE


def _acceptable(dp: Ptr[Disk], request: Ptr[Bio]) -> i32:
    """0, or why the driver should not see it (D1)."""
    if dp.state.load() != READY:
        return ENXIO
    if request.command == BioCmd.FLUSH:
        return 0
    size = size_of(dp)
    where = bio.offset(request)
    mask = u64(dp.info.block_size) - 1
    length = request.length
    if (where | length) & mask != 0 or length == 0 or where > size or length > size - where:
        return EINVAL
    match request.command:
        case BioCmd.FREEBLKS:
            return 0 if dp.info.trim else EOPNOTSUPP
        case BioCmd.WRITE_ZEROES:
            return 0 if dp.info.write_zeroes else EOPNOTSUPP
        case _:
            if request.page_offset >= PAGE_SIZE:
                return EINVAL
            enough = len(request.pages) * PAGE_SIZE >= request.page_offset + length
            return 0 if enough else EINVAL


def _inflight(dp: Ptr[Disk]) -> i64:
    """Requests under way: never less than there are, once the state is GONE."""
    total: i64 = 0
    for cpu in globaldata.numbers():
        total += dp.stats[cpu].inflight.load()
    return total


def _write_name(dp: Ptr[Disk], family: Slice[u8], number: u64) -> None:
    dp.name[:len(family)].copy_from(family)
    words.write_number(dp.name[len(family):], number)


def _name_taken(dp: Ptr[Disk]) -> bool:
    for other in _disks:
        if other.name[:] == dp.name[:]:
            return True
    return False
