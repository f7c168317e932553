# SPDX-License-Identifier: BSD-3-Clause
"""The memory maps hold what layout.py promises."""

import pytest
from elftools.elf.elffile import ELFFile

from tests.harness import probe
from tests.toolchain.link_objects import asm
from toolchain.link.layout import FILE_BASE, KERNEL_BASE, LAYOUTS, PAGE, PC64, USER
from toolchain.link.linker import link


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    text = probe.kmain() + ".data\n.quad 1\n.section .rodata\n.quad 2\n.section .data.x\n.byte 1\n"
    return probe.build(tmp_path_factory.mktemp("layout") / "kernel", asm=text)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_no_segment_is_writable_and_executable(layout):
    assert not any(segment.writable and segment.executable for segment in layout.segments)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_only_the_last_section_is_left_out_of_the_file(layout):
    nobits = [section.nobits for segment in layout.segments for section in segment.sections]
    assert nobits == [False] * (len(nobits) - 1) + [True]


def test_kernel_is_entered_low_and_linked_high(kernel):
    assert PC64.start <= kernel.entry < PC64.start + PAGE
    assert kernel.symbols["kernel.main.kmain"] > KERNEL_BASE + PC64.start
    assert kernel.symbols["__kernel_start"] == kernel.symbols["__text_start"]
    assert kernel.symbols["__kernel_end"] == kernel.symbols["__bss_end"]


def test_segments_start_on_pages_and_file_follows_physical_memory(kernel):
    end = 0
    for placed in kernel.segments:
        assert placed.address % PAGE == 0
        assert placed.physical >= end
        assert placed.offset - FILE_BASE == placed.physical - PC64.start
        end = placed.physical + placed.memory_size


def test_load_symbols_tell_a_multiboot_loader_what_to_copy(kernel):
    last = kernel.segments[-1]
    assert kernel.symbols["__load_start"] == PC64.start
    assert kernel.symbols["__load_end"] == last.physical + last.file_size
    assert kernel.symbols["__load_bss_end"] == last.physical + last.memory_size


def test_pvh_note_has_a_segment_of_its_own(kernel):
    with kernel.output.open("rb") as file:
        (note,) = [s for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_NOTE"]
        (entry,) = note.iter_notes()
        assert (entry["n_name"], entry["n_descsz"]) == ("Xen", 8)


def test_user_program_starts_at_4_mib_with_symbols_for_its_ends(tmp_path):
    text = ".text\n.global _start\n_start: ret\n.bss\n.skip 8\n"
    result = link([asm(text)], layout=USER, output=tmp_path / "out")
    assert result.entry == result.symbols["__image_start"] == 0x400000
    assert result.symbols["__image_end"] == result.symbols["__bss_end"]


def test_sections_are_aligned_and_in_order_of_the_objects(tmp_path):
    first = ".text\n.global _start\n_start: ret\n.data\n.byte 1\n.section .data.b\n.byte 2\n"
    second = ".data\n.balign 32\n.global aligned\naligned: .byte 3\n"
    result = link([asm(first), asm(second)], layout=USER, output=tmp_path / "out")
    assert result.symbols["aligned"] % 32 == 0
    assert result.sizes[".data"] == 33
