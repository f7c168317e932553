# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest as a peer: Debian's kernel package, unpacked, with an init of ours.

The package is downloaded once by apt-get, as any user may, to build/bench/linux; nothing is
installed.  The initial file system holds peer/init.c, linked statically, and the modules of the two
drivers with what they need.
"""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "bench" / "linux"
INIT = Path(__file__).with_name("peer") / "init.c"
DRIVERS = ("nvme", "ahci", "sd_mod")
CPU = "max,-erms,-fsrm"         # with ERMS Linux copies a byte at a time under TCG
APPEND = "console=ttyS0 quiet mitigations=off panic=-1"


class MissingError(Exception):
    """There is no Linux to compare with; says why."""


def kernel() -> tuple[Path, Path]:
    """The kernel and its initial file system, made if they are not there yet.

    Raises MissingError without apt-get, dpkg-deb, a C compiler or the package.
    """
    for program in ("apt-get", "dpkg-deb", "cc"):
        if shutil.which(program) is None:
            raise MissingError(f"no Linux to compare with: {program} is not installed")
    FOLDER.mkdir(parents=True, exist_ok=True)
    tree = FOLDER / "tree"
    if not tree.is_dir():
        _unpack(tree)
    image = next(iter(sorted((tree / "boot").glob("vmlinuz-*"))))
    initrd = FOLDER / "initrd"
    if not initrd.exists() or initrd.stat().st_mtime < INIT.stat().st_mtime:
        initrd.write_bytes(_archive(_files(tree)))
    return image, initrd


def _unpack(tree: Path) -> None:
    """Download and unpack the package of the newest kernel."""
    said = _run("apt-cache", "depends", "linux-image-amd64")
    found = re.search(r"Depends: (linux-image-\S+)", said)
    if found is None:
        raise MissingError("no Linux to compare with: apt knows no linux-image-amd64")
    _run("apt-get", "download", found[1])
    package = next(iter(FOLDER.glob("linux-image-*.deb")), None)
    if package is None:
        raise MissingError(f"no Linux to compare with: {found[1]} cannot be downloaded")
    partial = tree.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    _run("dpkg-deb", "-x", package.name, partial.name)
    partial.rename(tree)


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MissingError(f"no Linux to compare with: {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _files(tree: Path) -> list[tuple[str, int, bytes]]:
    """What the initial file system holds: name, mode, content."""
    modules = next(iter((tree / "lib" / "modules").iterdir()))
    files = {path.stem.replace("-", "_"): path for path in modules.rglob("*.ko")}
    order: list[str] = []

    def need(name: str) -> None:
        if name in order or name not in files:
            return                      # built in
        said = _run("objcopy", "-O", "binary", "--only-section=.modinfo", str(files[name]),
                    "/dev/stdout")
        for word in said.split("\0"):
            if word.startswith("depends="):
                for other in filter(None, word[len("depends="):].split(",")):
                    need(other.replace("-", "_"))
        order.append(name)

    for name in ("crc64_rocksoft_generic", "crct10dif_generic", *DRIVERS):
        need(name)
    program = FOLDER / "init"
    _run("cc", "-O2", "-static", "-o", str(program), str(INIT))
    listing = "".join(f"/{files[name].name}\n" for name in order).encode()
    return [("dev", 0o40755, b""), ("proc", 0o40755, b""),
            ("init", 0o100755, program.read_bytes()), ("modules", 0o100644, listing),
            *((files[name].name, 0o100644, files[name].read_bytes()) for name in order)]


def _archive(files: list[tuple[str, int, bytes]]) -> bytes:
    """A cpio archive in the "newc" format."""
    out = bytearray()
    for number, (name, mode, content) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08x" % field for field in fields)
        out += name.encode() + b"\0"
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return bytes(out)
