# SPDX-License-Identifier: BSD-3-Clause
"""What kprintf shows: the meaning of `kpy.rt.print_value`'s and `print_slice`'s spec in Python.

The oracle and the host runtime share it; the kernel's own printing is tested against it.
"""
from __future__ import annotations

from toolchain.frontend import types as ty

ZERO_FILL, PREFIX, SIGNED, LEFT, UPPER, BOOL, SIGN = (1 << bit for bit in range(16, 23))
CHARACTER = 1
_PREFIXES = {2: "0b", 8: "0o", 16: "0x"}
_DIGITS = "0123456789abcdef"


def show_value(value: int, spec: int) -> str:
    """The text of a number; `value` is its bits, in 64."""
    bits = 8 * (spec >> 24 & 0xFF) or 64
    base = spec & 0xFF or 10
    value &= (1 << bits) - 1
    if spec & BOOL:
        return _pad("True" if value else "False", spec)
    if base == CHARACTER:
        return _pad(chr(value), spec)
    negative = bool(spec & SIGNED) and value >> (bits - 1) == 1
    if negative:
        value = (1 << bits) - value
    digits = _digits(value, base)
    head = "-" if negative else "+" if spec & SIGN else ""
    if spec & PREFIX:
        head += _PREFIXES.get(base, "")
    if spec & UPPER:
        digits = digits.upper()
    if spec & ZERO_FILL:
        digits = digits.rjust(_width(spec) - len(head), "0")
    return _pad(head + digits, spec)


def operands(kinds: int, *values: int) -> tuple[int, ...]:
    """The values that a failed check shows, by the `operands` of its kpy.rt.Site."""
    shown = []
    for i, value in enumerate(values):
        if kinds >> 8 * i & 0xFF:
            signed = kinds >> 16 + i & 1
            shown.append(value - (1 << 64) if signed and value >> 63 else value)
    return tuple(shown)


def show_text(text: bytes, spec: int) -> str:
    """A Str or Slice[u8] as text, one character a byte where it is not UTF-8."""
    try:
        shown = text.decode()
    except UnicodeDecodeError:
        shown = text.decode("latin-1")
    return _pad(shown, spec)


def default_spec(of: ty.Type) -> int:
    """How a value of type `of` is shown where no format was asked for: what str() shows."""
    spec = of.size << 24
    if of is ty.BOOL:
        return spec | 10 | BOOL
    base = of.base if isinstance(of, ty.EnumType | ty.BitsType) else of
    if isinstance(base, ty.IntType):
        shown = 16 | PREFIX if isinstance(of, ty.BitsType) else 10
        return spec | shown | (SIGNED if base.signed else 0)
    return spec | 16 | PREFIX


def _width(spec: int) -> int:
    return spec >> 8 & 0xFF


def _pad(text: str, spec: int) -> str:
    return text.ljust(_width(spec)) if spec & LEFT else text.rjust(_width(spec))


def _digits(value: int, base: int) -> str:
    digits = ""
    while value or not digits:
        digits = _DIGITS[value % base] + digits
        value //= base
    return digits
