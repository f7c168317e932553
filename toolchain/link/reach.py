# SPDX-License-Identifier: BSD-3-Clause
"""Leaves out what nothing reaches: sections that the roots do not lead to, by relocations.

Roots are the entry, the names that the caller keeps, linker sets, notes and boot code.  A
program linked with a whole library so has only what it uses.

Invariants
  G1  A section that a kept, loaded section refers to is kept.
  G2  No definition lies in a section that was left out.
Tests  tests/toolchain/test_link_reach.py
"""

from collections.abc import Collection, Sequence

import numpy as np

from toolchain.link.elf import SHF_ALLOC, SHT_NOTE, ObjectFile, Section
from toolchain.link.layout import is_identifier
from toolchain.link.resolve import Resolution

_SHF_GNU_RETAIN = 0x200000


def drop_unreachable(
    objects: Sequence[ObjectFile], resolution: Resolution, roots: Collection[str]
) -> None:
    """Take out of `resolution` the loaded sections that `roots` do not lead to."""
    reached = _reach(objects, resolution, roots)
    for number, (obj, kept) in enumerate(zip(objects, resolution.kept, strict=True)):
        for index, section in enumerate(obj.sections):
            if section.flags & SHF_ALLOC and (number, index) not in reached:
                kept[index] = False
    for name, (number, symbol) in list(resolution.definitions.items()):
        shndx = int(objects[number].symbols["shndx"][symbol])
        kept = resolution.kept[number]
        if shndx < len(kept) and not kept[shndx]:
            del resolution.definitions[name]


def _reach(
    objects: Sequence[ObjectFile], resolution: Resolution, roots: Collection[str]
) -> set[tuple[int, int]]:
    todo = [
        (number, index)
        for number, obj in enumerate(objects)
        for index, section in enumerate(obj.sections)
        if _is_root(section) and resolution.kept[number][index]
    ]
    for name in roots:
        if name in resolution.definitions:
            todo.append(_home(objects, *resolution.definitions[name]))
    reached = set()
    while todo:
        place = todo.pop()
        number, index = place
        if place in reached or not index < len(objects[number].sections):
            continue
        reached.add(place)
        for symbol in np.unique(objects[number].sections[index].relocs["symbol"]).tolist():
            todo.append(_target(objects, resolution, number, symbol))
    return reached


def _is_root(section: Section) -> bool:
    if not section.flags & SHF_ALLOC:
        return False
    return (
        section.type == SHT_NOTE
        or bool(section.flags & _SHF_GNU_RETAIN)
        or section.name.startswith(".boot")
        or is_identifier(section.name)
    )


def _target(
    objects: Sequence[ObjectFile], resolution: Resolution, number: int, symbol: int
) -> tuple[int, int]:
    """The section that a symbol of an object lies in after resolution."""
    obj = objects[number]
    if symbol >= obj.first_global:
        name = resolution.names[number][symbol - obj.first_global]
        number, symbol = resolution.definitions.get(name, (number, symbol))
    return _home(objects, number, symbol)


def _home(objects: Sequence[ObjectFile], number: int, symbol: int) -> tuple[int, int]:
    return number, int(objects[number].symbols["shndx"][symbol])
