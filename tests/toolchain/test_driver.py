# SPDX-License-Identifier: BSD-3-Clause
"""The command line: run, dump, symbols, build, and their exit statuses."""
from __future__ import annotations

import gc
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.build import kernel_image
from toolchain.driver import main

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = '''
from kpy import Errno, Slice, kprintf, throws, u8, u32

def checksum(data: Slice[u8]) -> u32:
    """Each byte, doubled."""
    total: u32 = 0
    for byte in data:
        total += u32(byte) * 2
    return total

@throws
def fail(n: u32) -> u32:
    kprintf(f"n is {n}\\n")
    if n > 3:
        raise Errno(22)
    return n - 1
'''


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("driver") / "demo.py"
    path.write_text(PROGRAM)
    return path


def kpyc(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "toolchain", *map(str, arguments)], cwd=ROOT,
                          text=True, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize("mode", [[], ["--release"]], ids=["dev", "release"])
def test_run_calls_a_function(program, mode):
    done = kpyc("run", *mode, program, "checksum", "b'abc'")
    assert (done.stdout, done.returncode) == ("588\n", 0)


def test_run_shows_the_operands_of_a_failed_check_as_their_types_have_them(tmp_path):
    path = tmp_path / "signs.py"
    path.write_text("from kpy import i64, u64\n"
                    "def add(a: u64, b: u64) -> u64:\n    return a + b\n"
                    "def sub(a: i64, b: i64) -> i64:\n    return a - b\n")
    assert "OVERFLOW(18446744073709551615, 9223372036854775808) in a + b" in kpyc(
        "run", path, "add", 2**64 - 1, 2**63).stderr
    assert "OVERFLOW(-9223372036854775808, 1) in a - b" in kpyc(
        "run", path, "sub", "--", -2**63, 1).stderr


def test_run_shows_what_is_printed_raised_and_trapped(program):
    fine = kpyc("run", program, "fail", "2")
    assert (fine.stdout, fine.returncode) == ("n is 2\n1\n", 0)
    raised = kpyc("run", program, "fail", "4")
    assert (raised.stdout, raised.returncode) == ("n is 4\n", 1)
    assert "Errno(22)" in raised.stderr
    trapped = kpyc("run", program, "fail", "0")
    assert trapped.returncode == 70
    assert re.search(r"demo\.py:16:12: .*OVERFLOW\(0, 1\) in n - 1", trapped.stderr)


PASSES = """
from kpy import Ptr, Slice, asm, enum, extern, naked, u8, u16, u64

@enum(u8)
class Kind:
    FILE = 1

def total(items: Slice[u16]) -> u64:
    found: u64 = 0
    for item in items:
        found = found * 10 + item
    return found

def kind(value: Kind) -> Kind:
    return value

def swapped(pair: tuple[u64, u8]) -> tuple[u8, u64]:
    return pair[1], pair[0]

def absent(pointer: Ptr[u64] | None) -> bool:
    return pointer is None

def follow(pointer: Ptr[u64]) -> u64:
    return pointer.value

@extern("elsewhere")
def elsewhere(value: u64) -> u64: ...

@naked
def bare(value: u64) -> u64:
    asm("ret")
"""


@pytest.mark.parametrize("call, shown", [
    ("total [1,2,513]", "633"), ("kind 1", "1"), ("swapped (300,7)", "(7, 300)"),
    ("absent None", "True"), ("total [65536]", "K0311"), ("total [True]", "K0311"),
    ("kind 2", "K0311"), ("swapped (1,300)", "K0311"), ("swapped (1,2,3)", "K0311"),
    ("follow 0", "K0311"), ("absent 8", "K0311"), ("elsewhere 1", "K0336"), ("bare 1", "K0336"),
])
def test_run_passes_what_fits_and_refuses_the_rest(call, shown, tmp_path, capsys):
    path = tmp_path / "passes.py"
    path.write_text(PASSES)
    status = main(["run", str(path), *call.split()])
    gc.enable()
    assert shown in "".join(capsys.readouterr())
    assert status == (1 if shown.startswith("K") else 0)


def test_run_of_an_unknown_function_lists_those_there_are(program):
    done = kpyc("run", program, "nothing")
    assert done.returncode == 1
    assert "it has: checksum, fail" in done.stderr


def test_typed_stage_says_every_conversion_and_check(program):
    text = kpyc("dump", "--stage", "typed", f"{program}:checksum").stdout
    assert "function demo.checksum(data: Slice[u8]) -> u32" in text
    assert "total +!= (widen<u32>(byte) *! 2'u32)'u32" in text


def test_cfg_stage_shows_source_lines_and_checks(program):
    text = kpyc("dump", "--stage", "cfg", f"{program}:checksum").stdout
    assert "total += u32(byte) * 2" in text
    assert "function demo.checksum" in text


def test_ir_and_asm_stages_show_one_function(program):
    text = kpyc("dump", "--stage", "ir", f"{program}:checksum").stdout
    assert text.startswith("define") and text.count("define") == 1
    asm = kpyc("dump", "--stage", "asm", f"{program}:checksum").stdout
    assert asm.startswith("demo.checksum:") and "retq" in asm
    assert "| total += u32(byte) * 2" in asm and "| total += u32(byte) * 2" in text
    assert "dbg" not in text


def test_ir_of_no_optimisation_has_each_variable_in_memory(program):
    text = kpyc("dump", "-O", "0", "--stage", "ir", f"{program}:checksum").stdout
    assert "alloca" in text and "alloca" not in kpyc(
        "dump", "--stage", "ir", f"{program}:checksum").stdout


def test_dump_of_an_unknown_function_is_an_error(program):
    done = kpyc("dump", f"{program}:nothing")
    assert done.returncode == 1
    assert "it has: checksum, fail" in done.stderr


def test_symbols_lists_kpy_functions_with_their_lines():
    text = kpyc("symbols", kernel_image()).stdout
    assert re.search(r"kernel\.main\.kmain.*kernel/main\.py:\d+", text)


def test_build_says_what_it_did(program, tmp_path):
    done = kpyc("build", "--target", "host", "--cache", tmp_path / "c", "-o", tmp_path / "o",
                program)
    assert re.search(r"lines, 1 modules, 1 compiled", done.stdout)
    assert (tmp_path / "o").read_bytes().startswith(b"\x7fELF")


def test_commands_have_help():
    for command in ("check", "build", "run", "dump", "symbols", "explain"):
        done = kpyc(command, "--help")
        assert done.returncode == 0 and "usage: kpyc" in done.stdout
