# SPDX-License-Identifier: BSD-3-Clause
"""The table inside the kernel says what the image's own debug information says."""

import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tests.harness import probe
from tests.toolchain.link_objects import module
from toolchain.link import ksyms
from toolchain.link.check import check_image
from toolchain.link.elf import ObjectFile
from toolchain.link.layout import PC64
from toolchain.link.linker import LinkResult
from toolchain.link.symbols import SymbolTable


@pytest.fixture(scope="module")
def kernel(tmp_path_factory) -> LinkResult:
    objects = probe.objects(asm=probe.kmain("movq $kernel_symbols, %rax"))
    objects += [ObjectFile.parse(f"m{n}.o", module(n, 3, functions=5, structs=2)) for n in range(3)]
    output = tmp_path_factory.mktemp("ksyms") / "kernel"
    return ksyms.link_with_symbols(objects, layout=PC64, output=output)


def table_bytes(kernel: LinkResult) -> bytes:
    with Path(kernel.output).open("rb") as file:
        section = ELFFile(file).get_section_by_name(".rodata")
        return section.data()[kernel.symbols[ksyms.SYMBOL] - section["sh_addr"] :]


class Reader:
    """The table as the kernel reads it."""

    def __init__(self, data: bytes) -> None:
        magic, functions, rows, files, _, _, self.base = struct.unpack_from("<4s5IQ", data)
        assert magic == ksyms.MAGIC
        at = ksyms.HEADER_BYTES
        self.functions = [struct.unpack_from("<3I", data, at + 12 * n) for n in range(functions)]
        at += 12 * functions
        self.rows = [struct.unpack_from("<2I", data, at + 8 * n) for n in range(rows)]
        at += 8 * rows
        self.files = struct.unpack_from(f"<{files}I", data, at)
        self.strings = data[at + 4 * files :]

    def text(self, offset: int) -> str:
        return self.strings[offset : self.strings.index(b"\0", offset)].decode()

    def line(self, address: int) -> tuple[str, int] | None:
        rows = [packed for start, packed in self.rows if start <= address - self.base]
        line = rows[-1] & (1 << ksyms.LINE_BITS) - 1 if rows else 0
        return (self.text(self.files[rows[-1] >> ksyms.LINE_BITS]), line) if line else None


def test_functions_are_those_of_the_image(kernel):
    reader = Reader(table_bytes(kernel))
    found = {reader.text(name): reader.base + start for start, _, name in reader.functions}
    image = SymbolTable.read(kernel.output)
    text = range(kernel.symbols["__text_start"], kernel.symbols["__text_end"])
    assert found == {
        symbol.name: symbol.address
        for symbol in image.symbols
        if symbol.kind == "function" and symbol.address in text
    }
    assert reader.functions == sorted(reader.functions)


def test_lines_are_those_of_the_image(kernel):
    reader = Reader(table_bytes(kernel))
    image = SymbolTable.read(kernel.output)
    for address in range(kernel.symbols["__text_start"], kernel.symbols["__text_end"], 3):
        assert reader.line(address) == image.lines.lookup(address)


def test_image_with_its_table_passes_the_checks(kernel):
    check_image(kernel.output, layout=PC64, exempt=("kernel.main.kmain",))
