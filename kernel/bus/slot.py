# SPDX-License-Identifier: BSD-3-Clause
"""Hot-plug slots of PCI Express root and downstream ports.

    something is plugged in     presence changes    power on, wait for the link, scan, attach
    somebody wants it out       attention button    blink, detach, power off; it may be taken
    it is pulled out            presence changes    tell the driver that it is gone, detach

The button's meaning is of the moment: it turns a slot off that is on, and on that is off and
filled.  The five seconds in which a person may take a press back are not waited for.

Registers of a port whose own bridge has gone read all ones; that is no event.

Locking   [b] the bus thread   [a] atomic   [I] fixed after start()
Tests     tests/unit/bus/test_slot.py, tests/qemu/test_pci.py
Source    PCI Express Base Specification 5.0, 6.7 "PCI Express Hot-Plug Support", 7.5.3
"""
from typing import Final

from kpy import (
    Errno,
    Ptr,
    bits_of,
    from_bits,
    kprintf,
    may_block,
    struct,
    u16,
    u32,
)

from kernel.bus import driver, msi, thread, wait
from kernel.bus.pci import config, device, regs, scan
from kernel.bus.pci.device import M_DEVICE, Device
from kernel.lib import queue
from kernel.mem import slab
from kernel.mem.flags import NOWAIT

UNSAFE: Final = True     # a slot's interrupt carries nothing: it wakes the bus thread

ALL_ONES: Final[u16] = 0xFFFF


@struct
class Slot:
    """A slot."""
    link: queue.Link["Slot"]    # [b]
    port: Ptr[Device]           # [I]
    at: u32                     # [I] of the PCI Express capability
    number: u32                 # [I] as printed on the case
    has_power: bool             # [I] power can be switched
    answers: bool               # [I] says when a command is completed
    interrupts: bool            # [b] else it is looked at from time to time
    on: bool                    # [b] what is in it is in use


slots: queue.TailQueue[Slot, "link"]        # [b]
polled: u32 = 0                             # [b] slots that do not interrupt


@may_block
def start(port: Ptr[Device]) -> None:
    """If `port` has a hot-plug slot, serve it from now on."""
    if port.cap_pcie == 0 or port.layout != regs.LAYOUT_BRIDGE or port.secondary == 0:
        return
    kind = from_bits(regs.PcieCapabilities,
                     config.read16(port.address, port.cap_pcie + regs.PCIE_CAPABILITIES))
    can = from_bits(regs.SlotCapabilities,
                    config.read32(port.address, port.cap_pcie + regs.PCIE_SLOT_CAPABILITIES))
    if not kind.SLOT or not can.HPC:
        return
    if kind.PORT_TYPE != regs.PORT_ROOT and kind.PORT_TYPE != regs.PORT_DOWNSTREAM:
        return
    slot = slab.new(Slot, M_DEVICE, NOWAIT)
    if slot is None:
        kprintf("pci: no memory for a slot\n")
        return
    slot.port = port
    slot.at = port.cap_pcie
    slot.number = u32(can.PSN)
    slot.has_power = can.PCP
    slot.answers = not can.NCCS
    slots.push_back(slot)
    driver.start_dma(port)              # a bridge passes on what its devices do
    _begin(slot, u32(kind.MESSAGE))


@may_block
def serve_all() -> None:
    """See what has happened at each slot."""
    for slot in slots:
        while _serve(slot):
            pass


@may_block
def _begin(slot: Ptr[Slot], message: u32) -> None:
    """Ask to be told of events; take over what is in the slot already."""
    global polled
    for dev in device.devices:
        if dev.parent is slot.port:
            slot.on = True
    _write_status(slot, regs.SLOT_EVENTS)
    try:
        driver.interrupt(slot.port, message, 0, _event, 0)
        slot.interrupts = True
    except Errno:
        polled += 1
    control = _control(slot)
    control.ABPE = 1
    control.PDCE = 1
    control.HPIE = 1
    control.CCIE = 0
    control.DLLSCE = 0
    _command(slot, control)
    thread.wake()                       # what happened before that we have not been told


def _event(line: Ptr[msi.Line]) -> None:
    """The interrupt of every slot."""
    thread.wake()


