# SPDX-License-Identifier: BSD-3-Clause
"""Puts the output file together: headers, loaded bytes, debug sections, symbol table.

    0         ELF header, program headers
    FILE_BASE what is loaded, at the distances it has in memory (layout.L2)
              debug sections
              .symtab, .strtab, .shstrtab, section headers

Invariants
  I1  Local symbols come before global ones; sh_info of .symtab is where the global ones start.
Tests   tests/toolchain/test_link_elf.py
Source  System V ABI, "Object Files", "Program Loading"
"""

from collections.abc import Sequence

import numpy as np

from toolchain.link.elf import (
    EHDR,
    EM_X86_64,
    ET_EXEC,
    MAGIC,
    PHDR,
    PT_LOAD,
    PT_NOTE,
    SHDR,
    SHF_EXECINSTR,
    SHN_ABS,
    SHT_NOTE,
    SHT_STRTAB,
    SHT_SYMTAB,
    STB_GLOBAL,
    STT_FILE,
    STT_SECTION,
    SYM,
    ObjectFile,
)
from toolchain.link.layout import FILE_BASE, PAGE
from toolchain.link.place import PlacedSection, Placement
from toolchain.link.reloc import Job

_PF = {"r": 4, "w": 2, "x": 1}


def copy_sections(objects: Sequence[ObjectFile], placement: Placement) -> np.ndarray:
    """The file from offset 0 to the end of the debug sections, before relocation."""
    image = np.zeros(placement.file_size, dtype=np.uint8)
    for section in placement.sections:
        if section.flags & SHF_EXECINSTR and section.file_size:
            # What lies between functions is never run; if it is, it traps.
            image[section.offset : section.offset + section.size] = 0xCC
    for obj, offsets in zip(objects, placement.offset, strict=True):
        for index in np.flatnonzero(offsets >= 0).tolist():
            section, at = obj.sections[index], int(offsets[index])
            image[at : at + section.size] = np.frombuffer(section.data, dtype=np.uint8)
    return image


def finish(job: Job, image: np.ndarray, entry: int) -> list[bytes | np.ndarray]:
    """The file's pieces in order: the relocated image with its headers, and the tables."""
    placement = job.placement
    local = _local_symbols(job)
    table, strings = _symbol_table(job, local)
    pieces: list[bytes | np.ndarray] = [image]
    names, headers = bytearray(b"\0"), [np.zeros(1, SHDR)]
    for section in placement.sections:
        headers.append(_section_header(section, names))
    cursor = len(image)
    for name, kind, data, first_global in (
        (b".symtab", SHT_SYMTAB, table.tobytes(), len(local[0])),
        (b".strtab", SHT_STRTAB, strings, 0),
    ):
        cursor = _append(pieces, cursor, data)
        header = _table_header(name, kind, cursor - len(data), len(data), names)
        if kind == SHT_SYMTAB:
            header["link"], header["info"] = len(headers) + 1, first_global
            header["entsize"] = SYM.itemsize
        headers.append(header)
    header = _table_header(b".shstrtab", SHT_STRTAB, 0, 0, names)
    cursor = _append(pieces, cursor, bytes(names))
    header["offset"], header["size"] = cursor - len(names), len(names)
    headers.append(header)
    sections = np.concatenate(headers)
    cursor = _append(pieces, cursor, sections.tobytes())
    _write_headers(image, placement, entry, len(sections), cursor - sections.nbytes)
    return pieces


def _append(pieces: list[bytes | np.ndarray], cursor: int, data: bytes) -> int:
    padding = -cursor % 16
    pieces += [bytes(padding), data]
    return cursor + padding + len(data)


def _section_header(section: PlacedSection, names: bytearray) -> np.ndarray:
    header = np.zeros(1, SHDR)
    header["name"], header["type"] = len(names), section.type
    header["flags"], header["addr"] = section.flags, section.address
    header["offset"], header["size"] = section.offset, section.size
    header["addralign"] = section.align
    names += section.name.encode() + b"\0"
    return header


def _table_header(name: bytes, kind: int, offset: int, size: int, names: bytearray) -> np.ndarray:
    header = np.zeros(1, SHDR)
    header["name"], header["type"], header["addralign"] = len(names), kind, 8
    header["offset"], header["size"] = offset, size
    names += name + b"\0"
    return header


