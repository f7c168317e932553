# SPDX-License-Identifier: BSD-3-Clause
"""Forged volumes on the bare-metal kernel: mounted, listed, read, shown; the kernel goes on.

The driver's inner half meets thousands of them on the host (tests/unit/fs/hammer2/fuzz.py); here a
few go all the way, through disks, workers, vnodes, the namecache and the commands.
"""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.harness import volumes
from tests.harness.build import kernel_image
from tests.unit.fs.hammer2.image import INDIRECT, INODE, Image
from tests.unit.fs.hammer2.mutate import Mutator

AT_ONCE = 10
MIXED = "s11-mixed-methods"
SOME = [("s01-bare", 1), (MIXED, 1)]
MANY = [(name, seed) for name in volumes.sets() for seed in range(2, 6) if "2vol" not in name]


def _patched(source: Path, copy: Path, pages: dict[int, bytes]) -> Path:
    subprocess.run(["cp", "--sparse=always", source, copy], check=True)
    with copy.open("r+b") as file:
        for at, data in pages.items():
            file.seek(at)
            file.write(data)
    return copy


def _read_all(disks: list[Path]) -> str:
    """What the kernel says while it reads all that can be read of each."""
    lines = []
    for number in range(len(disks)):
        device = f"/dev/nvme{number}"
        lines.append(f"hammer2 show {device}")
        for label in ("LOCAL", "DATA"):
            lines += [f"mount -t hammer2 {device}@{label} /mnt", "stat -r /mnt", "sha256 -r /mnt",
                      "umount /mnt"]
    lines += ["mount", "echo alive"]
    done = subprocess.run(
        ["scripts/run", "--image", str(kernel_image()), "--cpus", "4", "--timeout", "300",
         *(word for disk in disks for word in ("--disk", f"nvme:{disk}")),
         "--exec", "\n".join(lines)], capture_output=True, check=False)
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, done.stderr.decode(errors="replace") + said[-2000:]
    assert said.endswith("alive\n")
    assert "type hammer2" not in said, "a volume could not be unmounted"
    return said


def _mutants(name: str, seed: int, folder: Path) -> list[Path]:
    source = volumes.named(name).images()[0]
    mutator = Mutator(volumes.mapped(source), seed)
    made = []
    for number in range(AT_ONCE):
        mutator.mutate()
        made.append(_patched(source, folder / f"{number}.img", mutator.difference()))
        mutator.undo()
    return made


@pytest.mark.parametrize(("name", "seed"), [
    *SOME, *(pytest.param(*case, marks=pytest.mark.long) for case in MANY)])
def test_the_kernel_survives(name, seed, tmp_path):
    _read_all(_mutants(name, seed, tmp_path))


@pytest.mark.parametrize("kind", [INODE, INDIRECT])
def test_a_tree_with_a_loop_ends(kind, tmp_path):
    source = volumes.named(MIXED).images()[0]
    data = volumes.mapped(source)
    clean = bytes(data)
    image = Image(data)
    block = next(b for b in image.blocks() if b.type == INDIRECT)
    ref = next(r for r in image.array(block) if data[r])
    wanted = block if kind == INDIRECT else next(b for b in image.blocks() if b.type == INODE)
    image.put(ref, 1, kind)
    image.put(ref + 1, 1, 0)
    image.put(ref + 3, 1, block.keybits - 1 if kind == INDIRECT else 0)
    image.put(ref + 0x20, 8, wanted.offset | wanted.size.bit_length() - 1)
    image.put(block.ref + 1, 1, 0)
    image.mend(block)
    pages = {at: data[at:at + 4096] for at in range(0, len(clean), 4096)
             if data[at:at + 4096] != clean[at:at + 4096]}
    said = _read_all([_patched(source, tmp_path / "loop.img", pages)])
    assert "it hangs below itself" in said
