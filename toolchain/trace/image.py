# SPDX-License-Identifier: BSD-3-Clause
"""Where things are in a kernel image, for one who reads the memory of a machine that runs it.

Addresses come from the image's symbols, offsets and the numbers of events from its DWARF: what
is read is what that image was compiled with, whatever this source says now.

Tests  tests/qemu/test_trace.py
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from elftools.dwarf.die import DIE
from elftools.elf.elffile import ELFFile

from toolchain.link.symbols import SymbolTable

LWKT = "kernel.lwkt.globaldata"
CLOCK_HZ = "kernel.platform.pc64.clock.hz"
STRUCTS = ("Globaldata", "Ring", "Entry", "Thread", "Token", "Str")


class ImageError(Exception):
    """The image lacks what a trace needs; the message says what."""


@dataclass(frozen=True)
class Struct:
    """The layout of a struct: its size, and the offset of each member."""

    size: int
    offset: dict[str, int]


@dataclass(frozen=True)
class Image:
    """What a reader of the machine's memory must know."""

    symbols: SymbolTable
    address: dict[str, int]         # of the variables that are read
    structs: dict[str, Struct]
    events: dict[int, str]          # ktr.Event by number

    @staticmethod
    def read(path: Path) -> Image:
        """The layout of the image in a file.  ImageError if it was built without DWARF."""
        symbols = SymbolTable.read(path)
        wanted = {f"{LWKT}.cpus", f"{LWKT}.cpu_limit", CLOCK_HZ}
        address = {s.name: s.address for s in symbols.symbols if s.name in wanted}
        structs: dict[str, Struct] = {}
        events: dict[int, str] = {}
        with path.open("rb") as file:
            for die in _types(ELFFile(file), "kernel/lwkt/globaldata.py", "kernel/lwkt/ktr.py"):
                name = _name(die)
                if die.tag == "DW_TAG_structure_type" and name in STRUCTS and name not in structs:
                    _add_struct(structs, name, die)
                elif die.tag == "DW_TAG_enumeration_type" and name == "Event":
                    events |= {child.attributes["DW_AT_const_value"].value: _name(child)
                               for child in die.iter_children()}
        missing = [*(wanted - set(address)), *(n for n in STRUCTS if n not in structs)]
        if missing or not events:
            raise ImageError(f"{path} does not describe {', '.join(missing) or 'ktr.Event'}; "
                             "it needs a kernel with debug information")
        return Image(symbols, address, structs, events)

    def function(self, address: int) -> str:
        """The name of the function at `address`, without its package."""
        place = self.symbols.lookup(address)
        return ".".join(place.function.split(".")[-2:]) if place else f"{address:#x}"


def _types(elf: ELFFile, *files: str) -> list[DIE]:
    """The outermost entries of the units of `files`."""
    if not elf.has_dwarf_info():
        return []
    units = [unit.get_top_DIE() for unit in elf.get_dwarf_info().iter_CUs()]
    return [die for unit in units if _name(unit).endswith(files) for die in unit.iter_children()]


def _add_struct(structs: dict[str, Struct], name: str, die: DIE) -> None:
    members = {_name(child): child.attributes["DW_AT_data_member_location"].value
               for child in die.iter_children() if child.tag == "DW_TAG_member"}
    if members and "DW_AT_byte_size" in die.attributes:
        structs[name] = Struct(die.attributes["DW_AT_byte_size"].value, members)


def _name(die: DIE) -> str:
    found = die.attributes.get("DW_AT_name")
    return found.value.decode() if found else ""
