# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's table of its own symbols and lines, so that a panic can name what it shows.

The table holds addresses of code, and code lies before the table: so the kernel is linked twice,
first with an empty table, then with the one that the first image gives.  Code stays where it was.

The table is at symbol `kernel_symbols`, of little-endian 32-bit words:

    header      magic "KSYM", functions F, rows R, files N, bytes of strings S, 0,
                base (64 bits): where code begins
    functions   F x (start - base, size, name)           by start
    rows        R x (start - base, file << 20 | line)    by start; line 0: no line from here on
    files       N x name
    strings     S bytes, each string ended by NUL; a name is an offset in here

Invariants
  Y1  functions and rows are sorted by start; a row covers up to the next one.
  Y2  The addresses in the table are those of the image that holds it.
Tests  tests/toolchain/test_link_ksyms.py
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolchain.link.elf import (
    SHF_ALLOC,
    SHT_NULL,
    SHT_PROGBITS,
    STB_GLOBAL,
    STT_OBJECT,
    SYM,
    ObjectFile,
    Section,
)
from toolchain.link.layout import Layout
from toolchain.link.linker import LinkResult, link
from toolchain.link.symbols import SymbolTable

SYMBOL = "kernel_symbols"
MAGIC = b"KSYM"
HEADER_BYTES = 32
LINE_BITS = 20
_MAX_FILES = 1 << 32 - LINE_BITS


def link_with_symbols(
    objects: Sequence[ObjectFile | Path | str],
    *,
    layout: Layout,
    output: Path | str,
    **options: Any,
) -> LinkResult:
    """link(), with the image's own symbols in it at `kernel_symbols`."""
    parsed = [item if isinstance(item, ObjectFile) else ObjectFile.read(item) for item in objects]
    empty = encode(SymbolTable.empty(), 0, 0)
    draft = Path(output).with_name(f".{Path(output).name}.draft")
    try:
        first = link([*parsed, _object(empty)], layout=layout, output=draft, **options)
        start, end = first.symbols["__text_start"], first.symbols["__text_end"]
        table = encode(SymbolTable.read(draft), start, end)
    finally:
        draft.unlink(missing_ok=True)
    return link([*parsed, _object(table)], layout=layout, output=output, **options)


def encode(table: SymbolTable, start: int, end: int) -> bytes:
    """The bytes of the table for the code from `start` to `end`."""
    strings = _Strings()
    functions = [
        (symbol.address - start, symbol.size, strings.add(symbol.name))
        for symbol in table.symbols
        if symbol.kind == "function" and start <= symbol.address < end
    ]
    lines = table.lines
    inside = (lines.address >= np.uint64(start)) & (lines.address <= np.uint64(end))
    offset = (lines.address[inside] - np.uint64(start)).astype("<u4")
    file, line = lines.file[inside], lines.line[inside]
    file = np.where(file < _MAX_FILES, file, 0).astype("<u4")
    packed = file << np.uint32(LINE_BITS) | np.minimum(line, (1 << LINE_BITS) - 1).astype("<u4")
    changed = np.ones(len(packed), dtype=bool)
    changed[1:] = packed[1:] != packed[:-1]
    rows = np.stack([offset, packed], axis=1)[changed].astype("<u4")
    files = [strings.add(name) for name in lines.files[:_MAX_FILES]]
    counts = [len(functions), len(rows), len(files), len(strings.data), 0]
    return b"".join([
        MAGIC, np.array(counts, "<u4").tobytes(), start.to_bytes(8, "little"),
        np.array(functions, "<u4").tobytes(), rows.tobytes(),
        np.array(files, "<u4").tobytes(), bytes(strings.data),
    ])  # fmt: skip


class _Strings:
    def __init__(self) -> None:
        self.data = bytearray()
        self._known: dict[str, int] = {}

    def add(self, text: str) -> int:
        if text not in self._known:
            self._known[text] = len(self.data)
            self.data += text.encode("utf-8", "backslashreplace") + b"\0"
        return self._known[text]


def _object(table: bytes) -> ObjectFile:
    """An object that has nothing but the table."""
    symbols = np.zeros(2, SYM)
    symbols["name"][1], symbols["shndx"][1], symbols["size"][1] = 1, 1, len(table)
    symbols["info"][1] = STB_GLOBAL << 4 | STT_OBJECT
    sections = (
        Section("", SHT_NULL, 0, 1, 0, memoryview(b"")),
        Section(".rodata.ksyms", SHT_PROGBITS, SHF_ALLOC, 8, len(table), memoryview(table)),
    )
    strings = b"\0" + SYMBOL.encode() + b"\0"
    return ObjectFile("(symbols)", b"", sections, symbols, strings, 1, ())
