# SPDX-License-Identifier: BSD-3-Clause
"""What kprintf, panic and failed checks become: pieces of text and numbers, to the console.

The compiler splits an f-string into pieces and calls these, one a piece; nothing is built in
memory, so a message can be printed in any context and at any depth of failure.

Source    toolchain/kpy/rt.py (the contract)
"""
from typing import Final

from kpy import (
    Array,
    Never,
    Ptr,
    Slice,
    Str,
    cold,
    i64,
    implements,
    kprintf,
    make_slice,
    rt,
    trunc,
    u8,
    u64,
    upcall,
    wrapping,
)

UNSAFE: Final = True     # text arrives as address and length from compiled code
DIGITS: Final[Slice[u8]] = b"0123456789abcdef"
UPPER_DIGITS: Final[Slice[u8]] = b"0123456789ABCDEF"


@upcall
def console_write(text: Slice[u8]) -> None:
    """Show text on the console, now."""


@upcall
def stop() -> Never:
    """The kernel cannot go on: stop the machine."""


@implements(rt.print_begin)
def print_begin(sink: rt.Sink, site: Ptr[rt.Site]) -> None:
    if sink == rt.Sink.PANIC:
        console_write(b"panic: ")
        if site.kind == rt.Check.ASSERT:
            kprintf(f"assertion failed: {site.text} ")


@implements(rt.print_text)
def print_text(sink: rt.Sink, text: Ptr[u8], length: u64) -> None:
    console_write(make_slice(text, length))


@implements(rt.print_slice)
def print_slice(sink: rt.Sink, text: Ptr[u8], length: u64, spec: u64) -> None:
    width = (spec >> 8) & 0xFF
    left = (spec >> 19) & 1 != 0
    if not left:
        _pad(width, length)
    console_write(make_slice(text, length))
    if left:
        _pad(width, length)


@implements(rt.print_value)
def print_value(sink: rt.Sink, value: u64, spec: u64) -> None:
    base = spec & 0xFF
    size = (spec >> 24) & 0xFF
    negative = False
    number = value
    if size < 8:
        number = value & ((u64(1) << (size * 8)) - 1)
    if (spec >> 18) & 1 != 0 and (number >> (size * 8 - 1)) & 1 != 0:
        negative = True
        number = wrapping(-number)
        if size < 8:
            number &= (u64(1) << (size * 8)) - 1
    if (spec >> 21) & 1 != 0:
        console_write(b"True" if number != 0 else b"False")
    elif base == 1:
        one: Array[u8, 1] = [trunc(u8, number)]
        console_write(one)
    else:
        _number(number, negative, spec)


def _number(value: u64, negative: bool, spec: u64) -> None:
    """Digits with sign, prefix and padding."""
    base = spec & 0xFF
    buffer: Array[u8, 80]
    at: u64 = len(buffer)
    digits = UPPER_DIGITS if (spec >> 20) & 1 != 0 else DIGITS
    rest = value
    while True:
        at -= 1
        buffer[at] = digits[rest % base]
        rest //= base
        if rest == 0:
            break
    sign = b"-" if negative else b"+" if (spec >> 22) & 1 != 0 else b""
    prefix = _prefix(base) if (spec >> 17) & 1 != 0 else b""
    used = len(buffer) - at + len(sign) + len(prefix)
    width = (spec >> 8) & 0xFF
    zeros = (spec >> 16) & 1 != 0
    left = (spec >> 19) & 1 != 0
    if not zeros and not left:
        _pad(width, used)
    console_write(sign)
    console_write(prefix)
    while zeros and used < width:
        console_write(b"0")
        used += 1
    console_write(buffer[at:])
    if left:
        _pad(width, used)


def _prefix(base: u64) -> Slice[u8]:
    match base:
        case 16:
            return b"0x"
        case 8:
            return b"0o"
        case 2:
            return b"0b"
        case _:
            return b""


def _pad(width: u64, used: u64) -> None:
    for _ in range(used, width):
        console_write(b" ")


@implements(rt.print_end)
def print_end(sink: rt.Sink) -> None:
    pass


@implements(rt.panic_end)
@cold
def panic_end(site: Ptr[rt.Site]) -> Never:
    _place(site)
    stop()


@implements(rt.check_failed)
@cold
def check_failed(site: Ptr[rt.Site], a: u64, b: u64) -> Never:
    console_write(b"panic: ")
    console_write(_reason(site.kind))
    kprintf(f" in `{site.text}`")
    if site.operands & 0xFF != 0:
        _operand(b": ", a, site.operands >> 16 & 1 != 0)
    if site.operands & 0xFF00 != 0:
        _operand(b", ", b, site.operands >> 17 & 1 != 0)
    _place(site)
    stop()


def _operand(before: Slice[u8], value: u64, signed: bool) -> None:
    """A value of a failed check, extended to 64 bits as its type is signed."""
    console_write(before)
    if signed:
        kprintf(f"{trunc(i64, value)}")
    else:
        kprintf(f"{value}")


def _place(site: Ptr[rt.Site]) -> None:
    kprintf(f"\n  at {site.file}:{site.line}:{site.column} in {site.function}\n")


def _reason(kind: rt.Check) -> Str:
    match kind:
        case rt.Check.OVERFLOW:
            return "the result does not fit"
        case rt.Check.INDEX:
            return "index out of range"
        case rt.Check.SLICE:
            return "slice out of range"
        case rt.Check.ZERO_DIVISOR:
            return "division by zero"
        case rt.Check.SHIFT:
            return "shift out of range"
        case rt.Check.CONVERSION:
            return "the value does not fit its new type"
        case rt.Check.NULL:
            return "null pointer"
        case rt.Check.NOT_A_MEMBER:
            return "not a member of the enum"
        case rt.Check.UNREACHABLE:
            return "unreachable code reached"
        case rt.Check.ASSERT:
            return "assertion failed"
        case rt.Check.PANIC | rt.Check.PRINT:
            return ""


