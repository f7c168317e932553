# SPDX-License-Identifier: BSD-3-Clause
"""Judges a finished image, read back with pyelftools as any loader or debugger would read it.

What it holds against the image, each with its number in errors.CODES: an undefined symbol, a
segment both writable and executable, a section out of place, a function without debug
information, an entry that is not code, a multiboot header that a loader would refuse.

Tests  tests/toolchain/test_link_check.py (each check is seen to bite)
"""

import struct
from collections.abc import Collection
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

import numpy as np
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from toolchain.link import dwarf
from toolchain.link.elf import SHF_ALLOC, SHF_EXECINSTR, STT_FUNC, SYM, string_at
from toolchain.link.errors import Collector, LinkError, Problem
from toolchain.link.layout import PAGE, Layout

MULTIBOOT_MAGIC = 0x1BADB002
MULTIBOOT_SEARCH = 8192
_ADDRESS_FIELDS = 0x10000
_PF_W, _PF_X = 2, 1
_NOBITS = "SHT_NOBITS"


def check_image(
    image: Path | str, *, layout: Layout, exempt: Collection[str] = (), functions: bool = True
) -> None:
    """LinkError with all that is wrong with `image`; None is good news.

    Every function symbol must have a DWARF subprogram, but for those in .boot and those that
    match a pattern of `exempt`: code written in assembly.  functions=False leaves that out.
    """
    path = Path(image)
    problems = Collector()
    try:
        data = path.read_bytes()
        with path.open("rb") as file:
            _Check(ELFFile(file), data, layout, problems).run(tuple(exempt), functions)
    except OSError as error:
        raise LinkError(Problem("K0910", f"cannot read {path}: {error.strerror}")) from None
    except ELFError as error:
        raise LinkError(Problem("K0905", f"{path} is damaged: {error}")) from None
    problems.raise_if_any()


