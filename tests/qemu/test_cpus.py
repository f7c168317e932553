# SPDX-License-Identifier: BSD-3-Clause
"""All CPUs of the firmware's table run, each with its own storage, and answer."""
from __future__ import annotations

import pytest

from tests.harness import Machine, guest
from tests.harness.build import guest_image, kernel_image

COUNTS = [1, 2, 4, 8, 64, 255]


@pytest.mark.parametrize("cpus", COUNTS)
def test_every_cpu_runs_with_its_own_storage_and_answers_an_ipi(cpus):
    found = guest.numbers(guest.run("cpus", cpus=cpus, timeout=120))
    assert found["listed"] == found["running"] == cpus
    assert found["stored"] == found["answered"] == cpus - 1
    assert found["own"] == 7


@pytest.mark.parametrize("machine", ["q35", "pc"])
@pytest.mark.parametrize("cpu", ["qemu64", "max"])
@pytest.mark.parametrize("mem", ["64M", "8G"])
def test_cpus_run_on_every_kind_of_machine(machine, cpu, mem):
    found = guest.numbers(guest.run("cpus", cpus=4, machine=machine, cpu=cpu, mem=mem))
    assert found["running"] == 4
    assert found["answered"] == 3


@pytest.mark.parametrize("flags", [("--release",), ("-O", "0")], ids=["release", "debug"])
@pytest.mark.parametrize("test", ["cpus", "stop"])
def test_cpus_run_in_every_build(flags, test):
    found = guest.numbers(guest.run(test, flags=flags, cpus=4))
    assert found["running"] == 4
    assert found.get("answered", found.get("stopped")) == 3


@pytest.mark.parametrize("topology", ["4,sockets=2,cores=2", "6,sockets=2,cores=3",
                                      "2,maxcpus=4", "4,sockets=1,cores=2,threads=2"])
def test_apic_ids_may_have_gaps(topology):
    found = guest.numbers(guest.run("cpus", cpus=topology))
    assert found["running"] == int(topology[0])


def test_cpus_with_interrupts_off_are_stopped_and_go_on():
    found = guest.numbers(guest.run("stop", cpus=4))
    assert (found["stopped"], found["stopped_again"]) == (3, 3)


def test_the_kernel_says_how_many_cpus_the_firmware_lists():
    with Machine(kernel_image(), cpus=4) as vm:
        assert vm.expect("cpus: 4 of 4 are running")


def test_a_cpu_that_does_not_start_is_named_and_left_out():
    with Machine(guest_image("machine"), append="left_out", cpus=3) as vm:
        vm.expect("cpu 2 (APIC id 200) is left out: it did not start\n")
        vm.expect("listed 3\nrunning 2\n")


def test_a_cpu_that_is_late_is_left_out_for_good():
    with Machine(guest_image("machine"), append="late", cpus=2) as vm:
        vm.expect("cpu 1 (APIC id 1) is left out: it is not ready\n")
        vm.expect("listed 2\nrunning 1\n")
        vm.expect("late 1008\nanswered 0\n")
