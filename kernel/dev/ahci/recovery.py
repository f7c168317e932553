# SPDX-License-Identifier: BSD-3-Clause
"""The thread of a port: what comes and goes at its end, what fails, what does not come back.

An interrupt that is not a completion holds the port and wakes the thread, which alone decides:

    PxIS.PCS, PRCS      look at the link: nothing there, the disk is gone, its requests end with
                        ENXIO; else reset and identify: is it still the same?
    PxIS.TFES           a command failed.  A queued one: ask the log which (READ LOG EXT, page 10h),
                        end that one with an error, send the others anew.  Where there is no log,
                        reset, and send each alone: then it is plain which fails
    others              the interface or the host bus: reset, and send everything anew
    older than timeout_s    software reset, and if that does not help a hard one; what was under way
                        is sent a second time, not a third
    registers read all ones     all requests end with ENXIO, now and for good

Each time round either ends a request or counts as fruitless; after MAX_FRUITLESS of those the port
is given up.

Stages of the thread: it looks what is there (PROBING, PROBED), waits until the bus thread has
announced that in the order of the ports, and is on its own then (RELEASED).

Invariants
  R1  What a request's pages are reached by is stopped, or its device's bus mastering is off, before
      the request is ended or put back.
  R2  A port leaves HELD by open_(), with requests passing, or by lose() and die(), with all ended.
Locking   [t] this thread, but attach() before RELEASED and detach() after ENDED   [a] atomic
Tests     tests/unit/dev/ahci/test_recovery.py, tests/qemu/test_ahci.py
Source    AHCI 1.3.1, 6.2.2 "Software Error Recovery", 7.3.1 "Hot Plug"; SATA 3.2, 13.6.4.4; ACS-3,
          A.14 "NCQ Command Error log"
Limits    a medium that is put into a CD drive later is not noticed
"""
from typing import Final

from kpy import (
    Array,
    Errno,
    Ptr,
    address_of,
    copy,
    ctz,
    kprintf,
    may_block,
    ref,
    throws,
    u8,
    u32,
    u64,
    wrapping,
    zeroed,
)

from kernel import machine
from kernel.bus import dma, wait
from kernel.bus import driver as kit
from kernel.dev.ahci import device, engine, regs, request, status
from kernel.dev.ahci import port as ports
from kernel.dev.ahci.device import Drive, Kind
from kernel.dev.ahci.port import Port
from kernel.io import disk
from kernel.lib.errno import EAGAIN, EIO, ENODEV, ENOMEDIUM, ENXIO, ETIMEDOUT
from kernel.lwkt import sched, sleepq
from kernel.lwkt.clock import HZ
from kernel.lwkt.thread import Pri

UNSAFE: Final = True     # a port travels to its thread as a number, and is slept on by address

PROBING: Final[u32] = 0
PROBED: Final[u32] = 1
RELEASED: Final[u32] = 2
TO_END: Final[u32] = 3
ENDED: Final[u32] = 4

MAX_FRUITLESS: Final = 4
SETTLE_MS: Final = 200          # how long a link may be away without the device being gone
LOST_S: Final = 1               # the age at which it is looked whether an interrupt was lost

OPS: disk.DiskOps = disk.DiskOps(strategy=request.strategy)

timeout_s: u32 = 10             # how long a command may take; for tests to change


# --- The thread ----------------------------------------------------------------------------


@throws
def start(port: Ptr[Port]) -> None:
    """Begin to look what is there.

    Errors   ENOMEM.
    """
    port.stage.store(PROBING)
    sched.create(_run, u64(address_of(port)), b"ahci", -1, Pri.KERN_DAEMON)


@may_block
def await_probed(port: Ptr[Port]) -> None:
    """Wait until it is known what is there."""
    _await(port, PROBED)


def release(port: Ptr[Port]) -> None:
    """The thread is on its own from here on."""
    port.stage.store(RELEASED)
    sleepq.wakeup(_stage_ident(port))


