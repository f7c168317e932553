# SPDX-License-Identifier: BSD-3-Clause
"""The longer story of each of the linker's problems, for `kpyc explain K09xx`.

Tests  tests/toolchain/test_link_errors.py
"""

STORIES: dict[str, tuple[str, str]] = {
    "K0901": (
        "a name is used that no object defines",
        """
The compiler took the name on trust: it is `extern`, an upcall, or written in assembly.  When all
objects are put together, one must define it, and none does.

    asm("callq kernel.main.kmian")      # no module defines kernel.main.kmian

The place shown is the first use.  Correct the name, or add the file that defines it to the build.
A function in kpy has the symbol MODULE.FUNCTION, such as kernel.main.kmain.  A name that starts
with __start_ or __stop_ is the boundary of a section: it exists if an object has that section.""",
    ),
    "K0902": (
        "a name is defined twice",
        """
Two objects define the same symbol, and a use of it could mean either.  In kpy two modules never
clash; it takes @export with one name in two places, or assembly that defines what kpy defines.

    @export("memcpy")                   # in kernel/lib/memory.py
    @export("memcpy")                   # and in kernel/lib/string.py

Both places are shown.  Rename one, or leave out its .global so that it stays private.""",
    ),
    "K0903": (
        "an address does not fit where it is to be written",
        """
An instruction has room for four bytes of address or distance, and the target is further away.
The kernel lies in the top 2 GiB, where a sign-extended 32-bit address reaches everything; boot
code lies at 1 MiB, where only its own part can be reached so.

    movl $kernel.main.kmain, %eax       # in 32-bit boot code: the target is in the higher half

In boot code subtract KERNEL_BASE to get the physical address; in 64-bit mode use movabsq.""",
    ),
    "K0904": (
        "an object asks for a relocation that is not supported",
        """
The object was compiled for something else than a static image: position-independent code that
goes through a global offset table, or thread-local data.

Compile C sources with -fno-pic -mcmodel=kernel; declare symbols of hand-written IR dso_local.
A load of an address through the table is turned into a direct one; arithmetic on it cannot be.""",
    ),
    "K0905": (
        "a file is no x86-64 ELF object, or is damaged",
        """
The linker reads ELF64 relocatable objects for x86-64.  This file is something else, or is cut
short, or its tables point outside it.  Delete it and build again; if it comes back, the program
that writes it is at fault.""",
    ),
    "K0906": (
        "a section has no place in the layout",
        """
Every section that is loaded must be gathered by the layout: .text, .rodata, .data, .percpu, .bss
with all that begin so (.text.fast), and .boot in a kernel.  A section whose name is a C
identifier becomes a linker set, with __start_NAME and __stop_NAME around it.

    @section(".fast")                   # no place; write ".text.fast" or "fast_table"

Bytes other than zero cannot be put in .bss: it is not in the file.""",
    ),
    "K0907": (
        "the entry symbol is not defined",
        """
An image starts at one symbol: boot_entry in a kernel (boot/entry.py), _start in a user program.
No object defines it.  Is the file that does part of the build?""",
    ),
    "K0908": (
        "an object uses a feature of ELF that has no meaning here",
        """
Thread-local sections, functions chosen at run time (ifunc), compressed sections: each needs a
loader that does something at start, and a kernel has none.  For data of each CPU use @percpu.""",
    ),
    "K0909": (
        "the image does not fit its layout",
        """
The kernel has 1 GiB from 1 MiB; a user program ends below 2 GiB, so that 32-bit addresses reach
all of it.  Look for a huge array: `kpyc symbols IMAGE` of the last good build lists sizes.""",
    ),
    "K0910": (
        "a file cannot be read or written",
        "The system's reason is in the message.  The old image, if there is one, was left alone.",
    ),
    "K0911": (
        "the finished image refers to a symbol it does not define",
        """
The image was read back after linking and has an undefined symbol.  The linker should not have
made it: please report this with the objects.""",
    ),
    "K0912": (
        "a segment is both writable and executable",
        """
Memory that can be written and run lets any stray write become code.  No layout of ours has such
a segment, so the image was made or changed by something else, or a layout was edited.""",
    ),
    "K0913": (
        "a section is out of place",
        """
Sections of the image overlap, lie outside their segment, or outside the layout's addresses.
The linker should not have made it: please report this with the objects.""",
    ),
    "K0914": (
        "a function has no debug information",
        """
Backtraces, gdb and panics name functions and lines from DWARF, so every function must have some.
kpy functions have it always.  A function in file-level asm gets it from its .type and .size:

    .type switch_to, @function
    switch_to:
        ...
    .size switch_to, . - switch_to

What comes from elsewhere must be compiled with -g, or be exempted by name.""",
    ),
    "K0915": (
        "the entry is not in executable memory",
        "The entry symbol must be code: in .text, or in .boot in a kernel.",
    ),
    "K0916": (
        "there is no usable multiboot header",
        """
A loader looks for the header in the first 8 KiB of the file, and a 64-bit kernel needs the
address fields in it (flag bit 16), because a multiboot loader does not read ELF64.  The header
is in boot/entry.py, in section .boot.header, which the layout puts first.""",
    ),
}
