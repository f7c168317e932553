# SPDX-License-Identifier: BSD-3-Clause
"""File-level asm gets lines and functions, and stays the same code."""

import io

import pytest
from elftools.elf.elffile import ELFFile

from toolchain.backend.asmdebug import annotate
from toolchain.backend.assemble import assemble
from toolchain.link import dwarf
from toolchain.link.elf import ObjectFile
from toolchain.link.layout import USER
from toolchain.link.linker import link

TEXT = """\
.set EXIT, 60           # a constant is no instruction
limit = 3
.text
.global _start
.type _start, @function
_start:
    movl $EXIT, %eax
1:  decl %edi; jnz 1b

    callq kernel.far    # a name with a dot
    syscall
.size _start, . - _start
.section .text.far, "ax", @progbits
.type kernel.far, @function
kernel.far: nop
    ret
.size kernel.far, . - kernel.far
.data
value: .long 1
"""


def annotated(first_line: int = 1) -> str:
    return annotate(TEXT, file="boot/a.py", first_line=first_line, directory="/src")


@pytest.fixture
def image(tmp_path):
    obj = ObjectFile.parse("a.o", assemble(annotated(101)))
    return link([obj], layout=USER, output=tmp_path / "out")


def test_code_is_unchanged():
    for name in (".text", ".text.far", ".data"):
        plain, debug = (
            ELFFile(io.BytesIO(assemble(text))).get_section_by_name(name).data()
            for text in (TEXT, annotated())
        )
        assert plain == debug


def test_functions_begin_where_their_symbols_are(image):
    with image.output.open("rb") as file:
        info = ELFFile(file).get_dwarf_info()
        far = image.symbols["__text_end"] - 2
        assert dwarf.function_starts(info) == {image.entry, far}
        (unit,) = info.iter_CUs()
        assert unit["version"] == 4
        names = [die.attributes["DW_AT_name"].value for die in unit.iter_DIEs() if die.tag]
        assert names == [b"boot/a.py", b"_start", b"kernel.far"]


def test_lines_are_the_files(image):
    with image.output.open("rb") as file:
        table = dwarf.line_table(ELFFile(file).get_dwarf_info())
    assert table.lookup(image.entry) == ("boot/a.py", 107)
    assert table.lookup(image.entry + 5) == ("boot/a.py", 108)
    assert table.lookup(image.symbols["__text_end"] - 2) == ("boot/a.py", 115)
    assert table.lookup(image.symbols["__text_end"] - 1) == ("boot/a.py", 116)


def test_text_without_functions_is_left_alone():
    assert annotate("nop\n", file="a", first_line=1, directory="/") == "nop\n"
