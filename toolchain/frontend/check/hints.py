# SPDX-License-Identifier: BSD-3-Clause
"""What to write instead: the help of messages about two types that do not go together.

    expected `Ptr[Page]`, found `Array[Page, 4]`      `ref(pages[0])` is the address of one; ...
    cannot compare `Ptr[Page] | None` and `0`         null is `None`: write `page is None`

Tests     tests/toolchain/test_first_guesses.py, test_first_mistakes.py
"""
from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toolchain.frontend import types as t

if TYPE_CHECKING:
    from toolchain.frontend.check.body import Body


def conversion(have: t.Type, want: t.Type, b: Body, node: ast.AST) -> str:
    """How to write the conversion that is not implicit."""
    text = b.scope.module.source.segment(b.loc(node))
    if len(text) > 40:
        text = "..."
    if isinstance(node, ast.Constant) and node.value is None and isinstance(want, t.PtrType):
        return f"a `{want.name}` is never null: declare it `{want.name} | None`"
    if isinstance(want, t.IntType) and isinstance(have, t.IntType):
        return f"write `{want.name}({text})` (traps if it does not fit) or " \
               f"`trunc({want.name}, {text})` (keeps the low bits)"
    if isinstance(want, t.IntType) and isinstance(have, t.EndianType):
        return f"write `{have.base.name}({text})` to bring it into the CPU's byte order"
    if isinstance(want, t.EndianType) and isinstance(have, t.IntType):
        return f"write `{want.name}({text})` to put it into that byte order"
    if isinstance(want, t.IntType) and isinstance(have, t.EnumType | t.BitsType):
        return f"write `bits_of({text})` for the number behind it"
    if isinstance(want, t.EnumType) and isinstance(have, t.IntType | t.LiteralType):
        return f"write `{want.name}.NAME`, or `{want.name}({text})` (traps if it is no member)"
    if isinstance(want, t.NewtypeType) and isinstance(have, t.NewtypeType):
        return "the physical map of kernel/mem converts between them"
    if isinstance(want, t.NewtypeType):
        return f"write `{want.name}({text})` if it is one"
    if isinstance(have, t.NewtypeType) and isinstance(want, t.IntType):
        return f"write `{want.name}({text})`"
    if have is t.STR and isinstance(want, t.IntType):
        return character(node) or "text is bytes: `text[i]` is one of them"
    if isinstance(have, t.PtrType) and want is have.elem and want.is_scalar and not have.nullable:
        return f"copy it out: `value: {want.name} = ...` and `copy(value, {text})`"
    if want is t.BOOL and have is t.LITERAL:
        return "a bool is `True` or `False`"
    if want is t.BOOL and isinstance(have, t.IntType):
        return f"write `{text} != 0`"
    if have is t.BOOL and isinstance(want, t.IntType):
        return f"write `{want.name}({text})`"
    if isinstance(want, t.PtrType) and isinstance(have, t.PtrType):
        if have.nullable and have.elem is want.elem:
            return f"test it first: `if {text} is not None:`"
        if t.extends(want.elem, have.elem):
            return (f"every `{want.elem.name}` is a `{have.elem.name}`, not the reverse; an unsafe "
                    f"module may `cast(Ptr[{want.elem.name}], {text})`")
        return ""
    if isinstance(want, t.PtrType) and have is t.LITERAL:
        return "null is `None`" if want.nullable else "`ref(x)` is the address of `x`"
    if isinstance(want, t.PtrType) and isinstance(have, t.ArrayType | t.SliceType) and (
            have.elem is want.elem):
        return (f"`ref({text}[0])` is the address of one; to pass all take a "
                f"`Slice[{want.elem.name}]`")
    if isinstance(want, t.FnType) and isinstance(have, t.FnType) and have.throws > want.throws:
        return f"it may raise: the type is `{have.name}`"
    if isinstance(want, t.PtrType) and have.is_scalar and want.elem is have:
        return f"write `ref({text})` for its address"
    if isinstance(want, t.PtrType) and isinstance(have, t.StructType) and (
            isinstance(want.elem, t.UnionType) and have in want.elem.variants):
        return f"what a pointer points to is filled with `copy(to, {text})`"
    if have is t.VOID and isinstance(node, ast.Call) and ast.unparse(node.func) == "asm":
        return "say where the result is, for example `out=(\"a\", u32)`"
    if have is t.VOID:
        return "this function returns nothing"
    if want is t.BOOL and isinstance(have, t.EnumType) and have.is_flags:
        return f"`{have.name}.NAME in x` tests, `bits_of({text}) != 0` asks whether any is set"
    if want is t.STR and isinstance(have, t.SliceType | t.ArrayType) and have.elem is t.U8:
        return "text is written `\"...\"`; what takes bytes of any kind is a `Slice[u8]`"
    if isinstance(have, t.TupleType):
        return f"several values are a result `-> {have.name}`; one of them is `x[0]`"
    if isinstance(want, t.StructType) and have is t.ptr(want):
        return f"write `copy(to, {text})`: storage is never copied silently"
    return ""


