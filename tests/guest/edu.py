# SPDX-License-Identifier: BSD-3-Clause
"""The driver of docs/driver.md: QEMU's `edu`, a device made for learning to write drivers.

It computes factorials, copies memory to and from a buffer of its own, and interrupts when done.

Source    QEMU docs/specs/edu.rst
"""
from typing import Final

from kpy import (
    RW,
    Array,
    Atomic,
    Bit,
    Errno,
    Mmio,
    Ptr,
    VirtAddr,
    address_of,
    bits,
    driver,
    kprintf,
    may_block,
    panic,
    pointer_at,
    ref,
    regs,
    struct,
    table,
    throws,
    u32,
    u64,
)

from kernel.bus import dma, msi, wait
from kernel.bus import driver as kit
from kernel.bus.pci import device
from kernel.bus.pci.device import Device, Driver, Match
from kernel.lib.errno import EIO, ETIMEDOUT
from kernel.lwkt import sleepq
from kernel.lwkt.clock import HZ

UNSAFE: Final = True        # the device's state travels to its interrupt as a number

TIMEOUT_MS: Final = 2000    # the specification gives no bound: QEMU takes 100 ms for a copy
BUFFER: Final = 0x40000     # where the device has its own, 4096 bytes
COPIED: Final = 2048        # QEMU 7.2: the last byte of the buffer cannot be copied, it aborts
WORDS: Final = COPIED // 4
ALIVE: Final[u32] = 0xDEAD_BEEF


@bits(u32)
class Status:
    COMPUTING: Bit[0, bool]
    IRQFACT: Bit[7]             # interrupt when a factorial is computed


@bits(u32)
class DmaCommand:
    START: Bit[0]               # stays 1 until the copy is done
    TO_MEMORY: Bit[1]
    IRQ: Bit[2]


@regs(spec="QEMU docs/specs/edu.rst")
class Regs:
    LIVENESS: RW[u32, 0x04]     # gives back what was written, inverted
    FACTORIAL: RW[u32, 0x08]
    STATUS: RW[Status, 0x20]
    ISR: RW[u32, 0x24]          # Interrupt Status; read only
    ACK: RW[u32, 0x64]          # written with bits of ISR that are served
    DMA_SOURCE: RW[u64, 0x80]
    DMA_TARGET: RW[u64, 0x88]
    DMA_COUNT: RW[u64, 0x90]
    DMA_COMMAND: RW[DmaCommand, 0x98]


@struct
class Edu:
    """What the driver keeps of a device."""
    regs: Mmio[Regs]
    memory: Ptr[dma.Memory]
    served: Atomic[u32]         # interrupts so far


MATCHES: Final[Array[Match, 1]] = [Match(vendor=0x1234, device=0x11E8, class_code=0, class_mask=0)]


@throws
@may_block
def attach(dev: Ptr[Device]) -> None:
    """Registers, memory, an interrupt; then see whether it lives."""
    edu = kit.state(Edu, dev)
    edu.regs = kit.registers(Regs, dev, 0)
    edu.memory = kit.memory(dev, 4096, below=1 << 28)     # it knows addresses of 28 bits
    kit.interrupt(dev, 0, 0, _served, dev.soft)
    edu.regs.LIVENESS = ~ALIVE
    if edu.regs.LIVENESS != ALIVE:
        raise Errno(EIO)
    kprintf("edu: attached\n")


@may_block
def detach(dev: Ptr[Device]) -> None:
    """There is nothing to do: what was taken goes back by itself."""
    kprintf("edu: detached\n")


EDU: Driver = Driver(name="edu", matches=MATCHES, attach=attach, detach=detach)


@driver("edu")
def declare() -> None:
    kit.declare(EDU)


def _served(line: Ptr[msi.Line]) -> None:
    """The interrupt, on a thread: say that it is served, wake who waits."""
    edu = pointer_at(Edu, VirtAddr(line.arg))       # safe: lives until the line is given back
    edu.regs.ACK = edu.regs.ISR
    edu.served.add(1)
    sleepq.wakeup(u64(address_of(ref(edu.served))))


@throws
@may_block
def _wait(edu: Ptr[Edu], before: u32) -> None:
    """Wait for an interrupt after the first `before`."""
    ident = u64(address_of(ref(edu.served)))
    for _ in range(TIMEOUT_MS * HZ // 1000):
        sleepq.tsleep_interlock(ident)
        if edu.served.load() != before:
            sleepq.tsleep_remove()
            return
        sleepq.tsleep(ident, sleepq.SleepFlag.PINTERLOCKED, "edu", 1)
    raise Errno(ETIMEDOUT)


@throws
@may_block
def factorial(edu: Ptr[Edu], n: u32) -> u32:
    """n!, modulo 2**32."""
    before = edu.served.load()
    edu.regs.STATUS.IRQFACT = 1
    edu.regs.FACTORIAL = n
    _wait(edu, before)
    return edu.regs.FACTORIAL


@throws
@may_block
def copy(edu: Ptr[Edu], to_device: bool) -> None:
    """Copy our memory into the device's buffer, or back."""
    before = edu.served.load()
    ours = u64(edu.memory.address)
    edu.regs.DMA_SOURCE = ours if to_device else BUFFER
    edu.regs.DMA_TARGET = BUFFER if to_device else ours
    edu.regs.DMA_COUNT = COPIED
    edu.regs.DMA_COMMAND = DmaCommand(START=1, TO_MEMORY=0 if to_device else 1, IRQ=1)
    _wait(edu, before)
    for _ in wait.polls(TIMEOUT_MS):
        if edu.regs.DMA_COMMAND.START == 0:
            return
    raise Errno(ETIMEDOUT)


@table("guest_test", 210)
def edu_computes_and_copies() -> None:
    """Registers, interrupts and memory of a real device, through the kit."""
    found: Ptr[Device] | None = None
    for dev in device.devices:
        if dev.driver is EDU:
            found = dev
    if found is None:
        kprintf("no edu device here\n")
        return
    edu = kit.state_of(Edu, found)
    try:
        for n in range(1, 13):
            wanted: u32 = 1
            for i in range(1, n + 1):
                wanted *= u32(i)
            assert factorial(edu, u32(n)) == wanted
        words = dma.array(u32, edu.memory, 0, WORDS)
        for i in range(WORDS):
            words[i] = u32(i * i)
        copy(edu, True)
        words.fill(0)
        copy(edu, False)
        for i in range(WORDS):
            assert words[i] == i * i
    except Errno as e:
        panic(f"error {e.code}")
    kprintf(f"{edu.served.load()} interrupts\n")
