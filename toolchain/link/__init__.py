# SPDX-License-Identifier: BSD-3-Clause
"""The linker: relocatable objects in, one image out, and a check of what came out.

    elf      read an object              errors   what can go wrong, by number
    layout   where sections go           check    judge the finished image, read back afresh
    resolve  which definition a name has symbols  address to function, file and line
    place    an address for everything   script   the same layout, as GNU ld is told it
    reloc    fill the addresses in       dwarf    just enough of DWARF for the two above
    linker   link(): the steps in order

Public: linker.link, check.check_image, symbols.SymbolTable, layout.LAYOUTS, errors.LinkError.
"""
