# SPDX-License-Identifier: BSD-3-Clause
"""What disks give through our drivers, beside Linux's, under the same QEMU in the same run.

tests/guest/disk_figures.py and peer/init.c make the same requests: random reads of 4 KiB at depth 1
and 32, sequential ones of 128 KiB at depth 4, from one CPU and from two, of a file that is in the
host's memory.  Each guest takes the time itself.  What files cost on top has no peer: Linux does
not read HAMMER2.  The machine is QEMU's under TCG; wall time, so
never a limit.
"""
from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.harness.build import kernel_image, suite_image
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
TEXT_BYTES = 32 << 20


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
    return [_row(key, value, theirs.get(key)) for key, value in ours.items()] + files()


def files() -> list[Row]:
    """What HAMMER2 costs on top: a cold file, a cold name, a directory of 5,000 files.

    The volume is ours, made of text that LZ4 halves, and read by a kernel on two CPUs from NVMe.
    """
    folder = FOLDER / "tree"
    if not folder.is_dir():
        _make_files(folder)
    volume = FOLDER / "files.img"
    subprocess.run([sys.executable, "-m", "toolchain", "image", "build", str(folder), "-o",
                    str(volume), "--if-changed"], cwd=ROOT, check=True, capture_output=True)
    COMMANDS.write_text("mount -t hammer2 nvme0@ROOT /mnt\ntime wc -c /mnt/text\n"
                        "time wc -c /mnt/text\ntime cat /mnt/many/nothing\n"
                        "time cat /mnt/many/nothing\ntime sha256 -r /mnt/many\n")
    best = [float("inf")] * 5
    for _ in range(RUNS):
        command = qemu.command(qemu.Options(
            image=kernel_image("--release"), cpus=2, append="panic=off", exec_file=COMMANDS,
            disks=[qemu.Drive("nvme", volume)]))
        said = subprocess.run(command, capture_output=True, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, check=False, timeout=300).stdout
        times = [int(us) for us in re.findall(r"^(\d+) us\r?$", said, re.MULTILINE)]
        if len(times) != len(best):
            raise RuntimeError("the guest did not read the volume; it said:\n" + said[-2000:])
        best = [min(old, new) for old, new in zip(best, times, strict=True)]
    cold, warm, name_cold, name_warm, hashed = best
    return [_alone("HAMMER2 sequential read of LZ4 data", TEXT_BYTES / cold, "MB/s"),
            _alone("the same from buffers", TEXT_BYTES / warm, "MB/s"),
            _alone("HAMMER2 cat of an empty file, path cold", name_cold, "us"),
            _alone("the same, path in the namecache", name_warm, "us"),
            _alone("sha256 -r of 5,000 files", hashed / 1000, "ms")]


def _make_files(folder: Path) -> None:
    """A text of words that repeat as in a language, and many small files."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "many").mkdir(parents=True)
    chance = random.Random(1)
    words = [bytes(chance.choices(range(97, 123), k=chance.randint(2, 9))) for _ in range(4000)]
    text = b" ".join(chance.choices(words, weights=range(4000, 0, -1), k=TEXT_BYTES // 6))
    (partial / "text").write_bytes(text.ljust(TEXT_BYTES, b".")[:TEXT_BYTES])
    (partial / "many" / "nothing").write_bytes(b"")     # cat of it costs its lookup, and no line
    for number in range(4999):
        (partial / "many" / f"n{number}").write_bytes(b"%d\n" % number * 100)
    partial.rename(folder)


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


def _alone(name: str, value: float, unit: str) -> Row:
    return {"name": f"{name}, 2 CPUs", "value": value, "unit": unit, "peer": "",
            "peer_value": None, "ratio": None}


def _row(key: tuple[str, str, int], value: float, peer: float | None) -> Row:
    bus, kind, cpus = key
    unit, scale = ("MB/s", BYTES[kind] / 1e6) if kind.startswith("seq") else ("reads/s", 1.0)
    return {"name": f"{bus} {kind.replace('_', ' ')}, {cpus} CPU{'s' * (cpus > 1)}",
            "value": value * scale, "unit": unit, "peer": "Linux" if peer else "",
            "peer_value": peer * scale if peer else None, "ratio": value / peer if peer else None}
