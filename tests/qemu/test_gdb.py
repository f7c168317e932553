# SPDX-License-Identifier: BSD-3-Clause
"""gdb attached to the guest sees source lines, and a backtrace that ends at the boot code."""

from pathlib import Path

import pytest

from tests.harness import Gdb, Machine, probe
from tests.harness.gdb import GdbError
from tests.toolchain.link_objects import module_ir


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    ir = module_ir(0, 1, functions=2, structs=1)
    asm = probe.kmain("""
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    callq kernel.m0.f1
    .cfi_endproc
    """)
    return probe.build(tmp_path_factory.mktemp("gdb") / "probe.elf", asm=asm, ir=ir).output


def test_breakpoint_on_a_source_line_stops_the_guest_there(image):
    with Machine(image, gdb=True) as vm:
        said = vm.gdb().batch("break kernel/m0.py:14", "continue", "info source", "info args")
    assert "Breakpoint 1, f1" in said or "Breakpoint 1, kernel.m0.f1" in said
    assert "Current source file is kernel/m0.py" in said
    assert "n = " in said


def test_backtrace_ends_at_the_boot_code(image):
    with Machine(image, gdb=True) as vm:
        said = vm.gdb().batch("hbreak kernel.m0.f1", "continue", "bt")
    frames = [line for line in said.splitlines() if line.startswith("#")]
    assert "f1 (" in frames[0]
    assert "boot_higher_half () at boot/entry.py:" in frames[-1]
    assert "Backtrace stopped" not in said
    assert not any("??" in frame for frame in frames)


def test_boot_code_is_stepped_by_its_source_lines(image):
    lines = (probe.ROOT / "boot" / "entry.py").read_text().splitlines()
    jump = next(number for number, line in enumerate(lines, 1) if "jmpq *%rax" in line)
    stack = next(number for number, line in enumerate(lines, 1) if "_top, %rsp" in line)
    with Machine(image, gdb=True) as vm:
        said = vm.gdb().batch(f"hbreak boot/entry.py:{jump}", "continue", "stepi", "info line *$pc")
    assert f'Line {stack} of "boot/entry.py" starts at address' in said
    assert "<boot_higher_half>" in said


def test_structures_are_known_without_a_machine(image):
    assert "f0" in Gdb(image).batch("info line kernel.m0.f0", "info scope kernel.m0.f0")


def test_hung_gdb_is_an_error_with_its_output(tmp_path):
    idle = probe.build(tmp_path / "idle.elf", asm=probe.kmain()).output
    with (
        Machine(idle, gdb=True) as vm,
        pytest.raises(GdbError, match="did not end within"),
    ):
        vm.gdb().batch("continue", timeout=2)
