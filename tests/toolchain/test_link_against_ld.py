# SPDX-License-Identifier: BSD-3-Clause
"""Our image is GNU ld's, byte for byte: contents, addresses, symbol values, segments.

GNU ld merges equal strings of SHF_MERGE sections and we do not; for the comparison both get
objects without that flag.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness import probe
from tests.toolchain.link_objects import asm, module
from toolchain import kernel
from toolchain.backend.assemble import assemble
from toolchain.build import Builder
from toolchain.diagnostics import Sink
from toolchain.link import ksyms
from toolchain.link.elf import SHDR, ObjectFile
from toolchain.link.layout import PC64, USER, Layout
from toolchain.link.linker import link
from toolchain.link.script import linker_script
from toolchain.link.symbols import SymbolTable
from toolchain.options import Options

MERGE = 0x10


@pytest.fixture(scope="module", autouse=True)
def ld() -> None:
    if shutil.which("ld") is None:
        pytest.fail("GNU ld is not installed: run scripts/setup, or install binutils")


def without_merge(data: bytes) -> bytes:
    """The object with SHF_MERGE cleared in each section."""
    count, at = int.from_bytes(data[60:62], "little"), int.from_bytes(data[40:48], "little")
    headers = np.frombuffer(data, SHDR, count, at).copy()
    headers["flags"] &= ~np.uint64(MERGE)
    return data[:at] + headers.tobytes() + data[at + headers.nbytes :]


def both(folder: Path, objects: list[ObjectFile], layout: Layout, **sets) -> tuple[Path, Path]:
    """Our image and ld's of the same objects."""
    paths = []
    for number, obj in enumerate(objects):
        paths.append(folder / f"{number}.o")
        paths[-1].write_bytes(without_merge(obj.data))
    ours, theirs, script = folder / "ours", folder / "theirs", folder / "script.ld"
    script.write_text(linker_script(layout, **sets))
    command = ["ld", "-n", "-T", script, "-o", theirs, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    link(paths, layout=layout, output=ours)
    return ours, theirs


def compare(ours: Path, theirs: Path) -> None:
    with ours.open("rb") as our_file, theirs.open("rb") as their_file:
        our, their = ELFFile(our_file), ELFFile(their_file)
        assert contents(our) == contents(their)
        assert segments(our) == segments(their)
        our_symbols, their_symbols = symbols(our), symbols(their)
        assert {name: our_symbols.get(name) for name in their_symbols} == their_symbols
        assert our["e_entry"] == their["e_entry"]


def contents(elf: ELFFile) -> dict[str, tuple[int, int, bytes]]:
    return {
        section.name: (
            section["sh_addr"], section["sh_size"],
            b"" if section["sh_type"] == "SHT_NOBITS" else section.data(),
        )
        for section in elf.iter_sections()
        if section["sh_size"] and section.name not in {".symtab", ".strtab", ".shstrtab"}
    }  # fmt: skip


def segments(elf: ELFFile) -> list[tuple[int, ...]]:
    keys = ("p_vaddr", "p_paddr", "p_filesz", "p_memsz", "p_flags")
    return [
        tuple(segment[key] for key in keys)
        for segment in elf.iter_segments()
        if segment["p_type"] == "PT_LOAD" and segment["p_memsz"]
    ]


def symbols(elf: ELFFile) -> dict[str, tuple[int, int, str]]:
    found = {}
    for symbol in elf.get_section_by_name(".symtab").iter_symbols():
        kind = symbol["st_info"]["type"]
        if symbol.name and kind != "STT_FILE" and symbol.name not in {"physical"}:
            found[symbol.name] = (symbol["st_value"], symbol["st_size"], kind)
    return found


def test_kernel_image_with_boot_code_and_debug_information(tmp_path):
    objects = [
        *probe.objects(asm=probe.kmain("callq kernel.m0.f0")),
        *(ObjectFile.parse(f"m{n}.o", module(n, 3, functions=4, structs=3)) for n in range(3)),
    ]
    compare(*both(tmp_path, objects, PC64))


@pytest.mark.parametrize("mode", ["dev", "release"])
def test_the_kernel_itself(tmp_path, mode):
    sink = Sink()
    builder = Builder(Options(target="pc64", mode=mode), [kernel.ROOT], sink,
                      binding=kernel.binding())
    done = builder.compile(kernel.files())
    made = builder.objects(done, frozenset(["boot_entry"]))
    builder.close()
    assert not sink.errors, sink.render()
    objects = [ObjectFile.parse(f"{name}.o", data) for name, data in made]
    compare(*both(tmp_path, [*objects, symbol_table(tmp_path, objects)], PC64))


def symbol_table(folder: Path, objects: list[ObjectFile]) -> ObjectFile:
    """What ksyms puts into the image, as an object that GNU ld reads too."""
    image = ksyms.link_with_symbols(objects, layout=PC64, output=folder / "with-symbols")
    file = folder / "symbols.bin"
    file.write_bytes(ksyms.encode(SymbolTable.read(image.output), image.symbols["__text_start"],
                                  image.symbols["__text_end"]))
    return asm(f"""
    .section .rodata.ksyms,"a",@progbits
    .balign 8
    .global {ksyms.SYMBOL}
    .type {ksyms.SYMBOL}, @object
    {ksyms.SYMBOL}: .incbin "{file}"
    .size {ksyms.SYMBOL}, . - {ksyms.SYMBOL}
    """)


def test_linker_sets_and_boundary_symbols(tmp_path):
    text = """
    .text
    .global _start
    _start: .quad __start_drivers, __stop_drivers, __text_start, __text_end, __data_end
    .quad __start_counters, __bss_start, __bss_end, __image_start, __image_end, __load_end
    .section drivers,"a",@progbits
    .quad 1
    .section counters,"aw",@progbits
    .quad 2
    """
    objects = [asm(text), asm('.section drivers,"a",@progbits\n.quad 3\n.bss\n.skip 100\n')]
    sets = {"sets": ["drivers"], "writable_sets": ["counters"]}
    compare(*both(tmp_path, objects, USER, **sets))


SECTIONS = [".text", ".rodata", ".rodata.cst", ".data", ".data.hot", ".bss", ".bss.big"]
FIELDS = [
    ".quad {}", ".quad {} + 8", ".long {}", ".long {} - .", ".quad {} - .", ".long {} - 4 - .",
]  # fmt: skip


@st.composite
def programs(draw) -> list[str]:
    """Assembly of some objects whose sections define symbols and refer to each other's."""
    count = draw(st.integers(1, 4))
    names = [f"s{number}" for number in range(draw(st.integers(1, 8)))]
    texts = [[] for _ in range(count)]
    for name in names:
        section = draw(st.sampled_from(SECTIONS))
        nobits = section.startswith(".bss")
        kind = "nobits" if nobits else "progbits"
        flags = "ax" if section == ".text" else "a" if section.startswith(".r") else "aw"
        binding = draw(st.sampled_from([".global", ".global", ".weak"]))
        text = [
            f'.section {section},"{flags}",@{kind}',
            f".balign {1 << draw(st.integers(0, 8))}{'' if section != '.text' else ', 0xcc'}",
            f"{binding} {name}",
            f"{name}:",
        ]
        if nobits:
            text.append(f".skip {draw(st.integers(1, 5000))}")
        else:
            for _ in range(draw(st.integers(1, 6))):
                target = draw(st.sampled_from([*names, "nowhere"]))
                if target == "nowhere":
                    text.append(".weak nowhere")
                    text.append(".quad nowhere")
                else:
                    text.append(draw(st.sampled_from(FIELDS)).format(target))
            text.append(f".skip {draw(st.integers(0, 40))}, {draw(st.integers(0, 255))}")
        texts[draw(st.integers(0, count - 1))] += text
    start = [".text", ".global _start", "_start: ret"]
    return ["\n".join(text) + "\n" for text in ([*texts[0], *start], *texts[1:])]


@settings(max_examples=40, deadline=None)
@given(texts=programs())
def test_random_programs(tmp_path_factory, texts):
    objects = [ObjectFile.parse(f"{n}.o", assemble(text)) for n, text in enumerate(texts)]
    compare(*both(tmp_path_factory.mktemp("random"), objects, USER))


def test_same_inputs_give_the_same_bytes(tmp_path):
    objects = [ObjectFile.parse(f"m{n}.o", module(n, 2, functions=3, structs=2)) for n in range(2)]
    objects.append(asm(".text\n.global _start\n_start: callq kernel.m0.f0\n"))
    images = [
        link(objects, layout=USER, output=tmp_path / str(n)).output.read_bytes() for n in range(2)
    ]
    assert images[0] == images[1]
