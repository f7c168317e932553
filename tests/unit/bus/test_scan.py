# SPDX-License-Identifier: BSD-3-Clause
"""Finding functions, their base addresses, and places for those that have none."""
from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.bus.conftest import MIB, Function, bridge


def test_functions_bridges_and_other_roots(bus):
    found = bus.scan_all(
        b0d0=Function(), b0d3=Function(header=0x80), b0d3f2=Function(), b0d5=bridge(1, 3),
        b1d0=bridge(3, 3), b3d7=Function(), b2d0=Function(), b9d1=Function())
    assert found == [(0, 0, 0), (0, 3, 0), (0, 3, 2), (0, 5, 0), (1, 0, 0), (3, 7, 0), (9, 1, 0)]
    assert [d.parent is not None for d in bus.devices()] == [False] * 4 + [True] * 2 + [False]


def test_functions_of_a_device_with_one_are_not_looked_for(bus):
    assert bus.scan_all(b0d1=Function(), b0d1f1=Function()) == [(0, 1, 0)]


@pytest.mark.parametrize("numbers", [(0, 0), (2, 1), (0, 9)])
def test_a_bridge_with_nonsense_for_numbers_leads_nowhere(bus, numbers):
    assert bus.scan_all(b0d1=bridge(*numbers), b3d0=Function()) == [(0, 1, 0), (3, 0, 0)]


@pytest.mark.parametrize(("size", "base", "flags"), [
    (4096, 0xFEB0_0000, 0), (1 << 24, 0xC000_0000, 8), (1 << 34, 1 << 36, 0xC)])
def test_base_addresses_are_measured_and_stay(bus, size, base, flags):
    function = Function().bar(0, size, base, flags)
    function.set(4, 7, 2)
    bus.scan_all(b0d1=function)
    bar = bus.devices()[0].bars[0]
    assert (bar.base, bar.size, bar.wide, bar.prefetchable) == (
        base, size, bool(flags & 4), bool(flags & 8))
    assert function.read(0x10, 4) == base & 0xFFFF_FFFF | flags and function.read(4, 2) == 7


def test_what_is_plugged_in_gets_a_place_between_its_neighbours(bus):
    bus.scan_all(b0d1=bridge(1, 1, (0xE00, 0xE01)), b1d0=Function().bar(0, 4096, 0xE000_0000))
    for number, size in ((1, MIB), (2, 4096), (3, 16384)):
        bus.machine.functions[1, number, 0] = Function().bar(0, size)
    bus.scan.below(bus.devices()[0])
    taken = sorted((d.bars[0].base, d.bars[0].base + d.bars[0].size) for d in bus.devices()[1:])
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(taken))
    assert taken[0][0] == 0xE000_0000 and taken[-1][1] <= 0xE020_0000
    for device in bus.devices()[1:]:
        assert device.bars[0].base % device.bars[0].size == 0


def test_what_does_not_fit_has_no_address(bus):
    bus.scan_all(b0d1=bridge(1, 1, (0xE00, 0xE00)), b1d0=Function().bar(0, 2 * MIB))
    assert bus.devices()[1].bars[0].base == 0


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=256, max_size=256))
def test_any_configuration_space_is_survived(bus, space):
    """Lists in circles, bridges to themselves, base addresses of any kind."""
    function = Function()
    function.space[4:] = space[4:]
    function.masks = {o: int.from_bytes(space[o + 64:o + 68], "little") for o in range(16, 40, 4)}
    bus.scan_all(b0d1=function)
    for device in bus.devices():
        bus.scan.forget(device)
