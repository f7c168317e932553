# SPDX-License-Identifier: BSD-3-Clause
"""Fills addresses into the image: all relocations of the link in a handful of array operations.

A relocation of type T at place P, for symbol value S with addend A, writes S + A, or S + A - P.

    type            writes     bytes  must fit
    64              S + A        8    -
    PC64            S + A - P    8    -
    32              S + A        4    unsigned
    32S             S + A        4    signed
    PC32, PLT32     S + A - P    4    signed
    16, 8           S + A       2, 1  either
    PC16, PC8       S + A - P   2, 1  signed
    GOTPCREL, GOTPCRELX, REX_GOTPCRELX: there is no GOT, so the load of an address becomes its
    computation (mov -> lea, call and jmp through the GOT -> direct), and then as PC32.

Invariants
  A1  Every field that a kept relocation names is written exactly once, in bounds (elf.O1).
  A2  Debug information about what was left out of the image refers to address 0.
  A3  A value that does not fit is a problem, never a truncation.
Tests   tests/toolchain/test_link_reloc.py, tests/toolchain/test_link_against_ld.py
Source  x86-64 psABI 1.0, table 4.9 "Relocation Types", section B.2 "Optimize GOTPCRELX"
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from toolchain.link.elf import (
    RELA,
    SHF_ALLOC,
    SHN_ABS,
    SHN_UNDEF,
    SHT_NOBITS,
    STB_WEAK,
    ObjectFile,
)
from toolchain.link.errors import Collector, Problem
from toolchain.link.place import Placement
from toolchain.link.resolve import Resolution
from toolchain.link.site import place as site_of


@dataclass(frozen=True)
class Kind:
    """How one relocation type is done."""

    name: str
    size: int
    relative: bool
    signed: bool = True
    unsigned: bool = False
    got: bool = False


KINDS = {
    1: Kind("R_X86_64_64", 8, False),
    2: Kind("R_X86_64_PC32", 4, True),
    4: Kind("R_X86_64_PLT32", 4, True),
    9: Kind("R_X86_64_GOTPCREL", 4, True, got=True),
    10: Kind("R_X86_64_32", 4, False, signed=False, unsigned=True),
    11: Kind("R_X86_64_32S", 4, False),
    12: Kind("R_X86_64_16", 2, False, unsigned=True),
    13: Kind("R_X86_64_PC16", 2, True),
    14: Kind("R_X86_64_8", 1, False, unsigned=True),
    15: Kind("R_X86_64_PC8", 1, True),
    24: Kind("R_X86_64_PC64", 8, True),
    41: Kind("R_X86_64_GOTPCRELX", 4, True, got=True),
    42: Kind("R_X86_64_REX_GOTPCRELX", 4, True, got=True),
}
_NONE = 0

Description = Callable[[str, int, int, str], Problem]
"""(symbol, value, address of the field, site) to the problem it is."""


@dataclass(frozen=True)
class Job:
    """A link whose symbols have their values; what is left is to fill them in.

    `values` is by object and symbol; `symbols` has the global names, sorted.
    """

    objects: Sequence[ObjectFile]
    resolution: Resolution
    placement: Placement
    values: list[np.ndarray]
    symbols: dict[str, int]
    problems: Collector


@dataclass
class _Batch:
    """All relocations of a link as parallel arrays; `origin` indexes `sources`."""

    kind: np.ndarray
    value: np.ndarray
    address: np.ndarray
    offset: np.ndarray
    origin: np.ndarray
    row: np.ndarray
    sources: list[tuple[int, int]]


def symbol_values(
    objects: Sequence[ObjectFile], resolution: Resolution, placement: Placement
) -> tuple[list[np.ndarray], dict[str, int]]:
    """The final address of each symbol of each object, and of each global name; 0 for none."""
    own = [_own_values(obj, at) for obj, at in zip(objects, placement.address, strict=True)]
    final = dict(placement.symbols)
    for name, (number, symbol) in resolution.definitions.items():
        if name not in resolution.commons:
            final[name] = int(own[number][symbol])
    for obj, values, names in zip(objects, own, resolution.names, strict=True):
        values[obj.first_global :] = [final.get(name, 0) for name in names]
    return own, dict(sorted(final.items()))


def undefined(job: Job) -> None:
    """Add a problem (K0901) for each name used by loaded code that nothing defines."""
    uses: dict[str, list[str]] = {}
    placement = job.placement
    for number, obj in enumerate(job.objects):
        missing = _missing_symbols(job, number)
        if not missing:
            continue
        for index, section in enumerate(obj.sections):
            loaded = placement.output[number][index] and section.flags & SHF_ALLOC
            if not loaded or not len(section.relocs):
                continue
            for symbol in np.unique(section.relocs["symbol"]).tolist():
                if symbol in missing:
                    row = int(np.argmax(section.relocs["symbol"] == symbol))
                    at = int(section.relocs["offset"][row])
                    uses.setdefault(missing[symbol], []).append(site_of(obj, index, at))
    for name, sites in uses.items():
        job.problems.add(_undefined_problem(name, sites))


def apply(job: Job, image: np.ndarray) -> int:
    """Relocate `image`, the file's bytes, in place.  Returns the number of relocations."""
    batch = _gather(job)
    if batch is None:
        return 0
    for number in np.unique(batch.kind).tolist():
        rows = np.flatnonzero(batch.kind == number)
        kind = KINDS.get(number)
        if number == _NONE:
            continue
        if kind is None:
            _report(job, batch, rows, _unsupported(number))
            continue
        if kind.got:
            rows = _relax(job, batch, rows, kind, image)
        _write(job, batch, rows, kind, image)
    _check_discarded(job)
    return len(batch.kind)


