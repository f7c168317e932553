# SPDX-License-Identifier: BSD-3-Clause
"""Switching off.

QEMU's isa-debug-exit takes a status at port 0xf4 and ends at once.  Where there is none, the write
goes nowhere, and the machine enters the ACPI state S5; where that does nothing either, the CPU
halts for good.

Tests     tests/qemu/test_machine.py
Source    QEMU hw/misc/debugexit.c (the device's description); toolchain/image/qemu.py (statuses);
          ACPI 6.5, 4.8.3.2.1 "PM1 Control Registers", 7.4.2.6 "System _S5 State (Soft Off)",
          16.3.1 "Placing the System in ACPI Mode"
"""
from typing import Final

from kpy import Never, asm, bits_of, from_bits, ref, u8, u16, u32

from kernel.arch.x86_64 import port
from kernel.platform.pc64 import acpi, regs, uart

DEBUG_EXIT: Final[u16] = 0xF4
MODE_POLLS: Final = 1_000_000            # the firmware answers within some milliseconds


def power_off(status: u32) -> Never:
    """End the machine; under QEMU, `status` is what scripts/run exits with."""
    uart.flush()
    port.outl(DEBUG_EXIT, status)
    if acpi.tables.can_switch_off:
        _enter_acpi_mode()
        _sleep(acpi.tables.pm1a_control, acpi.tables.off_type_a)
        if acpi.tables.pm1b_control != 0:
            _sleep(acpi.tables.pm1b_control, acpi.tables.off_type_b)
    halt()


def halt() -> Never:
    """Stop this CPU for good."""
    while True:
        asm("cli; hlt")


def _enter_acpi_mode() -> None:
    """Take the power registers over from the firmware, where it has them."""
    tables = ref(acpi.tables)
    if tables.smi_command == 0 or _control(tables.pm1a_control).SCI_EN:
        return
    port.outb(tables.smi_command, tables.acpi_enable)
    polls: u32 = 0
    while not _control(tables.pm1a_control).SCI_EN and polls < MODE_POLLS:
        polls += 1


def _sleep(register: u16, kind: u8) -> None:
    value = _control(register)
    value.SLP_TYP = kind
    value.SLP_EN = 1
    port.outw(register, bits_of(value))


def _control(register: u16) -> regs.Pm1Control:
    return from_bits(regs.Pm1Control, port.inw(register))
