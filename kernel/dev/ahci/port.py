# SPDX-License-Identifier: BSD-3-Clause
"""A port: slots for commands, what is issued, what has ended.

A slot is a command header and a command table; its number is the tag of a queued command.  Masks
say where a slot stands, a bit for each:

    free      nobody's
    ready     written, the HBA has not been told
    active    issued: PxSACT (queued commands) or PxCI (others) has the bit until it ends

What is complete so costs one register read: the active bits that the register no longer has.  An
HBA that clears bits of slots that are not active, or clears them twice, changes nothing.

The device takes queued and other commands by turns only, and of the others this driver issues one
at a time: so a failing one is known without asking the HBA.  Requests wait in `waiting` for their
turn, first come first served.

Registers cost an exit to QEMU, or a trip over the bus.  PxSACT and PxCI are written once for all
that the handlers of one batch of completions have submitted (`deferring`).

Invariants
  P1  free, ready and active are disjoint subsets of `all`; slots[n].request is None exactly for
      the free ones.
  P2  While `state` is OPEN, what waits at the front could not be started when last looked at: no
      slot is free, or what is under way is of the other kind.
  P3  `ready` is 0 outside the lock unless deferring.
  P4  Each request that entered is ended once: by its completion, or by who took it out of a slot
      or off `waiting`.
  P5  Where `state` is not OPEN or DRAINING only the port's thread, or who detaches, looks at slots.
Locking   [p] the port's lock   [t] the port's thread; attach() before it, detach() after it
          [a] atomic   [I] fixed once made
Tests     tests/unit/dev/ahci/test_request.py
Source    AHCI 1.3.1, 5.5 "Software Operation of HBA Port"; SATA 3.2, 13.6 "Native Command Queuing"
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Mmio,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    ctz,
    fence,
    inline,
    pointer_at,
    ref,
    struct,
    throws,
    u32,
    u64,
    volatile_load,
)

from kernel.bus import dma
from kernel.bus import driver as kit
from kernel.bus.pci.device import Device
from kernel.dev.ahci import regs
from kernel.dev.ahci.device import Drive
from kernel.dev.ahci.regs import CommandHeader, CommandTable, Regs
from kernel.io import disk
from kernel.io.bio import Bio
from kernel.lib import queue
from kernel.lib.errno import ENOMEM
from kernel.lwkt import sleepq, spin
from kernel.machine.types import PAGE_SIZE
from kernel.mem import slab
from kernel.mem.flags import NOWAIT
from kernel.mem.malloc_type import MallocType

UNSAFE: Final = True     # what is slept on is an address; headers are memory that the HBA shares

EMPTY: Final = 0         # nothing to send commands to: requests end with ENXIO
OPEN: Final = 1
HELD: Final = 2          # the port's thread is at work: requests wait
DRAINING: Final = 3      # what is under way may end, nothing is issued
DEAD: Final = 4          # nothing will ever be done again

FIS_AT: Final = 1024     # in `area`: the command list, the received frames, what commands return,
DATA_AT: Final = 2048    # the ranges of a TRIM
TRIM_AT: Final = 3072

M_AHCI: MallocType = MallocType(name="ahci")


@struct
class Slot:
    """A command under way, or room for one."""
    request: Ptr[Bio] | None            # [p] P1
    table: Ptr[CommandTable] | None     # [t] a page; there is one while a device is attached
    memory: Ptr[dma.Memory] | None      # [t] whose page that is
    epoch: u32                          # [p] when it was issued, in the thread's count of seconds


@struct
class Counters:
    """What a port has done."""
    submitted: u64          # [p] commands
    completed: u64          # [p] that succeeded
    interrupts: u64         # [p] calls of the handler
    batches: u64            # [p] times that completions were found
    issues: u64             # [p] times that PxCI was written
    contended: u64          # [p] times that the lock was somebody else's
    waited: u64             # [p] requests that were not started at once
    errors: u64             # [p] commands that failed
    again: u64              # [p] commands that were sent again
    soft_resets: u64        # [t]
    hard_resets: u64        # [t]


@struct(align=64)
class Port:
    """A port of an HBA."""
    lock: spin.Spinlock
    state: u32                                  # [p]
    free: u32                                   # [p] P1
    ready: u32                                  # [p]
    active: u32                                 # [p]
    all: u32                                    # [t] the slots that the device can use
    queued: bool                                # [p] what is under way are queued commands
    deferring: bool                             # [p] PxCI is written later
    fua: bool                                   # [t] as the device says
    number: u32                                 # [I]
    epoch: u32                                  # [p] seconds that the thread has counted
    reach: u64                                  # [I] the addresses that the HBA knows end here
    headers: Slice[CommandHeader]               # [I]
    registers: Mmio[Regs]                       # [I]
    slots: Array[Slot, regs.SLOTS]
    waiting: queue.TailQueue[Bio, "link"]       # [p] P2
    counters: Counters
    drive: Drive                                # [t]
    dp: Ptr[disk.Disk] | None                   # [t]
    area: Ptr[dma.Memory]                       # [I]
    dev: Ptr[Device]                            # [I] the HBA's
    cap: regs.Cap                               # [I] the HBA's
    events: u32                                 # [p] PxIS bits that the thread is to look at
    fruitless: u32                              # [t] recoveries since a command last succeeded
    completed_before: u64                       # [t] counters.completed then
    polled: bool                                # [I] there are no interrupts
    stage: Atomic[u32]                          # [a] how far its thread is: recovery.py


@throws
def make(dev: Ptr[Device], registers: Mmio[Regs], number: u32, cap: regs.Cap) -> Ptr[Port]:
    """A port with nothing attached.  Its area goes back with the device; the rest by free().

    Context  bus thread.
    Errors   ENOMEM.
    """
    reach = dma.NO_LIMIT if cap.S64A else dma.LIMIT_4G
    area = kit.memory(dev, PAGE_SIZE, reach)
    port = slab.new(Port, M_AHCI, NOWAIT)
    if port is None:
        raise Errno(ENOMEM)
    port.lock.name = "ahci"
    port.dev = dev
    port.registers = registers
    port.number = number
    port.cap = cap
    port.reach = reach
    port.area = area
    port.headers = dma.array(CommandHeader, area, 0, regs.SLOTS)
    return port


def free(port: Ptr[Port]) -> None:
    """Give the structure back; nobody may use it any more, nor the HBA its tables."""
    free_tables(port)
    slab.kfree(port, M_AHCI)


@throws
def make_tables(port: Ptr[Port], count: u32) -> None:
    """Have command tables for `count` slots, which are free then.

    Context  the port's thread; nothing is under way.
    Errors   ENOMEM.
    """
    for number in range(count):
        slot = ref(port.slots[number])
        if slot.memory is None:
            memory = dma.alloc(regs.TABLE_BYTES, port.reach)
            slot.memory = memory
            slot.table = dma.view(CommandTable, memory)
            port.headers[number].ctba = u64(memory.address)
    port.all = regs.GONE >> (regs.SLOTS - count)
    port.free = port.all


def free_tables(port: Ptr[Port]) -> None:
    """The HBA cannot reach them: its engine is stopped, or it is gone."""
    port.all = 0
    port.free = 0
    for number in range(regs.SLOTS):
        slot = ref(port.slots[number])
        memory = slot.memory
        slot.memory = None
        slot.table = None
        if memory is not None:
            dma.free(memory)


def seen_by(number: u64) -> Ptr[Port]:
    """The port that travels as a number: in a disk, an interrupt line, a thread's argument."""
    return pointer_at(Port, VirtAddr(number))       # safe: it lives longer than any of them


