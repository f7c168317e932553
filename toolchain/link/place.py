# SPDX-License-Identifier: BSD-3-Clause
"""Gives every kept input section an address and a place in the file.

Invariants
  P1  Placement depends on the order and contents of the objects and the layout only.
  P2  Segments start on page boundaries and do not overlap, in memory or in the file.
Tests  tests/toolchain/test_link_layout.py, tests/toolchain/test_link_against_ld.py
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from toolchain.link.elf import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    SHT_GROUP,
    SHT_NOBITS,
    SHT_NOTE,
    SHT_NULL,
    SHT_PROGBITS,
    SHT_RELA,
    SHT_STRTAB,
    SHT_SYMTAB,
    ObjectFile,
)
from toolchain.link.errors import Collector, LinkError, Problem
from toolchain.link.layout import FILE_BASE, PAGE, Layout, OutputSection, Segment
from toolchain.link.resolve import Resolution

_BOOKKEEPING = {SHT_NULL, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_GROUP}
_MAX_FILE_BYTES = 1 << 31


@dataclass(frozen=True)
class PlacedSection:
    """A section of the image.  `address` is virtual, and 0 if it is not loaded."""

    name: str
    type: int
    flags: int
    align: int
    address: int
    physical: int
    offset: int
    size: int

    @property
    def file_size(self) -> int:
        return 0 if self.type == SHT_NOBITS else self.size


@dataclass(frozen=True)
class PlacedSegment:
    """A segment of the image, with the sections in it; empty ones are not written."""

    segment: Segment
    sections: tuple[PlacedSection, ...]
    address: int
    physical: int
    offset: int
    file_size: int
    memory_size: int


@dataclass
class Placement:
    """Where everything is.  The lists are by object; their arrays by section of the object."""

    address: list[np.ndarray]
    offset: list[np.ndarray]
    """Place of the section's bytes in the file, or -1: nothing to copy."""
    output: list[np.ndarray]
    """Number, from 1, of the image section that it is part of; 0: none."""
    sections: list[PlacedSection]
    segments: list[PlacedSegment]
    symbols: dict[str, int]
    """Boundary symbols, and the addresses of commons."""
    file_size: int


@dataclass(frozen=True)
class _Input:
    """An input section, or a common symbol, waiting for its place."""

    obj: int
    section: int
    size: int
    align: int
    common: str = ""


def place(
    objects: Sequence[ObjectFile], resolution: Resolution, layout: Layout, problems: Collector
) -> Placement:
    """Lay out the image.  Sections that have no place go to `problems` (K0906)."""
    return _Placer(objects, resolution, layout, problems).place()


