# SPDX-License-Identifier: BSD-3-Clause
"""Which files make the kernel, and what the name `kernel.machine` is bound to.

Tests     tests/rules/test_machine.py
"""
from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLATFORM = "pc64"
PAUSES = ROOT / "kernel" / "pauses.py"      # for `kpyc build --pauses` only


def files() -> list[Path]:
    """The modules a kernel starts from; the rest is what they import."""
    return [*core(), *parts()]


def core() -> list[Path]:
    """Main, the boot code and the machine: of these a test makes a kernel with another main."""
    platform = ROOT / "kernel" / "platform" / PLATFORM
    return [ROOT / "kernel" / "main.py", *sorted((ROOT / "boot").glob("*.py")),
            ROOT / "kernel" / "arch" / "x86_64" / "vectors.py",
            ROOT / "kernel" / "lib" / "fmt.py", ROOT / "kernel" / "lib" / "memory.py",
            *sorted(platform.glob("*.py"))]


def parts() -> list[Path]:
    """What nobody imports: drivers, file systems and commands, which are found by their tables."""
    return [*sorted((ROOT / "kernel" / "commands").glob("[a-z]*.py")),
            *sorted((ROOT / "kernel" / "dev").rglob("[a-z]*.py")),
            *sorted((ROOT / "kernel" / "fs").rglob("[a-z]*.py"))]


def binding() -> dict[str, str]:
    """The names whose module depends on the machine."""
    return {"kernel.machine": f"kernel.platform.{PLATFORM}"}
