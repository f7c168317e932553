# SPDX-License-Identifier: BSD-3-Clause
"""The bus thread: the first scan, whatever comes or goes afterwards, and the end.

Everything that changes which devices there are and who drives them happens on this one thread, one
thing after the other, so none of it needs a lock.  Drivers' own work does not happen here.

Before the power goes every driver lets go of its device, so that a disk writes what it has only in
its cache.

Locking   [b] the bus thread   [a] atomic
Tests     tests/qemu/test_pci.py
Limits    attach() of one device that takes long delays those after it
"""
from typing import Final

from kpy import (
    Atomic,
    Errno,
    Ptr,
    Str,
    address_of,
    entries,
    kprintf,
    may_block,
    ref,
    throws,
    u32,
    u64,
)

from kernel.bus import driver, slot
from kernel.bus.pci import device, scan
from kernel.lwkt import sched, sleepq, token
from kernel.lwkt.clock import HZ
from kernel.lwkt.thread import Pri, ThreadFlag

UNSAFE: Final = True     # what is slept on is the address of a variable

pending: Atomic[u32]         # [a] something has happened
scanned: Atomic[u32]         # [a] the first scan is done, drivers are attached
ending: Atomic[u32]          # [a] the power is to go
ended: Atomic[u32]           # [a] no device is in use any more


@throws
def start() -> None:
    """Begin to look for devices.

    Errors   ENOMEM.
    """
    token.init(device.tree, "devices")
    sched.create(_run, 0, b"bus", 0, Pri.KERN_DAEMON, ThreadFlag.FIXEDCPU)


@may_block
def settle() -> None:
    """Wait until what was there at start has been found and attached."""
    _await(scanned, "devices")


@may_block
def shut_down() -> None:
    """Have every driver let go of its device, the last found first; for good.  Waits for that."""
    ending.store(1)
    wake()
    _await(ended, "shutdown")


def wake() -> None:
    """Something has happened at a slot.  Any context in which one may wake."""
    pending.store(1)
    sleepq.wakeup(_pending())


def _run(unused: u64) -> None:
    for entry in entries("driver"):
        entry.function()
    try:
        scan.everything()
    except Errno:
        kprintf("pci: no memory for all devices\n")
    for dev in device.devices:
        driver.attach(dev)
    for port in device.devices:
        slot.start(port)
    _tell(scanned)
    while ending.load_acquire() == 0:
        sleepq.tsleep_interlock(_pending())
        if pending.swap(0) != 0:
            sleepq.tsleep_remove()
        else:
            patience: u64 = HZ if slot.polled != 0 else 0
            sleepq.tsleep(_pending(), sleepq.SleepFlag.PINTERLOCKED, "bus", patience)
        slot.serve_all()
    last = device.devices.last
    while last is not None:
        driver.detach(last)
        last = last.link.prev
    _tell(ended)


@may_block
def _await(event: Ptr[Atomic[u32]], why: Str) -> None:
    ident = u64(address_of(event))
    while True:
        sleepq.tsleep_interlock(ident)
        if event.load_acquire() != 0:
            sleepq.tsleep_remove()
            return
        sleepq.tsleep(ident, sleepq.SleepFlag.PINTERLOCKED, why, 0)


def _tell(event: Ptr[Atomic[u32]]) -> None:
    event.store(1)
    sleepq.wakeup(u64(address_of(event)))


def _pending() -> u64:
    return u64(address_of(ref(pending)))

