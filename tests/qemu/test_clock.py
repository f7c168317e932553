# SPDX-License-Identifier: BSD-3-Clause
"""The clock keeps the reference's time, and timers go off when they should, never before.

How late one goes off is the host's doing too, so only -icount, where time is instructions, has a
tight bound.
"""
from __future__ import annotations

import functools
import re

import pytest

from tests.harness import Machine, guest
from tests.harness.build import guest_image

MACHINES = {
    "tsc": {},
    "hpet": {"cpu": "qemu64,-hypervisor"},
    "pm timer": {"machine": "q35,hpet=off"},
    "icount": {"icount": True, "cpus": 1},
}


@functools.cache
def timer(**options) -> tuple[dict[str, int], list[tuple[int, int, bool]]]:
    """(the numbers, [(armed, passed, early)] in microseconds)."""
    with Machine(guest_image("machine"), append="timer", **{"cpus": 2, **options}) as vm:
        vm.expect("\nend\n")
        text = vm.console.text
    found = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    fired = re.findall(r"armed (\d+) passed (\d+) early (\w+)", text)
    return guest.numbers(found), [(int(a), int(b), c == "True") for a, b, c in fired]


@pytest.mark.parametrize("kind", MACHINES)
def test_timers_go_off_once_and_not_before_their_time(kind):
    numbers, fired = timer(**MACHINES[kind])
    assert [armed for armed, _, _ in fired] == [100, 1000, 10000, 100000]
    assert not any(early for _, _, early in fired)
    assert numbers["replaced"] == 1
    assert numbers["others"] == 0


@pytest.mark.parametrize("kind", MACHINES)
def test_the_clock_agrees_with_the_reference(kind):
    numbers, _ = timer(**MACHINES[kind])
    assert numbers["measured"] == pytest.approx(numbers["hz"], rel=0.002)


def test_the_pit_serves_where_there_is_nothing_else():
    with Machine(guest_image("machine"), append="timer 1", cpus=1) as vm:
        vm.expect("reference PIT\n")
        hz = int(vm.expect(re.compile(r"hz (\d+)\n"))[1])
    assert hz == pytest.approx(timer()[0]["hz"], rel=0.005)


def test_under_icount_timers_are_exact_and_the_clock_is_instructions():
    numbers, fired = timer(**MACHINES["icount"])
    assert numbers["hz"] == pytest.approx(10**9, rel=1e-4)
    for armed, passed, _ in fired:
        assert armed <= passed <= armed + 10


def test_a_clock_that_cannot_be_trusted_is_replaced_by_the_hpet():
    assert timer(cpu="qemu64,-hypervisor")[0]["hz"] == 10**8
    assert timer(cpu="qemu64,-hypervisor", cpus=1)[0]["hz"] != 10**8


@pytest.mark.parametrize(("machine", "name"), [("q35", "HPET"), ("q35,hpet=off", "ACPI PM timer"),
                                               ("pc,hpet=off", "ACPI PM timer")])
def test_the_reference_is_the_best_there_is(machine, name):
    assert guest.run("start", machine=machine)["timer"] == name
