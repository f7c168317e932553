# SPDX-License-Identifier: BSD-3-Clause
"""Just enough of DWARF, quickly: which line an address has, and where functions begin.

pyelftools finds the units and the headers of their line programs.  The inner loops, over line
opcodes, abbreviations and DIEs, are ours: a kernel's debug information is read at each link, and
most of it only to be passed over.

Invariants
  D1  Rows of a LineTable are sorted by address; a row covers up to the next one; line 0 covers
      what belongs to no sequence.
Tests   tests/toolchain/test_link_dwarf.py (compared with pyelftools, row by row)
Source  DWARF 4, section 6.2 "Line Number Information", 7.5 "Format of Debugging Information"
"""

import io
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.dwarf.enums import ENUM_DW_AT, ENUM_DW_FORM, ENUM_DW_TAG
from elftools.dwarf.lineprogram import LineProgram
from elftools.elf.elffile import ELFFile

from toolchain.link.elf import ObjectFile

Row = tuple[int, int, int]
"""(address, index of the file in LineTable.files, line); line 0 ends a sequence."""

_FIXED = {
    "addr": 8, "data1": 1, "ref1": 1, "flag": 1, "strx1": 1, "addrx1": 1, "data2": 2, "ref2": 2,
    "strx2": 2, "addrx2": 2, "strx3": 3, "addrx3": 3, "data4": 4, "ref4": 4, "strp": 4,
    "sec_offset": 4, "line_strp": 4, "ref_addr": 4, "strx4": 4, "addrx4": 4, "data8": 8,
    "ref8": 8, "ref_sig8": 8, "data16": 16, "flag_present": 0, "implicit_const": 0,
}  # fmt: skip
_LEB = {"udata", "sdata", "ref_udata", "strx", "addrx", "loclistx", "rnglistx"}
_BLOCKS = {"block": 0, "exprloc": 0, "block1": 1, "block2": 2, "block4": 4}
_LEB_STEP, _STRING_STEP, _BLOCK_STEP = -1, -2, -3
_SUBPROGRAM, _LOW_PC = ENUM_DW_TAG["DW_TAG_subprogram"], ENUM_DW_AT["DW_AT_low_pc"]
_FORMS = {number: name.removeprefix("DW_FORM_")
          for name, number in ENUM_DW_FORM.items() if isinstance(number, int)}

Plan = tuple[tuple[int, ...] | None, tuple[int, ...]]
"""How to pass over a DIE: (steps up to low_pc or None, steps of the rest).

A step is a number of bytes, or one of the *_STEP constants; _BLOCK_STEP - n is a block whose
length takes n bytes, 0 standing for LEB128.
"""


class DwarfError(Exception):
    """The debug information uses a form that this reader does not know."""


@dataclass(frozen=True)
class LineTable:
    """Address to file and line, for a whole image (D1)."""

    address: np.ndarray
    file: np.ndarray
    line: np.ndarray
    files: tuple[str, ...]

    @staticmethod
    def empty() -> "LineTable":
        """The table of an image without line information."""
        none = np.zeros(0, dtype=np.int32)
        return LineTable(np.zeros(0, dtype=np.uint64), none, none, ())

    def lookup(self, address: int) -> tuple[str, int] | None:
        """(file, line) of the instruction at `address`, or None."""
        at = int(np.searchsorted(self.address, np.uint64(address), side="right")) - 1
        if at < 0 or not self.line[at]:
            return None
        return self.files[self.file[at]], int(self.line[at])


def line_table(dwarf: DWARFInfo) -> LineTable:
    """The line table of a linked image."""
    files: dict[str, int] = {}
    rows: list[Row] = []
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is not None:
            numbers = [files.setdefault(name, len(files)) for name in _files(unit, program)]
            for sequence in _sequences(program):
                if sequence[0][0]:
                    rows += [(at, _number(numbers, file), line) for at, file, line in sequence]
    if not rows:
        return LineTable.empty()
    table = np.array(rows, dtype=np.uint64)
    table = table[np.lexsort((table[:, 2] != 0, table[:, 0]))]
    return LineTable(
        table[:, 0], table[:, 1].astype(np.int32), table[:, 2].astype(np.int32), tuple(files)
    )


