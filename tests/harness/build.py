# SPDX-License-Identifier: BSD-3-Clause
"""The kernel, built for a test: one image a set of flags and test run."""
from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

from toolchain import kernel

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def kernel_image(*flags: str) -> Path:
    """The image of `kpyc build FLAGS`; the build's cache makes a second one cheap."""
    name = "kernel" + "".join(flags).replace("-", "") + ".elf"
    output = ROOT / "build" / "test" / name
    done = subprocess.run([sys.executable, "-m", "toolchain", "build", "-q", *flags, "-o",
                           str(output)], cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return output


@functools.cache
def guest_image(name: str, *flags: str) -> Path:
    """A kernel whose main module is tests/guest/NAME.py, on the machine of the real one."""
    output = ROOT / "build" / "test" / ("guest-" + name + "".join(flags).replace("-", "") + ".elf")
    main, *rest = kernel.files()
    assert main.name == "main.py"
    files = [ROOT / "tests" / "guest" / f"{name}.py", *rest]
    done = subprocess.run([sys.executable, "-m", "toolchain", "build", "-q", *flags, "-o",
                           str(output), *map(str, files)], cwd=ROOT, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return output