@may_block
def end(port: Ptr[Port]) -> None:
    """Have the thread end, and wait for that."""
    if port.stage.swap(TO_END) == PROBED:
        sleepq.wakeup(_stage_ident(port))
    while port.stage.load_acquire() != ENDED:
        sleepq.wakeup(ports.ident(port))
        sleepq.tsleep(_stage_ident(port), sleepq.NO_FLAGS, "ahciend", 1)


@may_block
def _await(port: Ptr[Port], stage: u32) -> None:
    """Wait until the thread's stage is `stage` or a later one."""
    while True:
        sleepq.tsleep_interlock(_stage_ident(port))
        if port.stage.load_acquire() >= stage:
            sleepq.tsleep_remove()
            return
        sleepq.tsleep(_stage_ident(port), sleepq.SleepFlag.PINTERLOCKED, "ahciprb", 0)


def _run(arg: u64) -> None:
    port = ports.seen_by(arg)           # end() is called before it goes
    probe(port)
    if port.stage.cas(PROBING, PROBED):
        sleepq.wakeup(_stage_ident(port))
        _await(port, RELEASED)
    second = machine.cputimer_hz()
    looked = machine.cputimer_count()
    while port.stage.load_acquire() == RELEASED:
        _sleep(port)
        if port.events != 0:
            attend(port)
        now = machine.cputimer_count()
        if wrapping(now - looked) >= second:
            looked = now
            look(port)
        elif port.polled:
            request.act(port, request.take_status(port))
    port.stage.store(ENDED)
    sleepq.wakeup(_stage_ident(port))


@may_block
def _sleep(port: Ptr[Port]) -> None:
    """Until there is something to attend to, or it is time to look."""
    patience: u64 = HZ
    if port.polled:
        patience = 1
    elif port.drive.kind == Kind.NOTHING:
        patience = 0
    sleepq.tsleep_interlock(ports.ident(port))
    if port.events != 0 or port.stage.load_acquire() != RELEASED:
        sleepq.tsleep_remove()
        return
    sleepq.tsleep(ports.ident(port), sleepq.SleepFlag.PINTERLOCKED, "ahci", patience)


def _stage_ident(port: Ptr[Port]) -> u64:
    return u64(address_of(ref(port.stage)))


# --- What comes ----------------------------------------------------------------------------


@may_block
def probe(port: Ptr[Port]) -> None:
    """Find out what is at the end of an empty port; its drive is NOTHING if that is of no use."""
    found: Drive = zeroed(Drive)
    try:
        engine.set_up(port)
        engine.hard_reset(port)
        signature = port.registers.PxSIG[port.number]
        ports.make_tables(port, u32(port.cap.NCS) + 1)
        engine.start(port)
        identify(port, signature, found)
        _limit(port, found)
        copy(port.drive, found)
    except Errno as e:
        if e.code != ENXIO:
            kprintf(f"ahci: port {port.number}: a device that is not understood: error {e.code}\n")
        _cut(port)
        ports.free_tables(port)


def _limit(port: Ptr[Port], found: Ptr[Drive]) -> None:
    """Use no more than HBA and device both know."""
    found.queued = found.queued and port.cap.SNCQ
    slots = u32(port.cap.NCS) + 1
    port.all = regs.GONE >> (regs.SLOTS - min(slots, found.tags))
    port.free = port.all


@throws
@may_block
def identify(port: Ptr[Port], signature: u32, drive: Ptr[Drive]) -> None:
    """Ask the device what it is.  The engine runs.

    Errors   ENODEV it is of no use, ENXIO, ETIMEDOUT, EIO.
    """
    data = dma.view(regs.Identify, port.area, ports.DATA_AT)
    if signature == regs.SIG_ATAPI:
        engine.command(port, regs.IDENTIFY_PACKET_DEVICE, regs.SECTOR)
        device.read_packet(drive, data)
        _find_medium(port, drive)
        return
    if signature != regs.SIG_ATA:
        raise Errno(ENODEV)
    engine.command(port, regs.IDENTIFY_DEVICE, regs.SECTOR)
    if data.specific in (regs.NEEDS_SPIN_UP, regs.NEEDS_SPIN_UP_TOO):
        engine.command(port, regs.SET_FEATURES, 0, 0, 0, regs.FEATURE_SPIN_UP)
        engine.command(port, regs.IDENTIFY_DEVICE, regs.SECTOR)
    device.read_ata(drive, data)


