# SPDX-License-Identifier: BSD-3-Clause
"""Real HAMMER2 volumes, as bytes, with what is on them.

A clone has the small ones of tests/unit/fs/hammer2/volumes.  All thirteen are used if they lie in
$DAMSELFLY_VOLUMES, or in ../shared/hammer2 beside the clone; `report()` says how many there are.
Images are unpacked once, sparsely, to build/volumes, and mapped privately: a test may write.
"""
from __future__ import annotations

import hashlib
import json
import lzma
import mmap
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / "tests" / "unit" / "fs" / "hammer2" / "volumes"
UNPACKED = ROOT / "build" / "volumes"
ALL = 13
_PIECE = 1 << 20


@dataclass(frozen=True)
class VolumeSet:
    """The volumes of one file system, and their manifest."""
    name: str
    folder: Path
    manifest: dict[str, Any]

    def images(self) -> list[Path]:
        """The unpacked images, in the order of the set."""
        return [_unpacked(self.folder / file["file"], file["sha256"])
                for file in self.manifest["files"]]

    @property
    def labels(self) -> dict[str, list[dict[str, Any]]]:
        """By label: the entries below the root."""
        return {label: pfs["entries"] for label, pfs in self.manifest["pfs"].items()}


def folder() -> Path:
    """Where the volumes lie: all of them, or the few that a clone has."""
    wanted = os.environ.get("DAMSELFLY_VOLUMES")
    for place in ([Path(wanted)] if wanted else [ROOT.parent / "shared" / "hammer2"]):
        if (place / "manifest.json").is_file():
            return place
    return OWN


@cache
def sets() -> dict[str, VolumeSet]:
    """All that there are, by name."""
    place = folder()
    listed = json.loads((place / "manifest.json").read_text())["images"]
    return {entry["image"]: VolumeSet(entry["image"], place, entry) for entry in listed}


def named(name: str) -> VolumeSet:
    """The set of this name; a clone has only the small ones, and skips a test of another."""
    if name not in sets():
        pytest.skip(f"{name} is too large for a clone: $DAMSELFLY_VOLUMES, or ../shared/hammer2 "
                    "beside it, may have it")
    return sets()[name]


def report() -> str:
    """How many volumes are tested, and where they are from."""
    return f"hammer2: {len(sets())} of {ALL} volumes are tested, from {folder()}"


def path_of(entry: dict[str, Any]) -> bytes:
    """The path of an entry of a manifest, as bytes."""
    if "path_hex" in entry:
        return bytes.fromhex(entry["path_hex"])
    return os.fsencode(entry["path"])


def mapped(image: Path) -> mmap.mmap:
    """An image in memory; what is written there stays there."""
    with image.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE,
                         prot=mmap.PROT_READ | mmap.PROT_WRITE)


def _unpacked(packed: Path, sha256: str) -> Path:
    """The image of an .xz, unpacked if that was not done yet."""
    image = UNPACKED / f"{packed.name.removesuffix('.xz')}.{sha256[:12]}"
    if image.exists():
        return image
    UNPACKED.mkdir(parents=True, exist_ok=True)
    partial = image.with_suffix(f".{os.getpid()}")
    digest, zeros = hashlib.sha256(), bytes(_PIECE)
    with lzma.open(packed) as source, partial.open("wb") as file:
        while piece := source.read(_PIECE):
            digest.update(piece)
            if piece == zeros[:len(piece)]:
                file.seek(len(piece), os.SEEK_CUR)
            else:
                file.write(piece)
        file.truncate()
    if digest.hexdigest() != sha256:
        raise ValueError(f"{packed} is not the image of its manifest")
    partial.rename(image)
    return image
