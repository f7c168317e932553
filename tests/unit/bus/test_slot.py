# SPDX-License-Identifier: BSD-3-Clause
"""Hot-plug slots: filled, asked out, and pulled out without a word."""
from __future__ import annotations

import pytest

from tests.unit.bus.conftest import Function, bridge
from tests.unit.bus.test_driver import declare

CAP, LINK, SLOT_CAP, CONTROL, STATUS = 0x40, 0x52, 0x54, 0x58, 0x5A
ABP, PDC, CC, PDS = 1, 8, 16, 64
OFF = 1 << 10


class Port(Function):
    """A root port with a slot; events are cleared by writing 1."""

    def __init__(self) -> None:
        super().__init__(code=0x060400, header=1)
        self.space[:] = bridge(1, 1, (0xE00, 0xE01)).space
        self.set(6, 0x10, 2).set(0x34, CAP, 1).set(CAP, 0x10, 1)
        self.set(CAP + 2, 4 << 4 | 1 << 8, 2).set(SLOT_CAP, 1 | 2 | 1 << 6 | 5 << 19, 4)
        self.set(LINK, 1 << 13, 2).set(CONTROL, OFF, 2)

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == STATUS:
            value = self.read(STATUS, 2) & ~(value & 0x119)
        super().write(offset, size, value)
        if offset == CONTROL:
            self.set(STATUS, self.read(STATUS, 2) | CC, 2)

    def event(self, status: int) -> None:
        self.set(STATUS, status, 2)


@pytest.fixture
def slot(bus):
    """The bus with an empty slot, and a driver that writes down what happens."""
    bus.port = Port()
    bus.scan_all(b0d1=bus.port)
    bus.seen = []
    bus.kept = declare(bus, lambda dev: bus.seen.append("attach"),
                       lambda dev: bus.seen.append(("detach", dev.gone)))
    bus.slot.start(bus.devices()[0])
    bus.slot.serve_all()
    return bus


def fill(slot) -> None:
    slot.machine.functions[1, 0, 0] = Function().bar(0, 4096)
    slot.port.event(PDS | PDC | ABP)
    slot.slot.serve_all()


def test_filled_it_gets_power_and_a_driver(slot):
    fill(slot)
    assert slot.seen == ["attach"] and len(slot.devices()) == 2
    assert slot.port.read(CONTROL, 2) & OFF == 0
    assert slot.devices()[1].bars[0].base == 0xE000_0000
    slot.slot.serve_all()
    assert slot.seen == ["attach"]


def test_the_button_takes_it_out(slot):
    fill(slot)
    slot.port.event(PDS | ABP)
    slot.slot.serve_all()
    assert slot.seen == ["attach", ("detach", 0)] and len(slot.devices()) == 1
    assert slot.port.read(CONTROL, 2) & OFF


def test_pulled_out_the_driver_is_told(slot):
    fill(slot)
    del slot.machine.functions[1, 0, 0]
    slot.port.event(PDC)
    slot.slot.serve_all()
    assert slot.seen == ["attach", ("detach", 1)] and len(slot.devices()) == 1
    fill(slot)
    assert slot.seen[2:] == ["attach"]


def test_a_port_that_is_gone_is_no_event(slot):
    fill(slot)
    del slot.machine.functions[0, 1, 0]
    slot.slot.serve_all()
    assert slot.seen == ["attach"]


def test_a_command_that_is_never_completed_is_not_waited_for_for_ever(slot):
    slot.port.write = lambda offset, size, value: None
    slot.machine.functions[1, 0, 0] = Function()
    slot.slot._take_out(slot.mod.globals.slots.first, False)
    assert slot.machine.waits < 1000
