# SPDX-License-Identifier: BSD-3-Clause
"""The vocabulary of kpy: what `from kpy import ...` names.

The compiler knows these names itself and never executes this file; editors, mypy and pyright
read `__init__.pyi`.  This module lets CPython import a kpy file (and run its @comptime
functions): integer types check their range, decorators leave what they decorate alone, types
can be subscripted, and what only a machine can do raises NotCompiledError.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Final, Generic, Never, TypeAlias, TypeVar, Union

__all__ = [  # noqa: RUF022 (in the order of docs/kpy.md)
    "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "usize", "isize",
    "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u9", "u10", "u11", "u12", "u13", "u14", "u15",
    "u17", "u18", "u19", "u20", "u21", "u22", "u23", "u24", "u25", "u26", "u27", "u28", "u29",
    "u30", "u31", "u33", "u34", "u35", "u36", "u37", "u38", "u39", "u40", "u41", "u42", "u43",
    "u44", "u45", "u46", "u47", "u48", "u49", "u50", "u51", "u52", "u53", "u54", "u55", "u56",
    "u57", "u58", "u59", "u60", "u61", "u62", "u63",
    "PhysAddr", "VirtAddr", "UserPtr",
    "le16", "le32", "le64", "be16", "be32", "be64",
    "Ptr", "MPtr", "Mmio", "Array", "Slice", "Str",
    "Atomic", "relaxed", "acquire", "release", "acq_rel", "seq_cst", "fence", "compiler_fence",
    "PerCpu", "Fn", "ThrowsFn", "NoBlock", "Never", "Final", "Union", "Iterator", "Type",
    "TypeAlias", "TYPE_CHECKING",
    "struct", "bits", "Bit", "Bits", "enum", "flags", "regs", "RO", "RW", "WO", "RW1C",
    "TypeVar", "ConstVar", "FieldVar", "Generic",
    "inline", "noinline", "naked", "interrupt", "extern", "export", "section", "cold", "wrapping",
    "comptime", "throws",
    "may_block", "no_block", "forbids_blocking", "recursive", "entry",
    "hook", "fault_site",
    "syscall", "driver", "sysinit", "table", "entries", "TableEntry", "upcall", "implements",
    "sizeof", "alignof", "offsetof", "static_assert", "trunc", "bits_of", "from_bits", "ref",
    "lend", "copy", "unwrap", "zeroed", "rotl", "rotr", "popcount", "ctz", "clz", "bswap", "mulhi",
    "add_carry", "sub_borrow", "mul_overflow", "field", "volatile_load", "volatile_store", "pause",
    "cast", "address_of", "pointer_at", "make_slice", "container_of",
    "memcpy", "memmove", "memset", "memcmp", "bytes_of", "asm", "frame_address", "return_address",
    "symbol_address", "unreachable",
    "kprintf", "klog", "panic", "kassert", "Errno", "NotCompiledError",
]


class NotCompiledError(RuntimeError):
    """Asked CPython for something that only compiled code can do."""


class Errno(Exception):  # noqa: N818
    """An error on its way to the `except Errno as e` that handles it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


# ---- types --------------------------------------------------------------------------------------

class _Integer(type):
    """The class of the integer types: u8(x) is x, once it is known to fit."""

    bits: int
    signed: bool

    def __call__(cls, value: Any) -> int:
        number = int(value)
        low = -(1 << (cls.bits - 1)) if cls.signed else 0
        if not low <= number < low + (1 << cls.bits):
            raise OverflowError(f"{number} does not fit {cls.__name__}")
        return number


def _integer(bits: int, signed: bool = False, name: str = "") -> _Integer:
    name = name or f"{'i' if signed else 'u'}{bits}"
    return _Integer(name, (), {"bits": bits, "signed": signed})


u8, u16, u32, u64 = (_integer(n) for n in (8, 16, 32, 64))
i8, i16, i32, i64 = (_integer(n, True) for n in (8, 16, 32, 64))
usize, isize = u64, i64
globals().update({f"u{n}": _integer(n) for n in range(1, 64) if n not in (8, 16, 32)})
PhysAddr, VirtAddr = _integer(64, name="PhysAddr"), _integer(64, name="VirtAddr")
le16, le32, le64 = (_integer(n, name=f"le{n}") for n in (16, 32, 64))
be16, be32, be64 = (_integer(n, name=f"be{n}") for n in (16, 32, 64))


