# SPDX-License-Identifier: BSD-3-Clause
"""Addresses to functions and source lines: the table that the linker put into the image.

Source    toolchain/link/ksyms.py (the format)
Tests     tests/qemu/test_panic.py
"""
from typing import Final

from kpy import (
    MPtr,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    cast,
    make_slice,
    pointer_at,
    ref,
    sizeof,
    struct,
    symbol_address,
    u8,
    u32,
    u64,
)

UNSAFE: Final = True     # the table is raw memory; its indices come from its own header

LINE_BITS: Final = 20
LONGEST_NAME: Final = 256


@struct
class Header:
    magic: u32
    functions: u32
    rows: u32
    files: u32
    strings: u32
    unused: u32
    base: u64


@struct
class Function:
    start: u32          # from base
    size: u32
    name: u32           # into the strings


@struct
class Row:
    start: u32          # from base
    line: u32           # file << LINE_BITS | line


@struct
class Place:
    """Where an address is."""
    function: Slice[u8] # empty where it is in none
    offset: u64         # bytes into the function
    file: Slice[u8]
    line: u32           # 0: unknown


def find(address: u64) -> Place:
    """The function and line of `address`."""
    place = Place(function=b"", file=b"")
    header = pointer_at(Header, symbol_address("kernel_symbols"))
    if address < header.base or address - header.base > 0xFFFF_FFFF:
        return place
    offset = u32(address - header.base)
    _function(header, offset, place)
    _line(header, offset, place)
    return place


def _function(header: Ptr[Header], offset: u32, place: Ptr[Place]) -> None:
    table = _functions(header)
    low: u32 = 0
    high = header.functions
    while low < high:                       # the first that starts behind offset
        middle = (low + high) // 2
        if table[middle].start <= offset:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return
    found = ref(table[low - 1])
    if offset - found.start < max(found.size, 1):
        place.function = _text(header, found.name)
        place.offset = offset - found.start


def _line(header: Ptr[Header], offset: u32, place: Ptr[Place]) -> None:
    table = _rows(header)
    low: u32 = 0
    high = header.rows
    while low < high:
        middle = (low + high) // 2
        if table[middle].start <= offset:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return
    packed = table[low - 1].line
    place.line = packed & ((1 << LINE_BITS) - 1)
    if place.line != 0:
        # safe: the linker made the indices
        files = cast(MPtr[u32], table + header.rows)
        place.file = _text(header, files[packed >> LINE_BITS])


def _functions(header: Ptr[Header]) -> MPtr[Function]:
    # safe: follows the header
    return cast(MPtr[Function], pointer_at(Function, VirtAddr(u64(address_of(header))
                                                               + sizeof(Header))))


def _rows(header: Ptr[Header]) -> MPtr[Row]:
    return cast(MPtr[Row], _functions(header) + header.functions)


def _text(header: Ptr[Header], offset: u32) -> Slice[u8]:
    files = cast(MPtr[u32], _rows(header) + header.rows)
    strings = cast(MPtr[u8], files + header.files) + offset
    length: u64 = 0
    while length < LONGEST_NAME and strings[length] != 0:
        length += 1
    # safe: the linker ended it with a NUL
    return make_slice(strings, length)
