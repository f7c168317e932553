# SPDX-License-Identifier: BSD-3-Clause
"""Assembles file-level asm through LLVM, in a process of its own.

LLVM ends the process on an instruction it does not know, so the process must not be ours.

Tests  tests/toolchain/test_assemble.py
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_TRIPLE = "x86_64-unknown-none-elf"
_FEATURES = "-mmx,-sse,-sse2,-avx,+soft-float"


class AssembleError(Exception):
    """The text does not assemble, or the IR is not valid; the message is LLVM's."""


def assemble(text: str) -> bytes:
    """The object file that AT&T-syntax `text` assembles to."""
    return compile_ir(module_asm(text))


def module_asm(text: str) -> str:
    """`text` as the `module asm` lines of an LLVM module."""
    escaped = text.replace("\\", "\\5C").replace('"', "\\22").replace("\t", "\\09")
    return "".join(f'module asm "{line}"\n' for line in escaped.splitlines())


def compile_ir(ir: str) -> bytes:
    """The object file of the LLVM module `ir`, compiled as kernel code."""
    done = subprocess.run(
        [sys.executable, "-m", "toolchain.backend.assemble"],
        input=ir.encode(), capture_output=True, cwd=ROOT, check=False,
    )  # fmt: skip
    if done.returncode or not done.stdout:
        raise AssembleError(done.stderr.decode(errors="replace").strip())
    return done.stdout


def _emit(ir: str) -> bytes:
    from llvmlite import binding as llvm  # noqa: PLC0415 (only the child needs LLVM)

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()
    machine = llvm.Target.from_triple(_TRIPLE).create_target_machine(
        cpu="x86-64", opt=1, reloc="static", codemodel="kernel", features=_FEATURES
    )
    module = llvm.parse_assembly(f'target triple = "{_TRIPLE}"\n{ir}')
    module.verify()
    return machine.emit_object(module)


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(_emit(sys.stdin.read()))
    except RuntimeError as error:
        sys.exit(str(error))
