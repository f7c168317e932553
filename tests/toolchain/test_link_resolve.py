# SPDX-License-Identifier: BSD-3-Clause
"""Which definition stands: strong, weak, common, COMDAT; and what is refused."""

import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tests.toolchain.link_objects import asm
from toolchain.backend.assemble import compile_ir
from toolchain.link.elf import ObjectFile
from toolchain.link.errors import LinkError
from toolchain.link.layout import USER
from toolchain.link.linker import LinkResult, link

USE = ".text\n.global _start\n_start: .quad x\n"
STRONG = ".data\n.global x\nx: .quad 7\n"
WEAK = ".data\n.weak x\nx: .quad 9\n"
GROUP = '.section .data.x,"awG",@progbits,x,comdat\n.weak x\nx: .quad {}\nlocal: .quad {}\n'


def run(tmp_path: Path, *texts: str) -> LinkResult:
    objects = [asm(text, f"o{number}.o") for number, text in enumerate(texts)]
    return link(objects, layout=USER, output=tmp_path / "out")


def section(result: LinkResult, name: str) -> bytes:
    with result.output.open("rb") as file:
        return ELFFile(file).get_section_by_name(name).data()


def x_is(result: LinkResult) -> int:
    at = result.symbols["x"] - result.symbols["__data_start"]
    return struct.unpack_from("<Q", section(result, ".data"), at)[0]


@pytest.mark.parametrize("order", [(STRONG, WEAK), (WEAK, STRONG)])
def test_strong_definition_beats_weak_in_any_order(tmp_path, order):
    assert x_is(run(tmp_path, USE, *order)) == 7


def test_first_weak_definition_stands(tmp_path):
    assert x_is(run(tmp_path, USE, WEAK, WEAK.replace("9", "8"))) == 9


def test_two_strong_definitions_are_refused_with_both_places(tmp_path):
    with pytest.raises(LinkError) as caught:
        run(tmp_path, USE, STRONG, STRONG)
    (problem,) = caught.value.problems
    assert problem.code == "K0902"
    assert "`x` is defined twice" in problem.message
    assert "o2.o" in problem.place
    assert "o1.o" in problem.notes[0]


def test_common_symbols_take_the_largest_size_and_alignment(tmp_path):
    result = run(tmp_path, USE, ".comm x, 8, 8\n", ".comm x, 100, 64\n")
    assert result.symbols["x"] % 64 == 0
    assert result.sizes[".bss"] == 100
    start = result.symbols["__bss_start"]
    assert start <= result.symbols["x"] < start + result.sizes[".bss"]
    assert struct.unpack("<Q", section(result, ".text"))[0] == result.symbols["x"]


def test_definition_beats_common(tmp_path):
    assert x_is(run(tmp_path, USE, ".comm x, 100, 64\n", STRONG)) == 7
    assert ".bss" not in run(tmp_path, USE, STRONG, ".comm x, 100, 64\n").sizes


def test_first_comdat_group_is_kept_whole_and_others_dropped(tmp_path):
    result = run(tmp_path, USE, GROUP.format(1, 2), GROUP.format(3, 4))
    assert section(result, ".data") == struct.pack("<QQ", 1, 2)
    assert x_is(result) == 1


def test_linkonce_function_of_two_modules_is_linked_once(tmp_path):
    ir = """
$both = comdat any
define linkonce_odr dso_local i64 @both() comdat { ret i64 5 }
define dso_local i64 @%s() { %%r = call i64 @both() ret i64 %%r }
"""
    objects = [ObjectFile.parse(f"{name}.o", compile_ir(ir % name)) for name in ("_start", "other")]
    result = link(objects, layout=USER, output=tmp_path / "out")
    assert sum(name == "both" for name in result.symbols) == 1
    assert section(result, ".text").count(bytes.fromhex("b805000000c3")) == 1


def test_reference_into_a_dropped_group_is_refused(tmp_path):
    use = GROUP.format(3, 4) + ".data\n.quad local\n"
    with pytest.raises(LinkError, match="COMDAT section that was not kept"):
        run(tmp_path, USE, GROUP.format(1, 2), use)


def test_linker_set_has_bounds_and_link_order(tmp_path):
    member = '.section myset,"a",@progbits\n.quad {}\n'
    use = ".text\n.global _start\n_start: .quad __start_myset, __stop_myset\n"
    result = run(tmp_path, use, member.format(5), member.format(3))
    low, high = struct.unpack("<QQ", section(result, ".text"))
    assert high - low == 16
    assert section(result, "myset") == struct.pack("<QQ", 5, 3)
    assert low % 4096 < 16, "a read-only set lies with .rodata"
