# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of disk drivers under QEMU share: numbered disks, commands, what a read costs."""
from __future__ import annotations

import re
from pathlib import Path

from tests.harness.build import suite_image
from tests.harness.machine import Machine

BLOCK = 4096
_AT_ONCE = 256
_COUNTED = ("-blockdev", "driver=null-co,node-name=d,size=1073741824,read-zeroes=off")


def write_numbered(path: Path, blocks: int) -> Path:
    """A disk whose blocks of 4 KiB begin with their numbers; `blocks` is a multiple of 256."""
    with path.open("wb") as file:
        for first in range(0, blocks, _AT_ONCE):
            file.write(b"".join(number.to_bytes(8, "little").ljust(BLOCK, b"\0")
                                for number in range(first, first + _AT_ONCE)))
    return path


def run(*commands: str, extra: list[str], cpus: int = 2, append: str = "",
        timeout: float = 60) -> str:
    """What the tests of the image print."""
    with Machine(suite_image(), cpus=cpus, append=f"panic=off {append}", extra=extra,
                 timeout=timeout) as vm:
        for command in commands:
            vm.expect("damselfly> ")
            vm.send(f"{command}\r")
        vm.expect("damselfly> ")
        vm.send("poweroff\r")
        assert vm.wait_exit() == 0
        return vm.console.text


def reads(said: str) -> list[tuple[str, int, int, int]]:
    """(disk, reads, errors, wrong) as the load of all CPUs printed them."""
    return [(m[1], int(m[2]), int(m[3]), int(m[4])) for m in
            re.finditer(r"((?:nvme|da|cd)\d+) (\d+) reads (\d+) errors (\d+) wrong", said)]


def cost(*flags: str, device: list[str]) -> dict[str, tuple[int, bool]]:
    """By depth, "qd1" and "qd32": instructions a read of 4 KiB, and whether the CPU fell idle
    between two reads; of a kernel built with `flags`, where `device` are QEMU's words for a disk
    with the drive `d`.  How fast the host answers decides the latter."""
    with Machine(suite_image(*flags), icount=True, append="panic=off",
                 extra=[*_COUNTED, *device]) as vm:
        vm.expect("damselfly> ")
        vm.send("test disk_cost\r")
        vm.expect("ok disk_cost")
        found = re.findall(r"(qd\d+) (\d+) (\d+)", vm.console.text)
    return {depth: (int(count), idle != "0") for depth, count, idle in found}
