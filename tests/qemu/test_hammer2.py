# SPDX-License-Identifier: BSD-3-Clause
"""Real HAMMER2 volumes, through the real drivers, against their manifests."""
from __future__ import annotations

import datetime
import os
import subprocess
from functools import cache

import pytest

from tests.harness import volumes
from tests.harness.build import kernel_image

BUSES = ["nvme", "ahci"]
DEVICE = {"nvme": "/dev/nvme", "ahci": "/dev/da"}
LETTER = {"dir": "d", "file": "-", "symlink": "l", "fifo": "p", "chardev": "c", "blockdev": "b",
          "socket": "s"}
SEPARATOR = b"----\n"


@cache
def outputs(name: str, bus: str) -> dict[str, tuple[bytes, bytes, bytes]]:
    """What the guest says of each label: stat -r, sha256 -r, and umount."""
    found = volumes.sets()[name]
    images = found.images()
    devices = ":".join(f"{DEVICE[bus]}{n}" for n in range(len(images)))
    lines = []
    for label in found.labels:
        lines += [f"mount -t hammer2 {devices}@{label} /mnt", "stat -r /mnt", "echo ----",
                  "sha256 -r /mnt", "echo ----", "umount /mnt", "echo ----"]
    disks = [flag for image in images for flag in ("--disk", f"{bus}:{image}")]
    done = subprocess.run(
        ["scripts/run", "--image", str(kernel_image()), "--cpus", "4", "--timeout", "300", *disks,
         "--exec", "\n".join(lines)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace") + done.stdout[-2000:].decode(
        errors="replace")
    parts = done.stdout.split(SEPARATOR)
    assert len(parts) == 3 * len(found.labels) + 1
    return {label: (parts[3 * i], parts[3 * i + 1], parts[3 * i + 2])
            for i, label in enumerate(found.labels)}


def time_of(us: int) -> bytes:
    moment = datetime.datetime.fromtimestamp(us // 1_000_000, datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S").encode()


def stat_line(entry: dict) -> bytes:
    """The line of `stat -r` for an entry of a manifest."""
    size = entry.get("size", 0)
    line = (f"{LETTER[entry['type']]} {entry['inum']} {int(entry['mode'], 8):04o} "
            f"{entry['nlink']} {entry['uid']} {entry['gid']} {size} ").encode()
    line += time_of(entry["mtime_us"]) + b" /mnt/" + volumes.path_of(entry)
    if entry["type"] == "symlink":
        line += b" -> " + os.fsencode(entry["target"])
    return line


SETS = sorted(volumes.sets())


@pytest.mark.parametrize("bus", BUSES)
@pytest.mark.parametrize("name", SETS)
def test_every_entry_is_as_the_manifest_says(name, bus):
    for label, entries in volumes.sets()[name].labels.items():
        said, _, _ = outputs(name, bus)[label]
        wanted = {stat_line(entry) + b"\n" for entry in entries}
        missing = [line for line in wanted if line not in said]     # a name may have a newline
        assert missing == [] and len(said) == sum(len(line) for line in wanted)


@pytest.mark.parametrize("bus", BUSES)
@pytest.mark.parametrize("name", SETS)
def test_every_file_has_the_hash_of_the_manifest(name, bus):
    for label, entries in volumes.sets()[name].labels.items():
        _, said, unmounted = outputs(name, bus)[label]
        wanted = {entry["sha256"].encode() + b"  /mnt/" + volumes.path_of(entry) + b"\n"
                  for entry in entries if entry["type"] == "file"}
        assert len(said) == sum(len(line) for line in wanted)
        assert all(line in said for line in wanted)
        assert unmounted == b""
