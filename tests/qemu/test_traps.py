# SPDX-License-Identifier: BSD-3-Clause
"""Exceptions arrive as trap(frame), and what is forbidden is one."""
from __future__ import annotations

import pytest

from tests.harness import Machine, guest
from tests.harness.build import guest_image
from toolchain.link.symbols import SymbolTable

WRITE_PROTECTED = 0b00011        # present, write
EXECUTE_DATA = 0b10001           # present, instruction fetch
WRITE_MISSING = 0b00010
READ_MISSING = 0b00000


@pytest.mark.parametrize(("number", "vector", "error"), [
    pytest.param(0, 14, WRITE_PROTECTED, id="write to code"),
    pytest.param(1, 14, WRITE_PROTECTED, id="write to constants"),
    pytest.param(2, 14, EXECUTE_DATA, id="execute data"),
    pytest.param(3, 14, WRITE_MISSING, id="overflow the boot stack"),
    pytest.param(4, 14, READ_MISSING, id="null pointer"),
    pytest.param(5, 14, WRITE_PROTECTED, id="write to code by its alias"),
    pytest.param(6, 14, EXECUTE_DATA, id="execute the physical map"),
    pytest.param(7, 13, 0, id="non-canonical address"),
    pytest.param(8, 6, 0, id="undefined instruction"),
    pytest.param(9, 8, 0, id="no stack"),
])
def test_what_is_forbidden_faults(number, vector, error):
    found = guest.numbers(guest.run(f"faults {number}"))
    assert (found["vector"], found["error"]) == (vector, error)
    symbols = SymbolTable.read(guest_image("machine"))
    if number == 4:
        assert found["address"] == 8
    if number in (2, 6):
        assert found["rip"] == found["address"]
    else:
        assert "machine._faults" in symbols.describe(found["rip"])


def test_a_double_fault_has_a_stack_of_its_own():
    assert guest.numbers(guest.run("faults 9"))["stack"] >> 40 == 0xFFFF80
    assert guest.numbers(guest.run("faults 8"))["stack"] >> 40 == 0xFFFFFF


def test_the_frame_is_the_registers_and_changes_to_it_last():
    found = guest.numbers(guest.run("frame"))
    assert [found[name] for name in ("rax", "rbx", "r8", "r15")] == [0x1111, 0x2222, 0x3333, 0x4444]
    assert (found["vector"], found["error"], found["direction"]) == (3, 0, 1)
    assert (found["rbx_after"], found["r15_after"]) == (0x12345678, 0x4444)


def test_gdb_walks_from_a_trap_to_the_code_that_was_interrupted():
    with Machine(guest_image("machine"), append="faults 8", gdb=True) as vm:
        said = vm.gdb().batch("hbreak kernel.machine.upcalls.trap", "continue", "bt")
    frames = [line for line in said.splitlines() if line.startswith("#")]
    assert "trap" in frames[0]
    for name in ("vector_common", "_faults", "kmain", "boot_higher_half"):
        assert any(name in frame for frame in frames), said
    assert not any("??" in frame for frame in frames)