class _Check:
    def __init__(self, elf: ELFFile, data: bytes, layout: Layout, problems: Collector) -> None:
        self.elf, self.data, self.layout, self.problems = elf, data, layout, problems
        self.segments = [seg for seg in elf.iter_segments() if seg["p_type"] == "PT_LOAD"]
        self.sections = list(elf.iter_sections())
        self.loaded = [
            section
            for section in self.sections
            if section["sh_flags"] & SHF_ALLOC and section["sh_size"]
        ]

    def run(self, exempt: tuple[str, ...], functions: bool) -> None:
        self._symbols()
        self._protection()
        self._places()
        self._entry()
        if functions:
            self._functions(exempt)
        if self.layout.multiboot:
            self._multiboot()

    def _symbols(self) -> None:
        table = self.elf.get_section_by_name(".symtab")
        if table is None:
            self._add("K0911", "the image has no symbol table")
            self.symbols, self.strings = np.zeros(0, SYM), b"\0"
            return
        self.symbols = np.frombuffer(table.data(), SYM)
        self.strings = table.stringtable.data()
        undefined = (self.symbols["shndx"] == 0) & (self.symbols["name"] != 0)
        for row in self.symbols[undefined]:
            self._add("K0911", f"`{string_at(self.strings, row['name'])}` is not defined")

    def _protection(self) -> None:
        for number, segment in enumerate(self.segments):
            if segment["p_flags"] & _PF_W and segment["p_flags"] & _PF_X:
                at = segment["p_vaddr"]
                self._add("K0912", f"segment {number} at {at:#x} is writable and executable")

    def _places(self) -> None:
        for section in self.loaded:
            self._inside_a_segment(section)
            start = section["sh_addr"]
            for segment in self.layout.segments:
                low = (self.layout.start + segment.bias) & (1 << 64) - 1
                if low <= start <= low + self.layout.limit - self.layout.start:
                    break
            else:
                self._add("K0913", f"section {section.name} at {start:#x} is outside the layout")
        self._apart(self.loaded, "sh_addr", "in memory")
        in_file = [
            section
            for section in self.sections
            if section["sh_type"] not in {_NOBITS, "SHT_NULL"} and section["sh_size"]
        ]
        self._apart(in_file, "sh_offset", "in the file")
        for section in in_file:
            if section["sh_offset"] + section["sh_size"] > len(self.data):
                self._add("K0913", f"section {section.name} reaches past the end of the file")

    def _inside_a_segment(self, section: object) -> None:
        start, size = section["sh_addr"], section["sh_size"]
        for segment in self.segments:
            low = segment["p_vaddr"]
            if low <= start and start + size <= low + segment["p_memsz"]:
                wanted = segment["p_offset"] + start - low
                if section["sh_type"] != _NOBITS and section["sh_offset"] != wanted:
                    self._add("K0913", f"section {section.name} is not where its segment says")
                return
        self._add("K0913", f"section {section.name} at {start:#x} is in no segment")

    def _apart(self, sections: list, key: str, where: str) -> None:
        for one, two in pairwise(sorted(sections, key=lambda section: section[key])):
            if one[key] + one["sh_size"] > two[key]:
                self._add("K0913", f"sections {one.name} and {two.name} overlap {where}")

    def _entry(self) -> None:
        entry = self.elf["e_entry"]
        for segment in self.segments:
            low = segment["p_vaddr"]
            if low <= entry < low + segment["p_filesz"] and segment["p_flags"] & _PF_X:
                return
        self._add("K0915", f"the entry {entry:#x} is not in executable memory")

    def _functions(self, exempt: tuple[str, ...]) -> None:
        try:
            known = self.elf.has_dwarf_info()
            covered = dwarf.function_starts(self.elf.get_dwarf_info()) if known else set()
        except Exception as error:
            # What a reader makes of damaged DWARF cannot be foreseen; that it is damaged, can.
            text = f"{type(error).__name__}: {error}"
            self._add("K0905", f"the image's debug information is damaged ({text})")
            return
        wanted = self.symbols["info"] & 15 == STT_FUNC
        code = {
            number
            for number, section in enumerate(self.sections)
            if section["sh_flags"] & SHF_EXECINSTR and section.name != ".boot"
        }
        for row in self.symbols[wanted]:
            if int(row["shndx"]) not in code or int(row["value"]) in covered:
                continue
            name = string_at(self.strings, int(row["name"]))
            if not any(fnmatchcase(name, pattern) for pattern in exempt):
                self._add(
                    "K0914",
                    f"`{name}` at {int(row['value']):#x} has no debug information",
                    "compile it with debug information, or exempt it as assembly",
                )

    def _multiboot(self) -> None:
        for at in range(0, min(MULTIBOOT_SEARCH, len(self.data)) - 31, 4):
            magic, flags, checksum, *fields = struct.unpack_from("<8I", self.data, at)
            if magic == MULTIBOOT_MAGIC and (magic + flags + checksum) & 0xFFFFFFFF == 0:
                self._multiboot_fields(at, flags, fields)
                return
        self._add("K0916", "there is no multiboot header in the first 8 KiB")

    def _multiboot_fields(self, at: int, flags: int, fields: list[int]) -> None:
        header, load, load_end, bss_end, entry = fields
        if not flags & _ADDRESS_FIELDS:
            self._add("K0916", "the multiboot header has no address fields")
            return
        offset = at - (header - load)
        ends = [segment["p_paddr"] + segment["p_filesz"] for segment in self.segments]
        memory = [segment["p_paddr"] + segment["p_memsz"] for segment in self.segments]
        for good, text in (
            (load <= header < load_end <= bss_end, "its addresses are not in order"),
            (load <= entry < load_end, f"its entry {entry:#x} is not loaded"),
            (offset >= 0 and offset + load_end - load <= len(self.data),
             "the file does not hold all that it loads"),
            (load_end >= max(ends, default=0), "it does not load all segments"),
            (0 <= bss_end - max(memory, default=0) <= PAGE, "it does not clear just .bss"),
        ):  # fmt: skip
            if not good:
                self._add("K0916", f"the multiboot header is wrong: {text}")

    def _add(self, code: str, message: str, way_out: str = "") -> None:
        self.problems.add(Problem(code, message, help=way_out))
