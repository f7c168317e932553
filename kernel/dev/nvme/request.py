# SPDX-License-Identifier: BSD-3-Clause
"""From a Bio to a command, and from its completion to biodone().

    strategy()   the caller's CPU: lock the CPU's pair, write the command, ring
    served()     the thread of the pair's interrupt: lock, collect all completions, start what
                 waited, unlock, then biodone() for each

A command's data is told as PRP entries: the first page, the second, or a list of all after the
first; each slot has room for the list.  Write Zeroes and Dataset Management carry no data but a
range, which may be longer than one command says: bio.driver[0] counts the bytes that earlier
commands of the request have done.

bio.driver[0]  bytes done; bio.driver[1]  the namespace

Invariants
  B1  A request is on `waiting`, in a slot, or ended; it is nowhere twice.
  B2  A request whose command failed for a transient reason is sent a second time, not a third.
Locking   [q] as in pair.py
Tests     tests/unit/dev/nvme/test_request.py, tests/qemu/test_nvme.py
Source    NVMe 1.4, 4.3 "Physical Region Page Entry and List", 6 "NVM Command Set"
"""
from typing import Final

from kpy import (
    MPtr,
    Ptr,
    VirtAddr,
    cast,
    fence,
    inline,
    no_block,
    pointer_at,
    ref,
    trunc,
    u16,
    u32,
    u64,
    zeroed,
)

from kernel.bus import msi
from kernel.dev.nvme import pair as pairs
from kernel.dev.nvme import regs, status
from kernel.dev.nvme.namespace import Namespace
from kernel.dev.nvme.pair import NONE, Pair, Slot
from kernel.io import bio, disk
from kernel.io.bio import Bio, BioCmd, BioFlag, Ended
from kernel.lib.errno import EINVAL, EIO, ENXIO
from kernel.lwkt.globaldata import gd
from kernel.machine.types import PAGE_SHIFT, PAGE_SIZE

UNSAFE: Final = True     # a namespace travels in Disk and Bio as an address

ALIGN_MASK: Final = 3    # NVMe 1.4, 4.3: a PRP entry's offset is a multiple of 4


@no_block
def strategy(dp: Ptr[disk.Disk], request: Ptr[Bio]) -> None:
    """Start a request on this CPU's pair, or queue it there."""
    request.driver[0] = 0
    request.driver[1] = dp.driver
    # safe: a disk's `driver` is its namespace, which lives as long
    ns = pointer_at(Namespace, VirtAddr(dp.driver))
    if request.page_offset & ALIGN_MASK != 0:
        bio.fail(request, EINVAL)
        return
    submit(ns.pair_of[gd.cpuid], request)


@no_block
def submit(pair: Ptr[Pair], request: Ptr[Bio]) -> None:
    """Start a request, or have it wait for a slot."""
    pairs.lock(pair)
    if pair.state == pairs.OPEN and pair.free != NONE:
        _start(pair, request)
        pairs.unlock(pair)
        return
    dead = pair.state == pairs.DEAD
    if not dead:
        pair.waiting.push_back(request)
        pair.counters.waited += 1
    pairs.unlock(pair)
    if dead:
        bio.fail(request, ENXIO)


def served(line: Ptr[msi.Line]) -> None:
    """A pair's interrupt, on a thread of the CPU that it belongs to."""
    complete(pointer_at(Pair, VirtAddr(line.arg)))      # safe: the line is given back first


@no_block
def complete(pair: Ptr[Pair]) -> None:
    """End all requests whose commands are complete; what those submit is rung for once."""
    pair.counters.interrupts += 1
    while True:
        ended: Ended = zeroed(Ended)
        pairs.lock(pair)
        _collect(pair, ended)
        if ended.first is None:
            pair.deferring = False
            if pair.state == pairs.OPEN:
                pairs.ring(pair)
            pairs.unlock(pair)
            return
        pair.deferring = True
        pairs.unlock(pair)
        ended.tell()


def _collect(pair: Ptr[Pair], ended: Ptr[Ended]) -> None:
    """Read the new completions; which requests they end.  Under the lock."""
    if pair.state not in (pairs.OPEN, pairs.DRAINING):
        return
    while True:
        completion = pairs.next_completion(pair)
        if not pairs.is_new(pair, completion):
            break
        fence("acquire")                        # the phase tag, then all else
        pairs.consume(pair)
        request = pairs.release_slot(pair, completion)
        if request is None:
            continue
        if completion.STATUS != 0 and _send_again(pair, request, u16(completion.STATUS)):
            continue
        if request.driver[0] != 0 and request.error == 0 and request.driver[0] < request.length:
            pair.waiting.push_front(request)    # the next part of its range
            continue
        ended.add(request)
    if ended.first is not None:
        pair.counters.batches += 1
    pairs.tell(pair)
    if pair.state == pairs.OPEN:
        start_waiting(pair)


def start_waiting(pair: Ptr[Pair]) -> None:
    """Start what waits, as long as there are slots.  Under the lock; the pair is open."""
    while pair.free != NONE:
        request = pair.waiting.pop_front()
        if request is None:
            return
        _start(pair, request)


def _send_again(pair: Ptr[Pair], request: Ptr[Bio], raw: u16) -> bool:
    """A command failed: queue its request once more if that makes sense, else note the error."""
    pair.counters.errors += 1
    if status.transient(raw) and BioFlag.RETRIED not in request.flags:
        request.flags |= BioFlag.RETRIED
        if request.command in (BioCmd.WRITE_ZEROES, BioCmd.FREEBLKS):
            request.driver[0] = 0               # the whole range: doing it twice does no harm
        pair.waiting.push_front(request)
        return True
    request.error = status.to_errno(raw)
    return False