def comparison(left: t.Type, right: t.Type, left_node: ast.AST, right_node: ast.AST) -> str:
    """How to compare values of types that cannot be compared."""
    both = (left, right)
    odd, odd_node = (left, left_node) if not isinstance(left, t.IntType | t.LiteralType) else (
        right, right_node)
    text = ast.unparse(odd_node)
    if isinstance(left, t.StructType):
        return "compare its fields, or `a is b` for the same storage"
    if isinstance(left, t.IntType) and isinstance(right, t.IntType):
        wide = t.int_type(min(64, max(left.bits, right.bits) * 2), True)
        return f"convert both to `{wide.name}`"
    if isinstance(left, t.TupleType):
        return "compare what is in them one by one: `a[0] == b[0] and a[1] == b[1]`"
    if isinstance(odd, t.PtrType) and t.LITERAL in both:
        return f"null is `None`: write `{text} is None`"
    if isinstance(left, t.EnumType) and left.is_flags and not isinstance(right, t.EnumType):
        return f"`{left.name}.NAME in x` tests one; the number is `bits_of({text})`"
    if isinstance(left, t.EnumType) and isinstance(right_node, ast.Constant) and (
            right_node.value in left.members):
        return f"a member is written `{left.name}.{right_node.value}`"
    if isinstance(left, t.EnumType) or isinstance(right, t.EnumType):
        return "compare with a member, or compare bits_of(x)"
    if isinstance(left, t.EndianType) or isinstance(right, t.EndianType):
        return "bring it into the CPU's byte order first"
    if t.STR in both and (isinstance(left, t.IntType) or isinstance(right, t.IntType)):
        return character(right_node if right is t.STR else left_node) or (
            "text is compared with text")
    if isinstance(odd, t.SliceType) and odd.elem is t.U8 and character(odd_node):
        return character(odd_node)
    if t.BOOL in both:
        return "a bool is no number: test it itself, `if flag:`"
    return _as_value(odd, text) or ("convert one to the type of the other, or compare a field, "
                                    "element or length of it")


def combination(left: t.Type, right: t.Type, left_node: ast.AST, right_node: ast.AST) -> str:
    """How to calculate with values of types that no operator joins."""
    if isinstance(left, t.IntType) and isinstance(right, t.IntType):
        wide = t.int_type(min(64, max(left.bits, right.bits) * 2), True)
        return f"convert one: `{wide.name}(...)` holds both" if max(left.bits, right.bits) < 64 \
            else (f"convert one: `{left.name}(...)` or `{right.name}(...)`; it traps if it does "
                  "not fit")
    if isinstance(left, t.EndianType) or isinstance(right, t.EndianType):
        base = (left if isinstance(left, t.EndianType) else right).base  # type: ignore[attr-defined]
        return f"bring it into the CPU's byte order first: `{base.name}(...)`"
    if t.STR in (left, right):
        return "text is not built in memory; print the parts with kprintf(f\"...\")"
    if isinstance(left, t.EnumType) or isinstance(right, t.EnumType):
        return "`bits_of(x)` is the number behind an enum"
    if t.BOOL in (left, right):
        return "a bool is no number: `u32(flag)` is 0 or 1"
    if isinstance(left, t.TupleType) or isinstance(right, t.TupleType):
        text = ast.unparse(left_node if isinstance(left, t.TupleType) else right_node)
        return f"it is several values: name each, `a, b = {text}`, or take one, `{text}[0]`"
    if isinstance(left, t.PtrType):
        return "pointers have no arithmetic; index a Slice, or an MPtr in an unsafe module"
    return _as_value(left, ast.unparse(left_node)) or _as_value(
        right, ast.unparse(right_node)) or "an operator joins two values of one type"


def _as_value(ty: t.Type, text: str) -> str:
    """How `text`, which is no value yet, becomes one; or ""."""
    if isinstance(ty, t.FnType):
        return f"call it: `{text}()`"
    if isinstance(ty, t.AtomicType):
        return f"read it first: `{text}.load()`"
    return "this function returns nothing" if ty is t.VOID else ""


def character(node: ast.AST) -> str:
    """How to write the number of a one-character literal, or ""."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and (
            len(node.value) == 1):
        return f"a character is a number: `ord({ast.unparse(node)})`"
    return ""
