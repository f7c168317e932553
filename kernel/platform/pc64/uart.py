# SPDX-License-Identifier: BSD-3-Clause
"""The console: a 16550 UART on COM1.

Output.  While interrupts work, what is written goes to a ring, and the UART's interrupts, on CPU
0, drain it.  A CPU that has interrupts off (a panic, an NMI, the debugger) drains the ring itself,
then writes on the wire itself; so does one that finds the ring full.

The lock is held with interrupts off and is never waited for in vain: a CPU that already owns it
(an NMI or a failed check in the middle of a write), or that finds it owned by a CPU that is
stopped, goes on without.  It sends what is in the ring and then its own text, and queues nothing,
so that the owner can go on later: bytes of the ring may come twice then, but none is lost.

Input comes by interrupts to upcalls.console_input(), or is polled.

Invariants
  U1  sent <= queued <= sent + RING_BYTES; what lies between is to be sent, in order.
  U2  Only the owner of the lock adds to the ring.
Locking   ring, queued, sending [o] owner; sent [o], and who goes on without the lock; early [I]
          but for its one reader
Tests     tests/qemu/test_console.py
Source    National Semiconductor PC16550D data sheet, section 8 "Registers", 8.4 "FIFO Interrupt
          Mode Operation"
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Slice,
    bits_of,
    from_bits,
    implements,
    kprintf,
    pause,
    u8,
    u16,
    u32,
    u64,
)

from kernel.arch.x86_64 import cpu, port
from kernel.lib import fmt
from kernel.machine import upcalls
from kernel.platform.pc64 import cpus, ioapic, percpu, regs, vectors

RING_BYTES: Final = 8192
NOTHING: Final[u32] = 0x100
NEWLINE: Final = 10
RETURN: Final = 13
ROOM_POLLS: Final = 1_000_000        # 16 bytes take 1.4 ms at 115200 baud; a poll, some 0.5 us
LOCK_SPINS: Final = 200_000_000      # a CPU that holds the lock this long is dead
INPUT_BATCH: Final = 64
EARLY_BYTES: Final = 64
EARLY_POLLS: Final = 10_000          # after a byte, some 5 ms: then the typing has paused

ring: Array[u8, RING_BYTES]
sent: u64 = 0                        # bytes, since the start
queued: u64 = 0
sending: bool = False                # the transmitter's interrupt is on
by_interrupts: bool = False
owner: Atomic[u32]                   # the number of the CPU that has the lock, + 1; 0: free
early: Array[u8, EARLY_BYTES]        # typed before the UART was set up, which clears its FIFO
early_count: u64 = 0
early_taken: u64 = 0


def init() -> None:
    """Set the UART up: 115200 baud, 8 bits, FIFOs, no interrupts."""
    _out(regs.UART_IER, 0)
    _read_early()
    _out(regs.UART_LCR, bits_of(regs.UartLcr(DLAB=1)))
    _out(regs.UART_DATA, regs.UART_DIVISOR_115200)
    _out(regs.UART_IER, 0)
    _out(regs.UART_LCR, bits_of(regs.UartLcr(WLS=3)))
    _out(regs.UART_FCR, bits_of(regs.UartFcr(ENABLE=1)))
    _out(regs.UART_MCR, bits_of(regs.UartMcr(DTR=1, RTS=1)))


@implements(fmt.console_write)
def console_write(text: Slice[u8]) -> None:
    enabled = cpu.read_flags().IF
    cpu.cli()
    if _lock():
        for byte in text:
            if byte == NEWLINE:
                _queue(RETURN)
            _queue(byte)
        if by_interrupts and enabled:
            _start_sending()
        else:
            _drain()
        owner.store_release(0)
    else:
        _drain()
        for byte in text:
            if byte == NEWLINE:
                _put(RETURN)
            _put(byte)
    if enabled:
        cpu.sti()


def flush() -> None:
    """Return when all that was written is on the wire, or the UART does not take it."""
    _drain()
    polls: u32 = 0
    while not _status().TEMT and polls < ROOM_POLLS:
        polls += 1


def console_start_interrupts() -> None:
    """From polling to interrupts, both ways; after this, console input comes by
    console_input().  Called once device interrupts work."""
    global by_interrupts, early_taken
    gsi, level, low = ioapic.isa_input(regs.COM1_IRQ)
    if not ioapic.exists(gsi):
        kprintf("note: the console's interrupt is not wired; it stays polled\n")
        return
    ioapic.route(gsi, level, low, cpus.apic_ids[0], vectors.CONSOLE)
    ioapic.set_mask(gsi, False)
    by_interrupts = True
    _out(regs.UART_MCR, bits_of(regs.UartMcr(DTR=1, RTS=1, OUT2=1)))
    while early_taken < early_count:
        early_taken += 1
        upcalls.console_input(early[early_taken - 1])
    _out(regs.UART_IER, bits_of(regs.UartIer(ERBFI=1)))


def console_read_polled() -> u32:
    """The next byte typed, or 0x100 if there is none; touches only the device.  Any context."""
    global early_taken
    if early_taken < early_count:
        early_taken += 1
        return early[early_taken - 1]
    if _status().DR:
        return port.inb(regs.COM1 + regs.UART_DATA)
    return NOTHING


def interrupt() -> None:
    """The UART wants something.  Its line is edge-triggered: serve it until it wants nothing."""
    typed: Array[u8, INPUT_BATCH]
    while not from_bits(regs.UartIir, port.inb(regs.COM1 + regs.UART_IIR)).NONE:
        count: u64 = 0
        owned = _lock()
        while count < INPUT_BATCH and _status().DR:
            typed[count] = port.inb(regs.COM1 + regs.UART_DATA)
            count += 1
        if sending and _status().THRE:
            _fill()
            if sent >= queued:
                _stop_sending()
        if owned:
            owner.store_release(0)
        for byte in typed[:count]:
            upcalls.console_input(byte)


def _read_early() -> None:
    global early_count
    if not _status().DR:
        return
    polls: u32 = 0
    while polls < EARLY_POLLS and early_count < EARLY_BYTES:
        polls += 1
        if _status().DR:
            early[early_count] = port.inb(regs.COM1 + regs.UART_DATA)
            early_count += 1
            polls = 0


def _queue(byte: u8) -> None:
    """Put a byte into the ring; make room first if it is full."""
    global queued
    if queued == sent + RING_BYTES:
        _wait_for_room()
        _fill()
    ring[queued % RING_BYTES] = byte
    queued += 1


def _put(byte: u8) -> None:
    """Send one byte, past the ring."""
    _wait_for_room()
    port.outb(regs.COM1 + regs.UART_DATA, byte)


def _drain() -> None:
    """Send all that is in the ring."""
    while sent < queued:
        _wait_for_room()
        _fill()


def _fill() -> None:
    """Send what the empty FIFO has room for."""
    global sent
    room: u32 = regs.UART_FIFO_BYTES
    while sent < queued and room > 0:
        port.outb(regs.COM1 + regs.UART_DATA, ring[sent % RING_BYTES])
        sent += 1
        room -= 1


def _wait_for_room() -> None:
    """Wait until the FIFO is empty, or the UART is known to be stuck: then bytes get lost."""
    polls: u32 = 0
    while not _status().THRE and polls < ROOM_POLLS:
        polls += 1


def _start_sending() -> None:
    """Let the UART ask for more when its FIFO is empty; it asks at once if that is now."""
    global sending
    if not sending:
        sending = True
        _out(regs.UART_IER, bits_of(regs.UartIer(ERBFI=1, ETBEI=1)))


def _stop_sending() -> None:
    global sending
    sending = False
    _out(regs.UART_IER, bits_of(regs.UartIer(ERBFI=1)))


def _lock() -> bool:
    """Own the console, interrupts off; False where we go on without (see above)."""
    me = percpu.this_cpu() + 1
    spins: u64 = 0
    while True:
        other = owner.cas_value(0, me, order="acquire")
        if other == 0:
            return True
        if other == me or cpus.is_stopped(other - 1) or spins == LOCK_SPINS:
            return False
        pause()
        spins += 1


def _status() -> regs.UartLsr:
    return from_bits(regs.UartLsr, port.inb(regs.COM1 + regs.UART_LSR))


def _out(offset: u16, value: u8) -> None:
    port.outb(regs.COM1 + offset, value)
