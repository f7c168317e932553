# SPDX-License-Identifier: BSD-3-Clause
"""Interrupts of devices: which input or message comes as which vector of which CPU.

How each kind is acknowledged:

    level      mask the input, EOI, upcall.  The driver quiets the device, then intr_unmask().
    edge       EOI, upcall.  An I/O APIC forgets an edge that comes while the input is masked, so
               intr_mask() of one only notes it: what comes is kept, and intr_unmask() sends it.
    message    EOI, upcall.

Invariants
  D1  by_vector.slot[v] of a CPU is 0, MESSAGE, or 1 + the index of the route of vector v there.
  D2  An edge is delivered by an upcall or kept in `kept`, never lost.
Locking   routes [S] setup_lock, by_vector [S], blocked and kept [a]
Tests     tests/qemu/test_interrupts.py
Source    Intel SDM vol. 3A, 11.8.5 "Signaling Interrupt Servicing Completion", 11.11 "Message
          Signalled Interrupts"; Intel 82093AA data sheet, 3.2.4 "IOREDTBL" (edges while masked)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    PerCpu,
    Ptr,
    address_of,
    pointer_at,
    ref,
    struct,
    u8,
    u32,
    u64,
)

from kernel.machine import upcalls
from kernel.machine.types import Frame, Trigger
from kernel.platform.pc64 import cpus, interrupts, ioapic, lapic, lock, percpu, regs, vectors

UNSAFE: Final = True     # another CPU's table is found by address
MAX_ROUTES: Final = 254
MESSAGE: Final[u8] = 255
ISA_IRQS: Final = 16


@struct
class Route:
    """An input that was set up."""
    gsi: u32
    cpu: u32
    vector: u32
    level: bool
    blocked: Atomic[u32]     # [a] 1: an edge is to be kept
    kept: Atomic[u32]        # [a] 1: an edge came meanwhile
    open: bool               # an edge input is unmasked for good with the first intr_unmask()


@struct
class Table:
    """What each vector of a CPU is (D1)."""
    slot: Array[u8, vectors.DEVICE_VECTORS]


routes: Array[Route, MAX_ROUTES]
count: u32 = 0
by_vector: PerCpu[Table]
setup_lock: lock.RegisterLock


def intr_setup_irq(irq: u32, cpu: u32, vector: u32) -> bool:
    """Route ISA interrupt `irq`, with its trigger and polarity from the firmware, to `vector`
    of `cpu`; masked at first.  False where there is no such input."""
    if irq >= ISA_IRQS:
        return False
    gsi, level, low = ioapic.isa_input(irq)
    return intr_setup_gsi(gsi, Trigger.LEVEL if level else Trigger.EDGE, low, cpu, vector)


def intr_setup_gsi(gsi: u32, trigger: Trigger, active_low: bool, cpu: u32, vector: u32) -> bool:
    """As intr_setup_irq(), for an input of the interrupt controllers by its global number."""
    assert cpu < cpus.count and vector < vectors.DEVICE_VECTORS
    if not ioapic.exists(gsi) or cpus.apic_ids[cpu] >= ioapic.DESTINATIONS:
        return False
    with setup_lock:
        index = _route_of(gsi)
        if index == MAX_ROUTES:
            return False
        route = ref(routes[index])
        if index < count:                # it was routed elsewhere
            _table(route.cpu).slot[route.vector] = 0
        else:
            _grow()
        route.gsi = gsi
        route.cpu = cpu
        route.vector = vector
        route.level = trigger == Trigger.LEVEL
        route.blocked.store(1)
        route.kept.store(0)
        route.open = False
        ioapic.route(gsi, route.level, active_low, cpus.apic_ids[cpu],
                     u8(vectors.DEVICE_FIRST + vector))
        _table(cpu).slot[vector] = u8(index + 1)
    return True


def intr_message(cpu: u32, vector: u32) -> tuple[u64, u32]:
    """Address and data with which a device signals `vector` on `cpu` (MSI)."""
    assert cpu < cpus.count and vector < vectors.DEVICE_VECTORS
    assert cpus.apic_ids[cpu] < ioapic.DESTINATIONS
    _table(cpu).slot[vector] = MESSAGE
    address = regs.MSI_ADDRESS | u64(cpus.apic_ids[cpu]) << regs.MSI_DESTINATION_SHIFT
    return address, vectors.DEVICE_FIRST + vector


def intr_mask(cpu: u32, vector: u32) -> None:
    """Let the source of `vector` wait.  Nothing happens for message-signalled ones."""
    slot = _table(cpu).slot[vector]
    if slot in (0, MESSAGE):
        return
    route = ref(routes[slot - 1])
    if route.level:
        ioapic.set_mask(route.gsi, True)
    else:
        route.blocked.store(1)


def intr_unmask(cpu: u32, vector: u32) -> None:
    """Let the source of `vector` through again; what came meanwhile arrives now."""
    slot = _table(cpu).slot[vector]
    if slot in (0, MESSAGE):
        return
    route = ref(routes[slot - 1])
    if route.level:
        ioapic.set_mask(route.gsi, False)
        return
    route.blocked.store(0)
    if route.kept.swap(0) != 0:          # D2
        lapic.send(cpus.apic_ids[cpu], vectors.DEVICE_FIRST + vector)
    if not route.open:
        route.open = True
        ioapic.set_mask(route.gsi, False)


def arrived(frame: Ptr[Frame], vector: u32) -> None:
    """An interrupt of a device's vector came to this CPU."""
    slot = by_vector.slot[vector]
    if slot == 0:
        interrupts.spurious.add(1, order="relaxed")
        lapic.eoi()
        return
    if slot != MESSAGE:
        route = ref(routes[slot - 1])
        if route.level:
            ioapic.set_mask(route.gsi, True)
        elif route.blocked.load() != 0 and _keep(route):
            lapic.eoi()
            return
    lapic.eoi()
    upcalls.interrupt(frame, vector)


def _keep(route: Ptr[Route]) -> bool:
    """Keep an edge for intr_unmask(); False if that has run meanwhile, and may have missed it."""
    route.kept.store(1)
    return route.blocked.load() != 0 or route.kept.swap(0) == 0


def _route_of(gsi: u32) -> u32:
    """The index of the route of `gsi`, or of the next free one; MAX_ROUTES if there is none."""
    for i in range(count):
        if routes[i].gsi == gsi:
            return i
    return count


def _grow() -> None:
    global count
    count += 1


def _table(cpu: u32) -> Ptr[Table]:
    """by_vector of any CPU."""
    # safe: the same variable in that CPU's storage.
    return pointer_at(Table, percpu.of(cpu, address_of(ref(by_vector))))
