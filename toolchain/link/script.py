# SPDX-License-Identifier: BSD-3-Clause
"""A layout in GNU ld's words, so that both linkers can be given the same objects and compared.

    ld -n -T kernel.ld -o kernel.elf OBJECTS

Tests   tests/toolchain/test_link_against_ld.py
Source  GNU ld manual, chapter 3 "Linker Scripts"
"""

from collections.abc import Collection

from toolchain.link.layout import PAGE, Layout, OutputSection, Segment

_PF = {"r": 4, "w": 2, "x": 1}
_DEBUG = ("aranges", "pubnames", "info", "abbrev", "line", "frame", "str", "loc", "macinfo",
          "pubtypes", "ranges", "addr", "line_str", "loclists", "macro", "names", "rnglists",
          "str_offsets", "types")  # fmt: skip


def linker_script(
    layout: Layout, *, sets: Collection[str] = (), writable_sets: Collection[str] = ()
) -> str:
    """The script for `layout`; ld must be told the names of the linker sets there are."""
    lines = [f"ENTRY({layout.entry})", "PHDRS", "{"]
    for segment in layout.segments:
        flags = sum(_PF[letter] for letter in segment.flags)
        lines.append(f"    {segment.name} PT_LOAD FLAGS({flags});")
    notes = [section for seg in layout.segments for section in seg.sections if section.note]
    lines += ["    notes PT_NOTE FLAGS(4);"] if notes else []
    lines += ["}", "SECTIONS", "{", f"    physical = {layout.start:#x};"]
    for segment in layout.segments:
        lines += _segment(segment, writable_sets if segment.writable else sets)
    lines += _image_symbols(layout)
    lines += [f"    .debug_{name} 0 : {{ *(.debug_{name}) }}" for name in _DEBUG]
    lines += ["    /DISCARD/ : { " + " ".join(f"*({name})" for name in layout.discard) + " }", "}"]
    return "\n".join(lines) + "\n"


def _segment(segment: Segment, sets: Collection[str]) -> list[str]:
    bias = f"{segment.bias:#x}"
    lines = [
        f"    physical = ALIGN(physical, {PAGE:#x});",
        f"    . = physical + {bias};",
        f"    PROVIDE(__seg_{segment.name}_start = .);",
    ]
    for section in segment.sections:
        if section.nobits:
            lines.append(f"    PROVIDE(__load_end = . - {bias});")
        lines += _section(segment, section, bias)
        if section.sets:
            for name in sorted(sets):
                lines += _section(segment, OutputSection(name, ((name,),)), bias)
    return [
        *lines,
        f"    PROVIDE(__seg_{segment.name}_end = .);",
        f"    physical = . - {bias};",
    ]


def _section(segment: Segment, section: OutputSection, bias: str) -> list[str]:
    stem = section.name.lstrip(".")
    start, end = f"__{stem}_start", f"__{stem}_end"
    if not section.name.startswith("."):
        start, end = f"__start_{stem}", f"__stop_{stem}"
    inputs = " ".join(f"*({' '.join(patterns)})" for patterns in section.inputs)
    fill = " =0xCCCCCCCC" if segment.executable else ""
    phdrs = f":{segment.name} :notes" if section.note else f":{segment.name}"
    return [
        f"    {section.name} : AT(ADDR({section.name}) - {bias})",
        "    {",
        f"        PROVIDE({start} = .);",
        f"        {inputs}",
        f"        PROVIDE({end} = .);",
        f"    }} {phdrs}{fill}",
    ]


def _image_symbols(layout: Layout) -> list[str]:
    first, last = layout.segments[0], layout.segments[-1]
    virtual = next((segment for segment in layout.segments if segment.bias), first)
    return [
        f"    PROVIDE(__{layout.prefix}_start = __seg_{virtual.name}_start);",
        f"    PROVIDE(__{layout.prefix}_end = __seg_{last.name}_end);",
        f"    PROVIDE(__load_start = {layout.start:#x});",
        "    PROVIDE(__load_bss_end = physical);",
    ]
