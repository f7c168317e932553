# SPDX-License-Identifier: BSD-3-Clause
"""A queue pair: commands in, completions out, and a slot for each command under way.

A command's identifier (CID) is the number of its slot, so a completion finds its request without a
search.  There is one slot less than the queue has entries: it never overflows.  What finds no free
slot waits in `waiting`, and is started by the completion that makes room.

Doorbells cost an exit to QEMU, or a trip over the bus.  The submission doorbell is rung once for
all that the handlers of one batch of completions have submitted (`deferring`); the completion
doorbell when a quarter of the queue has been read, which is in time: the controller may fill the
rest meanwhile.

What the controller writes is checked: a completion whose CID is not that of a command under way, or
that names another queue, is counted and otherwise ignored.

Invariants
  P1  slot.request is None exactly if the slot is on the free list; inflight counts the others.
  P2  While `state` is OPEN and a slot is free, nothing waits.
  P3  Entries of cq whose phase tag is `phase` and that `head` has not passed are new; no other is
      looked at.
  P4  `tail - rung` commands are in the queue that the controller has not been told of; outside the
      lock it is 0 unless deferring.
  P5  Each request that entered is ended once: by its completion, or by close() and who took it.
Locking   [q] the pair's lock   [I] fixed once made, but by reset() with the pair closed
Tests     tests/unit/dev/nvme/test_request.py
Source    NVMe 1.4, 4.1 "Submission Queue & Completion Queue Definition", 7.2 "Command Submission
          and Completion Mechanism"
"""
from typing import Final

from kpy import (
    Errno,
    Mmio,
    MPtr,
    PhysAddr,
    Ptr,
    address_of,
    cast,
    fence,
    from_bits,
    inline,
    memset,
    pointer_at,
    ref,
    sizeof,
    struct,
    throws,
    u8,
    u32,
    u64,
    volatile_load,
    wrapping,
)

from kernel.bus import dma
from kernel.bus import driver as kit
from kernel.bus.pci.device import Device
from kernel.dev.nvme.regs import (
    COMMAND_BYTES,
    COMPLETION_BYTES,
    Command,
    Completion,
    CqeState,
    Regs,
)
from kernel.io.bio import Bio
from kernel.lib import queue
from kernel.lib.errno import ENOMEM
from kernel.lwkt import spin
from kernel.machine.types import PAGE_SIZE
from kernel.mem import slab
from kernel.mem.flags import NOWAIT
from kernel.mem.malloc_type import MallocType

UNSAFE: Final = True     # queues are memory that the controller shares; slots are checked by hand

NONE: Final[u32] = 0xFFFF_FFFF

CLOSED: Final = 0        # no command may be sent: before the first start, in a reset
OPEN: Final = 1
DRAINING: Final = 2      # what is under way may end, nothing is sent
DEAD: Final = 3          # nothing will ever be done again

M_NVME: MallocType = MallocType(name="nvme")


@struct
class Slot:
    """A command under way, or room for one."""
    request: Ptr[Bio] | None            # [q] P1
    list: MPtr[u64]                     # [I] where its PRP list is written
    list_address: u64                   # [I] as the controller sees it
    next: u32                           # [q] the next free slot
    epoch: u32                          # [q] when the command was sent, in the supervisor's count
    aborting: bool                      # [q] the controller has been asked to abort it


@struct
class Counters:
    """What a pair has done."""
    submitted: u64          # [q] commands
    completed: u64          # [q]
    interrupts: u64         # [q] calls of the handler
    batches: u64            # [q] times that completions were found
    doorbells: u64          # [q] written, of both kinds
    contended: u64          # [q] times that the lock was somebody else's
    waited: u64             # [q] requests that found no free slot
    strays: u64             # [q] completions of commands that are not under way
    errors: u64             # [q] completions with an error


@struct(align=64)
class Pair:
    """A submission queue and its completion queue."""
    lock: spin.Spinlock
    state: u32                                  # [q]
    free: u32                                   # [q] first free slot, or NONE
    tail: u32                                   # [q] next entry of sq
    rung: u32                                   # [q] P4
    head: u32                                   # [q] next entry of cq
    told: u32                                   # [q] head as the controller knows it
    phase: u64                                  # [q] P3
    mask: u32                                   # [I] entries less one
    inflight: u32                               # [q]
    deferring: bool                             # [q] the doorbell is rung later
    sq_doorbell: u32                            # [I] index of the doorbell
    cq_doorbell: u32                            # [I]
    epoch: u32                                  # [q] the supervisor's count of seconds
    completed_before: u64                       # [q] counters.completed a second ago
    sq: MPtr[Command]                           # [I]
    cq: MPtr[Completion]                        # [I]
    slots: MPtr[Slot]                           # [I]
    regs: Mmio[Regs]                            # [I]
    waiting: queue.TailQueue[Bio, "link"]       # [q] P2
    counters: Counters
    number: u32                                 # [I] QID; 1 is the first
    cpu: u32                                    # [I] where its interrupts arrive
    message: u32                                # [I] which one that is
    sq_address: PhysAddr                        # [I]
    cq_address: PhysAddr                        # [I]


