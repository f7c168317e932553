# SPDX-License-Identifier: BSD-3-Clause
"""A volume that we made, mounted by the kernel: every file is as in the folder it was made of."""
from __future__ import annotations

import datetime
import hashlib
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests.harness import Machine
from tests.harness.build import kernel_image
from tests.toolchain.image_folders import everything
from toolchain.driver import main
from toolchain.image import qemu
from toolchain.image.hammer2.reader import Volumes

ROOT = Path(__file__).resolve().parents[2]
LETTER = {stat.S_IFDIR: "d", stat.S_IFREG: "-", stat.S_IFLNK: "l", stat.S_IFIFO: "p"}
SEPARATOR = b"----\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("everything"), sparse=20 << 20)


@pytest.fixture(scope="module")
def disk(folder, tmp_path_factory):
    image = tmp_path_factory.mktemp("disk") / "root.img"
    assert main(["image", "build", str(folder), "-o", str(image), "--gpt", "-q",
                 "--snapshot", "before"]) == 0
    return image


def run(disk: Path, commands: list[str], *more: str) -> bytes:
    done = subprocess.run(
        [ROOT / "scripts/run", "--image", kernel_image(), "--root", disk, "--cpus", "4",
         "--timeout", "120", *more, "--exec", "\n".join(commands)], capture_output=True,
        check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def numbers(disk: Path) -> dict[bytes, int]:
    """Inode numbers by path."""
    found = {}
    with Volumes([disk]) as volumes:
        inodes = volumes.inodes(volumes.label(b"ROOT"))
        todo = [(b"", 1)]
        while todo:
            place, inum = todo.pop()
            for entry in volumes.entries(inodes[inum]):
                found[place + entry.name] = entry.inum
                if entry.type == 1:
                    todo.append((place + entry.name + b"/", entry.inum))
    return found


def expected(folder: Path, inum: dict[bytes, int]) -> tuple[list[bytes], list[bytes]]:
    """The lines of stat -r and of sha256 -r, by what the host says."""
    top, stats, hashes = os.fsencode(folder), [], []
    for place, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            short, seen = path[len(top) + 1:], os.lstat(path)
            kind = stat.S_IFMT(seen.st_mode)
            directory = kind == stat.S_IFDIR
            when = datetime.datetime.fromtimestamp(int(seen.st_mtime), datetime.UTC)
            line = (f"{LETTER[kind]} {inum[short]} {stat.S_IMODE(seen.st_mode):04o} "
                    f"{1 if directory else seen.st_nlink} {seen.st_uid} {seen.st_gid} "
                    f"{0 if directory else seen.st_size} {when:%Y-%m-%d %H:%M:%S} ").encode()
            line += b"/mnt/" + short
            if kind == stat.S_IFLNK:
                line += b" -> " + os.readlink(path)
            stats.append(line + b"\n")
            if kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                hashes.append(digest.encode() + b"  /mnt/" + short + b"\n")
    return stats, hashes


def test_every_file_is_as_in_the_folder(folder, disk):
    said = run(disk, ["stat -r /mnt", "echo ----", "sha256 -r /mnt", "echo ----", "umount /mnt",
                      "mount /dev/serno/root.s0@before /mnt", "sha256 -r /mnt"])
    stats, hashes, again = said.split(SEPARATOR)
    wanted_stats, wanted_hashes = expected(folder, numbers(disk))
    for lines, got in ((wanted_stats, stats), (wanted_hashes, hashes), (wanted_hashes, again)):
        assert [line for line in lines if line not in got] == []    # a name may have a newline
        assert len(got) == sum(map(len, lines))


@pytest.mark.parametrize(("append", "line"), [
    ("", "mounted: /dev/serno/root.s0@ROOT on /mnt"),
    ("mount=hammer2:/dev/serno/root.s0@before:/tmp", "mounted: /dev/serno/root.s0@before on /tmp"),
    ("mount=hammer2:/dev/serno/root.s0@NO:/mnt",
     "not mounted: /dev/serno/root.s0@NO on /mnt: no such file or directory"),
    ("mount=hammer2:/dev/nvme7@ROOT:/mnt",
     "not mounted: /dev/nvme7@ROOT on /mnt: no such file or directory"),
    ("mount=hammer2:/dev/serno/root@ROOT:/mnt", "not mounted: /dev/serno/root@ROOT on /mnt: "),
    ("mount=ext4:/dev/nvme0:/mnt", "not mounted: /dev/nvme0 on /mnt: "),
    ("mount=hammer2:/dev/serno/root.s0@ROOT:/no", "not mounted: /dev/serno/root.s0@ROOT on /no: "),
    ("mount=hammer2", "mount=hammer2: not TYPE:SOURCE:PATH"),
    ("mount=hammer2:x", "mount=hammer2:x: not TYPE:SOURCE:PATH"),
])
def test_the_command_line_says_what_is_mounted(disk, append, line):
    with Machine(kernel_image(), root=disk, append=append or qemu.ROOT_MOUNT) as vm:
        vm.expect(line)
        vm.expect("damselfly> ")            # whatever came of it


def test_a_kernel_that_is_told_nothing_mounts_nothing(disk):
    with Machine(kernel_image(), disks=[qemu.Drive("nvme", disk, "root")]) as vm:
        vm.expect("damselfly> ")
        assert "mounted" not in vm.console.text


def test_the_root_disk_of_make_run_is_sound_and_its_tour_can_be_taken(tmp_path):
    """Every command that its own tour tells one to try."""
    image = tmp_path / "root.img"
    assert main(["image", "build", str(ROOT / "userland" / "root"), "-o", str(image), "--gpt",
                 "--owner", "0:0", "-q"]) == 0
    assert main(["image", "check", "-q", str(image)]) == 0
    tour = (ROOT / "userland" / "root" / "doc" / "tour.txt").read_text()
    commands = [text for text in re.findall(r"^ ?\d+  (.*)$", tour, re.MULTILINE)
                if not text.startswith("Ctrl")]
    assert len(commands) == 9
    said = run(image, [line for text in commands for line in (f"echo == {text}", text)])
    answers = said.decode().split("== ")[1:]
    assert len(answers) == len(commands)
    for text, answer in zip(commands, answers, strict=True):
        rest = answer.removeprefix(f"{text}\n")
        assert rest or text.startswith("mount"), text
        assert f"{text.split()[0]}: " not in rest, rest
