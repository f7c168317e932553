# SPDX-License-Identifier: BSD-3-Clause
"""All CPUs of the firmware's table run, each with its own storage, and answer."""
from __future__ import annotations

import pytest

from tests.harness import Machine, guest
from tests.harness.build import kernel_image

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
