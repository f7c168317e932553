# SPDX-License-Identifier: BSD-3-Clause
"""A file that is whole or not there: written under another name, renamed at the end.

    with Output(path) as file:
        file.put(offset, data)      # what is not put is zero, and takes no room on the host
        file.resize(size)

Whatever ends the block early, an error or Ctrl-C, leaves the old file as it was and no other.

Tests  tests/toolchain/test_image_command.py
"""
from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType


class Output:
    """`base` is added to all offsets and sizes: where a partition begins in a disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base = 0
        self._partial = path.with_name(f".{path.name}.{os.getpid()}")

    def __enter__(self) -> Output:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._partial.open("wb", buffering=0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._file.close()
        if kind is None:
            self._partial.replace(self.path)
        else:
            self._partial.unlink(missing_ok=True)

    def put(self, offset: int, data: bytes) -> None:
        """Write all of `data`."""
        view, at = memoryview(data), self.base + offset
        while view:
            count = os.pwrite(self._file.fileno(), view, at)
            view, at = view[count:], at + count

    def resize(self, size: int) -> None:
        """Set the size."""
        self._file.truncate(self.base + size)
