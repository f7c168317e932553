# SPDX-License-Identifier: BSD-3-Clause
"""Our quick DWARF reader says what pyelftools says, for clang's, gcc's and our own objects."""

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tests.toolchain.link_objects import asm, module
from toolchain.link import dwarf
from toolchain.link.elf import ObjectFile
from toolchain.link.layout import USER
from toolchain.link.linker import link

C_SOURCE = """
static int helper(int n) { int t = 0; for (int i = 0; i < n; i++) t += i * n; return t; }
struct pair { int a; long b : 7; const char *c; } pairs[3];
int first(int n) { pairs[n].a = helper(n); return pairs[n].a; }
__attribute__((section(".text.other"))) long second(long n) { return n ? second(n - 1) : 3; }
"""


def compiled(folder: Path, compiler: str, *flags: str) -> ObjectFile:
    if shutil.which(compiler) is None:
        pytest.fail(f"{compiler} is not installed: run scripts/setup")
    source, output = folder / "test.c", folder / "test.o"
    source.write_text(C_SOURCE)
    command = [compiler, "-c", "-g", "-ffreestanding", "-fno-pic", "-fno-stack-protector"]
    subprocess.run([*command, *flags, "-o", output, source], check=True)
    return ObjectFile.read(output)


@pytest.fixture(
    params=["ours", "gcc -gdwarf-4", "gcc -gdwarf-5 -O2", "clang -gdwarf-4 -O1", "clang -gdwarf-5"]
)
def image(request, tmp_path) -> Path:
    if request.param == "ours":
        obj = ObjectFile.parse("m.o", module(0, 1, functions=5, structs=2))
    else:
        obj = compiled(tmp_path, *request.param.split())
    start = asm(".text\n.global _start\n_start: ret\n")
    return link([start, obj], layout=USER, output=tmp_path / "out").output


def test_lines_are_those_of_pyelftools(image):
    with image.open("rb") as file:
        info = ELFFile(file).get_dwarf_info()
        table = dwarf.line_table(info)
        compared = 0
        for unit in info.iter_CUs():
            states = [
                entry.state
                for entry in info.line_program_for_CU(unit).get_entries()
                if entry.state is not None
            ]
            for state, after in pairwise(states):
                if not state.end_sequence and after.address > state.address:
                    found = table.lookup(state.address)
                    assert found == table.lookup(after.address - 1)
                    assert (found and found[1]) == (state.line or None)
                    compared += 1
        assert compared > 5
        assert table.lookup(0) is None
        assert table.lookup(1 << 60) is None


def test_function_starts_are_those_of_pyelftools(image):
    with image.open("rb") as file:
        info = ELFFile(file).get_dwarf_info()
        expected = {
            die.attributes["DW_AT_low_pc"].value
            for unit in info.iter_CUs()
            for die in unit.iter_DIEs()
            if die.tag == "DW_TAG_subprogram" and "DW_AT_low_pc" in die.attributes
        }
        if all(unit["version"] < 5 for unit in info.iter_CUs()):
            assert dwarf.function_starts(info) == expected
        else:
            assert dwarf.function_starts(info) <= expected


def test_object_line_tells_sections_apart(tmp_path):
    obj = compiled(tmp_path, "gcc", "-gdwarf-4")
    names = [section.name for section in obj.sections]
    assert dwarf.object_line(obj, names.index(".text"), 0)[1] == 2
    assert dwarf.object_line(obj, names.index(".text.other"), 0)[1] == 5
    assert dwarf.object_line(obj, names.index(".bss"), 0) is None
