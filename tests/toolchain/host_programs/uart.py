# SPDX-License-Identifier: BSD-3-Clause
"""A UART driver as kernels have it: port I/O, polling, a ring of what came in."""
from kpy import (
    Array,
    Errno,
    Final,
    Slice,
    bits,
    extern,
    flags,
    throws,
    trunc,
    u1,
    u2,
    u3,
    u8,
    u16,
    u32,
)

PORT: Final = 0x3F8
TIMEOUT: Final = 1000                # polls: longer than a character takes
ETIMEDOUT: Final = 110


@flags(u8)
class Status:
    READY = 0x01              # a byte has come
    EMPTY = 0x20              # a byte may go


@bits(u8)
class LineControl:
    WORD: u2
    STOP: u1
    PARITY: u3
    BREAK: u1
    DLAB: u1


sent: u32 = 0
ring: Array[u8, 8]
head: u32 = 0


@extern("hw_inb")
def inb(port: u16) -> u8: ...


@extern("hw_outb")
def outb(port: u16, value: u8) -> None: ...


def line_control(word: u8) -> LineControl:
    return LineControl(WORD=trunc(u2, word), DLAB=1)


@throws
def put(byte: u8) -> None:
    for _ in range(TIMEOUT):
        if inb(PORT + 5) & 0x20 != 0:
            outb(PORT, byte)
            global sent
            sent += 1
            return
    raise Errno(ETIMEDOUT)


@throws
def write(data: Slice[u8]) -> u32:
    for byte in data:
        put(byte)
    return sent


def receive() -> u32:
    """Move what has come to the ring; how many."""
    n: u32 = 0
    while inb(PORT + 5) & 1 != 0:
        global head
        ring[head % 8] = inb(PORT)
        head += 1
        n += 1
    return n
