# SPDX-License-Identifier: BSD-3-Clause
"""link(): relocatable objects in, one static ELF64 image out.

The steps, in order: read the objects, resolve names, place sections, give symbols their values,
copy bytes, relocate, write.  The result depends on nothing but the objects' names and contents,
their order, and the layout: the same inputs give the same bytes.

Nothing is kept from one link to the next: reading and relocating everything again, in bulk, is
as quick as finding out what could have been kept.

Invariants
  K1  The output file appears complete or not at all (written beside, then renamed).
  K2  link() raises LinkError for whatever is wrong with its inputs, with all problems it found.
Tests  tests/toolchain/test_link_*.py
"""

import os
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from toolchain.link import image as image_file
from toolchain.link import place, reach, reloc, resolve
from toolchain.link.elf import ObjectFile
from toolchain.link.errors import Collector, LinkError, Problem
from toolchain.link.layout import Layout
from toolchain.link.place import PlacedSection, PlacedSegment


@dataclass(frozen=True)
class LinkResult:
    """What link() made.  `symbols` has the global ones; `seconds` says where time went."""

    output: Path
    entry: int
    symbols: dict[str, int]
    sections: tuple[PlacedSection, ...]
    segments: tuple[PlacedSegment, ...]
    relocations: int
    file_size: int
    seconds: dict[str, float]

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of memory, or of the file for debug sections, by section."""
        return {section.name: section.size for section in self.sections}


@dataclass
class _Clock:
    laps: dict[str, float] = field(default_factory=dict)
    last: float = field(default_factory=time.perf_counter)

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self.last
        self.last = now


def link(
    objects: Sequence[ObjectFile | Path | str],
    *,
    layout: Layout,
    output: Path | str,
    entry: str | None = None,
    keep: Collection[str] | None = None,
) -> LinkResult:
    """Link `objects` by `layout` into the file `output`, entered at symbol `entry`.

    With `keep`, sections that neither the entry nor those names lead to are left out.
    Errors  LinkError, with every problem found in the first step that found one.
    """
    clock, problems = _Clock(), Collector()
    parsed = _read(objects, problems)
    clock.lap("read")
    name = entry or layout.entry
    resolution = resolve.resolve(parsed, problems)
    if keep is not None:
        reach.drop_unreachable(parsed, resolution, {name, *keep})
    clock.lap("resolve")
    placement = place.place(parsed, resolution, layout, problems)
    clock.lap("place")
    values, symbols = reloc.symbol_values(parsed, resolution, placement)
    job = reloc.Job(parsed, resolution, placement, values, symbols, problems)
    reloc.undefined(job)
    if name not in symbols:
        problems.add(_no_entry(name, layout))
    problems.raise_if_any()
    clock.lap("symbols")
    image = image_file.copy_sections(parsed, placement)
    relocations = reloc.apply(job, image)
    problems.raise_if_any()
    clock.lap("relocate")
    pieces = image_file.finish(job, image, symbols[name])
    clock.lap("symbol table")
    file_size = _write(Path(output), pieces)
    clock.lap("write")
    return LinkResult(
        Path(output), symbols[name], symbols, tuple(placement.sections),
        tuple(placement.segments), relocations, file_size, clock.laps,
    )  # fmt: skip


def _read(objects: Sequence[ObjectFile | Path | str], problems: Collector) -> list[ObjectFile]:
    parsed = []
    for item in objects:
        try:
            parsed.append(item if isinstance(item, ObjectFile) else ObjectFile.read(item))
        except LinkError as error:
            for problem in error.problems:
                problems.add(problem)
    problems.raise_if_any()
    return parsed


def _no_entry(name: str, layout: Layout) -> Problem:
    return Problem(
        "K0907",
        f"the entry `{name}` is not defined",
        notes=(f"the {layout.name} layout starts at it",),
        help=f"define `{name}` in one of the objects",
    )


def _write(output: Path, pieces: list[bytes | np.ndarray]) -> int:
    """Write all `pieces` to `output` (K1); returns how many bytes they are."""
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            size = file.tell()
        partial.replace(output)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        reason = error.strerror or str(error)
        raise LinkError(Problem("K0910", f"cannot write {output}: {reason}")) from None
    return size
