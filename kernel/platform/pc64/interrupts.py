# SPDX-License-Identifier: BSD-3-Clause
"""From a vector to the upcall that it is for; the CPU's interrupt flag.

The entry of every interrupt and exception (kernel/arch/x86_64/vectors.py) calls
machine_interrupt().  Interrupts of devices go by devices.py, everything else ends here.

Invariants
  M2 of kernel/machine/contract.py: the source is acknowledged before the upcall, because an
  upcall may switch to another thread and not return for long.
Tests     tests/qemu/test_traps.py, tests/qemu/test_interrupts.py
Source    Intel SDM vol. 3A, 11.8.5 "Signaling Interrupt Servicing Completion", 11.9 "Spurious
          Interrupt"; 6.7 "Nonmaskable Interrupt (NMI)"
"""
from kpy import Atomic, Ptr, cold, export, inline, kprintf, u32, u64

from kernel.arch.x86_64 import cpu
from kernel.arch.x86_64.regs import EXCEPTIONS, NMI
from kernel.machine import upcalls
from kernel.machine.types import Frame
from kernel.platform.pc64 import clock, cpus, devices, lapic, percpu, uart, vectors

spurious: Atomic[u64]        # interrupts that nobody asked for: noise, or lost in a mask
apic_errors: Atomic[u64]


@export("machine_interrupt")
def machine_interrupt(frame: Ptr[Frame]) -> None:
    """Serve what `frame.vector` stands for.  Interrupts off."""
    vector = u32(frame.vector)
    if vector == vectors.TIMER:
        lapic.eoi()
        clock.expired(frame)
    elif vector == vectors.DOORBELL:
        lapic.eoi()
        upcalls.ipi_arrived(frame)
    elif vector == NMI:
        cpus.nmi(frame)
    elif vector < EXCEPTIONS:
        upcalls.trap(frame)
    elif vector < vectors.DEVICE_END:
        devices.arrived(frame, vector - vectors.DEVICE_FIRST)
    else:
        _other(vector)


@inline
def intr_disable() -> None:
    """Take no interrupt on this CPU until intr_enable()."""
    cpu.cli()


@inline
def intr_enable() -> None:
    """Take interrupts again."""
    cpu.sti()


@inline
def intr_enabled() -> bool:
    """Whether this CPU takes interrupts."""
    return cpu.read_flags().IF


def idle_halt() -> None:
    """Enable interrupts and wait for one, without a gap between the two in which one that
    arrived would be slept through.  Called with interrupts off, returns with them on."""
    cpu.sti_hlt()


@cold
def _other(vector: u32) -> None:
    match vector:
        case vectors.CONSOLE:
            lapic.eoi()
            uart.interrupt()
        case vectors.APIC_ERROR:
            apic_errors.add(1, order="relaxed")
            errors = lapic.take_errors()
            lapic.eoi()
            kprintf(f"cpu {percpu.this_cpu()}: local APIC reports error {errors:#x}\n")
        case _:
            spurious.add(1, order="relaxed")
            if vector != vectors.SPURIOUS:       # which is not to be acknowledged
                lapic.eoi()
