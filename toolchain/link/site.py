# SPDX-License-Identifier: BSD-3-Clause
"""Says where in an object something is, in the words of the source if it can.

Only diagnostics come here, so it may take its time.

Tests  tests/toolchain/test_link_errors.py
"""

import numpy as np

from toolchain.link import dwarf
from toolchain.link.elf import STT_FUNC, ObjectFile


def definition_site(obj: ObjectFile, symbol: int) -> str:
    """Where `symbol` is defined: `kernel/main.py:7 (main.o)` or the object alone."""
    record = obj.symbols[symbol]
    return place(obj, int(record["shndx"]), int(record["value"]))


def place(obj: ObjectFile, section: int, offset: int) -> str:
    """The source line that became byte `offset` of `section`, else the bytes' own place."""
    line = dwarf.object_line(obj, section, offset)
    if line is not None:
        return f"{line[0]}:{line[1]} ({obj.name})"
    if not 0 < section < len(obj.sections):
        return obj.name
    function = _function_at(obj, section, offset)
    inside = f" in {function}" if function else ""
    return f"{obj.name}: {obj.sections[section].name}+{offset:#x}{inside}"


def _function_at(obj: ObjectFile, section: int, offset: int) -> str:
    symbols = obj.symbols
    begin, size = symbols["value"], symbols["size"]
    inside = (symbols["shndx"] == section) & (symbols["info"] & 15 == STT_FUNC)
    inside &= (begin <= offset) & (offset - begin < size)
    found = np.flatnonzero(inside)
    return obj.symbol_name(int(found[0])) if len(found) else ""
