# SPDX-License-Identifier: BSD-3-Clause
"""One wrong bit in each kind of block of real volumes, read through the real driver.

Each case is a disk: a copy of a volume with a bit of one block turned.  `hammer2 show` has to name
the block; what can be read after mount has to be as the manifest says.
"""
from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.harness import volumes
from tests.harness.build import kernel_image
from tests.unit.fs.hammer2.image import (
    DATA,
    DIRENT,
    FREEMAP_LEAF,
    INDIRECT,
    INODE,
    KIND,
    Block,
    Image,
)

MIXED, LONG_NAMES = "s11-mixed-methods", "s08-zlib-sha192"
CODES = {2: "iSCSI CRC32", 3: "xxHash64", 4: "SHA-192", 5: "freemap"}
BLOCKS = [case for case in [
    *((MIXED, kind, code) for kind in (INODE, INDIRECT, DATA) for code in (2, 3, 4)),
    (MIXED, FREEMAP_LEAF, 5), (LONG_NAMES, DIRENT, 4)] if case[0] in volumes.sets()]
HEADER = [0x10, 0x220, 0x8000]      # in each of the parts that have a CRC of their own
SEPARATOR = b"----\n"


@dataclass
class Seen:
    """What the guest says of a damaged disk."""
    block: Block | None
    show: bytes
    hashes: bytes


def _chosen(image: Image, kind: int, code: int) -> Block:
    """A block of a kind, with a kind of check code."""
    found = [b for b in image.blocks(freemap=True)
             if b.type == kind and b.methods >> 4 == code and b.size]
    return random.Random(kind * 8 + code).choice(found)


def _turn(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << at % 8]))


@cache
def seen(folder: Path) -> list[Seen]:
    """All cases, in the order of BLOCKS and HEADER; the kernel runs once."""
    blocks, disks, lines = [], [], []
    for number, (name, *what) in enumerate([*BLOCKS, *((MIXED, at) for at in HEADER)]):
        source, copy = volumes.named(name).images()[0], folder / f"{number}.img"
        subprocess.run(["cp", "--sparse=always", source, copy], check=True)
        block = _chosen(Image(volumes.mapped(source)), *what) if len(what) == 2 else None
        _turn(copy, what[0] if block is None else block.offset + number % block.size)
        blocks.append(block)
        disks += ["--disk", f"nvme:{copy}"]
        device = f"/dev/nvme{number}"
        lines += [f"hammer2 show {device}", "echo ----", f"mount -t hammer2 {device}@DATA /mnt",
                  "sha256 -r /mnt", "umount /mnt", "echo ----"]
    done = subprocess.run(
        ["scripts/run", "--image", str(kernel_image()), "--cpus", "2", "--timeout", "300", *disks,
         "--exec", "\n".join(lines)], capture_output=True, check=False)
    parts = done.stdout.split(SEPARATOR)
    assert len(parts) == 2 * len(blocks) + 1, done.stderr.decode(errors="replace")
    return [Seen(block, parts[2 * i], parts[2 * i + 1]) for i, block in enumerate(blocks)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("damage")


@pytest.mark.parametrize("case", range(len(BLOCKS)), ids=[
    f"{KIND[kind]}, {CODES[code]}" for _, kind, code in BLOCKS])
def test_a_wrong_bit_is_found_and_named_and_all_else_is_read(folder, case):
    name, kind, _ = BLOCKS[case]
    found = seen(folder)[case]
    media = found.block.offset | found.block.size.bit_length() - 1
    failed = [line for line in found.show.splitlines()
              if line.endswith(b" failed") and b"blockrefs" not in line]
    assert failed != [] and all(f" {media:016x} ".encode() in line for line in failed)
    entries = volumes.sets()[name].labels["DATA"]
    wanted = {entry["sha256"].encode() + b"  /mnt/" + volumes.path_of(entry) + b"\n"
              for entry in entries if entry["type"] == "file"}
    read = {line for line in wanted if line in found.hashes}
    if kind == FREEMAP_LEAF:
        assert read == wanted
    else:
        assert f"hammer2: block {media:#x} ".encode() in found.hashes
        assert b"has a wrong check code" in found.hashes and len(read) < len(wanted)
    assert found.hashes.count(b"  /mnt/") == len(read)


@pytest.mark.parametrize("case", range(len(HEADER)), ids=["first 512", "second 512", "whole"])
def test_a_wrong_bit_in_the_only_header_is_found(folder, case):
    found = seen(folder)[len(BLOCKS) + case]
    assert b"topology" not in found.show and found.show.startswith(b"hammer2: ")
    assert b"/mnt/" not in found.hashes
