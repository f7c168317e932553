# SPDX-License-Identifier: BSD-3-Clause
"""The bus thread: the first scan, and whatever comes or goes afterwards.

Everything that changes which devices there are and who drives them happens on this one thread, one
thing after the other, so none of it needs a lock.  Drivers' own work does not happen here.

Locking   [b] the bus thread   [a] atomic
Tests     tests/qemu/test_pci.py
Limits    attach() of one device that takes long delays those after it
"""
from typing import Final

from kpy import (
    Atomic,
    Errno,
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
    while True:
        sleepq.tsleep_interlock(_scanned())
        if scanned.load_acquire() != 0:
            sleepq.tsleep_remove()
            return
        sleepq.tsleep(_scanned(), sleepq.SleepFlag.PINTERLOCKED, "devices", 0)


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
    scanned.store(1)
    sleepq.wakeup(_scanned())
    while True:
        sleepq.tsleep_interlock(_pending())
        if pending.swap(0) != 0:
            sleepq.tsleep_remove()
        else:
            patience: u64 = HZ if slot.polled != 0 else 0
            sleepq.tsleep(_pending(), sleepq.SleepFlag.PINTERLOCKED, "bus", patience)
        slot.serve_all()


def _pending() -> u64:
    return u64(address_of(ref(pending)))


def _scanned() -> u64:
    return u64(address_of(ref(scanned)))