def _own_values(obj: ObjectFile, address: np.ndarray) -> np.ndarray:
    shndx = obj.symbols["shndx"]
    inside = shndx < len(address)
    base = np.where(inside, address[np.where(inside, shndx, 0)], np.uint64(0))
    known = inside | (shndx == SHN_ABS)
    return np.where(known & (shndx != SHN_UNDEF), obj.symbols["value"] + base, np.uint64(0))


def _missing_symbols(job: Job, number: int) -> dict[int, str]:
    obj = job.objects[number]
    first = obj.first_global
    binding = (obj.symbols["info"][first:] >> 4).tolist()
    return {
        first + index: name
        for index, name in enumerate(job.resolution.names[number])
        if name not in job.symbols and binding[index] != STB_WEAK
    }


def _undefined_problem(name: str, sites: list[str]) -> Problem:
    more = tuple(f"also used at {site}" for site in sites[1:3])
    if len(sites) > 3:
        more += (f"and at {len(sites) - 3} more places",)
    text = "add the object that defines it, or correct the name"
    if name.startswith(("__start_", "__stop_")):
        text = f"no object has a section named {name.split('_', 3)[-1]}"
    elif name in ("memcpy", "memmove", "memset", "memcmp"):
        text = "filling, copying and comparing call it: `from kernel.lib import memory` brings it"
    elif name.startswith("kpy.rt."):
        text = ("a program says itself what it does: `from kpy import rt`, and a function marked "
                f"`@implements(rt.{name[7:]})`")
    return Problem("K0901", f"`{name}` is not defined", place=sites[0], notes=more, help=text)


def _gather(job: Job) -> _Batch | None:
    """One row a relocation, of all sections whose bytes are in the file."""
    tables, value, address, offset, sources = [], [], [], [], []
    placement = job.placement
    for number, obj in enumerate(job.objects):
        dead = _dead_symbols(job, number)
        for index, section in enumerate(obj.sections):
            at = int(placement.offset[number][index])
            if not len(section.relocs) or at < 0:
                continue
            relocs = section.relocs
            tables.append(relocs)
            target = job.values[number][relocs["symbol"]] + relocs["addend"].view(np.uint64)
            if dead is not None and not section.flags & SHF_ALLOC:
                target[dead[relocs["symbol"]]] = 0
            value.append(target)
            address.append(relocs["offset"] + placement.address[number][index])
            offset.append(relocs["offset"].astype(np.int64) + at)
            sources.append((number, index))
    if not tables:
        return None
    lengths = [len(table) for table in tables]
    rows = np.concatenate(tables).astype(RELA, copy=False)
    return _Batch(
        kind=rows["type"],
        value=np.concatenate(value),
        address=np.concatenate(address),
        offset=np.concatenate(offset),
        origin=np.repeat(np.arange(len(tables)), lengths),
        row=np.arange(len(rows)) - np.repeat(np.cumsum([0, *lengths[:-1]]), lengths),
        sources=sources,
    )


def _dead_symbols(job: Job, number: int) -> np.ndarray | None:
    """Which symbols of an object are gone with their sections; None if none is.

    Debug information keeps its references to them: they become 0, where no code is.
    """
    obj, kept = job.objects[number], job.resolution.kept[number]
    if kept.all():
        return None
    shndx = obj.symbols["shndx"]
    dead = ~kept[np.where(shndx < len(kept), shndx, 0)] & (shndx < len(kept))
    known = [name in job.symbols for name in job.resolution.names[number]]
    dead[obj.first_global :] &= ~np.array(known, dtype=bool)
    return dead


