# SPDX-License-Identifier: BSD-3-Clause
"""A PC under QEMU or on bare metal.

start       the order of it all
bootinfo    what the loader told
physical    the memory map, and memory until the kernel takes it over
pmap        the kernel's page tables
percpu      each CPU's own storage
acpi        the firmware's tables
cpus        their numbers, starting the others, interrupts between them
clock       the time and each CPU's timer
reference   a counter of known frequency, to measure the others by
lapic       the local APIC of each CPU
devices     which input or message is which vector of which CPU
ioapic      the inputs for devices' interrupts
pci         the configuration space of PCI devices
interrupts  from a vector to its upcall
vectors     which vector is for what
lock        a lock for registers that CPUs share
uart        the console: 16550 on COM1
power       switching off, and telling QEMU how it went
fw_cfg      files that QEMU hands in
regs        registers and tables by their names in the specifications
"""
from kernel.platform.pc64.bootinfo import command_line
from kernel.platform.pc64.clock import cputimer_arm, cputimer_count, cputimer_hz, start_clock
from kernel.platform.pc64.cpus import (
    cpu_count,
    cpu_ready,
    cpu_running,
    ipi_send,
    ipi_stop_others,
    start_cpus,
)
from kernel.platform.pc64.devices import (
    intr_mask,
    intr_message,
    intr_setup_gsi,
    intr_setup_irq,
    intr_unmask,
)
from kernel.platform.pc64.fw_cfg import read_file
from kernel.platform.pc64.interrupts import idle_halt, intr_disable, intr_enable, intr_enabled
from kernel.platform.pc64.pci import pci_read, pci_window, pci_write
from kernel.platform.pc64.physical import boot_alloc, memory_regions, phys_to_virt, virt_to_phys
from kernel.platform.pc64.pmap import (
    copy_probe,
    kernel_space,
    pmap_enter,
    pmap_extract,
    pmap_invalidate,
    pmap_remove,
)
from kernel.platform.pc64.power import halt, power_off
from kernel.platform.pc64.start import start
from kernel.platform.pc64.uart import console_read_polled, console_start_interrupts

__all__ = [
    "boot_alloc",
    "command_line",
    "console_read_polled",
    "console_start_interrupts",
    "copy_probe",
    "cpu_count",
    "cpu_ready",
    "cpu_running",
    "cputimer_arm",
    "cputimer_count",
    "cputimer_hz",
    "halt",
    "idle_halt",
    "intr_disable",
    "intr_enable",
    "intr_enabled",
    "intr_mask",
    "intr_message",
    "intr_setup_gsi",
    "intr_setup_irq",
    "intr_unmask",
    "ipi_send",
    "ipi_stop_others",
    "kernel_space",
    "memory_regions",
    "pci_read",
    "pci_window",
    "pci_write",
    "phys_to_virt",
    "pmap_enter",
    "pmap_extract",
    "pmap_invalidate",
    "pmap_remove",
    "power_off",
    "read_file",
    "start",
    "start_clock",
    "start_cpus",
    "virt_to_phys",
]
