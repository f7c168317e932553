# SPDX-License-Identifier: BSD-3-Clause
"""scripts/run keeps its promises to scripts: output, exit status, time-out, panic."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import probe
from tests.toolchain.link_objects import module_ir

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: object) -> subprocess.CompletedProcess:
    environment = dict(os.environ, PYTHON=sys.executable)
    words = [str(ROOT / "scripts" / "run"), *map(str, arguments)]
    return subprocess.run(
        words, capture_output=True, env=environment, text=True, timeout=60, check=False
    )


def image(folder: Path, *steps: str) -> Path:
    return probe.build(folder / "probe.elf", asm=probe.kmain(*steps)).output


def test_exec_prints_just_what_the_commands_print_and_exits_with_their_status(tmp_path):
    steps = (probe.prints("booting\n\x02hello\r\n\x03200\nbye\n"), probe.exits(0))
    done = run("--image", image(tmp_path, *steps), "--exec", "echo hello")
    assert (done.stdout, done.stderr, done.returncode) == ("hello\n", "", 200)


def test_exec_commands_reach_the_guest(tmp_path):
    # fw_cfg: select file directory, key 0x19; it must name our file, so its text is in there.
    scan = """
    movw $0x510, %dx
    movw $0x19, %ax
    outw %ax, %dx
    movw $0x511, %dx
    movl $4096, %ecx
    xorl %ebx, %ebx
1:  shlq $8, %rbx
    inb %dx, %al
    movb %al, %bl
    movabsq $0x6c792f6578656300, %rsi     # "ly/exec" and NUL
    cmpq %rsi, %rbx
    je 2f
    loop 1b
    jmp 9f
2:
"""
    steps = (scan, probe.prints("\x02found\n\x030\n"), probe.exits(0))
    done = run("--image", image(tmp_path, *steps), "--exec", "anything", "--timeout", "10")
    assert (done.stdout, done.returncode) == ("found\n", 0)


def test_time_out_is_status_124(tmp_path):
    path = image(tmp_path, probe.prints("\x02started\n"))
    done = run("--image", path, "--exec", "sleep", "--timeout", "1")
    assert (done.stdout, done.returncode) == ("started\n", 124)
    assert "no end after 1 s" in done.stderr


def test_panic_is_status_70_with_a_symbolized_backtrace(tmp_path):
    ir = module_ir(0, 1, functions=2, structs=1)
    objects_asm = probe.kmain("movabsq $kernel.m0.f1, %rax\ncallq report")
    result = probe.build(tmp_path / "probe.elf", asm=objects_asm + REPORT, ir=ir)
    address = result.symbols["kernel.m0.f1"]
    done = run("--image", result.output, "--exec", "x", "--timeout", "20")
    assert done.returncode == 70
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first == "panic: test"
    assert second == f"{address:016x}  kernel.m0.f1+0x0 (kernel/m0.py:12)"


REPORT = f"""
.text
report:
    movq %rax, %rbx
    {probe.prints("before" + chr(10) + "panic: test" + chr(10))}
    movl $16, %ecx
1:  rolq $4, %rbx
    movl %ebx, %eax
    andl $15, %eax
    addl $'0', %eax
    cmpl $'9', %eax
    jbe 2f
    addl $('a' - '0' - 10), %eax
2:  outb %al, %dx
    loop 1b
    movb $10, %al
    outb %al, %dx
    {probe.exits(70)}
"""


def test_triple_fault_is_reported_with_the_end_of_the_log(tmp_path):
    path = image(tmp_path, probe.prints("last words\n"), probe.triple_fault())
    done = run("--image", path, "--exec", "x", "--timeout", "20")
    assert done.returncode == 71
    assert "last words" in done.stderr


def test_console_goes_to_the_terminal_without_exec(tmp_path):
    done = run("--image", image(tmp_path, probe.prints("hello\n"), probe.exits(0)))
    assert (done.stdout, done.returncode) == ("hello\n", 0)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--image", "/nonexistent"], 69, "/nonexistent: no such file"),
        (["--cpus", "0"], 2, "not a number from 1 to 255"),
        (["--disk", "x"], 64, "BUS:FILE"),
    ],
)
def test_wrong_flags_and_missing_files_are_explained(arguments, status, message):
    done = run(*arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_every_flag():
    done = run("--help")
    assert done.returncode == 0
    flags = "cpus mem accel disk append root gdb icount qmp timeout exec image"
    assert all(f"--{flag}" in done.stdout for flag in flags.split())