@throws
@may_block
def _find_medium(port: Ptr[Port], drive: Ptr[Drive]) -> None:
    """See whether a CD is in, and how large it is.

    Errors   ENXIO, ETIMEDOUT the drive does not answer at all.
    """
    for _ in range(regs.READY_TRIES):
        try:
            _packet(port, regs.TEST_UNIT_READY, 0)
            _packet(port, regs.READ_CAPACITY, regs.CAPACITY_BYTES)
            device.read_capacity(drive, dma.view(regs.Capacity, port.area, ports.DATA_AT))
            return
        except Errno as e:
            if e.code not in (EAGAIN, EIO, ENOMEDIUM):
                raise
            if e.code == ENOMEDIUM:
                return
        wait.sleep_ms(regs.READY_MS)


@throws
@may_block
def _packet(port: Ptr[Port], opcode: u8, size: u32) -> None:
    """A command of ten bytes or fewer, all zero but its code."""
    packet: Array[u8, 1] = [opcode]
    engine.execute(port, regs.FisH2d(
        head=(regs.FIS_H2D | regs.FIS_COMMAND | regs.PACKET << regs.COMMAND_SHIFT
              | (regs.PACKET_DMA << regs.FEATURES_SHIFT if size != 0 else 0))),
        size, packet)


@may_block
def announce(port: Ptr[Port]) -> None:
    """Make a disk of what probe() found; requests pass from here on."""
    if port.drive.kind == Kind.NOTHING:
        _open_empty(port)
        return
    try:
        family = b"cd" if port.drive.kind == Kind.ATAPI else b"da"
        dp = disk.create(family, OPS, u64(address_of(port)))
    except Errno:
        kprintf(f"ahci: port {port.number}: no memory for its disk\n")
        lose(port)
        return
    port.dp = dp
    ports.lock(port)
    port.state = ports.HELD
    ports.unlock(port)
    _open(port)
    drive = ref(port.drive)
    if drive.blocks == 0:
        kprintf(f"{disk.name_of(dp)}: {disk.words.until_zero(drive.model)}, no medium\n")
        return
    info = disk.DiskInfo(block_size=u32(1) << drive.shift, blocks=drive.blocks, trim=drive.trim,
                         max_transfer=request.MAX_TRANSFER, rotates=drive.rotates)
    info.serial[:].copy_from(drive.serial)
    info.model[:].copy_from(drive.model)
    disk.set_info(dp, info)


def _open(port: Ptr[Port]) -> None:
    """Let requests pass, unless there is something to attend to already."""
    request.open_(port, regs.IE_ALL)


def _open_empty(port: Ptr[Port]) -> None:
    """Be told when something comes."""
    ports.lock(port)
    if port.events == 0:
        port.registers.PxIE[port.number] = regs.IE_CHANGE
    ports.unlock(port)


# --- What goes -----------------------------------------------------------------------------


@may_block
def _cut(port: Ptr[Port]) -> None:
    """The HBA is to reach no memory for this port any more, by whatever means (R1)."""
    try:
        engine.stop(port)
    except Errno as e:
        if e.code == ETIMEDOUT:
            kprintf(f"ahci: port {port.number} does not stop; the HBA's access to memory is "
                    f"taken away\n")
            kit.stop_dma(port.dev)


@may_block
def lose(port: Ptr[Port]) -> None:
    """The device has gone, its port is there still: end all requests, unmake the disk."""
    request.hold(port, ports.HELD)
    _cut(port)
    request.end_everything(port, ports.EMPTY)
    _say_gone(port)
    _unmake(port)
    engine.clear(port)
    _open_empty(port)


