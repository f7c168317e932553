# SPDX-License-Identifier: BSD-3-Clause
"""The driver kit: what a driver is, and all that it may ask for.

    MATCHES: Final[Array[Match, 1]] = [Match(vendor=0x1234, device=0x11E8, ...)]
    EDU: Driver = Driver(name="edu", matches=MATCHES, attach=attach, detach=detach)

    @driver("edu")                      # puts it in the table of the kernel's drivers
    def declare() -> None:
        kit.declare(EDU)

    @throws
    def attach(dev: Ptr[Device]) -> None:
        edu = kit.state(Edu, dev)                       # zeroed, until after detach()
        edu.regs = kit.registers(Regs, dev, 0)          # base address 0
        edu.buffer = kit.memory(dev, 4096)              # the device reads and writes it
        kit.interrupt(dev, 0, cpu, served, dev.soft)    # message 0 calls served(line)

attach() runs on the bus thread and may block; what it raises means "not this one".  What it had
taken is released then, as after detach(), which comes when the device is to go, has gone, or the
power is to go.  An interrupt calls its function on a thread of the CPU that was asked for; the
function may block, but should rather wake a thread of the driver's.

Invariants
  K1  attach() and detach() of all drivers, and all of the kit but stop_dma() and gone(), are called
      on the bus thread.
  K2  detach() is called exactly once for each attach() that raised nothing.
  K3  release() takes from the device what could hurt first: bus mastering and messages, then the
      interrupt lines, then memory and mappings.
Tests     tests/unit/bus/test_driver.py, tests/qemu/test_pci.py
"""
from typing import Final

from kpy import (
    Errno,
    Fn,
    Mmio,
    PhysAddr,
    Ptr,
    Slice,
    Type,
    TypeVar,
    VirtAddr,
    address_of,
    cast,
    kprintf,
    may_block,
    pointer_at,
    ref,
    sizeof,
    throws,
    u8,
    u32,
    u64,
)

from kernel.bus import dma, msi
from kernel.bus.pci import bar, device, message, regs
from kernel.bus.pci.device import ANY, M_DEVICE, Device, Driver, Mapping, Match
from kernel.lib.errno import EBUSY, EINVAL, ENOMEM, ENXIO
from kernel.mem import kva, slab
from kernel.mem.flags import NOWAIT

T = TypeVar("T")
R = TypeVar("R")

UNSAFE: Final = True     # a driver's state and registers are found by address


# --- What a driver may ask for -------------------------------------------------------------


def declare(driver: Ptr[Driver]) -> None:
    """Add a driver to those that are asked.  Called for each @driver function at start."""
    with device.tree:
        device.drivers.push_back(driver)


@throws
def state(cls: Type[T], dev: Ptr[Device]) -> Ptr[T]:
    """The driver's own storage for this device, zeroed; dev.soft is its address.

    Errors   ENOMEM, EBUSY it was asked for before.
    """
    if dev.soft != 0:
        raise Errno(EBUSY)
    made = slab.new(cls, M_DEVICE, NOWAIT)
    if made is None:
        raise Errno(ENOMEM)
    dev.soft = u64(address_of(made))
    dev.soft_bytes = sizeof(cls)
    return made


def state_of(cls: Type[T], dev: Ptr[Device]) -> Ptr[T]:
    """What state() gave."""
    assert dev.soft != 0 and dev.soft_bytes == sizeof(cls)
    return pointer_at(cls, VirtAddr(dev.soft))      # safe: state() made it, of that size


@throws
def registers(cls: Type[R], dev: Ptr[Device], index: u32, least_bytes: u64 = 1) -> Mmio[R]:
    """The registers behind base address `index`, of which there are `least_bytes` or more.

    Errors   ENXIO there are none, or too few; ENOMEM.
    """
    if index >= regs.BARS:
        raise Errno(EINVAL)
    place = ref(dev.bars[index])
    if place.io or place.base == 0 or place.size < least_bytes:
        raise Errno(ENXIO)
    mapping = slab.new(Mapping, M_DEVICE, NOWAIT)
    if mapping is None:
        raise Errno(ENOMEM)
    mapping.bytes = place.size
    mapping.base = kva.map_device(PhysAddr(place.base), place.size)
    if mapping.base == 0:
        slab.kfree(mapping, M_DEVICE)
        raise Errno(ENOMEM)
    dev.mappings.push_back(mapping)
    # safe: registers of a device, mapped until release()
    return cast(Mmio[R], pointer_at(u32, VirtAddr(mapping.base)))   # type: ignore[misc]


