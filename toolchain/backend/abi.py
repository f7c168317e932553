# SPDX-License-Identifier: BSD-3-Clause
"""kpy's types and calling convention in LLVM's words.

    (a: u8, s: Slice[u32]) -> bool        i1 zeroext (i8 zeroext, { ptr, i64 })
    @throws (n: u64) -> u32               { i32, i32 } (i64)
    @throws () -> None                    i32 ()
    (n: u64) -> Point                     void (ptr sret([16 x i8]), i64)

A type has two spellings: in a register (bool is i1, u3 is i3) and in memory (both are i8).
Scalars travel as they are, slices and tuples as first-class values (their parts in registers),
aggregate results through storage of the caller's.  For C: scalars and slices agree with the
System V ABI; a throwing function's { T, i32 } does where T has 8 bytes.
Tests     tests/toolchain/test_backend_targets.py
"""
from __future__ import annotations

import re

from toolchain.frontend import types
from toolchain.frontend.types import Type
from toolchain.lower import cfg

_PLAIN = re.compile(r"[A-Za-z$._][A-Za-z0-9$._]*\Z")
_registers: dict[Type, str] = {}
_memory: dict[Type, str] = {}
_globals: dict[str, str] = {}


def at(symbol: str) -> str:
    """A symbol as an LLVM global name."""
    text = _globals.get(symbol)
    if text is None:
        text = f"@{symbol}" if _PLAIN.match(symbol) else f'@"{escape(symbol.encode())}"'
        _globals[symbol] = text
    return text


def escape(data: bytes) -> str:
    """Bytes inside an LLVM string."""
    return "".join(chr(c) if 32 <= c < 127 and c not in (34, 92) else f"\\{c:02X}" for c in data)


def int_of(ty: Type) -> types.IntType | None:
    """The integer a type is made of, or None (pointers, slices, tuples)."""
    if isinstance(ty, types.IntType):
        return ty
    if isinstance(ty, types.EnumType | types.BitsType | types.NewtypeType | types.EndianType):
        return ty.base
    if ty is types.BOOL:
        return types.int_type(1)
    return None


def register(ty: Type) -> str:
    """The type of a value in a register."""
    text = _registers.get(ty)
    if text is None:
        base = int_of(ty)
        if base is not None:
            text = f"i{base.bits}"
        elif isinstance(ty, types.SliceType):
            text = "{ ptr, i64 }"
        elif isinstance(ty, types.TupleType):
            text = "{ " + ", ".join(memory(item) for item in ty.items) + " }"
        elif ty is cfg.PERCPU_ADDRESS:
            text = "ptr addrspace(256)"
        elif isinstance(ty, types.VoidType):
            text = "void"
        else:
            text = "ptr"
        _registers[ty] = text
    return text


def memory(ty: Type) -> str:
    """The type of a value in storage."""
    text = _memory.get(ty)
    if text is None:
        base = int_of(ty)
        if base is not None:
            text = f"i{ty.size * 8}"
        elif ty.is_aggregate:
            text = f"[{ty.size} x i8]"
        else:
            text = register(ty)
        _memory[ty] = text
    return text


def extension(ty: Type) -> str:
    """` zeroext` or ` signext` for the small integers C extends, else nothing."""
    base = int_of(ty)
    if base is None or base.bits >= 32:
        return ""
    return " signext" if base.signed else " zeroext"


def result(ty: Type, throws: bool) -> str:
    """The LLVM result type of a function."""
    if throws:
        if isinstance(ty, types.VoidType) or ty.is_aggregate:
            return "i32"
        return f"{{ {memory(ty)}, i32 }}"
    return "void" if ty.is_aggregate else register(ty)


def result_text(ty: Type, throws: bool) -> str:
    """The result type with its extension attribute in front, as define and call write it."""
    text = result(ty, throws)
    if throws or ty.is_aggregate or isinstance(ty, types.VoidType):
        return text
    return f"{extension(ty)[1:]} {text}" if extension(ty) else text


def storage(ret: Type, throws: bool) -> str:
    """The parameter through which an aggregate result is returned."""
    attribute = "" if throws else f" sret([{ret.size} x i8])"     # LLVM: sret returns nothing
    return f"ptr{attribute} align {ret.align}"


def params(tys: tuple[Type, ...], ret: Type, throws: bool) -> list[str]:
    """The parameter types, that of an aggregate result's storage first."""
    texts = [f"{register(ty)}{extension(ty)}" for ty in tys]
    if ret.is_aggregate:
        texts.insert(0, storage(ret, throws))
    return texts
