# SPDX-License-Identifier: BSD-3-Clause
"""Every relocation kind writes the value the psABI says, or is refused with its place."""

import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tests.toolchain.link_objects import asm
from toolchain.link.elf import ObjectFile
from toolchain.link.errors import LinkError
from toolchain.link.layout import USER
from toolchain.link.linker import LinkResult, link

DATA = ".data\n.global there\n.skip 24\nthere: .quad 0\n"


def linked(tmp_path: Path, *texts: str) -> tuple[LinkResult, dict[str, bytes]]:
    objects = [asm(text, f"o{number}.o") for number, text in enumerate(texts)]
    result = link(objects, layout=USER, output=tmp_path / "out")
    with result.output.open("rb") as file:
        return result, {section.name: section.data() for section in ELFFile(file).iter_sections()}


def entry(text: str) -> str:
    return f".text\n.global _start\n_start:\n{text}\n"


def problems(*texts: str) -> list[str]:
    objects = [asm(text, f"o{number}.o") for number, text in enumerate(texts)]
    with pytest.raises(LinkError) as caught:
        link(objects, layout=USER, output="/nonexistent/never-written")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("field", "unpack", "relative"),
    [
        (".quad there + 5", "<Q", False),
        (".quad there + 5 - .", "<q", True),
        (".long there + 5", "<I", False),
        (".long there + 5 - .", "<i", True),
        ("movl $(there + 5), %eax", "x<I", False),
        ("movq $(there + 5), %rax", "xxx<i", False),
        ("callq there + 5 + 4", "x<i", True),
    ],
)
def test_value_is_symbol_plus_addend(tmp_path, field, unpack, relative):
    skip = unpack.count("x")
    result, sections = linked(tmp_path, entry(field), DATA)
    (value,) = struct.unpack_from(unpack.lstrip("x"), sections[".text"], skip)
    base = result.symbols["_start"] + skip if relative else 0
    assert value + base == result.symbols["there"] + 5


def test_small_fields_hold_absolute_values(tmp_path):
    text = entry(".word small\n.byte tiny, -1\n")
    _, sections = linked(tmp_path, text, ".global small, tiny\nsmall = 0xfffe\ntiny = 0x81\n")
    assert sections[".text"][:4] == b"\xfe\xff\x81\xff"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("movq there@GOTPCREL(%rip), %rbx", "leaq there(%rip), %rbx"),
        ("movl there@GOTPCREL(%rip), %ebx", "leal there(%rip), %ebx"),
        ("callq *there@GOTPCREL(%rip)", "addr32 callq there"),
        ("jmpq *there@GOTPCREL(%rip)", "jmp there\nnop"),
    ],
)
def test_access_through_the_got_becomes_direct(tmp_path, before, after):
    _, relaxed = linked(tmp_path, entry(before), DATA)
    _, direct = linked(tmp_path, entry(after), DATA)
    assert relaxed[".text"] == direct[".text"]


def test_other_access_through_the_got_is_refused():
    (story,) = problems(entry("addq there@GOTPCREL(%rip), %rax"), DATA)
    assert "K0904" in story
    assert "needs a global offset table" in story
    assert "declare `there` dso_local" in story


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        (".long far", 1 << 32, "R_X86_64_32"),
        ("movq $far, %rax", 1 << 31, "R_X86_64_32S"),
        ("callq far", 1 << 40, "R_X86_64_PLT32"),
        (".long far - .", 1 << 40, "R_X86_64_PC32"),
        (".word far", 1 << 16, "R_X86_64_16"),
        (".byte far", 256, "R_X86_64_8"),
    ],
)
def test_value_that_does_not_fit_is_refused(field, value, kind):
    (story,) = problems(entry(f"nop\n{field}"), f".global far\nfar = {value}\n")
    assert "K0903" in story
    assert f"{kind} against `far` does not fit" in story
    assert "o0.o: .text+0x" in story


def test_unknown_type_is_refused():
    obj = asm(entry(".quad there\n.quad there"))
    at = obj.data.index(struct.pack("<QI", 8, 1), 64) + 8
    data = obj.data[:at] + struct.pack("<I", 77) + obj.data[at + 4 :]
    with pytest.raises(LinkError, match="relocation type 77 against `there` is not supported"):
        link([ObjectFile.parse("o.o", data), asm(DATA)], layout=USER, output="/nonexistent/x")


def test_weak_undefined_symbol_is_zero(tmp_path):
    _, sections = linked(tmp_path, entry(".weak nowhere\n.quad nowhere\n"))
    assert sections[".text"][:8] == bytes(8)
