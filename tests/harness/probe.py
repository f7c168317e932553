# SPDX-License-Identifier: BSD-3-Clause
"""Small bootable images for testing the boot code, the linker and this harness themselves.

A probe is boot/entry.py and a kmain() written in assembly or LLVM IR.

Tests  tests/qemu/test_boot_entry.py
"""

import ast
from pathlib import Path

from toolchain.backend.asmdebug import annotate
from toolchain.backend.assemble import assemble, compile_ir
from toolchain.link.elf import ObjectFile
from toolchain.link.layout import PC64
from toolchain.link.linker import LinkResult, link

ROOT = Path(__file__).resolve().parents[2]


def build(output: Path, *, asm: str = "", ir: str = "") -> LinkResult:
    """Link boot/entry.py and the assembly or IR that defines kernel.main.kmain."""
    return link(objects(asm=asm, ir=ir), layout=PC64, output=output)


def objects(*, asm: str = "", ir: str = "") -> list[ObjectFile]:
    """The objects that build() links."""
    parts = [ObjectFile.parse("entry.o", assemble(file_asm(ROOT / "boot" / "entry.py")))]
    if asm:
        parts.append(ObjectFile.parse("probe.o", assemble(asm)))
    if ir:
        parts.append(ObjectFile.parse("probe-ir.o", compile_ir(ir)))
    return parts


def file_asm(path: Path) -> str:
    """The text of all file-level asm() calls of a kpy file, with debug information."""
    calls = [
        node.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]
    text, line = "", 1
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "asm":
            # Each text keeps its own line numbers: blank lines stand for what is between them.
            text += "\n" * (call.args[0].lineno - line) + call.args[0].value
            line = call.args[0].end_lineno
    file = str(path.relative_to(ROOT))
    return annotate(text, file=file, first_line=1, directory=str(ROOT))


def kmain(*steps: str) -> str:
    """Assembly for a kmain() that does `steps`, then stops the CPU."""
    body = "\n".join(steps)
    return f"""
.text
.global kernel.main.kmain
.type kernel.main.kmain, @function
kernel.main.kmain:
{body}
9:  hlt
    jmp 9b
.size kernel.main.kmain, . - kernel.main.kmain
"""


def prints(text: str) -> str:
    """A step that prints `text` on COM1; waits for room for each byte."""
    return f"""
    leaq 77f(%rip), %rsi
75: lodsb
    testb %al, %al
    jz 78f
    movb %al, %ah
    movw $0x3fd, %dx
76: inb %dx, %al
    testb $0x20, %al
    jz 76b
    movb %ah, %al
    movw $0x3f8, %dx
    outb %al, %dx
    jmp 75b
77: .byte {", ".join(str(byte) for byte in text.encode())}, 0
78:
"""


def exits(status: int) -> str:
    """A step that ends the machine with `status`, once COM1 has sent everything."""
    return f"""
    movw $0x3fd, %dx
79: inb %dx, %al
    testb $0x40, %al
    jz 79b
    movl ${status}, %eax
    movw $0xf4, %dx
    outl %eax, %dx
"""


def triple_fault() -> str:
    """A step that faults with no way to handle it."""
    return "pushq $0\npushq $0\nlidt (%rsp)\nud2\n"
