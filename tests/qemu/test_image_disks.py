# SPDX-License-Identifier: BSD-3-Clause
"""Disks with each kind of table, as lsblk shows them; paths by serial number; damaged tables."""
from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.build import kernel_image
from tests.harness.partitions import DRAGONFLY, EXTENDED, chain, disklabel64, mbr, written
from toolchain.driver import main
from toolchain.image import gpt
from toolchain.image.gpt import HAMMER, HAMMER2, LABEL64, SWAP, Partition

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
SIZE = 64 * MIB
GPT = [Partition(MIB, 8 * MIB, SWAP, "swap"), Partition(9 * MIB, 3 * MIB, HAMMER2, "ROOT"),
       Partition(16 * MIB, 40 * MIB, LABEL64, "label")]
LABEL = [(MIB, 4 * MIB, HAMMER), (0, 0, SWAP), (8 * MIB, 16 * MIB, HAMMER2)]


def run(disks: dict[str, Path], *commands: str, bus: str = "nvme") -> str:
    words = [word for serial, file in disks.items()
             for word in ("--disk", f"{bus}:{file},serial={serial}")]
    done = subprocess.run(
        [ROOT / "scripts/run", "--image", kernel_image(), "--cpus", "2", "--timeout", "60", *words,
         "--exec", "\n".join(commands)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listing(said: str) -> dict[str, tuple[int, int, str]]:
    """(start, size, type) by name, of lsblk."""
    found = {}
    for line in said.splitlines()[1:]:
        name, size, _, start, *kind = line.split()
        found[name] = int(start), int(size), " ".join(kind)
    return found


def damaged(file: Path, *places: int) -> Path:
    with file.open("r+b") as data:
        for at in places:
            data.seek(at)
            byte = data.read(1)
            data.seek(at)
            data.write(bytes([byte[0] ^ 1]))
    return file


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A disk of each kind, by serial number, in order."""
    folder = tmp_path_factory.mktemp("disks")
    tables = gpt.tables(SIZE, GPT, "sample")
    label = disklabel64(40 * MIB, LABEL, at=16 * MIB)
    return {
        "gpt": written(folder / "gpt", SIZE, [*tables, *label]),
        "mbr": written(folder / "mbr", SIZE, [
            *mbr([(0x83, 2048, 4096), (DRAGONFLY, 8192, 65536), (EXTENDED, 80000, 40000)]),
            *chain(80000, [(0x83, 80064, 1000), (0x82, 90000, 2000), (0x07, 100000, 3000)]),
            *disklabel64(32 * MIB, LABEL, at=8192 * 512)]),
        "label": written(folder / "label", SIZE, disklabel64(SIZE, LABEL)),
        "first": damaged(written(folder / "first", SIZE, tables), 512 + 40),
        "entries": damaged(written(folder / "entries", SIZE, tables), 1024 + 60),
        "both": damaged(written(folder / "both", SIZE, tables), 512 + 40, SIZE - 512 + 40),
        "bare": written(folder / "bare", SIZE, []),
    }


@pytest.fixture(scope="module")
def seen(samples):
    return listing(run(samples, "lsblk"))


def parts(seen, disk: str) -> dict[str, tuple[int, int, str]]:
    return {name.removeprefix(disk): what for name, what in seen.items()
            if name.startswith(disk) and name != disk}


GPT_PARTS = {f"s{n}": (part.offset, part.size, part.type) for n, part in enumerate(GPT)}


def label_parts(start: int) -> dict[str, tuple[int, int, str]]:
    return {letter: (start + offset, size, kind)
            for letter, (offset, size, kind) in zip("abc", LABEL, strict=True) if size}


def test_gpt_with_a_label_in_a_partition(seen):
    inner = {f"s2{letter}": what for letter, what in label_parts(16 * MIB).items()}
    assert parts(seen, "nvme0") == GPT_PARTS | inner


def test_mbr_with_logical_slices_and_a_label(seen):
    found = parts(seen, "nvme1")
    assert {name: what for name, what in found.items() if name.startswith("s2")} == {
        "s2": (8192 * 512, 65536 * 512, "MBR 0x6c"),
        **{f"s2{letter}": what for letter, what in label_parts(8192 * 512).items()}}
    assert {name: what for name, what in found.items() if not name.startswith("s2")} == {
        "s1": (2048 * 512, 4096 * 512, "MBR 0x83"),
        "s5": (80064 * 512, 1000 * 512, "MBR 0x83"),
        "s6": (90000 * 512, 2000 * 512, "MBR 0x82"),
        "s7": (100000 * 512, 3000 * 512, "MBR 0x07")}


def test_a_label_on_the_whole_disk(seen):
    assert parts(seen, "nvme2") == label_parts(0)


@pytest.mark.parametrize("disk", ["nvme3", "nvme4"])
def test_a_damaged_first_table_falls_back_to_the_last(seen, disk):
    assert parts(seen, disk) == GPT_PARTS


@pytest.mark.parametrize("disk", ["nvme5", "nvme6"])
def test_without_a_good_table_there_is_the_disk(seen, disk):
    assert disk in seen and parts(seen, disk) == {}


def test_serial_numbers_find_disks_wherever_they_are(samples, tmp_path):
    """The same disks in another order, and at another controller; a file system is found by its
    disk's number."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"found\n")
    disk = tmp_path / "disk.img"
    assert main(["image", "build", str(tmp_path / "in"), "-o", str(disk), "--gpt", "-q"]) == 0
    commands = ["ls /dev/serno", "mount /dev/serno/h2.s0@ROOT /mnt", "cat /mnt/file"]
    ordered = {"h2": disk, "gpt": samples["gpt"], "mbr": samples["mbr"]}
    said = run(ordered, *commands)
    assert said.endswith("found\n")
    assert {"h2", "h2.s0", "gpt", "gpt.s2", "gpt.s2a", "mbr.s2c", "mbr.s7"} <= set(said.split())
    assert sorted(run(dict(reversed(ordered.items())), *commands).split()) == sorted(said.split())
    assert run(ordered, *commands, bus="ahci") == said


def test_of_two_disks_with_one_number_both_are_there(samples):
    files = [samples["gpt"], samples["label"]]
    words = [word for file in files for word in ("--disk", f"nvme:{file},serial=same")]
    done = subprocess.run(
        [ROOT / "scripts/run", "--image", kernel_image(), "--timeout", "60", *words, "--exec",
         "ls /dev/serno"], capture_output=True, text=True, check=False)
    names = done.stdout.split()
    assert "same.s0" in names and "same~2.a" in names
    assert re.findall(r"same\S*", done.stdout) == sorted(names)
