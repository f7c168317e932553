# SPDX-License-Identifier: BSD-3-Clause
"""Decides which definition each name has, and which sections take part in the link.

One strong definition beats a common one, which beats weak ones, of which the first stands; two
strong ones are refused.  Of the COMDAT groups with one signature the first is kept.

Invariants
  R1  definitions[name] is (object, symbol) of the one definition that stands.
  R2  No definition lies in a section that is not kept.
  R3  Among tentative (common) definitions of a name the size and alignment are the largest.
Tests  tests/toolchain/test_link_resolve.py
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from toolchain.link.elf import SHN_COMMON, SHN_UNDEF, STB_WEAK, ObjectFile
from toolchain.link.errors import Collector, Problem
from toolchain.link.site import definition_site

WEAK, COMMON, STRONG = 1, 2, 3


@dataclass
class Common:
    """A tentative definition: room is found for it at the end of .bss."""

    size: int
    align: int


@dataclass
class Resolution:
    """What resolve() decided.  `kept[o][s]` is whether section s of object o stays."""

    kept: list[np.ndarray]
    names: list[list[str]]
    """For each object the names of its global symbols, from first_global on."""
    definitions: dict[str, tuple[int, int]] = field(default_factory=dict)
    commons: dict[str, Common] = field(default_factory=dict)
    _strength: dict[str, int] = field(default_factory=dict)


def resolve(objects: Sequence[ObjectFile], problems: Collector) -> Resolution:
    """Settle every name that some object defines; duplicates go to `problems`."""
    resolution = Resolution(_kept_sections(objects), [_global_names(obj) for obj in objects])
    for number, obj in enumerate(objects):
        _add_object(objects, number, obj, resolution, problems)
    for name in [name for name in resolution.commons if resolution._strength[name] != COMMON]:
        del resolution.commons[name]
    return resolution


def _kept_sections(objects: Sequence[ObjectFile]) -> list[np.ndarray]:
    seen: set[str] = set()
    kept = []
    for obj in objects:
        mask = np.ones(len(obj.sections), dtype=bool)
        for group in obj.groups:
            if group.signature in seen:
                mask[list(group.members)] = False
        seen.update(group.signature for group in obj.groups)
        kept.append(mask)
    return kept


def _global_names(obj: ObjectFile) -> list[str]:
    strings = obj.strings
    offsets = obj.symbols["name"][obj.first_global :].tolist()
    return [
        strings[at : strings.index(b"\0", at)].decode("utf-8", "backslashreplace") for at in offsets
    ]


def _add_object(
    objects: Sequence[ObjectFile],
    number: int,
    obj: ObjectFile,
    resolution: Resolution,
    problems: Collector,
) -> None:
    first, kept = obj.first_global, resolution.kept[number]
    shndx = obj.symbols["shndx"][first:].tolist()
    binding = (obj.symbols["info"][first:] >> 4).tolist()
    for index, name in enumerate(resolution.names[number]):
        section = shndx[index]
        if section == SHN_UNDEF or (section < len(kept) and not kept[section]):
            continue
        strength = STRONG
        if section == SHN_COMMON:
            strength = COMMON
            _grow_common(resolution.commons, name, obj.symbols[first + index])
        elif binding[index] == STB_WEAK:
            strength = WEAK
        old = resolution._strength.get(name, 0)
        if strength > old:
            resolution._strength[name] = strength
            resolution.definitions[name] = (number, first + index)
        elif strength == old == STRONG:
            here = definition_site(obj, first + index)
            other, symbol = resolution.definitions[name]
            there = definition_site(objects[other], symbol)
            problems.add(_duplicate(name, here, there))


def _grow_common(commons: dict[str, Common], name: str, symbol: np.void) -> None:
    common = commons.setdefault(name, Common(0, 1))
    common.size = max(common.size, int(symbol["size"]))
    common.align = max(common.align, int(symbol["value"]))


def _duplicate(name: str, here: str, there: str) -> Problem:
    return Problem(
        "K0902",
        f"`{name}` is defined twice",
        place=here,
        notes=(f"the other definition is at {there}",),
        help="rename one of them, or make one private to its module",
    )
