# SPDX-License-Identifier: BSD-3-Clause
"""Address to function, file and line, from a linked image: for panics and `kpyc symbols`.

Tests  tests/toolchain/test_link_symbols.py
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from toolchain.link import dwarf
from toolchain.link.elf import STT_FUNC, STT_OBJECT, SYM, string_at
from toolchain.link.errors import LinkError, Problem

_KINDS = {STT_FUNC: "function", STT_OBJECT: "data"}


@dataclass(frozen=True)
class Symbol:
    """A named place of the image; `kind` is function, data or label."""

    address: int
    size: int
    kind: str
    name: str


@dataclass(frozen=True)
class Place:
    """Where an address is; `file` is empty and `line` 0 where there is no line information."""

    function: str
    offset: int
    file: str
    line: int

    def __str__(self) -> str:
        where = f" ({self.file}:{self.line})" if self.file else ""
        return f"{self.function}+{self.offset:#x}{where}"


@dataclass(frozen=True)
class SymbolTable:
    """The symbols of an image by address, and its line table."""

    symbols: tuple[Symbol, ...]
    lines: dwarf.LineTable
    _code: tuple[Symbol, ...]
    _starts: np.ndarray

    @staticmethod
    def read(image: Path | str) -> "SymbolTable":
        """The table of the linked image in a file.  LinkError if it cannot be read."""
        try:
            with Path(image).open("rb") as file:
                elf = ELFFile(file)
                return _table(elf, _lines(elf, image))
        except OSError as error:
            raise LinkError(Problem("K0910", f"cannot read {image}: {error.strerror}")) from None
        except ELFError as error:
            raise LinkError(Problem("K0905", f"{image} is damaged: {error}")) from None

    @staticmethod
    def empty() -> "SymbolTable":
        """The table of an image that has no symbols."""
        none = np.zeros(0, dtype=np.uint64)
        return SymbolTable((), dwarf.LineTable.empty(), (), none)

    def lookup(self, address: int) -> Place | None:
        """The function that `address` is in, and its line; None outside all functions."""
        at = int(np.searchsorted(self._starts, np.uint64(address), side="right")) - 1
        if at < 0:
            return None
        symbol = self._code[at]
        offset = address - symbol.address
        if offset >= max(symbol.size, 1):
            return None
        file, line = self.lines.lookup(address) or ("", 0)
        return Place(symbol.name, offset, file, line)

    def describe(self, address: int) -> str:
        """`kernel.main.kmain+0x12 (kernel/main.py:7)`, or nothing outside all functions."""
        place = self.lookup(address)
        return str(place) if place else ""

    def listing(self) -> str:
        """One line a symbol, by address: address, size, kind, name, file:line."""
        out = []
        for symbol in self.symbols:
            where = self.lines.lookup(symbol.address) if symbol.kind == "function" else None
            tail = f"  {where[0]}:{where[1]}" if where else ""
            text = f"{symbol.address:016x} {symbol.size:8} {symbol.kind:8} {symbol.name}{tail}"
            out.append(text)
        return "\n".join(out) + "\n"


def _lines(elf: ELFFile, image: Path | str) -> dwarf.LineTable:
    try:
        known = elf.has_dwarf_info()
        return dwarf.line_table(elf.get_dwarf_info()) if known else dwarf.LineTable.empty()
    except Exception as error:
        # What a reader makes of damaged DWARF cannot be foreseen; that it is damaged, can.
        text = f"the debug information of {image} is damaged ({type(error).__name__}: {error})"
        raise LinkError(Problem("K0905", text)) from None


def _table(elf: ELFFile, lines: dwarf.LineTable) -> SymbolTable:
    section = elf.get_section_by_name(".symtab")
    rows = np.frombuffer(section.data(), SYM) if section else np.zeros(0, SYM)
    strings = section.stringtable.data() if section else b"\0"
    rows = rows[rows["name"] != 0]
    rows = rows[np.argsort(rows["value"], kind="stable")]
    symbols = tuple(
        Symbol(value, size, _KINDS.get(info & 15, "label"), string_at(strings, name))
        for name, info, _, _, value, size in rows.tolist()
    )
    code = tuple(symbol for symbol in symbols if symbol.kind == "function")
    starts = np.array([symbol.address for symbol in code], dtype=np.uint64)
    return SymbolTable(symbols, lines, code, starts)
