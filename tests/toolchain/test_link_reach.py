# SPDX-License-Identifier: BSD-3-Clause
"""A link that keeps only what is reached loses nothing that is."""

from pathlib import Path

from elftools.elf.elffile import ELFFile

from tests.harness import probe
from tests.toolchain.link_objects import asm
from toolchain.backend.assemble import compile_ir
from toolchain.link import dwarf
from toolchain.link.elf import ObjectFile
from toolchain.link.layout import PC64, USER
from toolchain.link.linker import LinkResult, link


def functions(**calls: str) -> ObjectFile:
    """An object with a section for each function; each calls the one it is given."""
    text = ""
    for name, callee in calls.items():
        text += f'.section .text.{name},"ax",@progbits\n.global {name}\n.type {name},@function\n'
        text += f"{name}: callq {callee}\n.size {name}, . - {name}\n"
    return asm(text)


def names(result: LinkResult) -> set[str]:
    return {name for name in result.symbols if not name.startswith("__")}


def run(tmp_path: Path, *objects: ObjectFile, keep=()) -> LinkResult:
    return link(objects, layout=USER, output=tmp_path / "out", keep=keep)


def test_unreached_sections_and_their_symbols_are_left_out(tmp_path):
    library = functions(one="two", two="one", three="one", four="nowhere")
    result = run(tmp_path, functions(_start="one"), library)
    assert names(result) == {"_start", "one", "two"}


def test_kept_names_are_roots(tmp_path):
    library = functions(one="one", two="two", three="two")
    result = run(tmp_path, functions(_start="one"), library, keep=["three"])
    assert names(result) == {"_start", "one", "two", "three"}


def test_linker_sets_are_roots(tmp_path):
    text = '.section drivers,"a",@progbits\n.quad three\n'
    result = run(
        tmp_path, functions(_start="_start"), asm(text), functions(three="three", two="two")
    )
    assert names(result) == {"_start", "three"}


def test_boot_header_and_note_survive_in_a_kernel(tmp_path):
    objects = probe.objects(asm=probe.kmain())
    whole = link(objects, layout=PC64, output=tmp_path / "whole")
    pruned = link(objects, layout=PC64, output=tmp_path / "pruned", keep=())
    assert pruned.sizes[".boot"] == whole.sizes[".boot"]
    assert pruned.sizes[".notes"] == whole.sizes[".notes"]


def test_debug_information_of_what_is_gone_points_nowhere(tmp_path):
    ir = """
define dso_local void @used() section ".text.used" !dbg !4 { ret void, !dbg !6 }
define dso_local void @unused() section ".text.unused" !dbg !5 { ret void, !dbg !7 }
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}
!0 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, emissionKind: FullDebug)
!1 = !DIFile(filename: "a.py", directory: "/src")
!2 = !{i32 7, !"Dwarf Version", i32 4}
!3 = !{i32 2, !"Debug Info Version", i32 3}
!4 = distinct !DISubprogram(name: "used", file: !1, line: 1, type: !8, unit: !0,
                            spFlags: DISPFlagDefinition)
!5 = distinct !DISubprogram(name: "unused", file: !1, line: 2, type: !8, unit: !0,
                            spFlags: DISPFlagDefinition)
!6 = !DILocation(line: 1, scope: !4)
!7 = !DILocation(line: 2, scope: !5)
!8 = !DISubroutineType(types: !9)
!9 = !{null}
"""
    library = ObjectFile.parse("a.o", compile_ir(ir))
    result = run(tmp_path, functions(_start="used"), library)
    assert names(result) == {"_start", "used"}
    with result.output.open("rb") as file:
        info = ELFFile(file).get_dwarf_info()
        assert dwarf.function_starts(info) == {0, result.symbols["used"]}
        assert set(dwarf.line_table(info).line) == {0, 1}
