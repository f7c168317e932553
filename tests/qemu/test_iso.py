# SPDX-License-Identifier: BSD-3-Clause
"""The boot medium starts the kernel from BIOS and from UEFI."""

from pathlib import Path

import pytest

from tests.harness import Machine, probe
from tests.harness.build import kernel_image
from toolchain.image.iso import IsoError, make_iso

OVMF = Path("/usr/share/ovmf/OVMF.fd")
"""UEFI firmware, as Debian's and Ubuntu's package ovmf installs it."""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def medium(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("iso")
    steps = (probe.prints("started from CD\n"), probe.exits(7))
    kernel = probe.build(folder / "kernel.elf", asm=probe.kmain(*steps)).output
    return kernel, make_iso(kernel, folder / "test.iso")


@pytest.mark.parametrize("firmware", [None, OVMF], ids=["bios", "uefi"])
def test_medium_boots(medium, firmware):
    kernel, iso = medium
    with Machine(kernel, cdrom=iso, firmware=firmware, mem="512M") as vm:
        vm.expect("started from CD")
        assert vm.wait_exit() == 7


def test_missing_kernel_and_missing_tools_are_named(tmp_path, monkeypatch):
    with pytest.raises(IsoError, match="no such file"):
        make_iso(tmp_path / "none", tmp_path / "out.iso")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(IsoError, match="grub-mkrescue, xorriso, mformat not installed"):
        make_iso(tmp_path / "none", tmp_path / "out.iso")


@pytest.mark.parametrize("machine", ["q35", "pc"])
@pytest.mark.parametrize("firmware", [None, OVMF], ids=["bios", "uefi"])
def test_the_kernel_reaches_its_prompt_on_all_cpus(tmp_path, firmware, machine):
    iso = make_iso(kernel_image(), tmp_path / "kernel.iso")
    with Machine(kernel_image(), cdrom=iso, firmware=firmware, machine=machine, cpus=4,
                 mem="512M") as vm:
        vm.expect("cpus: 4 of 4 are running")
        vm.expect("damselfly> ")
        vm.send("poweroff\r")
        assert vm.wait_exit() == 0
