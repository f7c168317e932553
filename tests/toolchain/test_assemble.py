# SPDX-License-Identifier: BSD-3-Clause
"""Assembly that does not assemble is an error here, not the end of the process."""

import pytest

from toolchain.backend.assemble import AssembleError, assemble, compile_ir
from toolchain.link.elf import ObjectFile


def test_text_with_quotes_tabs_and_backslashes_arrives_unchanged():
    obj = ObjectFile.parse("x.o", assemble('.data\n\t.asciz "a\\tb\\\\c\\"d"\n'))
    data = next(section.data for section in obj.sections if section.name == ".data")
    assert bytes(data) == b'a\tb\\c"d\0'


def test_code_for_three_modes_assembles():
    text = ".code16\nmovw $1, %ax\n.code32\nmovl $1, %eax\n.code64\nmovq $1, %rax\n"
    obj = ObjectFile.parse("x.o", assemble(text))
    data = next(section.data for section in obj.sections if section.name == ".text")
    assert bytes(data) == bytes.fromhex("b80100 b801000000 48c7c001000000")


def test_unknown_instruction_is_reported():
    with pytest.raises(AssembleError, match="frobnicate"):
        assemble("nop\nfrobnicate %rax\n")


def test_invalid_ir_is_reported():
    with pytest.raises(AssembleError, match="expected"):
        compile_ir("define nonsense")