def function_starts(dwarf: DWARFInfo) -> set[int]:
    """The addresses at which a subprogram with debug information begins."""
    starts: set[int] = set()
    if dwarf.debug_info_sec is None:
        return starts
    info = dwarf.debug_info_sec.stream.getvalue()
    abbreviations = dwarf.debug_abbrev_sec.stream.getvalue()
    for unit in dwarf.iter_CUs():
        plans = _plans(abbreviations, unit["debug_abbrev_offset"])
        starts.update(_subprograms(info, unit, plans))
    return starts


def object_line(obj: ObjectFile, section: int, offset: int) -> tuple[str, int] | None:
    """(file, line) of byte `offset` of a section of an unlinked object, or None.

    Damaged debug information is no reason to fail: who asks is reporting something else.
    """
    try:
        return _object_line(obj, section, offset)
    except Exception:
        return None


def _object_line(obj: ObjectFile, section: int, offset: int) -> tuple[str, int] | None:
    dwarf = ELFFile(io.BytesIO(obj.data)).get_dwarf_info(relocate_dwarf_sections=True)
    bases = _set_address_targets(obj)
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        files = _files(unit, program)
        for sequence in _sequences(program, bases.get):
            if sequence[0][0] >> 48 != section:
                continue
            found = None
            for address, file, line in sequence:
                if address & 0xFFFFFFFFFFFF > offset:
                    break
                found = (file, line)
            if found and found[1]:
                return files[found[0]], found[1]
    return None


def _set_address_targets(obj: ObjectFile) -> dict[int, int]:
    """Offset in .debug_line of an address operand, to (section << 48) + offset in it."""
    for section in obj.sections:
        if section.name == ".debug_line":
            symbols = obj.symbols[section.relocs["symbol"]]
            targets = (symbols["shndx"].astype(np.uint64) << np.uint64(48)) + symbols["value"]
            targets += section.relocs["addend"].view(np.uint64)
            return dict(zip(section.relocs["offset"].tolist(), targets.tolist(), strict=True))
    return {}


def _files(unit: CompileUnit, program: LineProgram) -> list[str]:
    """File names by the numbers that the line program uses, relative ones as they are."""
    header = program.header
    entries = header["file_entry"]
    folders = [_text(folder) for folder in header["include_directory"]]
    names = []
    for entry in entries:
        index = entry["dir_index"] - (header["version"] < 5)
        folder = folders[index] if 0 <= index < len(folders) else ""
        if header["version"] >= 5 and index == 0:
            folder = ""
        names.append(posixpath.join(folder, _text(entry["name"])))
    return names if header["version"] >= 5 else [_unit_name(unit), *names]


def _unit_name(unit: CompileUnit) -> str:
    attribute = unit.get_top_DIE().attributes.get("DW_AT_name")
    return _text(attribute.value) if attribute else "?"


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _number(numbers: list[int], file: int) -> int:
    return numbers[file] if file < len(numbers) else numbers[0]


