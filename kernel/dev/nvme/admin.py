# SPDX-License-Identifier: BSD-3-Clause
"""Commands to the controller itself: one at a time, waited for.

The admin queue is used by attach() and then by the supervisor alone, so there is no lock.  Its
interrupt only wakes who waits; who waits looks at the queue, and looks again every tick, so an
interrupt that is lost costs time and nothing else.

Command identifiers count up: the late answer to a command that was given up is not taken for the
answer to the next.

Invariants
  A1  At most one command is waited for; answers to others are dropped.
Locking   [s] attach(), then the supervisor's thread   [I] fixed once made
Tests     tests/unit/dev/nvme/test_controller.py
Source    NVMe 1.4, 5 "Admin Command Set"
"""
from typing import Final

from kpy import (
    Errno,
    Mmio,
    MPtr,
    PhysAddr,
    Ptr,
    Slice,
    address_of,
    cast,
    copy,
    fence,
    from_bits,
    hook,
    may_block,
    memset,
    pause,
    ref,
    struct,
    throws,
    u8,
    u16,
    u32,
    u64,
    volatile_load,
    wrapping,
)

from kernel import machine
from kernel.bus import dma
from kernel.bus import driver as kit
from kernel.bus.pci.device import Device
from kernel.dev.nvme import regs, status
from kernel.lib.errno import ENXIO, ETIMEDOUT
from kernel.lwkt import sleepq

UNSAFE: Final = True     # what is slept on is an address

ENTRIES: Final = 16
TIMEOUT_MS: Final = 5000     # no command of ours has reason to take longer
SPINS: Final = 256


@struct
class Admin:
    """The admin queue pair."""
    registers: Mmio[regs.Regs]              # [I]
    dev: Ptr[Device]                        # [I]
    sq: Slice[regs.Command]                 # [I]
    cq: Slice[regs.Completion]              # [I]
    data: Ptr[dma.Memory]                   # [I] a page for what commands return
    sq_address: PhysAddr                    # [I]
    cq_address: PhysAddr                    # [I]
    cq_doorbell: u32                        # [I]
    tail: u32                               # [s]
    head: u32                               # [s]
    phase: u64                              # [s]
    next_cid: u16                           # [s]
    strays: u64                             # [s] answers that nobody waited for


@throws
def make(admin: Ptr[Admin], dev: Ptr[Device], registers: Mmio[regs.Regs], stride: u32) -> None:
    """Memory for the queues.

    Errors   ENOMEM.
    """
    commands = kit.memory(dev, ENTRIES * regs.COMMAND_BYTES)
    completions = kit.memory(dev, ENTRIES * regs.COMPLETION_BYTES)
    admin.data = kit.memory(dev, regs.IDENTIFY_BYTES)
    admin.dev = dev
    admin.registers = registers
    admin.sq = dma.array(regs.Command, commands, 0, ENTRIES)
    admin.cq = dma.array(regs.Completion, completions, 0, ENTRIES)
    admin.sq_address = commands.address
    admin.cq_address = completions.address
    admin.cq_doorbell = stride


def reset(admin: Ptr[Admin]) -> None:
    """Empty queues, and the registers that say where they are.  The controller is disabled."""
    # safe: all of the queue
    memset(cast(MPtr[u8], ref(admin.cq[0])), 0, ENTRIES * regs.COMPLETION_BYTES)
    admin.tail = 0
    admin.head = 0
    admin.phase = 1
    admin.registers.AQA = regs.Aqa(ASQS=ENTRIES - 1, ACQS=ENTRIES - 1)
    admin.registers.ASQ = u64(admin.sq_address)
    admin.registers.ACQ = u64(admin.cq_address)