@may_block
def die(port: Ptr[Port]) -> None:
    """The port is of no use any more: end all requests with ENXIO, also those to come."""
    _say_gone(port)
    _end(port)


@may_block
def retire(port: Ptr[Port]) -> None:
    """The driver lets go of the port, whose thread has ended.  The disk, if it answers, is to write
    what it has only in its cache, and may stop."""
    request.hold(port, ports.HELD)
    if port.drive.kind == Kind.ATA and port.active == 0 and not engine.vanished(port):
        try:
            if port.drive.flush:
                engine.command(port, regs.FLUSH_CACHE_EXT, 0)
            engine.command(port, regs.STANDBY_IMMEDIATE, 0)
        except Errno as e:
            kprintf(f"ahci: port {port.number}: the disk does not come to rest: error {e.code}\n")
    _end(port)


@may_block
def _end(port: Ptr[Port]) -> None:
    request.hold(port, ports.HELD)
    if not kit.gone(port.dev):
        _cut(port)
    request.end_everything(port, ports.DEAD)
    _unmake(port)


def _say_gone(port: Ptr[Port]) -> None:
    dp = port.dp
    if dp is not None:
        kprintf(f"ahci: port {port.number}: {disk.name_of(dp)} is gone\n")


@may_block
def _unmake(port: Ptr[Port]) -> None:
    """No disk, no drive, no tables: all requests have been ended, or are just being."""
    dp = port.dp
    port.dp = None
    if dp is not None:
        disk.destroy(dp)
    port.drive = zeroed(Drive)
    ports.free_tables(port)
    port.fruitless = 0


# --- What fails ----------------------------------------------------------------------------


@may_block
def attend(port: Ptr[Port]) -> None:
    """See what the interrupts were about."""
    ports.lock(port)
    events = port.events
    port.events = 0
    dead = port.state == ports.DEAD
    ports.unlock(port)
    if dead:
        return
    if engine.vanished(port):
        kprintf("ahci: an HBA is gone\n")
        die(port)
        return
    if port.drive.kind == Kind.NOTHING:
        engine.clear(port)
        probe(port)
        announce(port)
        return
    if not _is_still_there(port):
        lose(port)
        return
    if events & regs.IS_CHANGE != 0:
        _finish(port)
        _reset(port, 0, False)
    else:
        _find_failed(port, events)
    if port.drive.kind != Kind.NOTHING:
        _open(port)


@may_block
def _is_still_there(port: Ptr[Port]) -> bool:
    """Whether there is a device, now or in a moment."""
    for _ in wait.polls(SETTLE_MS):
        if engine.is_up(port):
            return True
    return False


def _finish(port: Ptr[Port]) -> None:
    """End the requests of queued commands that were complete before the trouble began."""
    if port.queued and port.active != 0:
        request.finish(port, port.registers.PxSACT[port.number])


@may_block
def _find_failed(port: Ptr[Port], events: u32) -> None:
    """A command has failed, or the interface: end the one, send the others anew."""
    now = port.registers.PxTFD[port.number]
    _finish(port)
    try:
        engine.stop(port)
        engine.clear(port)
        if events & regs.IS_FATAL != 0 or port.active == 0:
            raise Errno(EIO)
        engine.start(port)
        if port.queued:
            _fail_logged(port)
        else:
            _fail_only(port, now)
        request.put_back(port, 0, False)
    except Errno:
        _reset(port, request.ALONE, not port.queued)