@may_block
def _serve(slot: Ptr[Slot]) -> bool:
    """Answer what has happened at a slot; whether anything has."""
    raw = config.read16(slot.port.address, slot.at + regs.PCIE_SLOT_STATUS)
    if raw == ALL_ONES:
        return False
    status = from_bits(regs.SlotStatus, raw)
    _write_status(slot, raw & regs.SLOT_EVENTS)
    # QEMU 7.2: where hot-plug is left to ACPI, PDS of a slot that is filled at start is 0.
    if slot.on and status.PDC and not status.PDS:
        kprintf(f"pci: slot {slot.number}: removed\n")
        _take_out(slot, pulled=True)
        return True
    if slot.on and status.ABP:
        kprintf(f"pci: slot {slot.number}: to be removed\n")
        _take_out(slot, pulled=False)
        return True
    if not slot.on and status.PDS and (status.PDC or status.ABP):
        kprintf(f"pci: slot {slot.number}: filled\n")
        _bring_in(slot)
        return True
    return False


@may_block
def _bring_in(slot: Ptr[Slot]) -> None:
    """Power on; attach what is there."""
    slot.on = True
    control = _control(slot)
    control.PIC = regs.INDICATOR_BLINK
    control.PCC = 0
    _command(slot, control)
    for _ in wait.polls(regs.LINK_TIMEOUT_MS):
        if _link(slot).DLLLA:
            break
    wait.sleep_ms(regs.RESET_MS)
    control.PIC = regs.INDICATOR_ON
    _command(slot, control)
    try:
        scan.below(slot.port)
    except Errno:
        kprintf(f"pci: slot {slot.number}: no memory\n")
    for dev in device.devices:
        if dev.parent is slot.port:
            driver.attach(dev)


@may_block
def _take_out(slot: Ptr[Slot], pulled: bool) -> None:
    """Detach all that is below the slot, the farthest first; then power off."""
    if pulled:
        for dev in device.devices:
            if scan.is_below(dev, slot.port):
                dev.gone.store(1)
    else:
        control = _control(slot)
        control.PIC = regs.INDICATOR_BLINK
        _command(slot, control)
    while (last := _last_below(slot.port)) is not None:
        driver.detach(last)
        scan.forget(last)
    slot.on = False
    control = _control(slot)
    control.PIC = regs.INDICATOR_OFF
    if slot.has_power:
        control.PCC = 1
    _command(slot, control)
    if slot.has_power:
        wait.sleep_ms(regs.POWER_OFF_MS)


def _last_below(port: Ptr[Device]) -> Ptr[Device] | None:
    """The function below a port that was found last."""
    found: Ptr[Device] | None = None
    for dev in device.devices:
        if scan.is_below(dev, port):
            found = dev
    return found


@may_block
def _command(slot: Ptr[Slot], control: regs.SlotControl) -> None:
    """Write the slot's control register, and wait until it has been obeyed."""
    _write_status(slot, bits_of(regs.SlotStatus(CC=True)))
    config.write16(slot.port.address, slot.at + regs.PCIE_SLOT_CONTROL, bits_of(control))
    if not slot.answers:
        return
    for _ in wait.polls(regs.COMMAND_TIMEOUT_MS):
        if from_bits(regs.SlotStatus, config.read16(slot.port.address,
                                                    slot.at + regs.PCIE_SLOT_STATUS)).CC:
            break
    _write_status(slot, bits_of(regs.SlotStatus(CC=True)))


def _control(slot: Ptr[Slot]) -> regs.SlotControl:
    return from_bits(regs.SlotControl,
                     config.read16(slot.port.address, slot.at + regs.PCIE_SLOT_CONTROL))


def _link(slot: Ptr[Slot]) -> regs.LinkStatus:
    return from_bits(regs.LinkStatus,
                     config.read16(slot.port.address, slot.at + regs.PCIE_LINK_STATUS))


def _write_status(slot: Ptr[Slot], events: u16) -> None:
    """Clear events: those bits that are 1."""
    config.write16(slot.port.address, slot.at + regs.PCIE_SLOT_STATUS, events)
