# SPDX-License-Identifier: BSD-3-Clause
"""How devices are found, wired to drivers, and let go of.

The bus finds functions of PCI devices, asks each driver's table of matches, and calls attach() of
the one that fits.  A driver gets all that is hardware from here: registers as Mmio, memory that the
device reads and writes, interrupts, bounded waits.  What a driver took is written down with its
device and released for it, when attach() fails and after detach(): a driver that forgets leaks
nothing, and one whose device is pulled out leaves nothing behind that the device could write to.

    driver      what a driver is; matching, attach and detach, what it may ask for
    slot        hot-plug slots of root and downstream ports
    thread      the bus thread: the first scan, what comes and goes afterwards
    dma         memory for a device
    msi         interrupts as messages: vectors of CPUs, lent to devices
    wait        waiting for a device, never for ever
    pci/        the bus itself: registers, configuration space, scan, base addresses, messages

docs/driver.md shows how a driver is written.
"""
