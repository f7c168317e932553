# SPDX-License-Identifier: BSD-3-Clause
"""A lock for the few registers that CPUs share, held with interrupts off for a few accesses.

The kernel's own locks are made of what is below them, so the machine has this one.  It is not to
be held by code that an NMI or a debugger could need: see uart.py for that.

Locking   owner [a], flags [o]
Tests     tests/qemu/test_machine.py
"""
from kpy import Atomic, forbids_blocking, pause, struct, u32

from kernel.arch.x86_64 import cpu


@struct
class RegisterLock:
    """`with lock:`; not recursive."""
    owner: Atomic[u32]       # [a] 1: taken
    enabled: bool            # [o] whether interrupts were on

    @forbids_blocking
    def __enter__(self) -> None:
        enabled = cpu.read_flags().IF
        cpu.cli()
        while not self.owner.cas_acquire(0, 1):
            pause()
        self.enabled = enabled

    def __exit__(self) -> None:
        enabled = self.enabled
        self.owner.store_release(0)
        if enabled:
            cpu.sti()
