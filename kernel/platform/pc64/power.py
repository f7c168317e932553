# SPDX-License-Identifier: BSD-3-Clause
"""Switching off.

QEMU's isa-debug-exit takes a status at port 0xf4 and ends; where there is none, the write goes
nowhere and the CPU halts for good.

Source    QEMU hw/misc/debugexit.c (the device's description); toolchain/image/qemu.py (statuses)
"""
from typing import Final

from kpy import Never, asm, u16, u32

from kernel.arch.x86_64 import port
from kernel.platform.pc64 import uart

DEBUG_EXIT: Final[u16] = 0xF4


def power_off(status: u32) -> Never:
    """End the machine; `status` is what scripts/run exits with."""
    uart.flush()
    port.outl(DEBUG_EXIT, status)
    halt()


def halt() -> Never:
    """Stop this CPU for good."""
    while True:
        asm("cli; hlt")
