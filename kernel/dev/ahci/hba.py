# SPDX-License-Identifier: BSD-3-Clause
"""An HBA: taking it over, its interrupts, letting it go.

An HBA that can send as many messages as it has ports sends each port's to a CPU of its own; one
with a single message (plain MSI) says in IS which ports it is about.  What happens then is the
port's alone.  Without messages the ports' threads look by themselves, a hundred times a second.

Invariants
  H1  ports[n] is a port exactly where PI and the registers' size say that there is one.
  H2  When stop() returns each request is ended, and the HBA reaches no memory.
Locking   [I] fixed after attach()   [i] the interrupt's thread
Tests     tests/unit/dev/ahci/test_hba.py, tests/qemu/test_ahci.py
Source    AHCI 1.3.1, 10.1.2 "System Software Specific Initialization", 10.4.3 "HBA Reset", 10.6
          "BIOS/OS Handoff", 10.7 "Interrupts"
Limits    no port multipliers, no enclosure management, no command completion coalescing
"""
from typing import Final

from kpy import (
    Array,
    Errno,
    Mmio,
    Ptr,
    VirtAddr,
    address_of,
    bits_of,
    ctz,
    may_block,
    pointer_at,
    struct,
    throws,
    u32,
    u64,
)

from kernel.bus import driver as kit
from kernel.bus import msi, wait
from kernel.bus.pci.device import Device
from kernel.dev.ahci import engine, recovery, regs, request
from kernel.dev.ahci import port as ports
from kernel.dev.ahci.port import Port
from kernel.lib.errno import ENXIO, ETIMEDOUT
from kernel.lwkt import globaldata

UNSAFE: Final = True     # an HBA travels to its interrupt as a number

DRAIN_MS: Final = 2000
LEAST_REGISTERS: Final = regs.PORT_BASE + regs.PORT_BYTES


@struct
class Hba:
    """An HBA; kit.state() of its device."""
    dev: Ptr[Device]                                # [I]
    registers: Mmio[regs.Regs]                      # [I]
    cap: regs.Cap                                   # [I]
    messages: u32                                   # [I] that it can send; 0: it is polled
    ports: Array[Ptr[Port] | None, regs.PORTS]      # [I] H1
    status: Array[u32, regs.PORTS]                  # [i] PxIS of the ports that IS names
    interrupts: u64                                 # [i] with one message for all ports
    strays: u64                                     # [i] that were about no port


attached: u32 = 0        # [b] HBAs so far: their interrupts go to different CPUs


# --- Coming up -----------------------------------------------------------------------------


@throws
@may_block
def attach(dev: Ptr[Device]) -> None:
    """Take an HBA over, as far as ports that nobody has looked at.

    Errors   ENXIO it does not answer, ETIMEDOUT it does not let itself be reset, ENOMEM.
    """
    h = kit.state(Hba, dev)
    h.dev = dev
    h.registers = kit.registers(regs.Regs, dev, regs.ABAR, LEAST_REGISTERS)
    if bits_of(h.registers.CAP) == regs.GONE:
        raise Errno(ENXIO)
    h.registers.GHC.AE = 1
    _take_from_bios(h)
    implemented = h.registers.PI
    _reset(h)
    h.registers.PI = implemented
    h.cap = h.registers.CAP
    h.messages = kit.messages(dev)
    try:
        _make_ports(h, implemented)
        _wire(h)
    except Errno:
        stop(h)
        free(h)
        raise
    h.registers.GHC.IE = 1


@may_block
def _take_from_bios(h: Ptr[Hba]) -> None:
    """Ask firmware that uses the HBA to let go of it; after a while it is ours whatever it says."""
    if not h.registers.CAP2.BOH:
        return
    h.registers.BOHC.OOS = 1
    for _ in wait.polls(regs.BIOS_MS):
        if h.registers.BOHC.BOS == 0:
            return
    for _ in wait.polls(regs.BIOS_BUSY_MS):
        now = h.registers.BOHC
        if now.BOS == 0 or now.BB == 0 or bits_of(now) == regs.GONE:
            return