def _write(job: Job, batch: _Batch, rows: np.ndarray, kind: Kind, image: np.ndarray) -> None:
    value = batch.value[rows]
    if kind.relative:
        value = value - batch.address[rows]
    misfits = rows[~_fits(value, kind)]
    if len(misfits):
        _report(job, batch, misfits, _out_of_range(kind))
        return
    octets = np.ascontiguousarray(value).view(np.uint8).reshape(-1, 8)[:, : kind.size]
    image[batch.offset[rows][:, None] + np.arange(kind.size)] = octets


def _fits(value: np.ndarray, kind: Kind) -> np.ndarray:
    if kind.size == 8:
        return np.ones(len(value), dtype=bool)
    bits = kind.size * 8
    fits = np.zeros(len(value), dtype=bool)
    if kind.unsigned:
        fits |= value < np.uint64(1 << bits)
    if kind.signed:
        signed = value.view(np.int64)
        fits |= (signed >= -(1 << (bits - 1))) & (signed < 1 << (bits - 1))
    return fits


def _relax(job: Job, batch: _Batch, rows: np.ndarray, kind: Kind, image: np.ndarray) -> np.ndarray:
    """Rewrite the instructions around `rows`; returns those that could be."""
    done = []
    for row in rows.tolist():
        at = int(batch.offset[row])
        opcode, modrm = int(image[at - 2]), int(image[at - 1])
        number, index = batch.sources[batch.origin[row]]
        field = int(job.objects[number].sections[index].relocs["offset"][batch.row[row]])
        if field < 2:
            opcode = 0
        if opcode == 0x8B and modrm & 0xC7 == 0x05:
            image[at - 2] = 0x8D
        elif opcode == 0xFF and modrm == 0x15:
            image[at - 2 : at] = (0x67, 0xE8)
        elif opcode == 0xFF and modrm == 0x25:
            # `jmp *x` is a byte longer than `jmp x`: the field moves down, a nop follows it.
            image[at - 2], image[at + 3] = 0xE9, 0x90
            batch.offset[row] -= 1
            batch.address[row] -= np.uint64(1)
        else:
            _report(job, batch, np.array([row]), _needs_got(kind))
            continue
        done.append(row)
    return np.array(done, dtype=np.int64)


def _check_discarded(job: Job) -> None:
    """Loaded code may not refer to a local symbol of a section that was not kept."""
    for number, obj in enumerate(job.objects):
        gone = ~job.resolution.kept[number]
        if not gone.any():
            continue
        shndx = obj.symbols["shndx"][: obj.first_global]
        lost = np.flatnonzero(gone[np.where(shndx < len(gone), shndx, 0)] & (shndx != SHN_UNDEF))
        for index, section in enumerate(obj.sections):
            if not job.placement.output[number][index] or not section.flags & SHF_ALLOC:
                continue
            hits = np.flatnonzero(np.isin(section.relocs["symbol"], lost))
            if len(hits) and section.type != SHT_NOBITS:
                at = int(section.relocs["offset"][hits[0]])
                text = "a reference to a local symbol of a COMDAT section that was not kept"
                job.problems.add(Problem("K0904", text, place=site_of(obj, index, at)))


def _report(job: Job, batch: _Batch, rows: np.ndarray, describe: Description) -> None:
    for row in rows[:20].tolist():
        number, index = batch.sources[batch.origin[row]]
        obj = job.objects[number]
        reloc = obj.sections[index].relocs[batch.row[row]]
        name = _target_name(obj, int(reloc["symbol"]))
        site = site_of(obj, index, int(reloc["offset"]))
        job.problems.add(describe(name, int(batch.value[row]), int(batch.address[row]), site))


def _target_name(obj: ObjectFile, symbol: int) -> str:
    name = obj.symbol_name(symbol)
    shndx = int(obj.symbols["shndx"][symbol])
    return name or (obj.sections[shndx].name if shndx < len(obj.sections) else "?")


def _unsupported(number: int) -> Description:
    def describe(name: str, value: int, address: int, site: str) -> Problem:
        return Problem(
            "K0904",
            f"relocation type {number} against `{name}` is not supported",
            place=site,
            help="compile for a static image: no PIC, no thread-local data",
        )

    return describe


def _needs_got(kind: Kind) -> Description:
    def describe(name: str, value: int, address: int, site: str) -> Problem:
        return Problem(
            "K0904",
            f"{kind.name} against `{name}` needs a global offset table",
            place=site,
            help=f"declare `{name}` dso_local",
        )

    return describe


def _out_of_range(kind: Kind) -> Description:
    def describe(name: str, value: int, address: int, site: str) -> Problem:
        return Problem(
            "K0903",
            f"{kind.name} against `{name}` does not fit in {kind.size} bytes",
            place=site,
            notes=(f"the target is {value:#x}; the field is at {address:#x}",),
            help="code and data must lie within 2 GiB of each other; is a symbol misplaced?",
        )

    return describe