@throws
@may_block
def execute(admin: Ptr[Admin], command: Ptr[regs.Command]) -> u32:
    """Send a command; returns DW0 of its completion.

    Errors   ENXIO the controller is gone, ETIMEDOUT, or what its status says.
    """
    cid = admin.next_cid
    admin.next_cid = wrapping(cid + 1)
    copy(admin.sq[admin.tail], command)
    admin.sq[admin.tail].cdw0 |= u32(cid) << regs.CID_SHIFT
    admin.tail = (admin.tail + 1) % ENTRIES
    fence("release")                            # the command, then the doorbell

    admin.registers.DOORBELL[0] = admin.tail
    began = machine.cputimer_count()
    rounds: u64 = 0
    late = False
    while not late:
        late = (wrapping(machine.cputimer_count() - began) // machine.cputimer_hz()
                >= TIMEOUT_MS // 1000)
        sleepq.tsleep_interlock(_ident(admin))
        found, raw, result = _take(admin, cid)
        if found:
            sleepq.tsleep_remove()
            if raw != 0:
                raise Errno(status.to_errno(raw))
            return result
        if kit.gone(admin.dev) or regs_gone(admin):
            sleepq.tsleep_remove()
            raise Errno(ENXIO)
        rounds += 1
        between(admin, rounds)
    raise Errno(ETIMEDOUT)


@hook("nvme_admin_wait")
@may_block
def between(admin: Ptr[Admin], rounds: u64) -> None:
    """What happens between two looks; the caller is interlocked."""
    if rounds < SPINS:
        sleepq.tsleep_remove()
        pause()
        return
    sleepq.tsleep(_ident(admin), sleepq.SleepFlag.PINTERLOCKED, "nvmeadm", 1)


def served(admin: Ptr[Admin]) -> None:
    """The interrupt of the admin queue."""
    sleepq.wakeup(_ident(admin))


def regs_gone(admin: Ptr[Admin]) -> bool:
    """Whether the registers read as those of nothing."""
    return admin.registers.CAP_LOW == regs.GONE


@throws
@may_block
def identify(admin: Ptr[Admin], nsid: u32, cns: u32) -> None:
    """Have a data structure of 5.15 written to admin.data."""
    execute(admin, regs.Command(cdw0=regs.IDENTIFY, nsid=nsid, prp1=u64(admin.data.address),
                                cdw10=cns))


@throws
@may_block
def set_queues(admin: Ptr[Admin], wanted: u32) -> u32:
    """Ask for so many queues of each kind; how many pairs there may be."""
    number = (wanted - 1) << regs.QUEUES_SHIFT | (wanted - 1)
    granted = execute(admin, regs.Command(cdw0=regs.SET_FEATURES, cdw10=regs.FEATURE_QUEUES,
                                          cdw11=number))
    return min(granted & regs.QUEUES_MASK, granted >> regs.QUEUES_SHIFT) + 1


@throws
@may_block
def create_pair(admin: Ptr[Admin], number: u32, mask: u32, cq: u64, sq: u64, message: u32,
                interrupts: bool) -> None:
    """Make a completion queue and the submission queue that goes with it known."""
    flags = regs.QUEUE_PC | message << regs.IV_SHIFT
    if interrupts:
        flags |= regs.QUEUE_IEN
    execute(admin, regs.Command(cdw0=regs.CREATE_IO_CQ, prp1=cq,
                                cdw10=number | mask << regs.QSIZE_SHIFT, cdw11=flags))
    execute(admin, regs.Command(cdw0=regs.CREATE_IO_SQ, prp1=sq,
                                cdw10=number | mask << regs.QSIZE_SHIFT,
                                cdw11=regs.QUEUE_PC | number << regs.CQID_SHIFT))


@throws
@may_block
def abort(admin: Ptr[Admin], number: u32, cid: u32) -> bool:
    """Ask for a command to be aborted; whether the controller says that it was."""
    result = execute(admin, regs.Command(cdw0=regs.ABORT,
                                         cdw10=number | cid << regs.ABORT_CID_SHIFT))
    return result & regs.ABORT_NOT_DONE == 0


def _take(admin: Ptr[Admin], cid: u16) -> tuple[bool, u16, u32]:
    """Read new completions until that of `cid`: (whether it came, its status, its DW0)."""
    while True:
        entry = ref(admin.cq[admin.head])
        state = from_bits(regs.CqeState, volatile_load(entry.state))
        if admin.phase != state.P:
            return False, 0, 0
        fence("acquire")                        # the phase tag, then all else
        result = volatile_load(entry.result)
        admin.head = (admin.head + 1) % ENTRIES
        if admin.head == 0:
            admin.phase ^= 1
        admin.registers.DOORBELL[admin.cq_doorbell] = admin.head
        if cid == state.CID:
            return True, u16(state.STATUS), result
        admin.strays += 1


def _ident(admin: Ptr[Admin]) -> u64:
    return u64(address_of(admin))
