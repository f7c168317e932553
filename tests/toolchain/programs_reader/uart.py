# SPDX-License-Identifier: BSD-3-Clause
"""A driver for an imaginary UART, with ring buffers, run against a device faked in memory."""

from typing import Final

from kpy import (
    RO, RW, RW1C, WO, Array, Bit, Bits, ConstVar, Errno, Generic, Mmio, Ptr, Slice, TypeVar, bits, bits_of, cast, enum, kprintf,
    offsetof, panic, pause, ref, regs, struct, throws, trunc, u8, u16, u32, u64, wrapping,
)

UNSAFE: Final = True    # the registers of the fake are memory, reached as if they were a device's

EIO: Final = 5
EAGAIN: Final = 11
EINVAL: Final = 22
ETIMEDOUT: Final = 110

CLOCK: Final = 1843200
PATIENCE: Final = 1000    # polls before a wait is given up

T = TypeVar("T")
N = ConstVar("N")


@struct
class Ring(Generic[T, N]):
    """A queue of N elements; head and tail run freely and are taken modulo N."""

    head: u32
    tail: u32
    dropped: u32
    items: Array[T, N]

    def __len__(self) -> u64:
        return wrapping(self.head - self.tail)

    @property
    def full(self) -> bool:
        return len(self) == N

    @throws
    def put(self, item: T) -> None:
        if self.full:
            self.dropped += 1
            raise Errno(EAGAIN)
        self.items[self.head % N] = item
        self.head = wrapping(self.head + 1)

    @throws
    def get(self) -> T:
        if len(self) == 0:
            raise Errno(EAGAIN)
        item = self.items[self.tail % N]
        self.tail = wrapping(self.tail + 1)
        return item


@enum(u8)
class Parity:
    NONE = 0
    ODD = 1
    EVEN = 2


@bits(u32)
class Status:
    RXRDY: Bit[0, bool]
    TXRDY: Bit[1, bool]
    OVERRUN: Bit[2, bool]
    FRAMING: Bit[3, bool]
    RXLEVEL: Bits[12, 8]


@bits(u32)
class Control:
    EN: Bit[0]
    LOOP: Bit[1]
    PARITY: Bits[3, 2, Parity]
    WIDTH: Bits[7, 4]
    DIVISOR: Bits[31, 16]


@regs(spec="the author's imagination, section 1")
class Uart:
    STATUS: RO[Status, 0x00]
    CONTROL: RW[Control, 0x04]
    DATA: RW[u32, 0x08]
    ERRORS: RW1C[u32, 0x0C]
    SCRATCH: RW[u32, 0x10, 4, 4]
    RESET: WO[u32, 0x20]


@struct
class Fake:
    """The same registers as plain memory, and what the device does behind them."""

    status: Status
    control: Control
    data: u32
    errors: u32
    scratch: Array[u32, 4]
    reset: u32
    busy: u32           # polls until the transmitter is ready again

    def step(self) -> None:
        """Let a moment pass."""
        if self.busy > 0:
            self.busy -= 1
        self.status.TXRDY = self.busy == 0


static_assert(offsetof(Fake, "reset") == 0x20)

fake: Fake


@struct
class Port:
    device: Mmio[Uart]
    received: Ring[u8, 16]
    sent: u32
    polls: u64

    @throws
    def open(self, baud: u32, parity: Parity) -> None:
        if baud == 0 or CLOCK % (16 * baud) != 0:
            raise Errno(EINVAL)
        self.device.RESET = 1
        self.device.CONTROL = Control(EN=0, WIDTH=8, PARITY=parity, DIVISOR=u16(CLOCK // (16 * baud)))
        self.device.CONTROL.EN = 1
        self.device.CONTROL.modify(LOOP=1, WIDTH=7)
        for i in range(4):
            self.device.SCRATCH[i] = u32(i) * 0x11

    @throws
    def wait_ready(self) -> None:
        for _ in range(PATIENCE):
            if self.device.STATUS.TXRDY:
                return
            fake.step()
            self.polls += 1
            pause()
        raise Errno(ETIMEDOUT)

    @throws
    def write(self, text: Slice[u8], slowness: u32) -> None:
        for c in text:
            self.wait_ready()
            self.device.DATA = c
            fake.busy = slowness
            fake.step()
            self.sent += 1

    @throws
    def interrupt(self) -> u32:
        """Take what has arrived; the number of bytes dropped."""
        errors = self.device.ERRORS
        if errors != 0:
            self.device.ERRORS = errors
            raise Errno(EIO)
        try:
            self.received.put(trunc(u8, self.device.DATA))
        except Errno:
            pass
        return self.received.dropped


def open_port(port: Ptr[Port], baud: u32) -> bool:
    global fake
    fake = Fake()
    port.device = cast(Mmio[Uart], ref(fake))
    try:
        port.open(baud, Parity.EVEN)
    except Errno as e:
        kprintf(f"open: errno {e.code}\n")
        return False
    return True


def control_after_open(baud: u32) -> u32:
    port = Port(device=cast(Mmio[Uart], ref(fake)))
    if not open_port(port, baud):
        return 0
    c = port.device.CONTROL
    kprintf(f"en {c.EN} loop {c.LOOP} parity {c.PARITY} width {c.WIDTH} divisor {c.DIVISOR}\n")
    assert fake.scratch[3] == 0x33
    return bits_of(c)


def send(text: Slice[u8], slowness: u32) -> u64:
    """The number of polls, or the errno in the thousands."""
    port = Port(device=cast(Mmio[Uart], ref(fake)))
    if not open_port(port, 9600):
        return 0
    try:
        port.write(text, slowness)
    except Errno as e:
        return u64(e.code) * 1000 + port.sent
    finally:
        kprintf(f"{port.sent} of {len(text)} sent, last {fake.data:#04x}\n")
    return port.polls


def receive(text: Slice[u8]) -> u64:
    port = Port(device=cast(Mmio[Uart], ref(fake)))
    open_port(port, 9600)
    for c in text:
        fake.data = c
        try:
            port.interrupt()
        except Errno as e:
            return u64(e.code)
    total: u64 = 0
    while len(port.received) != 0:
        try:
            total = total * 3 + port.received.get()
        except Errno:
            panic("empty")
    return total * 100 + port.received.dropped
