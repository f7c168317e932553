# SPDX-License-Identifier: BSD-3-Clause
"""Where the sections of an image go: the memory map, as data.

The kernel's map (pc64), from low to high physical memory:

    1 MiB   .boot     R-X   multiboot header, PVH note, 32-bit entry     virtual = physical
            .text     R-X   code                                         virtual = physical
            .rodata   R--   constants, linker sets                         + KERNEL_BASE
            .data     RW-   variables, linker sets
            .percpu   RW-   what each CPU has a copy of
            .bss      RW-   zero; not in the file

A user program (user) has .text, .rodata, .data and .bss from 0x400000, virtual = physical.

.percpu is linked like other data, and reached as %gs:variable(%rip): a CPU's %gs base is the
address of its copy less __percpu_start.  With base 0 a CPU uses the section itself as its copy.

Segments follow one another in physical memory, each from a fresh page, and the file is laid out
in the same order at the same distances, because a multiboot loader copies it in one piece.

Invariants
  L1  A segment is never writable and executable at once.
  L2  file offset - FILE_BASE == physical address - layout.start, for all that is loaded.
  L3  Only the last section of a layout may be SHT_NOBITS.
Tests  tests/toolchain/test_link_layout.py
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

PAGE = 4096
FILE_BASE = PAGE
"""Offset in the file of the first loaded byte: the ELF headers have the page before it."""
KERNEL_BASE = 0xFFFFFFFF80000000
KERNEL_PHYSICAL = 0x100000
USER_START = 0x400000


@dataclass(frozen=True)
class OutputSection:
    """A section of the image, and the input sections it gathers.

    Each element of `inputs` is a group of patterns; the sections that match the first group
    come first, then those of the second, each in the order of the objects.  `sets` gathers, after
    this section, those that have a C identifier for a name: linker sets.  Symbols
    __NAME_start and __NAME_end are defined when `name` is `.NAME`.
    """

    name: str
    inputs: tuple[tuple[str, ...], ...]
    nobits: bool = False
    sets: bool = False
    note: bool = False


@dataclass(frozen=True)
class Segment:
    """A run of sections with one protection; its virtual address is physical + bias."""

    name: str
    flags: str
    sections: tuple[OutputSection, ...]
    bias: int = 0

    @property
    def writable(self) -> bool:
        return "w" in self.flags

    @property
    def executable(self) -> bool:
        return "x" in self.flags


@dataclass(frozen=True)
class Layout:
    """A whole image.  `prefix` names its boundary symbols: __PREFIX_start, __PREFIX_end."""

    name: str
    start: int
    limit: int
    segments: tuple[Segment, ...]
    prefix: str
    entry: str
    multiboot: bool = False
    discard: tuple[str, ...] = (
        ".comment", ".note.GNU-stack", ".llvm_addrsig", ".llvm.*", ".eh_frame",
    )  # fmt: skip
    _places: dict = field(default_factory=dict, compare=False, repr=False)

    def place_of(self, name: str, writable: bool) -> tuple[int, str, int] | None:
        """(segment, output section, group) for an input section to be loaded, or None."""
        key = (name, writable)
        if key not in self._places:
            self._places[key] = self._find(name, writable)
        return self._places[key]

    def discards(self, name: str) -> bool:
        """Whether an input section of this name is left out of the image."""
        return any(fnmatchcase(name, pattern) for pattern in self.discard)

    def _find(self, name: str, writable: bool) -> tuple[int, str, int] | None:
        for number, segment in enumerate(self.segments):
            for section in segment.sections:
                for group, patterns in enumerate(section.inputs):
                    if any(fnmatchcase(name, pattern) for pattern in patterns):
                        return number, section.name, group
        if not is_identifier(name):
            return None
        for number, segment in enumerate(self.segments):
            if segment.writable == writable and any(section.sets for section in segment.sections):
                return number, name, 0
        return None


def is_identifier(name: str) -> bool:
    """Whether `name` could be a C identifier: then it has __start_ and __stop_ symbols."""
    return name.isascii() and name.isidentifier()


def _code_and_data(bias: int, *more: OutputSection) -> tuple[Segment, ...]:
    text = OutputSection(".text", ((".text", ".text.*"),))
    rodata = OutputSection(
        ".rodata", ((".rodata", ".rodata.*", ".data.rel.ro", ".data.rel.ro.*"),), sets=True
    )
    data = OutputSection(".data", ((".data", ".data.*"),), sets=True)
    bss = OutputSection(".bss", ((".bss", ".bss.*", "COMMON"),), nobits=True)
    return (
        Segment("text", "rx", (text,), bias),
        Segment("rodata", "r", (rodata,), bias),
        Segment("data", "rw", (data, *more, bss), bias),
    )


_PERCPU = OutputSection(".percpu", ((".percpu", ".percpu.*"),))
_BOOT = Segment(
    "boot",
    "rx",
    (
        OutputSection(".boot", ((".boot.header",), (".boot", ".boot.*"))),
        OutputSection(".notes", ((".note.Xen", ".note.kernel"),), note=True),
    ),
)

PC64 = Layout(
    name="pc64",
    start=KERNEL_PHYSICAL,
    limit=KERNEL_PHYSICAL + (1 << 30),
    segments=(_BOOT, *_code_and_data(KERNEL_BASE, _PERCPU)),
    prefix="kernel",
    entry="boot_entry",
    multiboot=True,
)
USER = Layout(
    name="user",
    start=USER_START,
    limit=1 << 31,
    segments=_code_and_data(0),
    prefix="image",
    entry="_start",
)
LAYOUTS = {layout.name: layout for layout in (PC64, USER)}