@throws
def make(dev: Ptr[Device], regs: Mmio[Regs], number: u32, entries: u32, list_entries: u32,
         stride: u32) -> Ptr[Pair]:
    """A closed pair of `entries` (a power of two) entries, with PRP lists of `list_entries`.

    What it is made of goes back with the device; the structure itself by free().
    Errors   ENOMEM.
    """
    commands = kit.memory(dev, u64(entries) * COMMAND_BYTES)
    completions = kit.memory(dev, u64(entries) * COMPLETION_BYTES)
    size = min(u64(dma.round_up(u64(list_entries) * 8)), PAGE_SIZE)
    lists = kit.memory(dev, u64(entries) * size)
    slots = slab.kmalloc(u64(entries) * sizeof(Slot), M_NVME, NOWAIT)
    if slots is None:
        raise Errno(ENOMEM)
    pair = slab.new(Pair, M_NVME, NOWAIT)
    if pair is None:
        slab.kfree(slots, M_NVME)
        raise Errno(ENOMEM)
    pair.lock.name = "nvme"
    pair.regs = regs
    pair.number = number
    pair.mask = entries - 1
    pair.sq_doorbell = 2 * number * stride
    pair.cq_doorbell = (2 * number + 1) * stride
    pair.sq_address = commands.address
    pair.cq_address = completions.address
    # safe: each is as large as what is made of it
    pair.sq = cast(MPtr[Command], pointer_at(Command, commands.va))
    pair.cq = cast(MPtr[Completion], pointer_at(Completion, completions.va))
    pair.slots = cast(MPtr[Slot], slots)
    for i in range(entries):
        pair.slots[i].list = cast(MPtr[u64], pointer_at(u64, lists.va + u64(i) * size))
        pair.slots[i].list_address = u64(lists.address) + u64(i) * size
    reset(pair)
    return pair


def free(pair: Ptr[Pair]) -> None:
    """Give the structure back; nobody may use it any more."""
    slab.free_address(u64(address_of(pair.slots)), M_NVME)
    slab.kfree(pair, M_NVME)


def reset(pair: Ptr[Pair]) -> None:
    """Empty queues, for a controller that begins anew.  No command is under way."""
    memset(cast(MPtr[u8], pair.cq), 0, u64(pair.mask + 1) * COMPLETION_BYTES)
    memset(cast(MPtr[u8], pair.sq), 0, u64(pair.mask + 1) * COMMAND_BYTES)
    pair.tail = 0
    pair.rung = 0
    pair.head = 0
    pair.told = 0
    pair.phase = 1
    pair.inflight = 0
    pair.free = 0
    pair.deferring = False
    for i in range(pair.mask):              # one less than there are entries
        slot = ref(pair.slots[i])
        slot.request = None
        slot.aborting = False
        slot.next = i + 1 if i + 1 < pair.mask else NONE
    pair.slots[pair.mask].request = None    # a CID that is never given away


# --- Under the lock ------------------------------------------------------------------------


@inline
def lock(pair: Ptr[Pair]) -> None:
    """Take the pair's lock, and count if it was somebody else's."""
    if spin.lock_watched(pair.lock):
        pair.counters.contended += 1


@inline
def unlock(pair: Ptr[Pair]) -> None:
    spin.unlock(pair.lock)


@inline
def take_slot(pair: Ptr[Pair], request: Ptr[Bio]) -> u32:
    """A free slot, which there is, for a request; its number is the CID."""
    number = pair.free
    slot = ref(pair.slots[number])
    pair.free = slot.next
    slot.request = request
    slot.epoch = pair.epoch
    pair.inflight += 1
    return number


@inline
def send(pair: Ptr[Pair]) -> None:
    """The command at `tail` is written: it is the controller's, once the doorbell is rung."""
    pair.tail = (pair.tail + 1) & pair.mask
    pair.counters.submitted += 1
    if not pair.deferring:
        ring(pair)


@inline
def ring(pair: Ptr[Pair]) -> None:
    """Tell the controller of the commands that it has not been told of."""
    if pair.rung != pair.tail:
        pair.rung = pair.tail
        pair.counters.doorbells += 1
        fence("release")                        # the commands, then the doorbell

        pair.regs.DOORBELL[pair.sq_doorbell] = pair.tail


@inline
def next_completion(pair: Ptr[Pair]) -> CqeState:
    """The oldest new completion; one with the wrong phase if there is none (P3)."""
    return from_bits(CqeState, volatile_load(pair.cq[pair.head].state))


@inline
def is_new(pair: Ptr[Pair], completion: CqeState) -> bool:
    return pair.phase == completion.P


@inline
def consume(pair: Ptr[Pair]) -> None:
    """The completion at `head` has been read."""
    pair.head = (pair.head + 1) & pair.mask
    if pair.head == 0:
        pair.phase ^= 1


@inline
def tell(pair: Ptr[Pair]) -> None:
    """Tell the controller what has been read, if a quarter of the queue has."""
    if wrapping(pair.head - pair.told) & pair.mask > pair.mask >> 2:
        pair.told = pair.head
        pair.counters.doorbells += 1
        pair.regs.DOORBELL[pair.cq_doorbell] = pair.head


@inline
def release_slot(pair: Ptr[Pair], completion: CqeState) -> Ptr[Bio] | None:
    """The request that a completion ends, its slot freed; None for one that is a stray."""
    number = u32(completion.CID)
    if number > pair.mask or pair.number != completion.SQID:
        pair.counters.strays += 1
        return None
    slot = ref(pair.slots[number])
    request = slot.request
    if request is None:
        pair.counters.strays += 1
        return None
    slot.request = None
    slot.aborting = False
    slot.next = pair.free
    pair.free = number
    pair.inflight -= 1
    pair.counters.completed += 1
    return request
