# SPDX-License-Identifier: BSD-3-Clause
"""A panic stops all CPUs and prints every CPU's stack with functions, files and lines."""
from __future__ import annotations

import re

import pytest

from tests.harness import Machine
from tests.harness.build import kernel_image

FRAME = re.compile(r"^  [0-9a-f]{16}  (\S+)\+0x[0-9a-f]+  (\S+\.py):(\d+)", re.MULTILINE)


def panicked(vm: Machine) -> None:
    vm.expect("damselfly> ")
    vm.send("panic all is lost\r")
    vm.expect_panic("all is lost")


@pytest.mark.parametrize("flags", [(), ("--release",), ("-O", "0")], ids=["dev", "release", "O0"])
def test_every_cpu_shows_its_stack(flags):
    with Machine(kernel_image(*flags), cpus=4, append="panic=off") as vm:
        panicked(vm)
        assert vm.wait_exit() == 70
        said = vm.console.text.split("panic: all is lost")[1]
    parts = re.split(r"^cpu (\d), thread (\w+)$", said, flags=re.MULTILINE)
    stacks = {parts[i]: (parts[i + 1], FRAME.findall(parts[i + 2]))
              for i in range(1, len(parts), 3)}
    assert set(stacks) == {"0", "1", "2", "3"}
    assert stacks["0"][0] == "main"
    assert [frame[0] for frame in stacks["0"][1]][-1] == "thread_trampoline"
    assert any(file == "kernel/prompt.py" for _, file, _ in stacks["0"][1])
    for cpu in "123":
        assert stacks[cpu][0] == "idle"
        assert [frame[0] for frame in stacks[cpu][1]][-1] == "ap_higher_half"


def test_panic_enters_the_debugger_unless_told_otherwise():
    with Machine(kernel_image(), cpus=2) as vm:
        panicked(vm)
        vm.console.expect("ddb:0> ", 10, stop_at_panic=False)
        vm.send("ps\r")
        assert vm.console.expect(re.compile(r"softclock"), 10, stop_at_panic=False)
        vm.send("poweroff\r")
        assert vm.wait_exit() == 0
