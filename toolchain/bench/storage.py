# SPDX-License-Identifier: BSD-3-Clause
"""What disks give through our drivers, beside Linux's, under the same QEMU in the same run.

tests/guest/disk_figures.py and peer/init.c make the same requests: random reads of 4 KiB at depth 1
and 32, sequential ones of 128 KiB at depth 4, from one CPU and from two, of a file that is in the
host's memory.  Each guest takes the time itself.  The machine is QEMU's under TCG; wall time, so
never a limit.
"""
from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.harness.build import suite_image
from toolchain.bench import linux
from toolchain.bench.nucleus import Row
from toolchain.image import qemu

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "bench"
DISK = FOLDER / "disk.img"
COMMANDS = FOLDER / "commands"
DISK_BYTES = 256 << 20
FIGURE = re.compile(r"^\x02?figure (\S+) (\S+) (\d+) (\d+) (\d+)\r?$", re.MULTILINE)
BYTES = {"random_4k_depth_1": 4096, "random_4k_depth_32": 4096,
         "sequential_128k_depth_4": 131072}
BUS_OF = {"nvme0": "NVMe", "nvme0n1": "NVMe", "da0": "AHCI", "sda": "AHCI"}
BUSES = ("nvme", "ahci")
RUNS = 3
BLOCKS = 65536


def measure() -> list[Row]:
    """Rows of bench.json: requests a second, and MB/s; the peer is Linux."""
    _make_disk()
    COMMANDS.write_text("test disk_figures\n")
    ours, theirs = {}, {}
    image = suite_image("--release")
    try:
        peer = linux.kernel()
    except linux.MissingError as why:
        print(why)
        peer = None
    for cpus in (1, 2):
        for _ in range(RUNS):
            _keep_best(ours, _run(_damselfly(image, cpus)))
            if peer:
                _keep_best(theirs, _run(_linux(*peer, cpus)))
    return [_row(key, value, theirs.get(key)) for key, value in ours.items()]


def _make_disk() -> None:
    """Data that is not zeros, so that blocks are really read."""
    if DISK.exists() and DISK.stat().st_size == DISK_BYTES:
        return
    DISK.parent.mkdir(parents=True, exist_ok=True)
    with DISK.open("wb") as file:
        for number in range(DISK_BYTES // 4096):
            file.write(number.to_bytes(8, "little") * 512)


def _disks() -> list[qemu.Drive]:
    return [qemu.Drive(bus, DISK) for bus in BUSES]


def _damselfly(image: Path, cpus: int) -> list[str]:
    return _command(image=image, cpus=cpus, append=f"panic=off blocks={BLOCKS}",
                    exec_file=COMMANDS)


def _linux(image: Path, initrd: Path, cpus: int) -> list[str]:
    return _command(image=image, cpus=cpus, cpu=linux.CPU, mem="512M", exit_device=False,
                    append=f"{linux.APPEND} blocks={BLOCKS}", extra=["-initrd", str(initrd)])


def _command(**options) -> list[str]:
    command = qemu.command(qemu.Options(disks=_disks(), **options))
    return [word.replace("format=raw,", "format=raw,snapshot=on,")
            if word.startswith("if=none") else word for word in command]


def _run(command: list[str]) -> dict[tuple[str, str, int], float]:
    """Requests a second, by bus, kind of read and CPUs."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as guest:
        said = ""
        assert guest.stdout is not None
        for line in guest.stdout:
            said += line
            if line.startswith("figures end"):
                break
        guest.kill()
    found = {(BUS_OF[disk], kind, int(cpus)): int(count) * 1e6 / int(us)
             for disk, kind, cpus, count, us in FIGURE.findall(said)}
    if not found:
        raise RuntimeError("the guest measured nothing; it said:\n" + said[-2000:])
    return found


def _keep_best(best: dict, found: dict) -> None:
    for key, value in found.items():
        best[key] = max(value, best.get(key, 0))


def _row(key: tuple[str, str, int], value: float, peer: float | None) -> Row:
    bus, kind, cpus = key
    unit, scale = ("MB/s", BYTES[kind] / 1e6) if kind.startswith("seq") else ("reads/s", 1.0)
    return {"name": f"{bus} {kind.replace('_', ' ')}, {cpus} CPU{'s' * (cpus > 1)}",
            "value": value * scale, "unit": unit, "peer": "Linux" if peer else "",
            "peer_value": peer * scale if peer else None, "ratio": value / peer if peer else None}
