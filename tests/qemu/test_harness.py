# SPDX-License-Identifier: BSD-3-Clause
"""The harness fails at once, with the log's path, and for the right reason."""

import re
import time
from pathlib import Path

import pytest

from tests.harness import Machine, MachineError, probe

SOON_S = 20
"""Far below the time-outs given: a failure within it did not come by time-out."""


def image(folder: Path, *steps: str) -> Path:
    return probe.build(folder / "probe.elf", asm=probe.kmain(*steps)).output


def fails(vm: Machine, text: str) -> str:
    begin = time.monotonic()
    with pytest.raises(MachineError) as caught:
        vm.expect(text, timeout=300)
    assert time.monotonic() - begin < SOON_S
    return str(caught.value)


def test_expect_returns_each_match_once_and_in_order(tmp_path):
    with Machine(image(tmp_path, probe.prints("one 1\ntwo 2\n"), probe.exits(0))) as vm:
        assert vm.expect(re.compile(r"\d")).group() == "1"
        assert vm.expect(re.compile(r"\d")).group() == "2"
        assert vm.wait_exit() == 0


def test_exit_status_is_the_guests(tmp_path):
    with Machine(image(tmp_path, probe.exits(42))) as vm:
        assert vm.wait_exit() == 42


def test_panic_fails_the_waiting_test_with_log_and_last_lines(tmp_path):
    steps = (probe.prints("starting\npanic: no such luck\n"),)
    with pytest.raises(MachineError), Machine(image(tmp_path, *steps)) as vm:
        story = fails(vm, "never")
        assert "panic: no such luck" in story
        assert "starting" in story
        assert str(vm.folder) in story
        assert (vm.folder / "console.log").read_text() == "starting\npanic: no such luck\n"


def test_panic_nobody_waited_for_fails_at_the_end(tmp_path):
    steps = (probe.prints("hello\npanic: late\n"), probe.exits(70))
    with (
        pytest.raises(MachineError, match="panic: late"),
        Machine(image(tmp_path, *steps)) as vm,
    ):
        vm.expect("hello")


def test_expected_panic_is_no_failure(tmp_path):
    steps = (probe.prints("panic: as planned\n"), probe.exits(70))
    with Machine(image(tmp_path, *steps)) as vm:
        vm.expect_panic("planned")
        assert vm.wait_exit() == 70


def test_triple_fault_is_named(tmp_path):
    with Machine(image(tmp_path, probe.triple_fault())) as vm:
        assert "triple fault" in fails(vm, "never")


def test_early_end_is_named(tmp_path):
    with Machine(image(tmp_path, probe.prints("bye"), probe.exits(3))) as vm:
        assert "ended with status 3" in fails(vm, "never")


def test_time_out_is_named_and_what_the_guest_was_at_is_kept(tmp_path):
    with Machine(image(tmp_path, probe.prints("waiting\n")), mem="32M", cpus=2) as vm:
        vm.expect("waiting")
        with pytest.raises(MachineError, match="did not come in time"):
            vm.expect("more", timeout=0.2)
        assert (vm.folder / "registers.txt").read_text().count("IP=") == 2
        assert (vm.folder / "memory.elf").stat().st_size > 32 << 20


def test_power_cut_and_memory_dump(tmp_path):
    with Machine(image(tmp_path, probe.prints("up\n")), mem="32M") as vm:
        vm.expect("up")
        assert vm.qmp("query-status")["status"] == "running"
        assert vm.dump_memory(tmp_path / "core").stat().st_size > 32 << 20
        vm.cut_power()


def test_device_is_plugged_into_a_running_machine(tmp_path):
    with Machine(image(tmp_path, probe.prints("up\n")), machine="pc") as vm:
        vm.expect("up")
        vm.plug("virtio-rng-pci", "rng0")
        devices = vm.qmp("query-pci")[0]["devices"]
        assert "rng0" in {device["qdev_id"] for device in devices}


def test_long_log_is_searched_without_delay(tmp_path):
    line = probe.prints("x" * 60 + "\n")
    flood = f"movl $3000, %ebp\n1:{line}decl %ebp\njnz 1b\n"
    with Machine(image(tmp_path, flood, probe.prints("last\n"), probe.exits(0))) as vm:
        vm.expect(re.compile(r"^last$", re.MULTILINE), timeout=SOON_S)
        assert len(vm.console.text) == 3000 * 61 + 5


def test_missing_image_is_reported():
    with pytest.raises(Exception, match="no such file"), Machine("/nonexistent.elf"):
        pass
