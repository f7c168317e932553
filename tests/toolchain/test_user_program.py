# SPDX-License-Identifier: BSD-3-Clause
"""Target `user`: static ring-3 programs with Linux's system calls, run on this very machine."""
from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = '''
from typing import Final
from kpy import Never, Ptr, Slice, address_of, asm, bits_of, cold, comptime, entries, entry, export
from kpy import i64, implements, kprintf, make_slice, naked, rt, sysinit, u8, u64, Array

UNSAFE: Final = True      # system calls take addresses
WRITE: Final[u64] = 1
EXIT: Final[u64] = 231

counts: Array[u64, 4]


def call(number: u64, a: u64, b: u64, c: u64) -> i64:
    return asm("syscall", out=("a", i64), ins={"a": number, "D": a, "S": b, "d": c},
               clobbers=("rcx", "r11", "memory"))


def write(text: Slice[u8]) -> None:
    call(WRITE, 1, bits_of(address_of(text)), len(text))


@sysinit(20)
def second() -> None:
    kprintf("second\\n")


@sysinit(10)
def first() -> None:
    kprintf("first\\n")


@export("_start")
@naked
def start() -> Never:
    asm("xorl %ebp, %ebp; andq $$-16, %rsp; callq main")


@export("main")
@entry(8192)
def main() -> Never:
    for item in entries("sysinit"):
        item.function()
    for i in range(4):
        counts[i] = i * i
    kprintf(f"counts {counts[3]} {counts[2]:#x} {True} {-5:>4}\\n")
    trouble(len(counts))
    call(EXIT, 0, 0, 0)
    while True:
        pass


def trouble(n: u64) -> None:
    counts[n] = 1


@implements(rt.print_begin)
def print_begin(sink: rt.Sink, site: Ptr[rt.Site]) -> None:
    pass


@implements(rt.print_text)
def print_text(sink: rt.Sink, text: Ptr[u8], length: u64) -> None:
    write(make_slice(text, length))


@implements(rt.print_slice)
def print_slice(sink: rt.Sink, text: Ptr[u8], length: u64, spec: u64) -> None:
    write(make_slice(text, length))


@implements(rt.print_value)
def print_value(sink: rt.Sink, value: u64, spec: u64) -> None:
    digits: Array[u8, 20]
    at: u64 = 20
    rest = value
    while True:
        at -= 1
        digits[at] = u8(48 + rest % 10)
        rest //= 10
        if rest == 0:
            break
    write(digits[at:])


@implements(rt.print_end)
def print_end(sink: rt.Sink) -> None:
    pass


@implements(rt.panic_end)
@cold
def panic_end(site: Ptr[rt.Site]) -> Never:
    finish(site)


@implements(rt.check_failed)
@cold
def check_failed(site: Ptr[rt.Site], a: u64, b: u64) -> Never:
    kprintf(f"failed {a} {b} ")
    finish(site)


def finish(site: Ptr[rt.Site]) -> Never:
    write(site.text)
    kprintf(f" line {site.line}\\n")
    call(EXIT, 3, 0, 0)
    while True:
        pass
'''


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs x86-64 code natively")
@pytest.mark.parametrize("flags", [(), ("--release",), ("-O", "0")], ids=["dev", "release", "O0"])
def test_program_runs_and_traps(tmp_path, flags):
    source = tmp_path / "hello.py"
    source.write_text(PROGRAM)
    memory = ROOT / "kernel" / "lib" / "memory.py"
    output = tmp_path / "hello"
    built = subprocess.run([sys.executable, "-m", "toolchain", "build", "-q", "--target", "user",
                            *flags, "-o", str(output), str(source), str(memory)], cwd=ROOT,
                           text=True, capture_output=True, check=False)
    assert built.returncode == 0, built.stderr
    output.chmod(0o755)
    done = subprocess.run([output], text=True, capture_output=True, timeout=30, check=False)
    line = PROGRAM.splitlines().index("    counts[n] = 1") + 1
    assert done.stdout.splitlines() == [
        "first", "second", "counts 9 4 1 18446744073709551611",
        f"failed 4 4 counts[n] line {line}"]
    assert done.returncode == 3