class _Placer:
    def __init__(
        self,
        objects: Sequence[ObjectFile],
        resolution: Resolution,
        layout: Layout,
        problems: Collector,
    ) -> None:
        self.objects, self.resolution = objects, resolution
        self.layout, self.problems = layout, problems
        self.loaded: dict[tuple[int, str, int], list[_Input]] = {}
        self.unloaded: dict[str, list[_Input]] = {}
        lengths = [len(obj.sections) for obj in objects]
        self.result = Placement(
            address=[np.zeros(length, dtype=np.uint64) for length in lengths],
            offset=[np.full(length, -1, dtype=np.int64) for length in lengths],
            output=[np.zeros(length, dtype=np.uint16) for length in lengths],
            sections=[],
            segments=[],
            symbols={},
            file_size=0,
        )

    def place(self) -> Placement:
        self._sort_inputs()
        physical = self.layout.start
        for number, segment in enumerate(self.layout.segments):
            physical = self._place_segment(number, segment, -(-physical // PAGE) * PAGE)
        if physical > self.layout.limit:
            self._too_big(physical)
        self._define_image_symbols(physical)
        self._place_unloaded()
        return self.result

    def _sort_inputs(self) -> None:
        written = self._written_sets()
        for number, index in self._kept():
            section = self.objects[number].sections[index]
            item = _Input(number, index, section.size, section.align)
            if not section.flags & SHF_ALLOC and section.type == SHT_NOBITS:
                continue
            if not section.flags & SHF_ALLOC:
                self.unloaded.setdefault(section.name, []).append(item)
                continue
            writable = section.name in written
            where = self.layout.place_of(section.name, writable)
            if where is None:
                self._homeless(number, index)
            else:
                self.loaded.setdefault(where, []).append(item)
        for name, common in self.resolution.commons.items():
            where = self.layout.place_of("COMMON", True)
            item = _Input(-1, -1, common.size, common.align, common=name)
            self.loaded.setdefault(where, []).append(item)

    def _kept(self) -> Iterator[tuple[int, int]]:
        for number, obj in enumerate(self.objects):
            kept = self.resolution.kept[number]
            for index, section in enumerate(obj.sections):
                if (
                    kept[index]
                    and section.type not in _BOOKKEEPING
                    and not self.layout.discards(section.name)
                ):
                    yield number, index

    def _written_sets(self) -> set[str]:
        return {
            section.name
            for obj in self.objects
            for section in obj.sections
            if section.flags & SHF_WRITE
        }

    def _place_segment(self, number: int, segment: Segment, physical: int) -> int:
        start, end_of_bytes, sections = physical, physical, []
        for section in segment.sections:
            for name in (section.name, *self._sets_after(number, section)):
                placed = self._place_loaded(number, name, section, physical)
                physical = placed.physical + placed.size
                if placed.size:
                    sections.append(placed)
                    if not section.nobits:
                        end_of_bytes = physical
        offset = FILE_BASE + start - self.layout.start
        self.result.segments.append(
            PlacedSegment(
                segment,
                tuple(sections),
                address=_wrap(start + segment.bias),
                physical=start,
                offset=offset,
                file_size=end_of_bytes - start,
                memory_size=physical - start,
            )
        )
        self._define(f"__seg_{segment.name}", start + segment.bias, physical + segment.bias)
        return physical

    def _sets_after(self, number: int, section: OutputSection) -> list[str]:
        if not section.sets:
            return []
        known = {section.name for section in self.layout.segments[number].sections}
        return sorted({name for at, name, _ in self.loaded if at == number} - known)

    def _place_loaded(
        self, number: int, name: str, rule: OutputSection, physical: int
    ) -> PlacedSection:
        segment = self.layout.segments[number]
        inputs = [
            item
            for group in range(len(rule.inputs))
            for item in self.loaded.get((number, name, group), ())
        ]
        align = max((item.align for item in inputs), default=1)
        physical = -(-physical // align) * align
        index = len(self.result.sections) + 1
        cursor = physical
        for item in inputs:
            cursor = -(-cursor // item.align) * item.align
            self._put(item, index, _wrap(cursor + segment.bias), cursor, rule.nobits)
            cursor += item.size
        flags = SHF_ALLOC
        flags |= SHF_WRITE if segment.writable else 0
        flags |= SHF_EXECINSTR if segment.executable and not rule.note else 0
        kind = SHT_NOBITS if rule.nobits else SHT_NOTE if rule.note else SHT_PROGBITS
        placed = PlacedSection(
            name, kind, flags, align, _wrap(physical + segment.bias), physical,
            self._file_offset(physical), cursor - physical,
        )  # fmt: skip
        if placed.size:
            self.result.sections.append(placed)
        self._define_section_symbols(placed, segment)
        return placed

    def _put(self, item: _Input, index: int, address: int, physical: int, nobits: bool) -> None:
        if item.common:
            self.result.symbols[item.common] = address
            return
        section = self.objects[item.obj].sections[item.section]
        if item.size:
            self.result.output[item.obj][item.section] = index
        self.result.address[item.obj][item.section] = address
        if section.type == SHT_NOBITS or not item.size:
            return
        if nobits:
            self._homeless(item.obj, item.section)
            return
        self.result.offset[item.obj][item.section] = self._file_offset(physical)

    def _place_unloaded(self) -> None:
        last = self.result.segments[-1]
        cursor = max(
            (segment.offset + segment.file_size for segment in self.result.segments),
            default=last.offset,
        )
        for name in sorted(self.unloaded):
            inputs = self.unloaded[name]
            align = max(item.align for item in inputs)
            start = cursor = -(-cursor // align) * align
            index = len(self.result.sections) + 1
            for item in inputs:
                cursor = -(-cursor // item.align) * item.align
                self.result.address[item.obj][item.section] = cursor - start
                self.result.output[item.obj][item.section] = index
                self.result.offset[item.obj][item.section] = cursor
                cursor += item.size
            self.result.sections.append(
                PlacedSection(name, SHT_PROGBITS, 0, align, 0, 0, start, cursor - start)
            )
        self.result.file_size = cursor
        if cursor > _MAX_FILE_BYTES:
            self._too_big(cursor)

    def _define_section_symbols(self, placed: PlacedSection, segment: Segment) -> None:
        start, end = placed.address, _wrap(placed.address + placed.size)
        if placed.name.startswith("."):
            self._define(f"__{placed.name[1:]}", start, end)
        else:
            self.result.symbols[f"__start_{placed.name}"] = start
            self.result.symbols[f"__stop_{placed.name}"] = end

    def _define_image_symbols(self, physical_end: int) -> None:
        first, last = self.result.segments[0], self.result.segments[-1]
        virtual = next((placed for placed in self.result.segments if placed.segment.bias), first)
        self._define(f"__{self.layout.prefix}", virtual.address, last.address + last.memory_size)
        symbols = self.result.symbols
        symbols["__load_start"] = self.layout.start
        symbols["__load_end"] = last.physical + last.file_size
        symbols["__load_bss_end"] = physical_end

    def _define(self, stem: str, start: int, end: int) -> None:
        self.result.symbols[f"{stem}_start"] = _wrap(start)
        self.result.symbols[f"{stem}_end"] = _wrap(end)

    def _file_offset(self, physical: int) -> int:
        return FILE_BASE + physical - self.layout.start

    def _homeless(self, number: int, index: int) -> None:
        obj = self.objects[number]
        name = obj.sections[index].name
        self.problems.add(
            Problem(
                "K0906",
                f"section `{name}` has no place in the {self.layout.name} layout",
                place=obj.name,
                help="use a name the layout gathers, or a C identifier to make it a linker set",
            )
        )

    def _too_big(self, reached: int) -> None:
        text = f"the image reaches {reached:#x}; the {self.layout.name} layout ends at "
        raise LinkError(Problem("K0909", f"{text}{self.layout.limit:#x}"))


def _wrap(address: int) -> int:
    return address & 0xFFFFFFFFFFFFFFFF
