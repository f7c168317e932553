# SPDX-License-Identifier: BSD-3-Clause
"""Gives file-level asm the debug information that the assembler would not.

before      .type start, @function       after      .file 1 "boot/entry.py"
            start:                                  .type start, @function
                cli                                 start:
            .size start, . - start                  .loc 1 12
                                                        cli
                                                    .Lasm_end0:
                                                    .size start, . - start
                                                    (and a compile unit with `start` in it)

So gdb stops on a line of boot/entry.py, steps through it, and every function that has .type and
.size is known by name to backtraces and to the linker's check.

What holds afterwards: the text assembles to the same code; it must be an object of its own, since
it numbers source files for itself.

Tests   tests/toolchain/test_asmdebug.py
Source  DWARF 4, sections 3.1 "Unit Entries", 7.5 "Format of Debugging Information"
"""

import re

_LABELS = re.compile(r"^\s*(?:[\w.$]+:\s*)*")
_FUNCTION = re.compile(r"^\s*\.type\s+([^\s,]+)\s*,\s*@function", re.MULTILINE)
_SIZE = re.compile(r"^\s*\.size\s+([^\s,]+)\s*,")

_ABBREVIATIONS = """
.section .debug_abbrev, "", @progbits
.Lasm_abbrev:
    .byte 1, 0x11, 1                    # compile unit, with children
    .byte 0x25, 0x08, 0x13, 0x05        # producer: string, language: data2
    .byte 0x03, 0x08, 0x1b, 0x08        # name: string, comp_dir: string
    .byte 0x10, 0x17, 0x55, 0x17        # stmt_list, ranges: sec_offset
    .byte 0x11, 0x01, 0, 0              # low_pc: addr
    .byte 2, 0x2e, 0                    # subprogram, without children
    .byte 0x03, 0x08, 0x11, 0x01        # name: string, low_pc: addr
    .byte 0x12, 0x07, 0x3a, 0x0b        # high_pc: data8, decl_file: data1
    .byte 0x3b, 0x06, 0x3f, 0x19, 0, 0  # decl_line: data4, external
    .byte 0
"""


def annotate(text: str, *, file: str, first_line: int, directory: str) -> str:
    """`text`, which begins on line `first_line` of `file`, with debug information added.

    `directory` is the one that `file` is relative to.
    """
    lines = [f'.file 1 "{file}"']
    functions = {name: 0 for name in _FUNCTION.findall(text)}
    ends: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), first_line):
        sized = _SIZE.match(line)
        if sized and sized.group(1) in functions:
            name = sized.group(1)
            ends[name] = f".Lasm_end{len(ends)}"
            lines.append(f"{ends[name]}:")
        for name in functions:
            if line.lstrip().startswith(f"{name}:"):
                functions[name] = number
        if _is_instruction(line):
            lines.append(f".loc 1 {number}")
        lines.append(line)
    if not ends:
        return text
    known = [(name, functions[name], end) for name, end in ends.items()]
    return "\n".join(lines) + _debug_sections(known, file, directory)


def _is_instruction(line: str) -> bool:
    statement = _LABELS.sub("", line)
    return bool(statement) and statement[0] not in ".#/" and "=" not in statement.split("#")[0]


def _debug_sections(functions: list[tuple[str, int, str]], file: str, directory: str) -> str:
    entries = "".join(
        f'    .byte 2\n    .asciz "{name}"\n    .quad {name}, {end} - {name}\n'
        f"    .byte 1\n    .long {line}\n"
        for name, line, end in functions
    )
    ranges = "".join(f"    .quad {name}, {end}\n" for name, _, end in functions)
    return f"""
{_ABBREVIATIONS}
.section .debug_info, "", @progbits
    .long .Lasm_info_end - .Lasm_info
.Lasm_info:
    .word 4                             # DWARF version
    .long .Lasm_abbrev
    .byte 8                             # bytes of an address
    .byte 1
    .asciz "kpy"
    .word 0x8001                        # language: assembler
    .asciz "{file}"
    .asciz "{directory}"
    .long .Lasm_line
    .long .Lasm_ranges
    .quad 0
{entries}    .byte 0
.Lasm_info_end:
.section .debug_ranges, "", @progbits
.Lasm_ranges:
{ranges}    .quad 0, 0
.section .debug_line, "", @progbits
.Lasm_line:
"""
