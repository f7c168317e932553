# SPDX-License-Identifier: BSD-3-Clause
"""The kernel, built for a test: one image a set of flags and test run."""
from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

from toolchain import kernel
from toolchain.image import explore

ROOT = Path(__file__).resolve().parents[2]


GUEST = ROOT / "tests" / "guest"
MAINS = {"machine"}         # modules of tests/guest that are a kernel's main; the others are tests


@functools.cache
def kernel_image(*flags: str) -> Path:
    """The image of `kpyc build FLAGS`; the build's cache makes a second one cheap."""
    return _build("kernel", flags, [])


@functools.cache
def suite_image(*flags: str) -> Path:
    """The kernel with all tests of tests/guest linked in: `test NAME` at the prompt runs one."""
    tests = [path for path in sorted(GUEST.glob("*.py")) if path.stem not in MAINS]
    return _build("suite", flags, [*kernel.files(), *tests])


@functools.cache
def guest_image(name: str, *flags: str) -> Path:
    """A kernel whose main module is tests/guest/NAME.py, on the machine of the real one."""
    main, *rest = kernel.core()
    assert main.name == "main.py" and name in MAINS
    return _build(f"guest-{name}", flags, [GUEST / f"{name}.py", *rest])


@functools.cache
def schedules_image(*flags: str) -> Path:
    """The kernel with all tests and the planted bugs, changing CPUs by `schedule=SEED`."""
    name = "schedules" + "".join(flags).replace("-", "")
    return explore.build_image(ROOT / "build" / "test" / f"{name}.elf", *flags)


def _build(name: str, flags: tuple[str, ...], files: list[Path]) -> Path:
    output = ROOT / "build" / "test" / (name + "".join(flags).replace("-", "") + ".elf")
    done = subprocess.run([sys.executable, "-m", "toolchain", "build", "-q", *flags, "-o",
                           str(output), *map(str, files)], cwd=ROOT, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return output
