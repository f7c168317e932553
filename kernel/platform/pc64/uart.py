# SPDX-License-Identifier: BSD-3-Clause
"""The console: a 16550 UART on COM1, polled.

Source    National Semiconductor PC16550D data sheet, section 8 "Registers"
Limits    polled both ways; interrupt-driven when there are interrupts
"""
from typing import Final

from kpy import Bit, Slice, bits, from_bits, implements, u8, u16, u32

from kernel.arch.x86_64 import port
from kernel.lib import fmt

COM1: Final[u16] = 0x3F8
DATA: Final[u16] = 0           # RBR, THR: receiver buffer, transmitter holding
LSR: Final[u16] = 5            # line status
NOTHING: Final[u32] = 0x100
NEWLINE: Final = 10
RETURN: Final = 13


@bits(u8)
class LineStatus:
    """LSR."""
    DR: Bit[0, bool]           # data ready
    THRE: Bit[5, bool]         # transmitter holding register empty


@implements(fmt.console_write)
def console_write(text: Slice[u8]) -> None:
    for byte in text:
        if byte == NEWLINE:
            _put(RETURN)
        _put(byte)


def console_read_polled() -> u32:
    """The next byte typed, or 0x100 if there is none; touches only the device.  Any context."""
    if from_bits(LineStatus, port.inb(COM1 + LSR)).DR:
        return port.inb(COM1 + DATA)
    return NOTHING


def _put(byte: u8) -> None:
    while not from_bits(LineStatus, port.inb(COM1 + LSR)).THRE:
        pass
    port.outb(COM1 + DATA, byte)
