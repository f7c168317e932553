# SPDX-License-Identifier: BSD-3-Clause
"""The bus: what lspci shows, a driver written with the kit, hot-plug."""
from __future__ import annotations

import re

import pytest

from tests.harness import Machine
from tests.harness.build import suite_image

PORT = ("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
        "-device", "pcie-root-port,id=port0,chassis=1,slot=7,bus=pcie.0")


def machine(**options) -> Machine:
    return Machine(suite_image(), append="panic=off", timeout=30, **options)


def typed(vm: Machine, command: str) -> str:
    """What a command prints."""
    before = len(vm.console.text)
    vm.send(f"{command}\r")
    vm.expect("damselfly> ")
    return vm.console.text[before:]


@pytest.mark.parametrize(("kind", "host", "isa"), [("q35", "29c0", "2918"), ("pc", "1237", "7000")])
def test_lspci_lists_what_qemu_made(kind, host, isa):
    with machine(machine=kind, extra=("-device", "edu,addr=5")) as vm:
        vm.expect("damselfly> ")
        said = typed(vm, "lspci")
        assert re.search(rf"^00:00.0 Host bridge \[0600\]: 8086:{host} \(rev \w\w\)\r?$", said,
                         re.M)
        assert re.search(rf"ISA bridge \[0601\]: 8086:{isa}", said)
        assert re.search(r"^00:05.0 Unclassified device \[00ff\]: 1234:11e8 \(rev 10\) edu", said,
                         re.M)
        more = typed(vm, "lspci -v")
        assert re.search(r"Region 0: Memory at \w+ \(32-bit, non-prefetchable\) \[size=0x100000\]",
                         more)
        assert "MSI" in more
        assert "lspci [-v]" in typed(vm, "lspci -x")


def test_buses_behind_bridges_and_of_other_roots():
    extra = ("-device", "pcie-root-port,id=rp,chassis=1,slot=1,bus=pcie.0,multifunction=on,addr=4",
             "-device", "pcie-root-port,id=rq,chassis=2,slot=2,bus=pcie.0,addr=4.1",
             "-device", "x3130-upstream,id=up,bus=rp",
             "-device", "xio3130-downstream,id=down,bus=up,chassis=3,slot=3",
             "-device", "edu,bus=down",
             "-device", "pxb-pcie,id=pxb,bus_nr=128,bus=pcie.0",
             "-device", "pcie-root-port,id=rx,chassis=4,slot=4,bus=pxb",
             "-device", "edu,bus=rx")
    with machine(extra=extra) as vm:
        vm.expect("damselfly> ")
        said = typed(vm, "lspci")
        assert re.search(r"^03:00.0 Unclassified device \[00ff\]: 1234:11e8", said, re.M)
        assert re.search(r"^00:04.1 PCI bridge \[0604\]: ", said, re.M)
        assert re.search(r"^80:00.0 PCI bridge \[0604\]: ", said, re.M)
        assert re.search(r"^81:00.0 Unclassified device \[00ff\]: 1234:11e8", said, re.M)
        assert said.count(" edu") == 2


@pytest.mark.parametrize(("kind", "cpus"), [("q35", 1), ("q35", 4), ("pc", 2)])
def test_a_driver_of_a_hundred_lines(kind, cpus):
    with machine(machine=kind, cpus=cpus, extra=("-device", "edu")) as vm:
        vm.expect("edu: attached")
        vm.expect("damselfly> ")
        vm.send("test edu_computes_and_copies\r")
        vm.expect("14 interrupts")
        vm.expect("ok edu_computes_and_copies")


def test_plugged_in_and_asked_out():
    with machine(cpus=2, extra=PORT) as vm:
        vm.expect("damselfly> ")
        for ident in ("one", "two", "three"):
            vm.plug("edu", ident, bus="port0")
            vm.expect("pci: slot 7: filled")
            vm.expect("edu: attached")
            vm.send("test edu_computes_and_copies\r")
            vm.expect("14 interrupts")
            vm.expect("damselfly> ")
            assert " edu" in typed(vm, "lspci")
            vm.unplug(ident)
            vm.expect("edu: detached")
            assert " edu" not in typed(vm, "lspci")


def test_disks_are_told_before_the_power_goes(tmp_path):
    """NVMe's normal shutdown; FLUSH CACHE EXT and STANDBY IMMEDIATE of an ATA disk."""
    log = tmp_path / "trace.log"
    extra = ["-D", str(log), "-trace", "pci_nvme_mmio_shutdown_*", "-trace", "ide_exec_cmd"]
    for disk, device in (("n", "nvme,serial=n"), ("a", "ide-hd,bus=ahci.0")):
        extra += ["-drive", f"if=none,id={disk},driver=null-co,size=1M",
                  *(("-device", "ahci,id=ahci") if disk == "a" else ()),
                  "-device", f"{device},drive={disk}"]
    with machine(extra=extra) as vm:
        vm.expect("damselfly> ")
        vm.send("poweroff\r")
        assert vm.wait_exit() == 0
    assert re.findall(r"cmd (0x\w+)|shutdown bit (\w+)", log.read_text())[-4:] == [
        ("0xea", ""), ("0xe0", ""), ("", "set"), ("", "cleared")]
