# SPDX-License-Identifier: BSD-3-Clause
"""The debugger inside the kernel: entered by a key, a breakpoint and a panic; what it shows."""
from __future__ import annotations

import re

import pytest

from tests.harness import Machine
from tests.harness.build import kernel_image, suite_image

BREAK = "\x1c"          # Ctrl-\


class Debugger:
    """Commands typed at `ddb:N>`, and what they print."""

    def __init__(self, vm: Machine) -> None:
        self.vm = vm

    def __call__(self, command: str) -> str:
        at = len(self.vm.console.text)
        self.vm.send(f"{command}\r")
        self.vm.expect(re.compile(r"\n(ddb:\d+|damselfly)> "))
        return self.vm.console.text[at:]


@pytest.fixture
def debugger():
    with Machine(kernel_image("-O", "0"), cpus=2) as vm:
        vm.expect("damselfly> ")
        vm.send(BREAK)
        vm.expect("ddb:0> ")
        yield Debugger(vm)


def test_key_enters_and_continue_leaves(debugger):
    debugger.vm.send("continue\r")
    debugger.vm.send("echo as before\r")
    debugger.vm.expect("\nas before\n")


def test_threads_of_all_cpus_are_listed(debugger):
    rows = re.findall(r"^ +(\d) +[0-9a-f]{16} +\d+ +(\w+).* (\w+)$", debugger("ps"), re.MULTILINE)
    assert {(cpu, name) for cpu, _, name in rows} >= {
        ("0", "idle"), ("1", "idle"), ("0", "softclock"), ("1", "softclock"), ("0", "main")}


def test_stack_of_a_blocked_thread_by_its_address(debugger):
    main = re.search(r"([0-9a-f]{16}) .* main$", debugger("ps"), re.MULTILINE)[1]
    said = debugger(f"trace 0x{main}")
    for function in ("lwkt.sleepq.tsleep", "console.read", "prompt.run", "main.start_rest"):
        assert re.search(rf"kernel\.{function}\+0x[0-9a-f]+ +kernel/\w+(/\w+)?\.py:\d+", said)
    assert "there is no thread" in debugger("trace 0x1234")


def test_other_cpu_is_where_it_was_stopped(debugger):
    debugger("cpu 1")
    said = debugger("trace")
    assert "idle_halt" in said and "ap_higher_half" in said
    assert "rip" in debugger("registers")
    assert "CPUs 0 to 1" in debugger("cpu 7")


def test_what_there_is_to_show(debugger):
    assert "collisions" in debugger("show tokens")
    assert re.search(r"^ +1 +\d+ +\d+ +0 ", debugger("show ipiq"), re.MULTILINE)
    assert re.search(r"^thread +\d+ +\d+ +\d+", debugger("show slab"), re.MULTILINE)
    assert "queued ever" in debugger("show msgport")
    assert "migrations" in debugger("show counters")
    assert "throttled" in debugger("show interrupts")
    assert re.search(r"^\d+ +\d+ +SWITCH ", debugger("ktr 0 30"), re.MULTILINE)


def test_memory_is_examined_and_what_is_not_mapped_is_said(debugger):
    address = re.search(r"([0-9a-f]{16})  0  run .* idle$|([0-9a-f]{16}) +0  run", debugger("ps"))
    thread = next(group for group in address.groups() if group)
    assert len(re.findall(r"^[0-9a-f]{16}  [0-9a-f]{16}", debugger(f"examine 0x{thread} 4"),
                          re.MULTILINE)) == 4
    assert "not mapped" in debugger("examine 0x10")
    assert "examine ADDRESS" in debugger("examine")


def test_nonsense_is_answered_with_help(debugger):
    assert "continue, cpu N" in debugger("nonsense")


def test_breakpoint_in_the_kernel_enters(debugger):
    debugger.vm.send("continue\r")
    debugger.vm.send("ddb\r")
    debugger.vm.expect("ddb: cpu 0, thread main")
    debugger.vm.expect("ddb:0> ")
    assert "prompt._run" in debugger("trace")


def test_held_tokens_are_shown():
    with Machine(suite_image(), cpus=2) as vm:
        vm.expect("damselfly> ")
        vm.send("test tokens_at_a_breakpoint\r")
        vm.expect("ddb:0> ")
        said = Debugger(vm)("show tokens")
        assert re.search(r"stop1 +0 +True +0 +main holds", said)
        assert re.search(r"stop2 +1 +False +0 +main holds", said)
        vm.send("continue\r")
        vm.expect("ok tokens_at_a_breakpoint")