@throws
@may_block
def _reset(h: Ptr[Hba]) -> None:
    """Reset the HBA.

    Errors   ENXIO it is gone, ETIMEDOUT.
    """
    h.registers.GHC.HR = 1
    for _ in wait.polls(regs.HBA_RESET_MS):
        now = h.registers.GHC
        if bits_of(now) == regs.GONE or kit.gone(h.dev):
            raise Errno(ENXIO)
        if now.HR == 0:
            h.registers.GHC = regs.Ghc(AE=1)
            return
    raise Errno(ETIMEDOUT)


@throws
def _make_ports(h: Ptr[Hba], implemented: u32) -> None:
    if implemented == regs.GONE and bits_of(h.registers.CAP) == regs.GONE:
        raise Errno(ENXIO)
    space = h.dev.bars[regs.ABAR].size
    left = implemented
    while left != 0:
        number = u32(ctz(left))
        left &= left - 1
        if regs.PORT_BASE + u64(number + 1) * regs.PORT_BYTES <= space:
            port = ports.make(h.dev, h.registers, number, h.cap)
            port.polled = h.messages == 0
            h.ports[number] = port


@throws
def _wire(h: Ptr[Hba]) -> None:
    """Have interrupts arrive."""
    global attached
    attached += 1
    highest: u32 = 0
    for number in range(regs.PORTS):
        if h.ports[number] is not None:
            highest = u32(number)
    if h.messages == 0:
        return
    if h.messages <= highest:
        kit.interrupt(h.dev, 0, _cpu(attached - 1), _served, h.dev.soft)
        return
    for number in range(regs.PORTS):
        port = h.ports[number]
        if port is not None:
            kit.interrupt(h.dev, u32(number), _cpu(u32(number)), _port_served,
                          u64(address_of(port)))


def _cpu(turn: u32) -> u32:
    """A running CPU."""
    cpu = turn % globaldata.ncpus
    return cpu if globaldata.runs(cpu) else 0


# --- Interrupts ----------------------------------------------------------------------------


def _served(line: Ptr[msi.Line]) -> None:
    """The message of all ports."""
    serve(pointer_at(Hba, VirtAddr(line.arg)))      # safe: lives until the line is given back


def serve(h: Ptr[Hba]) -> None:
    """See to the ports that have something to say."""
    which = h.registers.IS
    h.interrupts += 1
    if which == 0:
        h.strays += 1
        return
    left = which
    while left != 0:
        number = ctz(left)
        left &= left - 1
        port = h.ports[number]
        if port is not None:
            h.status[number] = request.take_status(port)
    h.registers.IS = which          # after PxIS, which it follows; before new commands: they may
                                    # end at once, and a bit that is set again is a message more
    left = which
    while left != 0:
        number = ctz(left)
        left &= left - 1
        port = h.ports[number]
        if port is not None:
            request.act(port, h.status[number])


def _port_served(line: Ptr[msi.Line]) -> None:
    """The message of one port."""
    port = ports.seen_by(line.arg)                  # it lives until the line is given back
    status = request.take_status(port)
    port.registers.IS = u32(1) << port.number
    request.act(port, status)


# --- Going ---------------------------------------------------------------------------------


@may_block
def stop(h: Ptr[Hba]) -> None:
    """End all requests, after a while for those under way if the HBA answers; have the disks write
    what is only in their caches, and unmake them.

    The ports' threads have ended.
    """
    there = not kit.gone(h.dev) and bits_of(h.registers.CAP) != regs.GONE
    if there:
        _drain(h)
        h.registers.GHC.IE = 0
    for number in range(regs.PORTS):
        port = h.ports[number]
        if port is not None:
            recovery.retire(port)
    if not kit.gone(h.dev):
        kit.stop_dma(h.dev)


@may_block
def _drain(h: Ptr[Hba]) -> None:
    """Let what is under way end."""
    for number in range(regs.PORTS):
        port = h.ports[number]
        if port is not None:
            request.hold(port, ports.DRAINING)
    for _ in wait.polls(DRAIN_MS):
        busy = False
        for number in range(regs.PORTS):
            port = h.ports[number]
            if port is not None and port.active != 0:
                request.complete(port)
                busy = busy or (port.active != 0 and not engine.vanished(port))
        if not busy:
            return


@may_block
def free(h: Ptr[Hba]) -> None:
    """Give the ports back.  H2 holds."""
    kit.quiet(h.dev)
    for number in range(regs.PORTS):
        port = h.ports[number]
        h.ports[number] = None
        if port is not None:
            ports.free(port)