@throws
@may_block
def _fail_logged(port: Ptr[Port]) -> None:
    """End the queued command that the log says has failed.

    Errors   EIO there is no log, or none that makes sense; ENXIO, ETIMEDOUT.
    """
    if not port.drive.log:
        raise Errno(EIO)
    engine.command(port, regs.READ_LOG_EXT, regs.SECTOR, regs.LOG_QUEUED_ERROR, 1)
    total: u8 = 0
    for byte in dma.array(u8, port.area, ports.DATA_AT, regs.SECTOR):
        total = wrapping(total + byte)
    log = dma.view(regs.QueuedErrorLog, port.area, ports.DATA_AT)
    if total != 0 or log.tag.NQ:
        raise Errno(EIO)
    number = u32(log.tag.TAG)
    write = request.writes(port, number)
    if not request.fail(port, number, status.to_errno(log.status, log.error, write),
                        status.transient(log.error)):
        raise Errno(EIO)
    port.fruitless = 0


def _fail_only(port: Ptr[Port], now: regs.PxTfd) -> None:
    """End the command that was under way alone."""
    number = u32(ctz(port.active))
    error = u8(now.ERR)
    code = (status.of_packet(error) if port.drive.kind == Kind.ATAPI
            else status.to_errno(u8(now.STS), error, request.writes(port, number)))
    request.fail(port, number, code, status.transient(error) or code == EAGAIN)
    port.fruitless = 0


@may_block
def _reset(port: Ptr[Port], special: u64, again: bool) -> None:
    """COMRESET, and see whether the device is the same; what was under way is sent anew."""
    port.fruitless += 1
    if port.fruitless > MAX_FRUITLESS:
        kprintf(f"ahci: port {port.number}: resets do not help\n")
        die(port)
        return
    port.counters.hard_resets += 1
    kprintf(f"ahci: port {port.number}: reset\n")
    try:
        engine.hard_reset(port)
        engine.start(port)
        _identify_again(port)
    except Errno as e:
        if engine.vanished(port):
            die(port)
            return
        kprintf(f"ahci: port {port.number}: its device does not come back: error {e.code}\n")
        lose(port)
        if e.code == ENODEV:            # another one: see what
            ports.alarm(port, regs.IS_CHANGE)
        return
    request.put_back(port, special, again)


@throws
@may_block
def _identify_again(port: Ptr[Port]) -> None:
    """After a reset: is it the same device?

    Errors   ENODEV it is not, ENXIO, ETIMEDOUT, EIO.
    """
    found: Drive = zeroed(Drive)
    identify(port, port.registers.PxSIG[port.number], found)
    if not device.same(found, port.drive):
        raise Errno(ENODEV)


# --- What does not come back ---------------------------------------------------------------


@may_block
def look(port: Ptr[Port]) -> None:
    """What is done once a second."""
    if port.drive.kind == Kind.NOTHING:
        return
    if engine.vanished(port):
        kprintf("ahci: an HBA is gone\n")
        die(port)
        return
    ports.lock(port)
    port.epoch = wrapping(port.epoch + 1)
    completed = port.counters.completed
    ports.unlock(port)
    if completed != port.completed_before:
        port.fruitless = 0
    port.completed_before = completed
    if _is_older(port, LOST_S):
        request.act(port, request.take_status(port))    # perhaps only the interrupt was lost
        request.complete(port)
    if port.events == 0 and _is_older(port, timeout_s):
        _time_out(port)


def _is_older(port: Ptr[Port], age_s: u32) -> bool:
    """Whether a command is under way for so long."""
    found = False
    ports.lock(port)
    active = port.active
    while active != 0:
        number = ctz(active)
        active &= active - 1
        if wrapping(port.epoch - port.slots[number].epoch) >= age_s:
            found = True
    ports.unlock(port)
    return found


@may_block
def _time_out(port: Ptr[Port]) -> None:
    """Reset the device; what was under way is sent a second time."""
    request.hold(port, ports.HELD)
    _finish(port)
    kprintf(f"ahci: port {port.number}: a command takes too long: reset\n")
    try:
        if port.fruitless != 0:
            raise Errno(EIO)            # a software reset has not helped
        port.fruitless += 1
        port.counters.soft_resets += 1
        engine.soft_reset(port)
        _identify_again(port)
        request.put_back(port, 0, True)
    except Errno:
        _reset(port, 0, True)
    if port.drive.kind != Kind.NOTHING:
        _open(port)
