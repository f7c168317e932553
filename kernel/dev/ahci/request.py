# SPDX-License-Identifier: BSD-3-Clause
"""From a Bio to a command, and from its completion to biodone().

    strategy()   any CPU: lock the port, write header, frame and table, issue
    act()        the interrupt's thread: PxIS tells completions from trouble
    complete()   lock, collect all that is complete, unlock, biodone() for each; then start what
                 waits and issue that with what the handlers submitted

A request's pages become entries of the command table, neighbours one entry.  A TRIM may need
several commands, each with a list of ranges in the port's area; a write that is to be on the medium
becomes a write and a flush if the device knows nothing better.

bio.driver[0]  TRIM: bytes done
bio.driver[1]  what is special: ALONE, FLUSHING

Invariants
  B1  A request is on `waiting`, in a slot, or ended; it is nowhere twice.
  B2  A request that was under way at a time-out, or failed for a transient reason, is sent a
      second time, not a third.
Locking   [p] as in port.py
Tests     tests/unit/dev/ahci/test_request.py, tests/qemu/test_ahci.py
Source    AHCI 1.3.1, 5.5.1 "Issuing Commands", 5.5.3 "Processing Completed Commands"; ACS-3, 7
"""
from typing import Final

from kpy import (
    PhysAddr,
    Ptr,
    Slice,
    clz,
    ctz,
    i32,
    inline,
    no_block,
    popcount,
    ref,
    trunc,
    u8,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel.bus import dma
from kernel.dev.ahci import port as ports
from kernel.dev.ahci import regs
from kernel.dev.ahci.device import Kind
from kernel.dev.ahci.port import Port
from kernel.dev.ahci.regs import CommandTable
from kernel.io import bio, disk
from kernel.io.bio import Bio, BioCmd, BioFlag, Ended
from kernel.lib.errno import EFAULT, EINVAL, EIO, ENXIO, EROFS
from kernel.machine.types import PAGE_SIZE

MAX_TRANSFER: Final = 960 << 10     # a multiple of 64 KiB whose pages a table has entries for
ALONE: Final[u64] = 1               # to be sent while nothing else is under way
FLUSHING: Final[u64] = 2            # its data is written; the cache is yet to be flushed
BYTE: Final = 8


@no_block
def strategy(dp: Ptr[disk.Disk], request: Ptr[Bio]) -> None:
    """Start a request, or queue it."""
    port = ports.seen_by(dp.driver)
    request.driver[0] = 0
    request.driver[1] = 0
    match request.command:
        case BioCmd.FLUSH:
            if not port.drive.flush:
                bio.biodone(request)
                return
        case BioCmd.READ | BioCmd.WRITE:
            if request.command == BioCmd.WRITE and port.drive.kind == Kind.ATAPI:
                bio.fail(request, EROFS)
                return
            if request.page_offset & 1 != 0:
                bio.fail(request, EINVAL)       # regs.Prd: an even address
                return
            if not port.cap.S64A and not _within(request.pages, port.reach):
                bio.fail(request, EFAULT)
                return
        case _:
            pass
    submit(port, request)


@no_block
def submit(port: Ptr[Port], request: Ptr[Bio]) -> None:
    """Start a request, or have it wait for its turn."""
    ports.lock(port)
    if port.state == ports.OPEN and port.waiting.empty() and _its_turn(port, request):
        _start(port, request)
        ports.unlock(port)
        return
    nothing = port.state in (ports.EMPTY, ports.DEAD)
    if not nothing:
        port.waiting.push_back(request)
        port.counters.waited += 1
    ports.unlock(port)
    if nothing:
        bio.fail(request, ENXIO)


@inline
def take_status(port: Ptr[Port]) -> u32:
    """What a port has to say; it says that once.  Before act(): what ends later, is said again."""
    status = port.registers.PxIS[port.number]
    if status != 0:
        port.registers.PxIS[port.number] = status
    return status


@no_block
def act(port: Ptr[Port], status: u32) -> None:
    """Do what a status is about."""
    if status & regs.IS_ATTENTION != 0:
        ports.alarm(port, status)
    elif status != 0:
        port.counters.interrupts += 1
        complete(port)


@no_block
def complete(port: Ptr[Port]) -> None:
    """End all requests whose commands are complete; what those submit is issued at once."""
    ports.lock(port)
    if port.state not in (ports.OPEN, ports.DRAINING):
        ports.unlock(port)
        return
    ended: Ended = zeroed(Ended)
    _collect(port, ports.ended(port), ended)
    port.deferring = True
    if ended.first is not None:
        ports.unlock(port)
        ended.tell()
        ports.lock(port)
    if port.state == ports.OPEN:
        port.deferring = True
        _start_waiting(port)
        ports.issue(port)
    port.deferring = False
    ports.unlock(port)


def _collect(port: Ptr[Port], done: u32, ended: Ptr[Ended]) -> None:
    """The active commands `done` are complete: which requests that ends.  Under the lock."""
    if done == 0:
        return
    port.active &= ~done
    port.counters.completed += popcount(done)
    port.counters.batches += 1
    while done != 0:
        number = u32(ctz(done))
        done &= done - 1
        request = unwrap(ports.release_slot(port, number))
        if not port.queued:
            if _is_short(port, request, number):
                request.error = EIO
            elif _has_more(port, request):
                port.waiting.push_front(request)
                continue
        elif _to_be_flushed(port, request):
            port.waiting.push_front(request)
            continue
        ended.add(request)


def _is_short(port: Ptr[Port], request: Ptr[Bio], number: u32) -> bool:
    """Whether a read brought less than it should have."""
    return (request.command == BioCmd.READ
            and ports.transferred(port, number) != request.length)


def _has_more(port: Ptr[Port], request: Ptr[Bio]) -> bool:
    """Whether a request, whose command was not a queued one, needs another."""
    if request.command == BioCmd.FREEBLKS:
        return request.driver[0] < request.length
    return _to_be_flushed(port, request)


def _to_be_flushed(port: Ptr[Port], request: Ptr[Bio]) -> bool:
    """Whether a write is to be followed by a flush."""
    if BioFlag.FUA not in request.flags or port.drive.fua or not port.drive.flush:
        return False
    if request.command != BioCmd.WRITE or request.driver[1] & FLUSHING != 0:
        return False
    request.driver[1] |= FLUSHING
    return True


def _start_waiting(port: Ptr[Port]) -> None:
    """Start what waits, as long as it may.  Under the lock; the port is open."""
    while (request := port.waiting.first) is not None:
        if not _its_turn(port, request):
            return
        port.waiting.remove(request)
        _start(port, request)


# --- Writing a command ---------------------------------------------------------------------


@inline
def _is_queued(port: Ptr[Port], request: Ptr[Bio]) -> bool:
    """Whether its command is to be a queued one."""
    return (port.drive.queued and request.driver[1] == 0
            and (request.command == BioCmd.READ or request.command == BioCmd.WRITE))


@inline
def _its_turn(port: Ptr[Port], request: Ptr[Bio]) -> bool:
    """Whether it may be started now, before all others that wait (P2)."""
    if port.active | port.ready == 0:
        return True
    return port.queued and port.free != 0 and _is_queued(port, request)


@inline
def _start(port: Ptr[Port], request: Ptr[Bio]) -> None:
    """Write and send the command of a request.  Under the lock, at its turn."""
    port.queued = _is_queued(port, request)
    number = ports.take_slot(port, request)
    table = unwrap(port.slots[number].table)
    if port.queued:
        _write_queued(port, request, table, number)
    elif request.command == BioCmd.FREEBLKS:
        _write_trim(port, request, table, number)
    elif request.command == BioCmd.FLUSH or request.driver[1] & FLUSHING != 0:
        _write_frame(table, regs.FLUSH_CACHE_EXT, 0, 0)
        port.headers[number].state = regs.FIS_DWORDS
    elif port.drive.kind == Kind.ATAPI:
        _write_packet(port, request, table, number)
    else:
        _write_plain(port, request, table, number)
    ports.send(port, number)


@inline
def _write_queued(port: Ptr[Port], request: Ptr[Bio], table: Ptr[CommandTable],
                  number: u32) -> None:
    """READ or WRITE FPDMA QUEUED."""
    lba = bio.offset(request) >> port.drive.shift
    blocks = trunc(u32, request.length >> port.drive.shift)
    command = regs.READ_FPDMA_QUEUED
    state: u64 = regs.FIS_DWORDS
    low = trunc(u32, lba & regs.LBA_LOW) | regs.DEVICE_LBA
    if request.command == BioCmd.WRITE:
        command = regs.WRITE_FPDMA_QUEUED
        state |= regs.HEADER_WRITE
        if BioFlag.FUA in request.flags and port.drive.fua:
            low |= regs.QUEUED_FUA
    fis = ref(table.cfis)
    fis.head = (regs.FIS_H2D | regs.FIS_COMMAND | command << regs.COMMAND_SHIFT
                | (blocks & regs.COUNT_LOW) << regs.FEATURES_SHIFT)
    fis.low = low
    fis.high = trunc(u32, lba >> regs.LBA_BITS) | blocks >> BYTE << regs.FEATURES_SHIFT
    fis.count = number << regs.TAG_SHIFT
    port.headers[number].state = state | _list_pages(table, request) << regs.PRDTL_SHIFT


def _write_plain(port: Ptr[Port], request: Ptr[Bio], table: Ptr[CommandTable],
                 number: u32) -> None:
    """READ or WRITE DMA EXT."""
    lba = bio.offset(request) >> port.drive.shift
    blocks = trunc(u32, request.length >> port.drive.shift)
    command = regs.READ_DMA_EXT
    state: u64 = regs.FIS_DWORDS
    if request.command == BioCmd.WRITE:
        fua = BioFlag.FUA in request.flags and port.drive.fua
        command = regs.WRITE_DMA_FUA_EXT if fua else regs.WRITE_DMA_EXT
        state |= regs.HEADER_WRITE
    _write_frame(table, command, lba, blocks)
    port.headers[number].state = state | _list_pages(table, request) << regs.PRDTL_SHIFT


def _write_frame(table: Ptr[CommandTable], command: u32, lba: u64, count: u32,
                 features: u32 = 0) -> None:
    """The frame of a command that is not a queued one."""
    fis = ref(table.cfis)
    fis.head = (regs.FIS_H2D | regs.FIS_COMMAND | command << regs.COMMAND_SHIFT
                | features << regs.FEATURES_SHIFT)
    fis.low = trunc(u32, lba & regs.LBA_LOW) | regs.DEVICE_LBA
    fis.high = trunc(u32, lba >> regs.LBA_BITS)
    fis.count = count


def _write_packet(port: Ptr[Port], request: Ptr[Bio], table: Ptr[CommandTable],
                  number: u32) -> None:
    """READ(10) in a PACKET."""
    lba = trunc(u32, bio.offset(request) >> port.drive.shift)
    blocks = request.length >> port.drive.shift
    _write_frame(table, regs.PACKET, 0, 0, regs.PACKET_DMA)
    packet = ref(table.acmd)
    packet[:].fill(0)
    packet[0] = regs.READ_10
    for i in range(4):
        packet[regs.READ_10_LBA + i] = trunc(u8, lba >> (3 - i) * BYTE)
    packet[regs.READ_10_LENGTH] = trunc(u8, blocks >> BYTE)
    packet[regs.READ_10_LENGTH + 1] = trunc(u8, blocks)
    port.headers[number].state = (regs.FIS_DWORDS | regs.HEADER_ATAPI
                                  | _list_pages(table, request) << regs.PRDTL_SHIFT)


def _write_trim(port: Ptr[Port], request: Ptr[Bio], table: Ptr[CommandTable],
                number: u32) -> None:
    """DATA SET MANAGEMENT: as much of the range as one block of ranges says."""
    shift = port.drive.shift
    lba = (bio.offset(request) + request.driver[0]) >> shift
    left = (request.length - request.driver[0]) >> shift
    ranges = dma.array(u64, port.area, ports.TRIM_AT, regs.TRIM_ENTRIES)
    for i in range(regs.TRIM_ENTRIES):
        sectors = min(left, regs.TRIM_SECTORS)
        ranges[i] = lba | sectors << regs.TRIM_COUNT_SHIFT if sectors != 0 else 0
        lba += sectors
        left -= sectors
    request.driver[0] = request.length - (left << shift)
    _write_frame(table, regs.DATA_SET_MANAGEMENT, 0, 1, regs.FEATURE_TRIM)
    table.prdt[0].dba = u64(port.area.address) + ports.TRIM_AT
    table.prdt[0].dbc = regs.SECTOR - 1
    port.headers[number].state = (regs.FIS_DWORDS | regs.HEADER_WRITE
                                  | u64(1) << regs.PRDTL_SHIFT)


@inline
def _list_pages(table: Ptr[CommandTable], request: Ptr[Bio]) -> u64:
    """Where in memory; how many entries that takes."""
    at = u64(request.pages[0]) + request.page_offset
    left = request.length
    if request.page_offset + left <= PAGE_SIZE:
        table.prdt[0].dba = at
        table.prdt[0].dbc = trunc(u32, left - 1)
        return 1
    return _list_several(table, request)


def _list_several(table: Ptr[CommandTable], request: Ptr[Bio]) -> u64:
    """_list_pages() of a request that does not lie in one page."""
    start = u64(request.pages[0]) + request.page_offset
    size = PAGE_SIZE - u64(request.page_offset)
    left = request.length - size
    used: u64 = 0
    for page in request.pages[1:]:
        if left == 0:
            break
        part = min(left, PAGE_SIZE)
        if u64(page) != start + size:
            _entry(table, used, start, size)
            used += 1
            start = u64(page)
            size = 0
        size += part
        left -= part
    _entry(table, used, start, size)
    return used + 1


@inline
def _entry(table: Ptr[CommandTable], index: u64, start: u64, size: u64) -> None:
    entry = ref(table.prdt[index])
    entry.dba = start
    entry.dbc = trunc(u32, size - 1)


def _within(pages: Slice[PhysAddr], reach: u64) -> bool:
    """Whether an HBA that knows no higher addresses than `reach` can get at all of them."""
    for page in pages:
        if u64(page) >= reach:
            return False
    return True


# --- When commands come to nothing ---------------------------------------------------------


@no_block
def finish(port: Ptr[Port], pending: u32) -> None:
    """End the requests of active commands that are not among `pending`: they are complete.

    Context  the port's thread; the port is held.
    """
    ended: Ended = zeroed(Ended)
    ports.lock(port)
    _collect(port, port.active & ~pending, ended)
    ports.unlock(port)
    ended.tell()


def writes(port: Ptr[Port], number: u32) -> bool:
    """Whether the command of a slot is a write.  The port is held."""
    request = port.slots[number].request
    return request is not None and request.command == BioCmd.WRITE


@no_block
def fail(port: Ptr[Port], number: u32, error: i32, transient: bool) -> bool:
    """The active command of a slot has failed; whether there is one.  A request is tried once more
    if the reason is `transient`.

    Context  the port's thread; the port is held.
    """
    ports.lock(port)
    mask = u32(1) << number
    if port.active & mask == 0:
        ports.unlock(port)
        return False
    port.active &= ~mask
    port.counters.errors += 1
    request = unwrap(ports.release_slot(port, number))
    again = transient and BioFlag.RETRIED not in request.flags
    if again:
        request.flags |= BioFlag.RETRIED
        request.driver[0] = 0
        port.waiting.push_front(request)
    ports.unlock(port)
    if not again:
        bio.fail(request, error)
    return True


@no_block
def put_back(port: Ptr[Port], special: u64, again: bool) -> None:
    """Nothing is under way any more, the HBA reaches no memory: what was is to be sent anew, in
    the manner of `special`.  If `again`, what has been put back so before is ended with EIO.

    Context  the port's thread; the port is held.
    """
    ended: Ended = zeroed(Ended)
    ports.lock(port)
    under_way = port.all & ~port.free
    never_issued = port.ready
    port.active = 0
    port.ready = 0
    while under_way != 0:
        number = regs.SLOTS - 1 - u32(clz(under_way))       # the front is to be the lowest
        under_way &= ~(u32(1) << number)
        request = unwrap(ports.release_slot(port, number))
        tried = again and never_issued & (u32(1) << number) == 0
        if tried and BioFlag.RETRIED in request.flags:
            ended.add_failed(request, EIO)
            port.counters.errors += 1
            continue
        if tried:
            request.flags |= BioFlag.RETRIED
        if request.command == BioCmd.FREEBLKS:
            request.driver[0] = 0               # the whole range: doing it twice does no harm
        request.driver[1] |= special
        port.waiting.push_front(request)
        port.counters.again += 1
    ports.unlock(port)
    ended.tell()


@no_block
def end_everything(port: Ptr[Port], state: u32) -> None:
    """All requests end with ENXIO, also those to come: the HBA reaches none of their pages."""
    ended: Ended = zeroed(Ended)
    ports.lock(port)
    port.state = state
    port.active = 0
    port.ready = 0
    under_way = port.all & ~port.free
    while under_way != 0:
        number = u32(ctz(under_way))
        under_way &= under_way - 1
        request = unwrap(ports.release_slot(port, number))
        ended.add_failed(request, ENXIO)
    while (waiting := port.waiting.pop_front()) is not None:
        ended.add_failed(waiting, ENXIO)
    ports.unlock(port)
    ended.tell()


@no_block
def open_(port: Ptr[Port], enable: u32) -> bool:
    """Let requests pass, and interrupts; False if there is something to look at before."""
    ports.lock(port)
    quiet = port.events == 0
    if quiet:
        port.state = ports.OPEN
        port.registers.PxIE[port.number] = enable
        port.deferring = True
        _start_waiting(port)
        port.deferring = False
        ports.issue(port)
    ports.unlock(port)
    return quiet


@no_block
def hold(port: Ptr[Port], state: u32) -> None:
    """Let no requests pass for now: HELD, or DRAINING."""
    ports.lock(port)
    if port.state in (ports.OPEN, ports.HELD, ports.DRAINING):
        port.state = state
        if state == ports.HELD:
            port.registers.PxIE[port.number] = 0
    ports.unlock(port)
