# SPDX-License-Identifier: BSD-3-Clause
"""AHCI: a thread and a lock for each port, and no lock that two ports share.

    regs         registers, structures in memory and commands by the specifications' names
    status       what status and error registers mean to who asked
    port         a port: slots, what is issued, what has ended, counters
    request      from a Bio to a command, and back
    engine       starting and stopping a port, resets, commands that are waited for
    device       what is at the end of the cable: ATA and ATAPI identification
    recovery     the thread of a port: what comes and goes, errors, time-outs
    hba          bringing an HBA up, its interrupts, letting it go
    driver       what it is attached to

A request goes from strategy() to PxCI under its port's lock; what an interrupt finds complete is
ended in one batch, for four register accesses a port.
"""
