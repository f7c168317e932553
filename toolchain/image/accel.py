# SPDX-License-Identifier: BSD-3-Clause
"""Chooses TCG or KVM, by measuring: there are machines where KVM opens and is far slower.

The probe is a boot sector that counts, leaves the guest a few thousand times through an I/O
port, as a booting kernel does, and exits.  It runs for a fraction of a second.

Tests  tests/toolchain/test_accel.py
"""

import os
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

from toolchain.image import qemu

PATIENCE_S = 3.0
"""How long the probe may take under TCG, on a machine that is busy with other things."""

PROBE = bytes.fromhex(
    "fa"  # cli
    "31db"  # xor bx, bx
    "b9ffff"  # outer: mov cx, 0xffff
    "e2fe"  # 1: loop 1b
    "e480"  # in al, 0x80: leaves the guest
    "43"  # inc bx
    "81fb0004"  # cmp bx, 1024
    "75f2"  # jne outer
    "6631c0"  # xor eax, eax
    "66e7f4"  # out 0xf4, eax
    "f4"  # hlt
)


def choose(wanted: str) -> str:
    """`wanted`, with auto replaced by the faster of kvm and tcg on this machine."""
    if wanted == "kvm" and not _kvm_opens():
        raise qemu.RunError("--accel kvm: /dev/kvm is not there or may not be opened")
    return _faster() if wanted == "auto" else wanted


@cache
def _faster() -> str:
    if not _kvm_opens() or shutil.which(qemu.QEMU) is None:
        return "tcg"
    tcg = measure("tcg")
    return "kvm" if measure("kvm", tcg) < tcg else "tcg"


def measure(accel: str, patience_s: float = PATIENCE_S) -> float:
    """Seconds that the probe takes under `accel`, `patience_s` if it does not finish in that."""
    with tempfile.TemporaryDirectory(prefix="damselfly-") as folder:
        disk = Path(folder, "probe")
        disk.write_bytes(PROBE.ljust(510, b"\0") + b"\x55\xaa")
        command = [
            qemu.QEMU, "-nodefaults", "-display", "none", "-no-reboot", "-accel", accel,
            "-drive", f"format=raw,file={disk}",
            "-device", f"isa-debug-exit,iobase={qemu.EXIT_PORT:#x},iosize=4",
        ]  # fmt: skip
        begin = time.perf_counter()
        try:
            done = subprocess.run(command, capture_output=True, timeout=patience_s, check=False)
        except subprocess.TimeoutExpired:
            return patience_s
        return time.perf_counter() - begin if done.returncode == 1 else patience_s


def _kvm_opens() -> bool:
    return os.access("/dev/kvm", os.R_OK | os.W_OK)
