# SPDX-License-Identifier: BSD-3-Clause
"""Addresses get the function, file and line that a panic shows."""

import pytest

from tests.toolchain.link_objects import asm, module
from toolchain.link.elf import ObjectFile
from toolchain.link.errors import LinkError
from toolchain.link.layout import USER
from toolchain.link.linker import link
from toolchain.link.symbols import SymbolTable


@pytest.fixture
def linked(tmp_path):
    start = ".text\n.global _start\n.type _start,@function\n_start: callq kernel.m0.f0\n"
    objects = [
        asm(start + ".size _start, . - _start\n"),
        ObjectFile.parse("m0.o", module(0, 1, functions=3, structs=1)),
    ]
    return link(objects, layout=USER, output=tmp_path / "out")


def test_address_in_a_function_has_name_offset_and_line(linked):
    table = SymbolTable.read(linked.output)
    start = linked.symbols["kernel.m0.f1"]
    place = table.lookup(start)
    assert (place.function, place.offset) == ("kernel.m0.f1", 0)
    assert (place.file, place.line) == ("kernel/m0.py", 12)
    assert table.describe(start + 0x20).startswith("kernel.m0.f1+0x20 (kernel/m0.py:1")


def test_address_in_assembly_has_a_name_only(linked):
    table = SymbolTable.read(linked.output)
    assert table.describe(linked.entry + 1) == "_start+0x1"


def test_address_outside_functions_has_nothing(linked):
    table = SymbolTable.read(linked.output)
    for address in (0, linked.entry - 1, linked.symbols["__text_end"], 1 << 63):
        assert table.lookup(address) is None
        assert table.describe(address) == ""


def test_listing_is_by_address_with_kind_and_line(linked):
    lines = SymbolTable.read(linked.output).listing().splitlines()
    assert lines == sorted(lines, key=lambda line: line[:16])
    (line,) = [line for line in lines if "kernel.m0.f2" in line]
    assert line.split()[2:] == ["function", "kernel.m0.f2", "kernel/m0.py:22"]
    assert any(line.split()[2:] == ["data", "kernel.m0.g0"] for line in lines)


def test_unreadable_image_is_reported(tmp_path):
    with pytest.raises(LinkError, match="K0910"):
        SymbolTable.read(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"not ELF")
    with pytest.raises(LinkError, match="K0905"):
        SymbolTable.read(tmp_path / "bad")
