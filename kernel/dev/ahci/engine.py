# SPDX-License-Identifier: BSD-3-Clause
"""What a port's thread does to a port: start and stop it, reset it, wait for single commands.

While it is at work here no request is under way: the port is held, or empty.  Every wait ends, also
that for an HBA whose registers read all ones.

Commands of its own go through slot 0, and are looked for instead of waited for by interrupt.

Locking   [t] the port's thread; attach() before it, detach() after it
Tests     tests/unit/dev/ahci/test_recovery.py, tests/unit/dev/ahci/test_hba.py
Source    AHCI 1.3.1, 10.1.2 "System Software Specific Initialization", 10.3 "Hardware Prerequisites
          for Start/Stop", 10.4 "Reset"
"""
from typing import Final

from kpy import (
    Errno,
    Ptr,
    Slice,
    bits_of,
    copy,
    fence,
    may_block,
    throws,
    trunc,
    u8,
    u32,
    u64,
    unwrap,
)

from kernel.bus import driver as kit
from kernel.bus import wait
from kernel.dev.ahci import port as ports
from kernel.dev.ahci import regs, status
from kernel.dev.ahci.port import Port
from kernel.lib.errno import EIO, ENXIO, ETIMEDOUT

COMMAND_MS: Final = 10_000      # a command of ours; a disk may have to spin up for it
OWN: Final[u32] = 1             # slot 0, as a bit of PxCI
NO_PACKET: Final[Slice[u8]] = b""


def vanished(port: Ptr[Port]) -> bool:
    """Whether the HBA has gone, as the bus says or as its registers do."""
    return kit.gone(port.dev) or bits_of(port.registers.PxSSTS[port.number]) == regs.GONE


def is_up(port: Ptr[Port]) -> bool:
    """Whether there is a device that one can talk to.  Registers of nothing say no."""
    return port.registers.PxSSTS[port.number].DET == regs.DET_UP


def set_up(port: Ptr[Port]) -> None:
    """Tell the HBA where the port's memory is; let it receive frames.  Its engine is stopped."""
    n = port.number
    at = u64(port.area.address)
    port.registers.PxCLB[n] = trunc(u32, at)
    port.registers.PxCLBU[n] = u32(at >> 32)
    port.registers.PxFB[n] = trunc(u32, at + ports.FIS_AT)
    port.registers.PxFBU[n] = u32((at + ports.FIS_AT) >> 32)
    clear(port)
    command = port.registers.PxCMD[n]
    command.FRE = 1
    command.SUD = 1
    command.POD = 1
    command.ICC = regs.ICC_ACTIVE
    port.registers.PxCMD[n] = command


def clear(port: Ptr[Port]) -> None:
    """Forget errors and events that were reported so far."""
    n = port.number
    port.registers.PxSERR[n] = port.registers.PxSERR[n]
    port.registers.PxIS[n] = port.registers.PxIS[n]


@throws
@may_block
def stop(port: Ptr[Port]) -> None:
    """From here on the HBA starts no command of the port, and reaches no memory for one.

    Errors   ENXIO the HBA is gone, ETIMEDOUT.
    """
    n = port.number
    command = port.registers.PxCMD[n]
    if command.ST == 1:
        command.ST = 0
        port.registers.PxCMD[n] = command
    for _ in wait.polls(regs.ENGINE_MS):
        if vanished(port):
            raise Errno(ENXIO)
        if port.registers.PxCMD[n].CR == 0:
            return
    raise Errno(ETIMEDOUT)


@throws
@may_block
def start(port: Ptr[Port]) -> None:
    """Let the HBA execute commands.

    Errors   EIO the device is in the middle of something.
    """
    n = port.number
    if port.registers.PxTFD[n].STS & regs.STS_BUSY != 0:
        raise Errno(EIO)
    command = port.registers.PxCMD[n]
    command.ST = 1
    port.registers.PxCMD[n] = command


@throws
@may_block
def restart(port: Ptr[Port]) -> None:
    """After an error: stop, forget it, start.

    Errors   ENXIO, ETIMEDOUT, EIO.
    """
    stop(port)
    clear(port)
    start(port)


@throws
@may_block
def wait_ready(port: Ptr[Port], limit_ms: u64) -> None:
    """Wait until the device takes commands.

    Errors   ENXIO it, or the HBA, is gone; ETIMEDOUT.
    """
    n = port.number
    for _ in wait.polls(limit_ms):
        if vanished(port) or not is_up(port):
            raise Errno(ENXIO)
        if port.registers.PxTFD[n].STS & regs.STS_BUSY == 0:
            return
        # QEMU 7.2: after a reset PxTFD stays 7Fh until PxCMD is written, whatever to.
        port.registers.PxCMD[n] = port.registers.PxCMD[n]
    raise Errno(ETIMEDOUT)


