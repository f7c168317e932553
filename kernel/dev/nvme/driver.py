# SPDX-License-Identifier: BSD-3-Clause
"""What the NVMe driver is attached to.

Tests     tests/qemu/test_nvme.py
Source    NVMe 1.4, 2.1.5 "Class Code": 01h mass storage, 08h non-volatile memory, 02h NVM Express
"""
from typing import Final

from kpy import Array, Errno, Ptr, driver, may_block, throws, u32

from kernel import machine
from kernel.bus import driver as kit
from kernel.bus.pci.device import ANY, Device, Driver, Match
from kernel.dev.nvme import controller, supervisor
from kernel.dev.nvme.controller import Controller
from kernel.lib import words

MAX_TIMEOUT_S: Final = 3600

MATCHES: Final[Array[Match, 1]] = [
    Match(vendor=ANY, device=ANY, class_code=0x010802, class_mask=0xFFFFFF)]


@throws
@may_block
def attach(dev: Ptr[Device]) -> None:
    """Bring it up, and look after it from then on."""
    controller.attach(dev)
    c = kit.state_of(Controller, dev)
    try:
        supervisor.start(c)
    except Errno:
        controller.stop(c)
        controller.free(c)
        raise


@may_block
def detach(dev: Ptr[Device]) -> None:
    """Let it go, there or not."""
    c = kit.state_of(Controller, dev)
    supervisor.end(c)
    controller.stop(c)
    controller.free(c)


NVME: Driver = Driver(name="nvme", matches=MATCHES, attach=attach, detach=detach)


@driver("nvme")
def declare() -> None:
    """`nvme_timeout=S` on the command line says how long a command may take."""
    seconds, given = words.number(words.value_of(machine.command_line(), b"nvme_timeout"))
    if given and 0 < seconds < MAX_TIMEOUT_S:
        supervisor.timeout_s = u32(seconds)
    kit.declare(NVME)
