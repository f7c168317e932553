# SPDX-License-Identifier: BSD-3-Clause
"""What the AHCI driver is attached to.

Tests     tests/qemu/test_ahci.py
Source    AHCI 1.3.1, 2.1.5 "Class Code": 01h mass storage, 06h Serial ATA, 01h AHCI
"""
from typing import Final

from kpy import Array, Errno, Ptr, driver, may_block, throws, u32

from kernel import machine
from kernel.bus import driver as kit
from kernel.bus.pci.device import ANY, Device, Driver, Match
from kernel.dev.ahci import hba, recovery, regs
from kernel.dev.ahci.hba import Hba
from kernel.lib import words

MAX_TIMEOUT_S: Final = 3600

MATCHES: Final[Array[Match, 1]] = [
    Match(vendor=ANY, device=ANY, class_code=0x010601, class_mask=0xFFFFFF)]


@throws
@may_block
def attach(dev: Ptr[Device]) -> None:
    """Take it over, find what is attached, on all ports at once; disks are named in the order of
    the ports."""
    hba.attach(dev)
    h = kit.state_of(Hba, dev)
    started: u32 = 0
    try:
        for number in range(regs.PORTS):
            port = h.ports[number]
            if port is not None:
                recovery.start(port)
                if h.cap.SSS:                   # spin up one after the other
                    recovery.await_probed(port)
            started = u32(number) + 1
    except Errno:
        for number in range(started):
            port = h.ports[number]
            if port is not None:
                recovery.end(port)
        hba.stop(h)
        hba.free(h)
        raise
    for number in range(regs.PORTS):
        port = h.ports[number]
        if port is not None:
            recovery.await_probed(port)
            recovery.announce(port)
            recovery.release(port)


@may_block
def detach(dev: Ptr[Device]) -> None:
    """Let it go, there or not."""
    h = kit.state_of(Hba, dev)
    for number in range(regs.PORTS):
        port = h.ports[number]
        if port is not None:
            recovery.end(port)
    hba.stop(h)
    hba.free(h)


AHCI: Driver = Driver(name="ahci", matches=MATCHES, attach=attach, detach=detach)


@driver("ahci")
def declare() -> None:
    """`ahci_timeout=S` on the command line says how long a command may take."""
    seconds, given = words.number(words.value_of(machine.command_line(), b"ahci_timeout"))
    if given and 0 < seconds < MAX_TIMEOUT_S:
        recovery.timeout_s = u32(seconds)
    kit.declare(AHCI)
