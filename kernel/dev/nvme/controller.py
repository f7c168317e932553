# SPDX-License-Identifier: BSD-3-Clause
"""A controller: bringing it up, laying out its queues, bringing it up again, letting it go.

How many pairs there are is decided once, by what the controller grants and by the messages that it
can send:

    a pair for each CPU             as many queues, and as many messages but one, as CPUs
    a pair for a group of CPUs      fewer: neighbours share
    one pair                        one queue, or a single message, which the admin queue has too

Whatever ends a controller's work ends its requests: close() of request.py hands out those under
way, but only after the controller cannot reach their pages any more: it is disabled, or its bus
mastering is off, or it is gone.

Invariants
  C1  pair_of[c] is a pair of the controller, for every CPU c.
  C2  Pairs are OPEN only between a successful start_queues() and the next stop.
  C3  When die() returns each request is ended, and every later one ends with ENXIO.
Locking   [s] attach(), then the supervisor's thread, then detach()   [I] fixed after attach()
          [a] atomic
Tests     tests/unit/dev/nvme/test_controller.py, tests/qemu/test_nvme.py
Source    NVMe 1.4, 7.6.1 "Initialization", 7.6.2 "Shutdown", 7.3.1 "Controller Level Reset"
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Mmio,
    Ptr,
    VirtAddr,
    address_of,
    bits_of,
    from_bits,
    kprintf,
    may_block,
    pointer_at,
    struct,
    throws,
    u32,
    u64,
    unwrap,
)

from kernel.bus import dma, msi, wait
from kernel.bus import driver as kit
from kernel.bus.pci.device import Device
from kernel.dev.nvme import admin as admins
from kernel.dev.nvme import namespace as namespaces
from kernel.dev.nvme import pair as pairs
from kernel.dev.nvme import regs, request
from kernel.dev.nvme.admin import Admin
from kernel.dev.nvme.namespace import Namespace
from kernel.dev.nvme.pair import Pair
from kernel.io.disk import DiskInfo
from kernel.lib import queue
from kernel.lib.errno import EINVAL, EIO, ENODEV, ENOMEM, ENXIO, ETIMEDOUT
from kernel.lwkt import globaldata
from kernel.machine.types import MAX_CPUS, PAGE_SIZE

UNSAFE: Final = True     # a controller travels to its interrupt and thread as a number

MAX_ENTRIES: Final = 1024
MIN_ENTRIES: Final = 2
MAX_TRANSFER: Final = 1 << 20
DRAIN_MS: Final = 2000
LEAST_REGISTERS: Final = 0x1008      # the admin queue's doorbells are the last that must be there


@struct
class Controller:
    """A controller; kit.state() of its device."""
    dev: Ptr[Device]                                # [I]
    registers: Mmio[regs.Regs]                      # [I]
    cap: regs.Cap                                   # [I]
    stride: u32                                     # [I] doorbells from one to the next
    admin: Admin                                    # [s]
    pair_count: u32                                 # [I]
    pairs: Array[Ptr[Pair] | None, MAX_CPUS]        # [I]
    pair_of: Array[Ptr[Pair], MAX_CPUS]             # [I] C1
    entries: u32                                    # [I] of each queue
    max_transfer: u32                               # [I] bytes
    messages: u32                                   # [I] that it can send; 0: it is polled
    namespaces: queue.TailQueue[Namespace, "link"]  # [s]
    resets: u32                                     # [s] since a command last came back
    total_resets: u64                               # [s]
    aborts: u64                                     # [s]
    dead: bool                                      # [s]
    stopping: Atomic[u32]                           # [a] the supervisor is to end: 1, has: 2


# --- Coming up -----------------------------------------------------------------------------


@throws
@may_block
def attach(dev: Ptr[Device]) -> None:
    """Bring a controller up, as far as knowing its disks.

    Errors   ENXIO it does not answer, ENODEV it is not for us, ETIMEDOUT, ENOMEM, others that it
             gave.
    """
    c = kit.state(Controller, dev)
    c.dev = dev
    c.registers = kit.registers(regs.Regs, dev, 0, LEAST_REGISTERS)
    _read_capabilities(c)
    admins.make(c.admin, dev, c.registers, c.stride)
    c.messages = kit.messages(dev)
    _disable(c)
    _enable(c)
    if c.messages != 0:
        kit.interrupt(dev, 0, 0, _admin_served, dev.soft)
    _identify(c)
    try:
        _lay_out(c)
        start_queues(c)
        _find_namespaces(c)
    except Errno:
        stop(c)
        free(c)
        raise


@throws
def _read_capabilities(c: Ptr[Controller]) -> None:
    low, high = c.registers.CAP_LOW, c.registers.CAP_HIGH
    if low == regs.GONE or high == regs.GONE:
        raise Errno(ENXIO)
    c.cap = from_bits(regs.Cap, u64(high) << 32 | low)
    if c.cap.CSS & regs.CSS_NVM == 0 or c.cap.MPSMIN != 0:
        raise Errno(ENODEV)                 # another command set, or pages larger than ours
    c.stride = u32(1) << c.cap.DSTRD
    c.entries = min(_power_below(u32(c.cap.MQES) + 1), MAX_ENTRIES)
    if c.entries < MIN_ENTRIES or 2 * c.stride > regs.DOORBELLS:
        raise Errno(ENODEV)


@throws
@may_block
def _disable(c: Ptr[Controller]) -> None:
    """Reset the controller: EN to 0, and wait until it is not ready."""
    if c.registers.CC.EN == 1:
        c.registers.CC = regs.Cc(EN=0)
    _wait_ready(c, False)


@throws
@may_block
def _enable(c: Ptr[Controller]) -> None:
    """Let it work, with an empty admin queue."""
    admins.reset(c.admin)
    c.registers.CC = regs.Cc(EN=1, IOSQES=regs.IOSQES, IOCQES=regs.IOCQES)
    _wait_ready(c, True)


@throws
@may_block
def _wait_ready(c: Ptr[Controller], ready: bool) -> None:
    """Wait for CSTS.RDY.

    Errors   ENXIO the controller is gone, EIO it cannot begin, ETIMEDOUT (CAP.TO).
    """
    for _ in wait.polls(max(u64(c.cap.TO), 1) * regs.TO_UNIT_MS):
        now = c.registers.CSTS
        if bits_of(now) == regs.GONE or kit.gone(c.dev):
            raise Errno(ENXIO)
        if ready == now.RDY:
            return
        if ready and now.CFS:
            raise Errno(EIO)
    raise Errno(ETIMEDOUT)


@throws
@may_block
def _identify(c: Ptr[Controller]) -> None:
    admins.identify(c.admin, 0, regs.CNS_CONTROLLER)
    data = dma.view(regs.IdentifyController, c.admin.data)
    c.max_transfer = MAX_TRANSFER
    if data.mdts != 0 and data.mdts < 16:
        c.max_transfer = min(c.max_transfer, u32(PAGE_SIZE) << data.mdts)


@throws
@may_block
def _lay_out(c: Ptr[Controller]) -> None:
    """Decide how many pairs there are, and make them."""
    cpus = globaldata.ncpus
    wanted = min(cpus, c.messages - 1) if c.messages > 1 else 1
    wanted = min(wanted, regs.DOORBELLS // (2 * c.stride) - 1)
    if wanted == 0:
        raise Errno(ENODEV)
    granted = min(admins.set_queues(c.admin, wanted), wanted)
    while c.pair_count < granted:
        _make_pair(c, granted, cpus)
    for cpu in range(MAX_CPUS):
        number = min(u32(cpu), cpus - 1) * granted // cpus
        c.pair_of[cpu] = unwrap(c.pairs[number])


@throws
@may_block
def _make_pair(c: Ptr[Controller], granted: u32, cpus: u32) -> None:
    """The next pair, with half as many entries for all that follow while memory is short."""
    number = c.pair_count
    pair: Ptr[Pair] | None = None
    while pair is None:
        try:
            pair = pairs.make(c.dev, c.registers, number + 1, c.entries,
                              c.max_transfer // PAGE_SIZE + 1, c.stride)
        except Errno as e:
            c.entries //= 2
            if e.code != ENOMEM or c.entries < MIN_ENTRIES:
                raise
    c.pairs[number] = pair
    c.pair_count += 1
    pair.cpu = _first_cpu(number, granted, cpus)
    if c.messages > 1:
        pair.message = number + 1
        kit.interrupt(c.dev, pair.message, pair.cpu, request.served, u64(address_of(pair)))


def _first_cpu(number: u32, granted: u32, cpus: u32) -> u32:
    """The first running CPU whose pair is `number`."""
    for cpu in range(cpus):
        if cpu * granted // cpus == number and globaldata.runs(cpu):
            return cpu
    return 0


@throws
@may_block
def start_queues(c: Ptr[Controller]) -> None:
    """Make the pairs known to the controller, and open them (C2)."""
    for number in range(c.pair_count):
        pair = unwrap(c.pairs[number])
        admins.create_pair(c.admin, pair.number, pair.mask, u64(pair.cq_address),
                           u64(pair.sq_address), pair.message, c.messages != 0)
    for number in range(c.pair_count):
        request.open_(unwrap(c.pairs[number]))


@throws
@may_block
def _find_namespaces(c: Ptr[Controller]) -> None:
    """Make a disk of each active namespace that we can use."""
    admins.identify(c.admin, 0, regs.CNS_CONTROLLER)
    data = dma.view(regs.IdentifyController, c.admin.data)
    info = DiskInfo(max_transfer=c.max_transfer, trim=data.oncs.DATASET_MANAGEMENT,
                    write_zeroes=data.oncs.WRITE_ZEROES)
    used = namespaces.set_text(info.serial, data.sn)
    namespaces.set_text(info.model, data.mn)
    several = False
    previous: u32 = 0
    while True:
        nsid = _next_namespace(c, previous)
        if nsid <= previous or nsid == regs.ALL_NAMESPACES:
            return                          # none left, or an order that would never end
        several = several or previous != 0
        previous = nsid
        try:
            admins.identify(c.admin, nsid, regs.CNS_NAMESPACE)
            ns = namespaces.make(nsid, dma.view(regs.IdentifyNamespace, c.admin.data), c.pair_of)
        except Errno as e:
            if e.code != EINVAL:
                raise
            kprintf(f"nvme: namespace {nsid} is of a format that is not supported\n")
            continue
        c.namespaces.push_back(ns)
        if several:
            namespaces.number_serial(info.serial, used, nsid)
        namespaces.announce(ns, info)


@throws
@may_block
def _next_namespace(c: Ptr[Controller], previous: u32) -> u32:
    """The active namespace after `previous`; 0 if there is none."""
    admins.identify(c.admin, previous, regs.CNS_ACTIVE)
    return dma.array(u32, c.admin.data, 0, regs.ACTIVE_IDS)[0]


# --- Coming up again -----------------------------------------------------------------------


@may_block
def restart(c: Ptr[Controller]) -> None:
    """Reset the controller and send again what was under way; if that fails it is dead."""
    c.resets += 1
    c.total_resets += 1
    for number in range(c.pair_count):
        request.stop(unwrap(c.pairs[number]))
    try:
        _disable(c)
        for number in range(c.pair_count):          # disabled: it reaches no memory
            request.close(unwrap(c.pairs[number]), pairs.CLOSED)
        _enable(c)
        if c.pair_count != 0 and admins.set_queues(c.admin, c.pair_count) < c.pair_count:
            raise Errno(ENODEV)
        start_queues(c)
    except Errno as e:
        kprintf(f"nvme: a controller is given up: error {e.code}\n")
        die(c)


# --- Going ---------------------------------------------------------------------------------


@may_block
def die(c: Ptr[Controller]) -> None:
    """End all requests with ENXIO, also those that are still to come (C3)."""
    c.dead = True
    if not kit.gone(c.dev):
        kit.stop_dma(c.dev)
    for number in range(c.pair_count):
        request.close(unwrap(c.pairs[number]), pairs.DEAD)


@may_block
def stop(c: Ptr[Controller]) -> None:
    """Shut the controller down, if it is there and answers; end all requests; unmake the disks."""
    there = not kit.gone(c.dev) and not c.dead and not admins.regs_gone(c.admin)
    if there:
        _drain(c)
    for number in range(c.pair_count):
        request.stop(unwrap(c.pairs[number]))
    if there:
        _shut_down(c)
    die(c)
    while (ns := c.namespaces.pop_front()) is not None:
        namespaces.destroy(ns)


@may_block
def _drain(c: Ptr[Controller]) -> None:
    """Let what is under way end, for a while.

    QEMU 7.2: a controller that is disabled with completions not yet posted never lets go of the
    memory that they refer to, and then cannot be unplugged (no DEVICE_DELETED).
    """
    for number in range(c.pair_count):
        request.drain(unwrap(c.pairs[number]))
    for _ in wait.polls(DRAIN_MS):
        poll(c)
        inflight: u32 = 0
        for number in range(c.pair_count):
            inflight += unwrap(c.pairs[number]).inflight
        if inflight == 0 or admins.regs_gone(c.admin):
            return


@may_block
def _shut_down(c: Ptr[Controller]) -> None:
    c.registers.CC.SHN = regs.SHN_NORMAL
    for _ in wait.polls(regs.SHUTDOWN_MS):
        now = c.registers.CSTS
        if now.SHST == regs.SHST_COMPLETE or bits_of(now) == regs.GONE or kit.gone(c.dev):
            break
    try:
        _disable(c)
    except Errno as e:
        if e.code == ETIMEDOUT:
            kprintf("nvme: a controller does not stop; its access to memory is taken away\n")


@may_block
def free(c: Ptr[Controller]) -> None:
    """Give the pairs back.  No interrupt of theirs may come any more."""
    kit.quiet(c.dev)
    for number in range(c.pair_count):
        pairs.free(unwrap(c.pairs[number]))
    c.pair_count = 0


# --- Interrupts ----------------------------------------------------------------------------


def _admin_served(line: Ptr[msi.Line]) -> None:
    """Message 0: the admin queue, and of a controller with a single message the pair too."""
    c = pointer_at(Controller, VirtAddr(line.arg))      # safe: lives until the line is given back
    admins.served(c.admin)
    if c.messages == 1:
        poll(c)


def poll(c: Ptr[Controller]) -> None:
    """End what is complete, whether an interrupt came or not."""
    for number in range(c.pair_count):
        pair = c.pairs[number]
        if pair is not None:
            request.complete(pair)


def _power_below(count: u32) -> u32:
    """The greatest power of two that is not above `count`."""
    power: u32 = 1
    while power <= count // 2:
        power *= 2
    return power
