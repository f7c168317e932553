# SPDX-License-Identifier: BSD-3-Clause
"""Reads a relocatable x86-64 object into arrays.

Symbols and relocations stay numpy records over the file's own bytes: a kernel has hundreds of
thousands of them, and one Python object each would take longer than the whole link does.  That
is why pyelftools reads the finished image (check.py), and not each object.

Invariants
  O1  What parse() returns is in bounds: every section's bytes, name, symbol index, group
      member and relocation field lies inside the table that it refers to.
  O2  symbols[0] is the null symbol; symbols[:first_global] are the local ones.
  O3  A section's `relocs` is empty for sections that hold no bytes.
Tests   tests/toolchain/test_link_elf.py, tests/toolchain/test_link_hostile.py
Source  System V ABI, "Object Files"; x86-64 psABI 1.0, section 4.4 "Relocation"
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from toolchain.link.errors import LinkError, Problem

EHDR = np.dtype([
    ("ident", "S16"), ("type", "<u2"), ("machine", "<u2"), ("version", "<u4"), ("entry", "<u8"),
    ("phoff", "<u8"), ("shoff", "<u8"), ("flags", "<u4"), ("ehsize", "<u2"),
    ("phentsize", "<u2"), ("phnum", "<u2"), ("shentsize", "<u2"), ("shnum", "<u2"),
    ("shstrndx", "<u2"),
])  # fmt: skip
PHDR = np.dtype([
    ("type", "<u4"), ("flags", "<u4"), ("offset", "<u8"), ("vaddr", "<u8"), ("paddr", "<u8"),
    ("filesz", "<u8"), ("memsz", "<u8"), ("align", "<u8"),
])  # fmt: skip
SHDR = np.dtype([
    ("name", "<u4"), ("type", "<u4"), ("flags", "<u8"), ("addr", "<u8"), ("offset", "<u8"),
    ("size", "<u8"), ("link", "<u4"), ("info", "<u4"), ("addralign", "<u8"), ("entsize", "<u8"),
])  # fmt: skip
SYM = np.dtype([
    ("name", "<u4"), ("info", "u1"), ("other", "u1"), ("shndx", "<u2"), ("value", "<u8"),
    ("size", "<u8"),
])  # fmt: skip
RELA = np.dtype([("offset", "<u8"), ("type", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])

MAGIC = b"\x7fELF\x02\x01\x01"
ET_REL, ET_EXEC, EM_X86_64 = 1, 2, 62
SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA = 0, 1, 2, 3, 4
SHT_NOTE, SHT_NOBITS, SHT_REL, SHT_GROUP, SHT_SYMTAB_SHNDX = 7, 8, 9, 17, 18
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_COMPRESSED = 1, 2, 4, 0x400, 0x800
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON = 0, 0xFF00, 0xFFF1, 0xFFF2
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE, STT_TLS, STT_IFUNC = 0, 1, 2, 3, 4, 6, 10
PT_LOAD, PT_NOTE = 1, 4
GRP_COMDAT = 1

MAX_ALIGN = 1 << 30
FIELD_BYTES = np.zeros(64, dtype=np.int64)
"""How many bytes a relocation of each type writes; 0 where that is unknown or none."""
for _types, _size in (((1, 24), 8), ((2, 4, 9, 10, 11, 41, 42), 4), ((12, 13), 2), ((14, 15), 1)):
    FIELD_BYTES[list(_types)] = _size

_NO_RELOCS = np.empty(0, dtype=RELA)


@dataclass
class Section:
    """One section of an object; `data` is empty for SHT_NOBITS, `size` is not."""

    name: str
    type: int
    flags: int
    align: int
    size: int
    data: memoryview
    relocs: np.ndarray = field(default_factory=lambda: _NO_RELOCS)


@dataclass(frozen=True)
class Group:
    """A COMDAT group: of all groups with one signature, a link keeps the first."""

    signature: str
    members: tuple[int, ...]


@dataclass(frozen=True)
class ObjectFile:
    """A parsed object; `sections` and `symbols` keep the file's own numbering."""

    name: str
    data: bytes
    sections: tuple[Section, ...]
    symbols: np.ndarray
    strings: bytes
    first_global: int
    groups: tuple[Group, ...]

    @staticmethod
    def read(path: Path | str) -> "ObjectFile":
        """The object in file `path`.  LinkError K0910 if unreadable, K0905 if damaged."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            raise LinkError(Problem("K0910", f"cannot read {path}: {reason}")) from None
        return ObjectFile.parse(str(path), data)

    @staticmethod
    def parse(name: str, data: bytes) -> "ObjectFile":
        """The object whose bytes are `data`.  LinkError K0905 or K0908 if we cannot use it."""
        return _Parser(name, data).parse()

    def symbol_name(self, index: int) -> str:
        """The name of symbol `index`; empty for most section symbols."""
        return string_at(self.strings, int(self.symbols["name"][index]))


def string_at(table: bytes, offset: int) -> str:
    """The NUL-terminated string at `offset` of a string table."""
    return table[offset : table.index(b"\0", offset)].decode("utf-8", "backslashreplace")


class _Parser:
    """One object's journey from bytes to ObjectFile, checking as it goes (O1)."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.data = data
        self.view = memoryview(data)

    def parse(self) -> ObjectFile:
        self._check_header()
        names = self._string_table(int(self.header["shstrndx"]))
        sections = tuple(self._section(index, names) for index in range(len(self.shdrs)))
        symbols, strings, first_global = self._symbols()
        for index, shdr in enumerate(self.shdrs):
            if shdr["type"] == SHT_RELA:
                self._attach_relocs(index, sections, len(symbols))
        groups = tuple(
            self._group(index, symbols, strings)
            for index, section in enumerate(sections)
            if section.type == SHT_GROUP
        )
        return ObjectFile(
            self.name, self.data, sections, symbols, strings, first_global,
            tuple(group for group in groups if group is not None),
        )  # fmt: skip

    def _check_header(self) -> None:
        if len(self.data) < EHDR.itemsize or not self.data.startswith(MAGIC[:4]):
            self._damaged("it is not an ELF file")
        self.header = np.frombuffer(self.data, EHDR, 1)[0]
        if not self.data.startswith(MAGIC) or self.header["machine"] != EM_X86_64:
            self._damaged("it is not for x86-64 (64-bit, little-endian)")
        if self.header["type"] != ET_REL:
            self._damaged("it is not a relocatable object")
        if self.header["shentsize"] != SHDR.itemsize or self.header["shnum"] == 0:
            self._damaged("it has no section table")
        offset, count = int(self.header["shoff"]), int(self.header["shnum"])
        if offset + count * SHDR.itemsize > len(self.data):
            self._damaged("its section table reaches past the end of the file")
        self.shdrs = np.frombuffer(self.data, SHDR, count, offset)

    def _section(self, index: int, names: bytes) -> Section:
        shdr = self.shdrs[index]
        if shdr["name"] >= len(names):
            self._damaged(f"the name of section {index} is outside the string table")
        name = string_at(names, int(shdr["name"]))
        align, size = max(int(shdr["addralign"]), 1), int(shdr["size"])
        if align & (align - 1) or align > MAX_ALIGN:
            self._damaged(f"section {name} has alignment {align:#x}")
        flags = int(shdr["flags"])
        if flags & SHF_TLS:
            self._refuse(f"section {name} is thread-local", "use @percpu data instead")
        if flags & SHF_COMPRESSED:
            self._refuse(f"section {name} is compressed", "compile with -gz=none")
        if shdr["type"] == SHT_REL:
            self._refuse(f"section {name} has relocations without addends", "")
        if shdr["type"] == SHT_SYMTAB_SHNDX:
            self._refuse("it has more than 65279 sections", "")
        data = self._bytes(index, f"section {name}")
        return Section(name, int(shdr["type"]), flags, align, size, data)

    def _symbols(self) -> tuple[np.ndarray, bytes, int]:
        tables = np.flatnonzero(self.shdrs["type"] == SHT_SYMTAB)
        if len(tables) == 0:
            return np.zeros(1, dtype=SYM), b"\0", 1
        if len(tables) > 1:
            self._damaged("it has more than one symbol table")
        self.symtab = int(tables[0])
        shdr = self.shdrs[self.symtab]
        data = self._bytes(self.symtab, "the symbol table")
        if shdr["entsize"] != SYM.itemsize or len(data) % SYM.itemsize or not len(data):
            self._damaged("its symbol table has entries of the wrong size")
        symbols = np.frombuffer(data, SYM)
        strings = self._string_table(int(shdr["link"]))
        self._check_symbols(symbols, strings, int(shdr["info"]))
        return symbols, strings, int(shdr["info"])

    def _check_symbols(self, symbols: np.ndarray, strings: bytes, first_global: int) -> None:
        if not 1 <= first_global <= len(symbols):
            self._damaged("its symbol table has an impossible number of local symbols")
        if (symbols["name"] >= len(strings)).any():
            self._damaged("a symbol's name is outside the string table")
        shndx = symbols["shndx"]
        known = (shndx < len(self.shdrs)) | (shndx == SHN_ABS) | (shndx == SHN_COMMON)
        if not known.all():
            self._damaged("a symbol is defined in a section that does not exist")
        local = symbols["info"] >> 4 == STB_LOCAL
        if not local[:first_global].all() or local[first_global:].any():
            self._damaged("its symbol table mixes local and global symbols")
        if (local & (shndx == SHN_COMMON)).any():
            self._damaged("a common symbol is local")
        kinds = symbols["info"] & 15
        for kind, text in ((STT_TLS, "thread-local"), (STT_IFUNC, "chosen at run time (ifunc)")):
            if (kinds == kind).any():
                index = int(np.argmax(kinds == kind))
                symbol = string_at(strings, int(symbols["name"][index]))
                self._refuse(f"symbol {symbol} is {text}", "")

    def _attach_relocs(self, index: int, sections: tuple[Section, ...], symbols: int) -> None:
        shdr, name = self.shdrs[index], sections[index].name
        target = int(shdr["info"])
        data = sections[index].data
        if shdr["entsize"] != RELA.itemsize or len(data) % RELA.itemsize:
            self._damaged(f"{name} has entries of the wrong size")
        if not 0 < target < len(sections) or int(shdr["link"]) != getattr(self, "symtab", -1):
            self._damaged(f"{name} does not say what it relocates")
        section = sections[target]
        if len(section.relocs):
            self._damaged(f"section {section.name} has two relocation tables")
        relocs = np.frombuffer(data, RELA)
        if (relocs["symbol"] >= symbols).any():
            self._damaged(f"{name} names a symbol that does not exist")
        width = FIELD_BYTES[np.minimum(relocs["type"], len(FIELD_BYTES) - 1)]
        room = len(section.data) - width
        if (relocs["offset"] > np.maximum(room, 0).astype(np.uint64)).any() or (room < 0).any():
            self._damaged(f"{name} writes past the end of section {section.name}")
        section.relocs = relocs

    def _group(self, index: int, symbols: np.ndarray, strings: bytes) -> Group | None:
        shdr, data = self.shdrs[index], self._bytes(index, "a section group")
        if len(data) < 4 or len(data) % 4 or int(shdr["info"]) >= len(symbols):
            self._damaged("a section group is cut short")
        words = np.frombuffer(data, "<u4")
        if not (words[0] & GRP_COMDAT):
            return None
        if (words[1:] >= len(self.shdrs)).any():
            self._damaged("a section group has a member that does not exist")
        signature = string_at(strings, int(symbols["name"][int(shdr["info"])]))
        return Group(signature, tuple(int(word) for word in words[1:]))

    def _string_table(self, index: int) -> bytes:
        if not 0 < index < len(self.shdrs) or self.shdrs[index]["type"] != SHT_STRTAB:
            self._damaged("it has no string table where one is needed")
        table = bytes(self._bytes(index, "a string table"))
        if not table.endswith(b"\0"):
            self._damaged("a string table is not terminated")
        return table

    def _bytes(self, index: int, what: str) -> memoryview:
        shdr = self.shdrs[index]
        if shdr["type"] in (SHT_NULL, SHT_NOBITS):
            return self.view[:0]
        offset, size = int(shdr["offset"]), int(shdr["size"])
        if offset + size > len(self.data):
            self._damaged(f"{what} reaches past the end of the file")
        return self.view[offset : offset + size]

    def _damaged(self, why: str) -> None:
        text = f"{self.name} cannot be linked: {why}"
        raise LinkError(Problem("K0905", text, help="delete it and build it again"))

    def _refuse(self, why: str, what_else: str) -> None:
        raise LinkError(Problem("K0908", f"{self.name} cannot be linked: {why}", help=what_else))