@inline
def _start(pair: Ptr[Pair], request: Ptr[Bio]) -> None:
    """Write and send the command of a request.  Under the lock, with a free slot."""
    # safe: strategy() put it there
    ns = pointer_at(Namespace, VirtAddr(request.driver[1]))
    number = pairs.take_slot(pair, request)
    command = ref(pair.sq[pair.tail])
    command.nsid = ns.nsid
    match request.command:
        case BioCmd.READ:
            command.cdw0 = regs.READ | number << regs.CID_SHIFT
            _transfer(ns, command, request, ref(pair.slots[number]))
        case BioCmd.WRITE:
            command.cdw0 = regs.WRITE | number << regs.CID_SHIFT
            _transfer(ns, command, request, ref(pair.slots[number]))
        case BioCmd.FLUSH:
            command.cdw0 = regs.FLUSH | number << regs.CID_SHIFT
        case BioCmd.WRITE_ZEROES:
            command.cdw0 = regs.WRITE_ZEROES | number << regs.CID_SHIFT
            blocks = _next_part(ns, command, request, regs.MAX_NLB)
            command.cdw12 = u32(blocks - 1)
        case BioCmd.FREEBLKS:
            command.cdw0 = regs.DATASET_MANAGEMENT | number << regs.CID_SHIFT
            _deallocate(ns, command, request, ref(pair.slots[number]))
    pairs.send(pair)


@inline
def _transfer(ns: Ptr[Namespace], command: Ptr[regs.Command], request: Ptr[Bio],
              slot: Ptr[Slot]) -> None:
    """Where on the medium, and where in memory."""
    lba = bio.offset(request) >> ns.shift
    command.cdw10 = trunc(u32, lba)
    command.cdw11 = u32(lba >> 32)
    command.cdw12 = trunc(u32, (request.length >> ns.shift) - 1)
    if BioFlag.FUA in request.flags:
        command.cdw12 |= regs.NVM_FUA
    end = request.page_offset + request.length
    command.prp1 = u64(request.pages[0]) + request.page_offset
    if end <= PAGE_SIZE:
        return
    if end <= 2 * PAGE_SIZE:
        command.prp2 = u64(request.pages[1])
        return
    count = (end + PAGE_SIZE - 1) >> PAGE_SHIFT
    pages = request.pages[1:count]
    for i, page in enumerate(pages):
        slot.list[i] = u64(page)
    command.prp2 = slot.list_address


def _deallocate(ns: Ptr[Namespace], command: Ptr[regs.Command], request: Ptr[Bio],
                slot: Ptr[Slot]) -> None:
    """One range, written where the slot's PRP list would be."""
    blocks = _next_part(ns, command, request, regs.MAX_RANGE)
    start = u64(command.cdw11) << 32 | command.cdw10
    # safe: a slot's list is 16 bytes at least
    entry = ref(cast(MPtr[regs.DsmRange], slot.list)[0])
    entry.attributes = 0
    entry.blocks = u32(blocks)
    entry.start = start
    command.prp1 = slot.list_address
    command.prp2 = 0
    command.cdw10 = 0                           # one range
    command.cdw11 = regs.DSM_DEALLOCATE


def _next_part(ns: Ptr[Namespace], command: Ptr[regs.Command], request: Ptr[Bio],
               most: u64) -> u64:
    """The next part of a range, at most `most` blocks; how many it has."""
    done = request.driver[0]
    lba = (bio.offset(request) + done) >> ns.shift
    blocks = min((request.length - done) >> ns.shift, most)
    request.driver[0] = done + (blocks << ns.shift)
    command.cdw10 = trunc(u32, lba)
    command.cdw11 = u32(lba >> 32)
    return blocks


# --- When commands come to nothing ---------------------------------------------------------


@no_block
def close(pair: Ptr[Pair], state: u32) -> None:
    """No commands from now on, and none is under way any more: the controller reaches no memory.
    What was under way is to be sent again, if that may be; the others end with EIO.  If `state` is
    DEAD all do, with ENXIO.
    """
    ended: Ended = zeroed(Ended)
    pairs.lock(pair)
    pair.state = state
    for i in range(pair.mask):
        request = pair.slots[i].request
        if request is not None:
            pair.slots[i].request = None
            if state == pairs.DEAD:
                ended.add_failed(request, ENXIO)
            elif BioFlag.RETRIED in request.flags:
                ended.add_failed(request, EIO)
            else:
                request.flags |= BioFlag.RETRIED
                request.driver[0] = 0
                pair.waiting.push_front(request)
    if state == pairs.DEAD:
        while (waiting := pair.waiting.pop_front()) is not None:
            ended.add_failed(waiting, ENXIO)
    pairs.reset(pair)
    pairs.unlock(pair)
    ended.tell()


@no_block
def drain(pair: Ptr[Pair]) -> None:
    """Send no commands from now on; those under way may end."""
    pairs.lock(pair)
    if pair.state == pairs.OPEN:
        pair.state = pairs.DRAINING
        pair.deferring = False
        pairs.ring(pair)
    pairs.unlock(pair)


@no_block
def stop(pair: Ptr[Pair]) -> None:
    """Send no commands for now; those under way may still complete, but are not looked at."""
    pairs.lock(pair)
    if pair.state != pairs.DEAD:
        pair.state = pairs.CLOSED
    pairs.unlock(pair)


@no_block
def open_(pair: Ptr[Pair]) -> None:
    """The controller knows the pair: commands may be sent."""
    pairs.lock(pair)
    pair.state = pairs.OPEN
    pair.deferring = True                       # one doorbell for all that waited
    start_waiting(pair)
    pair.deferring = False
    pairs.ring(pair)
    pairs.unlock(pair)