def _local_symbols(job: Job) -> tuple[np.ndarray, list[bytes]]:
    """Named local symbols of all objects, st_name counting from the first object's table."""
    rows, tables, base = [np.zeros(1, SYM)], [], 1
    for obj, output, value in zip(job.objects, job.placement.output, job.values, strict=True):
        symbols = obj.symbols[: obj.first_global].copy()
        kind, shndx = symbols["info"] & 15, symbols["shndx"]
        inside = shndx < len(output)
        symbols["shndx"] = np.where(inside, output[np.where(inside, shndx, 0)], shndx)
        symbols["value"] = value[: obj.first_global]
        wanted = (symbols["shndx"] != 0) & (symbols["name"] != 0)
        wanted &= (kind != STT_SECTION) & (kind != STT_FILE)
        symbols["name"] += np.uint32(base)
        rows.append(symbols[wanted])
        tables.append(obj.strings)
        base += len(obj.strings)
    return np.concatenate(rows), tables


def _symbol_table(job: Job, local: tuple[np.ndarray, list[bytes]]) -> tuple[np.ndarray, bytes]:
    strings, at = [b"\0", *local[1]], 1 + sum(map(len, local[1]))
    rows = []
    for name, value in job.symbols.items():
        rows.append((at, *_definition(job, name, value)))
        strings.append(name.encode("utf-8", "backslashreplace") + b"\0")
        at += len(strings[-1])
    return np.concatenate([local[0], np.array(rows, dtype=SYM)]), b"".join(strings)


def _definition(job: Job, name: str, value: int) -> tuple[int, int, int, int, int]:
    """(info, other, section, value, size) of a global symbol of the image."""
    if name not in job.resolution.definitions:
        return STB_GLOBAL << 4, 0, SHN_ABS, value, 0
    number, index = job.resolution.definitions[name]
    _, info, other, shndx, _, size = job.objects[number].symbols[index].item()
    if name in job.resolution.commons:
        size, section = job.resolution.commons[name].size, _section_at(job.placement, value)
    elif shndx < len(job.placement.output[number]):
        section = int(job.placement.output[number][shndx]) or SHN_ABS
    else:
        section = SHN_ABS
    return info, other, section, value, size


def _section_at(placement: Placement, address: int) -> int:
    for number, section in enumerate(placement.sections, 1):
        if section.flags and section.address <= address < section.address + section.size:
            return number
    return SHN_ABS


def _write_headers(
    image: np.ndarray, placement: Placement, entry: int, sections: int, table: int
) -> None:
    headers = _program_headers(placement)
    elf = np.zeros(1, EHDR)
    elf["ident"], elf["type"], elf["machine"], elf["version"] = MAGIC, ET_EXEC, EM_X86_64, 1
    elf["entry"], elf["phoff"], elf["shoff"] = entry, EHDR.itemsize, table
    elf["ehsize"], elf["phentsize"], elf["phnum"] = EHDR.itemsize, PHDR.itemsize, len(headers)
    elf["shentsize"], elf["shnum"], elf["shstrndx"] = SHDR.itemsize, sections, sections - 1
    head = np.frombuffer(elf.tobytes() + headers.tobytes(), dtype=np.uint8)
    assert len(head) <= FILE_BASE
    image[: len(head)] = head


def _program_headers(placement: Placement) -> np.ndarray:
    rows = []
    for placed in placement.segments:
        if not placed.memory_size:
            continue
        row = np.zeros(1, PHDR)
        row["type"], row["align"] = PT_LOAD, PAGE
        row["flags"] = sum(_PF[letter] for letter in placed.segment.flags)
        row["offset"], row["vaddr"], row["paddr"] = placed.offset, placed.address, placed.physical
        row["filesz"], row["memsz"] = placed.file_size, placed.memory_size
        rows.append(row)
    for section in placement.sections:
        if section.type == SHT_NOTE:
            row = np.zeros(1, PHDR)
            row["type"], row["flags"], row["align"] = PT_NOTE, _PF["r"], section.align
            row["offset"], row["vaddr"] = section.offset, section.address
            row["paddr"], row["filesz"] = section.physical, section.size
            row["memsz"] = section.size
            rows.append(row)
    return np.concatenate(rows) if rows else np.zeros(0, PHDR)
