# SPDX-License-Identifier: BSD-3-Clause
"""The tests that run inside the kernel (tests/guest), each in a boot of its own, on 2 and 4 CPUs.

What a test prints is what it counted; a test that fails panics, with its backtrace.  The dev build
has all checks and assertions; the release build is run too, for what only optimising shows.
"""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import Machine
from tests.harness.build import GUEST, MAINS, suite_image

WANT_DISKS = {"blocks", "disk_figures", "hammer2"}     # run by test_nvme, test_ahci and others
TESTS = [name for path in sorted(GUEST.glob("*.py")) if path.stem not in MAINS | WANT_DISKS
         for name in re.findall(r'@table\("guest_test", \d+\)\ndef (\w+)', path.read_text())]
LONG = {("cpusyncs_from_all_sides", 4)}     # four masters on two cores wait for each other's turn


def run(image: Path, name: str, cpus: int, append: str = "", timeout: float = 120) -> str:
    """What the test prints."""
    with Machine(image, cpus=cpus, append=f"panic=off {append}", timeout=timeout) as vm:
        vm.expect("damselfly> ")
        vm.send(f"test {name}\r")
        vm.expect(f"\nok {name}\n")
        said = vm.console.text
        vm.send("poweroff\r")
        assert vm.wait_exit() == 0
    return said


def cases(*cpus: int):
    return [pytest.param(name, n, marks=[pytest.mark.long] if (name, n) in LONG else [])
            for n in cpus for name in TESTS]


def test_there_are_tests():
    assert len(TESTS) > 30


@pytest.mark.parametrize(("name", "cpus"), cases(2, 4))
def test_in_the_kernel(name, cpus):
    run(suite_image(), name, cpus, timeout=600 if (name, cpus) in LONG else 120)


@pytest.mark.parametrize(("name", "cpus"), cases(2))
def test_in_the_release_build(name, cpus):
    run(suite_image("--release"), name, cpus)


@pytest.mark.parametrize("cpus", [1, 8])
@pytest.mark.parametrize("name", ["every_cpu_answers", "tokens_nest", "sleeps_time_out"])
def test_on_one_and_on_eight(name, cpus):
    run(suite_image(), name, cpus)


@pytest.mark.long
@pytest.mark.parametrize("cpus", [64, 255])
def test_every_one_of_many_cpus_answers(cpus):
    said = run(suite_image(), "every_cpu_answers", cpus, timeout=300)
    assert f"{cpus} CPUs answered" in said


@pytest.mark.long
def test_any_order_of_tokens_for_thirty_seconds():
    run(suite_image(), "any_order_makes_progress", 4, append="seconds=30")


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_ten_minutes_of_everything_at_once():
    run(suite_image(), "soak", 4, append="seconds=600", timeout=900)
