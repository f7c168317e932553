# SPDX-License-Identifier: BSD-3-Clause
"""Objects are read as they are written, and images written as others read them."""

import subprocess

import pytest
from elftools.elf.elffile import ELFFile

from tests.toolchain.link_objects import asm, module
from toolchain.link.elf import ObjectFile
from toolchain.link.errors import LinkError
from toolchain.link.layout import USER
from toolchain.link.linker import link

START = ".text\n.global _start\n.type _start,@function\n_start: ret\n.size _start, 1\n"


def test_object_has_the_sections_symbols_and_relocations_that_pyelftools_sees(tmp_path):
    path = tmp_path / "m.o"
    path.write_bytes(module(0, 2, functions=3, structs=2))
    obj = ObjectFile.read(path)
    with path.open("rb") as file:
        elf = ELFFile(file)
        assert [section.name for section in obj.sections] == [s.name for s in elf.iter_sections()]
        for mine, theirs in zip(obj.sections, elf.iter_sections(), strict=True):
            empty = theirs["sh_type"] in {"SHT_NULL", "SHT_NOBITS"}
            assert bytes(mine.data) == (b"" if empty else theirs.data())
            table = elf.get_section_by_name(f".rela{mine.name}")
            found = [(int(r["offset"]), int(r["type"]), int(r["symbol"])) for r in mine.relocs]
            assert found == [
                (r["r_offset"], r["r_info_type"], r["r_info_sym"])
                for r in (table.iter_relocations() if table else ())
            ]
        symbols = list(elf.get_section_by_name(".symtab").iter_symbols())
        assert len(symbols) == len(obj.symbols)
        assert symbols[-1].name == obj.symbol_name(len(symbols) - 1)


def test_local_symbols_come_first_in_the_image(tmp_path):
    text = START + ".type local,@function\nlocal: ret\n.size local, 1\n"
    result = link([asm(text), asm("local: ret\n")], layout=USER, output=tmp_path / "out")
    with result.output.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        symbols = list(table.iter_symbols())
    kinds = [symbol["st_info"]["bind"] for symbol in symbols]
    first_global = table["sh_info"]
    assert set(kinds[:first_global]) == {"STB_LOCAL"}
    assert "STB_LOCAL" not in kinds[first_global:]
    assert [symbol.name for symbol in symbols[:first_global]] == ["", "local", "local"]
    start = next(symbol for symbol in symbols if symbol.name == "_start")
    assert (start["st_value"], start["st_size"]) == (result.entry, 1)


def test_binutils_reads_the_image_without_complaint(tmp_path):
    result = link([asm(START)], layout=USER, output=tmp_path / "out")
    done = subprocess.run(
        ["readelf", "--all", "--wide", result.output], capture_output=True, text=True, check=True
    )
    assert "Warning" not in done.stdout + done.stderr
    assert "Error" not in done.stdout + done.stderr


def test_user_image_runs_on_linux(tmp_path):
    text = """
    .text
    .global _start
    _start: movl $60, %eax
    movl status(%rip), %edi
    addl zero(%rip), %edi
    syscall
    .data
    status: .long 42
    .bss
    .skip 70000
    zero: .skip 4
    """
    result = link([asm(text)], layout=USER, output=tmp_path / "out")
    result.output.chmod(0o755)
    assert subprocess.run([result.output], check=False).returncode == 42


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"text", bytes(200)])
def test_file_that_is_no_object_is_refused(data):
    with pytest.raises(LinkError, match="K0905"):
        ObjectFile.parse("x.o", data)


def test_executable_is_no_object(tmp_path):
    result = link([asm(START)], layout=USER, output=tmp_path / "out")
    with pytest.raises(LinkError, match="not a relocatable object"):
        ObjectFile.read(result.output)
