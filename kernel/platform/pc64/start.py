# SPDX-License-Identifier: BSD-3-Clause
"""The machine's start on the boot CPU, in the order that each step needs the one before.

Tests     tests/qemu/test_machine.py
"""
from kpy import kprintf, panic, u32, u64

from kernel.arch.x86_64 import descriptors, features
from kernel.platform.pc64 import (
    acpi,
    bootinfo,
    clock,
    cpus,
    ioapic,
    lapic,
    percpu,
    physical,
    pmap,
    uart,
)


def start(magic: u32, info: u64) -> None:
    """First call, on the boot CPU: console, descriptor tables, traps, CPU features, memory map,
    tables of the firmware, the kernel's own page tables (W^X), per-CPU storage of CPU 0.

    Panics   the machine lacks something the kernel needs; says what.
    """
    uart.init()
    descriptors.init_idt()
    descriptors.load_idt()
    features.detect()
    bootinfo.read(magic, info)
    physical.reserve_image()
    percpu.keep()
    descriptors.load_gdt(percpu.make_ist_stacks())
    features.protect()
    if not features.nx:
        kprintf("note: this CPU has no NX: data can be executed\n")
    pmap.build()
    if not acpi.read(bootinfo.rsdp, physical.memory.at[:physical.memory.count]):
        panic("the firmware has no ACPI tables that list the CPUs (RSDP and MADT); Damselfly "
              "needs them.  Switch ACPI on in the firmware's set-up; under QEMU leave out "
              "-no-acpi")
    lapic.init()
    ioapic.init()
    cpus.init()
    lapic.init_cpu(cpus.uid[0])
    clock.begin()