@throws
def memory(dev: Ptr[Device], size: u64, below: u64 = dma.NO_LIMIT) -> Ptr[dma.Memory]:
    """Zeroed memory that the device may read and write, at addresses below `below`.

    Errors   ENOMEM.
    """
    made = dma.alloc(size, below)
    dev.memories.push_back(made)
    return made


def messages(dev: Ptr[Device]) -> u32:
    """How many different interrupts the device can send."""
    return message.count(dev)


@throws
def interrupt(dev: Ptr[Device], number: u32, cpu: u32, func: Fn[[Ptr[msi.Line]], None],
              arg: u64) -> None:
    """Have the device's message `number` call func(line), with line.arg, on a thread of `cpu`.

    Errors   EINVAL it has no such message, EBUSY the CPU has no vector left, ENXIO, ENOMEM.
    """
    if number >= message.count(dev):
        raise Errno(EINVAL)
    line = msi.take(cpu, func, arg)
    try:
        message.send_to(dev, number, line)
    except Errno:
        msi.give_back(line)
        raise
    dev.lines.push_back(line)


@may_block
def quiet(dev: Ptr[Device]) -> None:
    """From here on no interrupt function of the driver's is called: for who frees by himself what
    they use, in detach() or when attach() fails."""
    if not gone(dev):
        for line in dev.lines:
            message.mask(dev, line.message)
    message.unmap(dev)
    while (idle := dev.lines.pop_front()) is not None:
        msi.give_back(idle)


def gone(dev: Ptr[Device]) -> bool:
    """Whether the device has been pulled out.  Any thread."""
    return dev.gone.load_acquire() != 0


def stop_dma(dev: Ptr[Device]) -> None:
    """From here on the device reads and writes no memory, whatever it is doing.  Any thread."""
    bar.command(dev, io=False, memory=True, master=False)


def start_dma(dev: Ptr[Device]) -> None:
    """Undo stop_dma()."""
    bar.command(dev, io=True, memory=True, master=True)


# --- What the bus thread does with drivers -------------------------------------------------


@may_block
def attach(dev: Ptr[Device]) -> None:
    """Find the driver of a device that has none, and attach it."""
    if dev.driver is not None or dev.layout != regs.LAYOUT_DEVICE:
        return
    for candidate in device.drivers:
        if not matches(dev, candidate.matches):
            continue
        start_dma(dev)
        try:
            candidate.attach(dev)
            with device.tree:
                dev.driver = candidate
            return
        except Errno as e:
            release(dev)
            kprintf(f"{candidate.name}: {dev.vendor:04x}:{dev.device:04x} does not attach: "
                    f"error {e.code}\n")


@may_block
def detach(dev: Ptr[Device]) -> None:
    """Have the driver of a device, if it has one, let go of it."""
    attached = dev.driver
    if attached is None:
        return
    attached.detach(dev)
    release(dev)
    with device.tree:
        dev.driver = None


def matches(dev: Ptr[Device], any_of: Slice[Match]) -> bool:
    """Whether one of `any_of` is true of a device."""
    for match in any_of:
        if ((match.vendor == ANY or match.vendor == dev.vendor)
                and (match.device == ANY or match.device == dev.device)
                and dev.class_code & match.class_mask == match.class_code & match.class_mask):
            return True
    return False


@may_block
def release(dev: Ptr[Device]) -> None:
    """Take back all that a driver had (K3)."""
    if not gone(dev):
        bar.command(dev, io=False, memory=True, master=False)
    quiet(dev)
    while (taken := dev.memories.pop_front()) is not None:
        dma.free(taken)
    while (mapping := dev.mappings.pop_front()) is not None:
        kva.unmap_device(mapping.base, mapping.bytes)
        slab.kfree(mapping, M_DEVICE)
    if dev.soft != 0:
        slab.kfree(pointer_at(u8, VirtAddr(dev.soft)), M_DEVICE)    # safe: state() made it
        dev.soft = 0
