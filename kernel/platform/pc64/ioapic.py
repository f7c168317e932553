# SPDX-License-Identifier: BSD-3-Clause
"""The I/O APICs: inputs for devices' interrupts, each sent to a CPU under a vector.

An input is known by its global number (GSI); each I/O APIC has a range of them.  The pair of
8259s of the first PC is switched off.

Locking   a register is reached by two accesses: window_lock, a RegisterLock
Tests     tests/qemu/test_interrupts.py
Source    Intel 82093AA I/O APIC data sheet, 3 "Register Description";
          ACPI 6.5, 5.2.13 "Global System Interrupts";
          Intel 8259A data sheet, "Initialization Command Words (ICWs)"
"""
from typing import Final

from kpy import (
    Array,
    Mmio,
    PhysAddr,
    VirtAddr,
    bits_of,
    cast,
    from_bits,
    kprintf,
    panic,
    pointer_at,
    ref,
    struct,
    u8,
    u32,
)

from kernel.arch.x86_64 import port
from kernel.machine.types import PAGE_SIZE
from kernel.platform.pc64 import acpi, lock, pmap, regs, vectors

UNSAFE: Final = True     # registers are found by address
NO_INPUT: Final[u32] = 0xFFFF_FFFF
DESTINATIONS: Final[u32] = 256       # APIC ids that an input can be sent to


@struct
class Controller:
    """An I/O APIC that answers."""
    window: VirtAddr
    gsi_base: u32
    inputs: u32


controllers: Array[Controller, acpi.MAX_IO_APICS]
count: u32 = 0
window_lock: lock.RegisterLock


def init() -> None:
    """Mask all inputs of all controllers.  Boot CPU, once.

    Panics   no controller answers.
    """
    global count
    _silence_8259()
    for i in range(acpi.tables.io_apic_count):
        entry = ref(acpi.tables.io_apics[i])
        made = ref(controllers[count])
        made.window = pmap.map_device(PhysAddr(entry.address), PAGE_SIZE)
        made.gsi_base = entry.gsi_base
        raw = _read(count, regs.IOAPIC_VERSION)
        if raw == u32.MAX or raw == 0:
            kprintf(f"note: no I/O APIC answers at {entry.address:#x}\n")
            continue
        made.inputs = u32(from_bits(regs.IoApicVersion, raw).MAXIMUM_ENTRY) + 1
        count += 1
        for pin in range(made.inputs):
            _write(count - 1, regs.IOAPIC_REDIRECTION + 2 * pin,
                   bits_of(regs.Redirection(MASK=1)))
    if count == 0:
        panic("this machine has no I/O APIC, or the firmware does not list it; Damselfly needs "
              "one for its devices' interrupts")


def exists(gsi: u32) -> bool:
    """Whether there is an input of this number."""
    return _find(gsi) != NO_INPUT


def route(gsi: u32, level: bool, active_low: bool, apic_id: u32, vector: u8) -> None:
    """Send input `gsi` to `vector` of a CPU; masked at first."""
    index = _find(gsi)
    pin = gsi - controllers[index].gsi_base
    entry = regs.Redirection(VECTOR=vector, DELIVERY=regs.DELIVERY_FIXED, MASK=1,
                             LOW=1 if active_low else 0, LEVEL=1 if level else 0)
    with window_lock:
        _write(index, regs.IOAPIC_REDIRECTION + 2 * pin, bits_of(entry))
        _write(index, regs.IOAPIC_REDIRECTION + 2 * pin + 1,
               apic_id << regs.REDIRECTION_DESTINATION_SHIFT)


def set_mask(gsi: u32, masked: bool) -> None:
    """Let an input wait, or through."""
    index = _find(gsi)
    register = regs.IOAPIC_REDIRECTION + 2 * (gsi - controllers[index].gsi_base)
    with window_lock:
        entry = from_bits(regs.Redirection, _read(index, register))
        entry.MASK = 1 if masked else 0
        _write(index, register, bits_of(entry))


def isa_input(irq: u32) -> tuple[u32, bool, bool]:
    """(GSI, level-triggered, active low) of an ISA interrupt, as the firmware has wired it."""
    for i in range(acpi.tables.override_count):
        override = ref(acpi.tables.overrides[i])
        if override.irq == irq:
            return (override.gsi, override.flags.TRIGGER == regs.LEVEL_TRIGGERED,
                    override.flags.POLARITY == regs.ACTIVE_LOW)
    return irq, False, False


def _find(gsi: u32) -> u32:
    """The controller that has input `gsi`, or NO_INPUT."""
    for i in range(count):
        base = controllers[i].gsi_base
        if base <= gsi and gsi - base < controllers[i].inputs:
            return i
    return NO_INPUT


def _read(index: u32, register: u32) -> u32:
    page = _page(index)
    page.IOREGSEL = register
    return page.IOWIN


def _write(index: u32, register: u32, value: u32) -> None:
    page = _page(index)
    page.IOREGSEL = register
    page.IOWIN = value


def _page(index: u32) -> Mmio[regs.IoApicPage]:
    # safe: mapped by init().
    return cast(Mmio[regs.IoApicPage], pointer_at(u32, controllers[index].window))


def _silence_8259() -> None:
    """Move the 8259s' vectors away from the CPU's exceptions, in case one sends something, and
    mask all their inputs."""
    port.outb(regs.PIC_COMMAND, regs.ICW1_INIT)
    port.outb(regs.PIC2_COMMAND, regs.ICW1_INIT)
    port.outb(regs.PIC_DATA, vectors.PIC_FIRST)
    port.outb(regs.PIC2_DATA, vectors.PIC_FIRST + 8)
    port.outb(regs.PIC_DATA, regs.ICW3_FIRST)
    port.outb(regs.PIC2_DATA, regs.ICW3_SECOND)
    port.outb(regs.PIC_DATA, regs.ICW4_8086)
    port.outb(regs.PIC2_DATA, regs.ICW4_8086)
    port.outb(regs.PIC_DATA, regs.PIC_MASK_ALL)
    port.outb(regs.PIC2_DATA, regs.PIC_MASK_ALL)
