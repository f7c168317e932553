# SPDX-License-Identifier: BSD-3-Clause
"""start(): memory, firmware tables and protections on small and large machines; what it says
when a machine lacks something."""
from __future__ import annotations

import pytest

from tests.harness import Machine, guest
from tests.harness.build import guest_image

MEGABYTE = 1 << 20
CR0_WP = 1 << 16
CR4 = {"pge": 1 << 7, "umip": 1 << 11, "smep": 1 << 20, "smap": 1 << 21}
EFER_NXE = 1 << 11


@pytest.mark.parametrize("machine", ["q35", "pc"])
@pytest.mark.parametrize("mem", [64, 256, 8192])
def test_nearly_all_memory_is_handed_over(machine, mem):
    found = guest.run("start", machine=machine, mem=f"{mem}M")
    assert found["regions"] == "True"
    assert (mem - 4) * MEGABYTE < int(found["memory"]) < mem * MEGABYTE
    if mem > 4096:
        assert int(found["highest"], 16) > 4 << 30


def test_memory_map_of_the_pvh_block_is_the_same(tmp_path):
    data = bytearray(guest_image("machine").read_bytes())
    at = data.index(0x1BADB002.to_bytes(4, "little"))
    data[at : at + 4] = bytes(4)
    image = tmp_path / "pvh.elf"
    image.write_bytes(data)
    with Machine(image, append="start") as vm:
        vm.expect("\nend\n")
        text = vm.console.text
    lines = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    assert lines["memory"] == guest.run("start")["memory"]


@pytest.mark.parametrize(("machine", "ecams"), [("q35", 1), ("pc", 0)])
def test_tables_of_the_firmware_are_found(machine, ecams):
    found = guest.numbers(guest.run("start", machine=machine, cpus=3))
    assert found["cpus"] == 3
    assert (found["ioapics"], found["ecams"], found["hpet"]) == (1, ecams, 0xFED00000)
    assert found["nmis"] == 1


@pytest.mark.parametrize(("cpu", "on", "nx"), [
    ("max", {"pge", "umip", "smep", "smap"}, True),
    ("max,-smep,-umip", {"pge", "smap"}, True),
    ("qemu64", {"pge"}, True),
    ("qemu64,-nx", {"pge"}, False),
])
def test_protections_are_on_where_the_cpu_has_them(cpu, on, nx):
    text = guest.run("start", cpu=cpu)
    found = guest.numbers(text)
    assert found["cr0"] & CR0_WP
    assert {name for name, bit in CR4.items() if found["cr4"] & bit} == on
    assert bool(found["efer"] & EFER_NXE) == nx
    assert ("note:" in text) == (not nx)


@pytest.mark.parametrize(("options", "says"), [
    ({"cpu": "qemu64,-apic"}, "this CPU has no local APIC"),
    ({"machine": "pc,acpi=off"}, "the firmware has no ACPI tables"),
    ({"mem": "2M", "cpus": 32}, "this machine has too little memory"),
])
def test_what_a_machine_lacks_is_said(options, says):
    with Machine(guest_image("machine"), append="start", **options) as vm:
        vm.expect_panic(says)
        assert vm.wait_exit() == 70


def test_an_unknown_loader_is_said(tmp_path):
    """A kmain() called by something that is neither multiboot nor PVH."""
    image = tmp_path / "loader.elf"
    data = bytearray(guest_image("machine").read_bytes())
    at = data.index((0x336EC578).to_bytes(4, "little"))       # what boot_entry_pvh loads
    header = data.index(0x1BADB002.to_bytes(4, "little"))
    data[at : at + 4] = (0x1234).to_bytes(4, "little")
    data[header : header + 4] = bytes(4)
    image.write_bytes(data)
    with Machine(image, append="start") as vm:
        vm.expect_panic("neither multiboot nor PVH (0x1234)")


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_a_machine_without_the_exit_device_is_switched_off_by_acpi(machine):
    with Machine(guest_image("machine"), append="start", machine=machine,
                 exit_device=False) as vm:
        vm.expect("\nend\n")
        assert vm.wait_exit(timeout=10) == 0
