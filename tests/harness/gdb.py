# SPDX-License-Identifier: BSD-3-Clause
"""Drives gdb in batch mode against a machine's stub, or against an image alone.

Tests  tests/qemu/test_gdb.py
"""

import shutil
import subprocess
from pathlib import Path


class GdbError(AssertionError):
    """gdb ended with an error; the message has its output."""


class Gdb:
    """gdb for `image`; `target` is what `target remote` takes, empty for the image alone."""

    def __init__(self, image: Path | str, target: str = "", log: Path | None = None) -> None:
        if shutil.which("gdb") is None:
            raise GdbError("gdb is not installed; scripts/setup installs it")
        self.image, self.target, self.log = Path(image), target, log

    def batch(self, *commands: str, timeout: float = 60) -> str:
        """What gdb prints for `commands`, standard error included."""
        words = ["gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set confirm off"]
        words += ["-ex", "set style enabled off", "-ex", "set width 0"]
        if self.target:
            words += ["-ex", f"target remote {self.target}"]
        for command in commands:
            words += ["-ex", command]
        try:
            done = subprocess.run(
                [*words, str(self.image)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, timeout=timeout, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            output = (error.stdout or b"").decode(errors="replace")
            raise GdbError(f"gdb did not end within {timeout} s; it said:\n{output}") from None
        text = done.stdout.decode(errors="replace")
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write("".join(f"(gdb) {command}\n" for command in commands) + text)
        if done.returncode:
            raise GdbError(f"gdb ended with status {done.returncode}:\n{text}")
        return text
