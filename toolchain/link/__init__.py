# SPDX-License-Identifier: BSD-3-Clause
"""The linker: relocatable objects in, one image out, and a check of what came out.

    elf      read an object              errors   what can go wrong, by number
    layout   where sections go           check    judge the finished image, read back afresh
    resolve  which definition a name has symbols  address to function, file and line
    reach    what may be left out        script   the same layout, as GNU ld is told it
    place    an address for everything   dwarf    just enough of DWARF for check and symbols
    reloc    fill the addresses in       site     a place in an object, in the source's words
    image    put the file together       ksyms    the kernel's own table of its symbols
    linker   link(): the steps in order  stories  each problem at length, for kpyc explain

Public: linker.link, ksyms.link_with_symbols, check.check_image, symbols.SymbolTable,
layout.LAYOUTS, script.linker_script, errors.LinkError.
"""