class _Subscripted:
    """A type that takes arguments, of which CPython only keeps the spelling."""

    def __class_getitem__(cls, args: Any) -> GenericAlias:
        return GenericAlias(cls, args)


class UserPtr(_Subscripted): ...
class Ptr(_Subscripted): ...
class MPtr(_Subscripted): ...
class Mmio(_Subscripted): ...
class Array(_Subscripted): ...
class Slice(_Subscripted): ...
class Str(_Subscripted): ...
class Atomic(_Subscripted): ...
class PerCpu(_Subscripted): ...
class Fn(_Subscripted): ...
class ThrowsFn(_Subscripted): ...
class NoBlock(_Subscripted): ...
class Bit(_Subscripted): ...
class Bits(_Subscripted): ...
class RO(_Subscripted): ...
class RW(_Subscripted): ...
class WO(_Subscripted): ...
class RW1C(_Subscripted): ...
class Type(_Subscripted): ...


class TableEntry:
    """One record of a link-time table, as entries("name") shows it."""


ConstVar = FieldVar = TypeVar
relaxed, acquire, release, acq_rel, seq_cst = (
    "relaxed", "acquire", "release", "acq_rel", "seq_cst")


# ---- decorators ---------------------------------------------------------------------------------

def _same(thing: Any) -> Any:
    return thing


def _decorator(*_args: Any, **_options: Any) -> Callable[[Any], Any]:
    return _same


def struct(cls: Any = None, **_options: Any) -> Any:
    return _same if cls is None else cls


inline = noinline = naked = interrupt = cold = wrapping = comptime = throws = _same
may_block = no_block = forbids_blocking = upcall = _same
bits = enum = flags = regs = extern = export = section = recursive = entry = _decorator
hook = fault_site = syscall = driver = sysinit = table = implements = _decorator


# ---- values: what has a meaning at compile time -------------------------------------------------

def trunc(to: _Integer, value: int) -> int:
    """The low bits of `value`, as `to` reads them."""
    value &= (1 << to.bits) - 1
    return value - (1 << to.bits) if to.signed and value >> (to.bits - 1) else value


def popcount(value: int) -> int:
    return value.bit_count()


def static_assert(cond: bool, why: str = "") -> None:
    if not cond:
        raise AssertionError(why)


def panic(message: str) -> Never:
    raise AssertionError(message)


def kassert(condition: bool, message: str = "") -> None:
    if not condition:
        raise AssertionError(message)


def _machine_only(name: str) -> Callable[..., Any]:
    def refuse(*_args: Any, **_options: Any) -> Any:
        raise NotCompiledError(f"{name}() means something in compiled code only")
    refuse.__name__ = refuse.__qualname__ = name
    return refuse


def asm(*_args: Any, **_options: Any) -> None:
    """At module level: text for the assembler, nothing to CPython."""


(fence, compiler_fence, entries, sizeof, alignof, offsetof, bits_of, from_bits, ref, lend, copy,
 unwrap, zeroed, rotl, rotr, ctz, clz, bswap, mulhi, add_carry, sub_borrow, mul_overflow, field,
 volatile_load, volatile_store, pause, cast, address_of, pointer_at, make_slice, container_of,
 memcpy, memmove, memset, memcmp, bytes_of, frame_address, return_address, symbol_address,
 unreachable, kprintf, klog) = (_machine_only(_name) for _name in (
     "fence", "compiler_fence", "entries", "sizeof", "alignof", "offsetof", "bits_of", "from_bits",
     "ref", "lend", "copy", "unwrap", "zeroed", "rotl", "rotr", "ctz", "clz", "bswap", "mulhi",
     "add_carry", "sub_borrow", "mul_overflow", "field", "volatile_load", "volatile_store",
     "pause", "cast", "address_of", "pointer_at", "make_slice", "container_of", "memcpy",
     "memmove", "memset", "memcmp", "bytes_of", "frame_address", "return_address",
     "symbol_address", "unreachable", "kprintf", "klog"))