def ident(port: Ptr[Port]) -> u64:
    """What the port's thread sleeps on."""
    return u64(address_of(ref(port.events)))


# --- Under the lock ------------------------------------------------------------------------


@inline
def lock(port: Ptr[Port]) -> None:
    """Take the port's lock, and count if it was somebody else's."""
    if spin.lock_watched(port.lock):
        port.counters.contended += 1


@inline
def unlock(port: Ptr[Port]) -> None:
    spin.unlock(port.lock)


@inline
def take_slot(port: Ptr[Port], request: Ptr[Bio]) -> u32:
    """A free slot, which there is, for a request."""
    number = u32(ctz(port.free))
    port.free &= port.free - 1
    slot = ref(port.slots[number])
    slot.request = request
    slot.epoch = port.epoch
    return number


@inline
def release_slot(port: Ptr[Port], number: u32) -> Ptr[Bio] | None:
    """The request of a slot that is free again."""
    slot = ref(port.slots[number])
    request = slot.request
    slot.request = None
    port.free |= u32(1) << number
    return request


@inline
def send(port: Ptr[Port], number: u32) -> None:
    """The command of a slot is written: it is the HBA's, once that has been told."""
    port.ready |= u32(1) << number
    port.counters.submitted += 1
    if not port.deferring:
        issue(port)


@inline
def issue(port: Ptr[Port]) -> None:
    """Tell the HBA of the commands that it has not been told of."""
    ready = port.ready
    if ready == 0:
        return
    port.ready = 0
    port.active |= ready
    port.counters.issues += 1
    fence("release")                            # the commands, then the registers

    if port.queued:
        port.registers.PxSACT[port.number] = ready
    port.registers.PxCI[port.number] = ready


@inline
def ended(port: Ptr[Port]) -> u32:
    """The active commands that the HBA no longer has under way.  Of an HBA that is gone: none."""
    if port.active == 0:
        return 0
    number = port.number
    pending = port.registers.PxSACT[number] if port.queued else port.registers.PxCI[number]
    return port.active & ~pending


@inline
def transferred(port: Ptr[Port], number: u32) -> u64:
    """The bytes that a command, not a queued one, has transferred."""
    return volatile_load(port.headers[number].state) >> 32


def alarm(port: Ptr[Port], events: u32) -> None:
    """Have the thread look: it is to hold off requests, and interrupts, until it is done.

    Context  any in which one may wake.
    """
    lock(port)
    if port.state == OPEN:
        port.state = HELD
    port.events |= events
    port.registers.PxIE[port.number] = 0             # under the lock: not after it is set again
    unlock(port)
    sleepq.wakeup(ident(port))
