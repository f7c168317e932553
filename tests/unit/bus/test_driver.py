# SPDX-License-Identifier: BSD-3-Clause
"""The kit: what a driver takes comes back, whichever way it ends."""
from __future__ import annotations

import pytest

from tests.unit.bus.conftest import Function
from toolchain import host

EIO, ENOMEM, ENXIO, ETIMEDOUT = 5, 12, 6, 110


def declare(bus, attach, detach, vendor=0x1234):
    mod = bus.mod
    matches = mod.array(mod.Match, 1)
    matches[0].vendor, matches[0].device = vendor, 0xFFFF
    made = mod.Driver(name="test", matches=matches, attach=attach, detach=detach)
    bus.driver.declare(made)
    return made


def one(bus, **options):
    bus.scan_all(b0d1=Function(**options).bar(0, 4096, 0xFE00_0000))
    return bus.devices()[0]


def test_what_it_took_is_released_when_it_does_not_attach(bus):
    device = one(bus)
    free = bus.page.count_free()

    def attach(dev):
        bus.driver.memory(dev, 3 * 4096, 1 << 63)
        raise host.KpyError(EIO)
    declare(bus, attach, lambda dev: None)
    bus.driver.attach(device)
    assert device.driver is None and device.memories.first is None
    assert bus.page.count_free() >= free - 16       # slabs stay
    assert bus.machine.functions[0, 1, 0].read(4, 2) & 4 == 0      # bus mastering


def test_attached_then_detached_once(bus):
    device = one(bus)
    seen = []
    made = declare(bus, lambda dev: seen.append("attach"), lambda dev: seen.append("detach"))
    bus.driver.attach(device)
    assert device.driver == made
    assert bus.machine.functions[0, 1, 0].read(4, 2) & 4       # it may reach memory
    bus.driver.attach(device)
    bus.driver.detach(device)
    bus.driver.detach(device)
    assert seen == ["attach", "detach"] and device.driver is None


def test_others_devices_are_left_alone(bus):
    device = one(bus)
    declare(bus, lambda dev: 1 // 0, lambda dev: None, vendor=0x8086)
    bus.driver.attach(device)
    assert device.driver is None


def test_memory_is_aligned_to_its_size_and_zero(bus):
    device = one(bus)
    for size in (1, 4096, 5000, 65536, 300_000):
        memory = bus.driver.memory(device, size, 1 << 63)
        assert memory.size >= size and memory.address % memory.size == 0
        start = memory.va - bus.machine.physmap
        assert start == memory.address
    bus.driver.release(device)
    assert device.memories.first is None


def test_a_wait_ends(bus):
    with pytest.raises(host.KpyError) as caught:
        bus.wait.wait_until(lambda arg: False, 0, 500)
    assert caught.value.code == ETIMEDOUT
    assert 45 <= bus.machine.waits <= 60            # of 10 ms
    answers = iter([False, False, True])
    bus.wait.wait_until(lambda arg: next(answers), 0, 500)


def test_messages_of_a_device_that_has_none(bus):
    device = one(bus)
    assert bus.driver.messages(device) == 0
