# SPDX-License-Identifier: BSD-3-Clause
"""Whether an image has to be made again: a digest of all that it depends on, kept beside it.

What counts is the folder's files as `ls -l` shows them, the options, and our own source.

Tests  tests/toolchain/test_image_command.py
"""
from __future__ import annotations

import hashlib
import os
from pathlib import Path

_MAKER = Path(__file__).resolve().parent


def digest(folder: Path, options: str) -> str:
    """The same as long as the image would be."""
    state = hashlib.sha256(options.encode())
    for source in sorted(_MAKER.rglob("*.py")):
        state.update(source.read_bytes())
    top = os.fsencode(folder)
    for place, folders, files in os.walk(top):
        folders.sort()
        for name in [b".", *sorted(files), *folders]:
            path = os.path.join(place, name)
            seen = os.lstat(path)
            state.update(repr((path, seen.st_mode, seen.st_uid, seen.st_gid, seen.st_size,
                               seen.st_mtime_ns, seen.st_rdev)).encode())
    return state.hexdigest()


def stamp_of(image: Path) -> Path:
    """Where an image's digest is kept."""
    return image.with_name(f"{image.name}.stamp")


def is_current(image: Path, wanted: str) -> bool:
    """Whether the image is there and was made with this digest."""
    stamp = stamp_of(image)
    return image.is_file() and stamp.is_file() and stamp.read_text() == wanted
