# SPDX-License-Identifier: BSD-3-Clause
"""Each CPU reads a gigabyte of a disk, 32 blocks at a time, and each block is the one asked for."""
from __future__ import annotations

import pytest

from tests.harness import Machine
from tests.harness.build import suite_image
from tests.harness.disks import write_numbered
from toolchain.image import qemu

BLOCKS = 1 << 18            # a power of two: the order of the test then comes by each block once


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """A gigabyte whose blocks begin with their numbers."""
    return write_numbered(tmp_path_factory.mktemp("gigabyte") / "numbered.img", BLOCKS)


@pytest.mark.long
@pytest.mark.parametrize("cpus", [2, 4])
@pytest.mark.parametrize(("bus", "disk"), [("nvme", "nvme0"), ("ahci", "da0")])
def test_every_block_of_a_gigabyte(numbered, bus, disk, cpus):
    with Machine(suite_image(), cpus=cpus, append=f"panic=off blocks={BLOCKS}",
                 disks=[qemu.Drive(bus, numbered)], timeout=500) as vm:
        vm.expect("damselfly> ")
        vm.send("test disk_load_on_all_cpus\r")
        vm.expect("ok disk_load_on_all_cpus\n")
        assert f"{disk} {BLOCKS * cpus} reads 0 errors 0 wrong" in vm.console.text