@throws
@may_block
def hard_reset(port: Ptr[Port]) -> None:
    """COMRESET: begin anew with whatever is at the end of the cable.  The engine is stopped after.

    Errors   ENXIO there is nothing, or the HBA is gone; ETIMEDOUT the device, EIO the HBA does not
             come to rest.
    """
    n = port.number
    try:
        stop(port)
    except Errno as e:
        if e.code != ETIMEDOUT:
            raise
    port.registers.PxSCTL[n] = regs.PxSctl(DET=regs.DET_COMRESET, IPM=regs.IPM_NO_SLEEP)
    wait.sleep_ms(regs.COMRESET_MS)
    port.registers.PxSCTL[n] = regs.PxSctl(DET=0, IPM=regs.IPM_NO_SLEEP)
    _wait_link(port)
    clear(port)
    if port.registers.PxCMD[n].CR == 1:
        raise Errno(EIO)
    wait_ready(port, regs.SPIN_UP_MS)
    clear(port)


@throws
@may_block
def _wait_link(port: Ptr[Port]) -> None:
    """Wait until host and device talk to each other.

    Errors   ENXIO they do not.
    """
    for _ in wait.polls(regs.NOBODY_MS):
        if port.registers.PxSSTS[port.number].DET != regs.DET_NONE:
            break
    else:
        raise Errno(ENXIO)
    for _ in wait.polls(regs.LINK_MS):
        if vanished(port):
            raise Errno(ENXIO)
        if is_up(port):
            return
    raise Errno(ENXIO)


@throws
@may_block
def soft_reset(port: Ptr[Port]) -> None:
    """Reset the device by two frames; the engine is started after.

    Errors   ENXIO, ETIMEDOUT, EIO the device cannot be told.
    """
    n = port.number
    stop(port)
    clear(port)
    if port.registers.PxTFD[n].STS & regs.STS_BUSY != 0:
        _override(port)
    start(port)
    _send_control(port, regs.CONTROL_SRST, bits_of(regs.Header(CFL=regs.FIS_DWORDS, R=1, C=1)))
    wait.sleep_ms(regs.SRST_MS)
    _send_control(port, 0, bits_of(regs.Header(CFL=regs.FIS_DWORDS)))
    wait_ready(port, regs.SOFT_RESET_MS)
    restart(port)


@throws
@may_block
def _override(port: Ptr[Port]) -> None:
    """Have the HBA forget that the device is busy.

    Errors   EIO it does not know how to, ETIMEDOUT.
    """
    n = port.number
    if not port.cap.SCLO:
        raise Errno(EIO)
    command = port.registers.PxCMD[n]
    command.CLO = 1
    port.registers.PxCMD[n] = command
    for _ in wait.polls(regs.ENGINE_MS):
        if port.registers.PxCMD[n].CLO == 0:
            return
    raise Errno(ETIMEDOUT)


@throws
@may_block
def _send_control(port: Ptr[Port], control: u32, header: u64) -> None:
    """Send a frame that writes the Device Control register."""
    table = unwrap(port.slots[0].table)
    table.cfis = regs.FisH2d(head=regs.FIS_H2D, count=control << regs.CONTROL_SHIFT)
    _issue(port, header)
    for _ in wait.polls(regs.ENGINE_MS):
        if vanished(port):
            raise Errno(ENXIO)
        if port.registers.PxCI[port.number] & OWN == 0:
            return
    raise Errno(ETIMEDOUT)


@throws
@may_block
def execute(port: Ptr[Port], fis: Ptr[regs.FisH2d], size: u32, packet: Slice[u8] = NO_PACKET,
            limit_ms: u64 = COMMAND_MS) -> None:
    """Have a command executed that brings `size` bytes to DATA_AT of the port's area, or none.  If
    it fails the engine runs again.

    Errors   ENXIO, ETIMEDOUT, or what its status says.
    """
    n = port.number
    table = unwrap(port.slots[0].table)
    copy(table.cfis, fis)
    header = regs.Header(CFL=regs.FIS_DWORDS)
    if len(packet) != 0:
        table.acmd[:].fill(0)
        table.acmd[:len(packet)].copy_from(packet)
        header.A = 1
    if size != 0:
        table.prdt[0].dba = u64(port.area.address) + ports.DATA_AT
        table.prdt[0].dbc = size - 1
        header.PRDTL = 1
    clear(port)
    _issue(port, bits_of(header))
    for _ in wait.polls(limit_ms):
        if vanished(port) or not is_up(port):
            raise Errno(ENXIO)
        pending = port.registers.PxCI[n] & OWN != 0
        failed = port.registers.PxIS[n] & regs.IS_ERROR != 0
        if failed or not pending:
            now = port.registers.PxTFD[n]
            if not failed and now.STS & regs.STS_FAILED == 0:
                fence("acquire")                # the register, then what came
                return
            restart(port)
            if len(packet) != 0:
                raise Errno(status.of_packet(u8(now.ERR)))
            raise Errno(status.to_errno(u8(now.STS), u8(now.ERR), False))
    raise Errno(ETIMEDOUT)


@throws
@may_block
def command(port: Ptr[Port], opcode: u32, size: u32, lba: u64 = 0, count: u32 = 0,
            features: u32 = 0) -> None:
    """execute() of an ATA command."""
    execute(port, regs.FisH2d(
        head=(regs.FIS_H2D | regs.FIS_COMMAND | opcode << regs.COMMAND_SHIFT
              | features << regs.FEATURES_SHIFT),
        low=trunc(u32, lba & regs.LBA_LOW), count=count), size)


def _issue(port: Ptr[Port], header: u64) -> None:
    port.headers[0].state = header
    fence("release")                            # the command, then the register

    port.registers.PxCI[port.number] = OWN
