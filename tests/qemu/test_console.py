# SPDX-License-Identifier: BSD-3-Clause
"""The console by interrupts: nothing is lost, and writes of CPUs do not mix."""
from __future__ import annotations

import re
from collections import defaultdict

import pytest

from tests.harness import Machine
from tests.harness.build import guest_image, kernel_image

LINES = 200


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_lines_of_all_cpus_come_whole_and_in_order(cpus):
    with Machine(guest_image("machine"), append="print", cpus=cpus) as vm:
        vm.expect("\nend\n")
        lines = vm.console.text.splitlines()
    seen = defaultdict(list)
    for line in lines:
        if found := re.fullmatch(r"([A-D])\1{39}:(\d{3})", line):
            seen[found[1]].append(int(found[2]))
    assert seen == {chr(ord("A") + n): list(range(LINES)) for n in range(cpus)}
    assert len(lines) == cpus * LINES + 3


def test_input_comes_by_interrupts():
    with Machine(guest_image("machine"), append="console", cpus=2) as vm:
        vm.expect("type\n")
        vm.send("hello, interrupt\r")
        vm.expect("typed hello, interrupt\n")
        assert vm.wait_exit() == 0


def test_what_is_typed_before_the_kernel_starts_is_not_lost():
    with Machine(kernel_image(), gdb=True) as vm:
        vm.send("echo early\r")
        vm.gdb().batch("detach")
        vm.expect("\nearly\n")


def test_a_cpu_that_was_stopped_in_a_write_does_not_keep_others_from_writing():
    with Machine(guest_image("machine"), append="interrupted", cpus=4) as vm:
        vm.expect("held_by_stopped 3\n")
        vm.expect("".join(f"line {n}\n" for n in range(20)) + "end\n")
        assert vm.wait_exit() == 0


def test_cpus_that_are_stopped_in_writes_go_on_and_lose_nothing():
    with Machine(guest_image("machine"), append="resumed", cpus=4) as vm:
        rounds = int(vm.expect(re.compile(r"\nrounds (\d+)\nend\n"))[1])
        assert vm.wait_exit() == 0
        text = vm.console.text
    assert text.count("!") == rounds
    for letter in "BCD":
        assert text.count(letter) >= 40 * LINES
    assert len(re.findall(r"(?m):\d{3}$", text.replace("!", ""))) >= 3 * LINES - rounds