def _sequences(
    program: LineProgram, base_of: Callable[[int], int | None] = lambda _: None
) -> Iterator[list[Row]]:
    """The rows of each sequence of a line program, without those that cover nothing.

    `base_of` may give the value of the address operand at an offset of .debug_line.
    """
    header, stream = program.header, program.stream
    start, end = program.program_start_offset, program.program_end_offset
    stream.seek(start)
    data = stream.read(end - start)
    line_base, line_range = header["line_base"], header["line_range"]
    opcode_base, step = header["opcode_base"], header["minimum_instruction_length"]
    lengths = header["standard_opcode_lengths"]
    const_advance = (255 - opcode_base) // line_range * step
    address, file, line, at, size = 0, 1, 1, 0, len(data)
    rows: list[Row] = []

    def emit(row: Row) -> None:
        if rows and rows[-1][0] == row[0]:
            rows[-1] = row
        else:
            rows.append(row)

    while at < size:
        opcode = data[at]
        at += 1
        if opcode >= opcode_base:
            opcode -= opcode_base
            address += opcode // line_range * step
            line += line_base + opcode % line_range
            emit((address, file, line))
        elif opcode == 0:
            length, at = _uleb(data, at)
            extended = data[at]
            if extended == 1:
                emit((address, file, 0))
                if len(rows) > 1:
                    yield rows
                rows = []
                address, file, line = 0, 1, 1
            elif extended == 2:
                base = base_of(start + at + 1)
                address = int.from_bytes(data[at + 1 : at + length], "little")
                address = address if base is None else base
            at += length
        elif opcode == 1:
            emit((address, file, line))
        elif opcode == 2:
            value, at = _uleb(data, at)
            address += value * step
        elif opcode == 3:
            value, at = _sleb(data, at)
            line += value
        elif opcode == 4:
            file, at = _uleb(data, at)
        elif opcode == 8:
            address += const_advance
        elif opcode == 9:
            address += int.from_bytes(data[at : at + 2], "little")
            at += 2
        else:
            for _ in range(lengths[opcode - 1]):
                _, at = _uleb(data, at)


def _plans(data: bytes, at: int) -> dict[int, Plan]:
    """The plan for each code of the table at an offset of .debug_abbrev."""
    plans = {}
    code, at = _uleb(data, at)
    while code:
        tag, at = _uleb(data, at)
        at += 1                             # whether it has children
        attributes = []
        while True:
            attribute, at = _uleb(data, at)
            form, at = _uleb(data, at)
            if not form:
                break
            name = _FORMS.get(form, f"{form:#x}")
            if name == "implicit_const":
                _, at = _sleb(data, at)
            attributes.append((attribute, name))
        plans[code] = _plan(attributes, wanted=tag == _SUBPROGRAM)
        code, at = _uleb(data, at)
    return plans


def _plan(attributes: list[tuple[int, str]], *, wanted: bool) -> Plan:
    """How to pass over a DIE of these attributes; `wanted`: with a stop at its low_pc."""
    before: tuple[int, ...] | None = None
    steps: list[int] = []
    for attribute, form in attributes:
        if wanted and attribute == _LOW_PC and form == "addr":
            before, steps = tuple(steps), []
        elif form in _FIXED and steps and steps[-1] >= 0:
            steps[-1] += _FIXED[form]
        elif form in _FIXED:
            steps.append(_FIXED[form])
        elif form in _LEB:
            steps.append(_LEB_STEP)
        elif form == "string":
            steps.append(_STRING_STEP)
        elif form in _BLOCKS:
            steps.append(_BLOCK_STEP - _BLOCKS[form])
        else:
            raise DwarfError(f"DW_FORM_{form} is not known")
    return before, tuple(steps)


def _subprograms(info: bytes, unit: CompileUnit, plans: dict[int, Plan]) -> Iterator[int]:
    """low_pc of each subprogram DIE of a unit, found by passing over everything else."""
    at, end = unit.cu_die_offset, unit.cu_offset + unit.size
    while at < end:
        code, at = _uleb(info, at)
        if not code:
            continue
        before, after = plans[code]
        if before is not None:
            at = _skip(info, at, before)
            yield int.from_bytes(info[at : at + 8], "little")
            at += 8
        at = _skip(info, at, after)


def _skip(data: bytes, at: int, steps: tuple[int, ...]) -> int:
    for step in steps:
        if step >= 0:
            at += step
        elif step == _LEB_STEP:
            while data[at] >= 0x80:
                at += 1
            at += 1
        elif step == _STRING_STEP:
            at = data.index(b"\0", at) + 1
        elif step == _BLOCK_STEP:
            length, at = _uleb(data, at)
            at += length
        else:
            width = _BLOCK_STEP - step
            at += width + int.from_bytes(data[at : at + width], "little")
    return at


def _uleb(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _sleb(data: bytes, at: int) -> tuple[int, int]:
    value, after = _uleb(data, at)
    bits = 7 * (after - at)
    return value - (1 << bits) if data[after - 1] & 0x40 else value, after
