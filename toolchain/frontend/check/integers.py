# SPDX-License-Identifier: BSD-3-Clause
"""Integers, and what is kept in one: conversion without a check, bits, one instruction or a few.

    trunc(u8, x)        Convert(trunc, x)
    bits_of(state)      Convert(raw, state), the number behind an enum, flags, bits or address
    min(a, b)           Intrinsic(min, [a, b]), brought to one type
    add_carry(a, b)     Intrinsic(add_carry, [a, b]), a tuple[T, bool]

Tests     tests/toolchain/test_messages.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import calls, expr, operators, typeexpr, vocabulary
from toolchain.frontend.check.body import Body


def _trunc(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    plain = vocabulary.PLAIN_TYPES.get(expr.vocabulary_name(b, node.args[0]))    # u3 is fine here
    if plain is None and expr.vocabulary_name(b, node.args[1]) in vocabulary.PLAIN_TYPES:
        value, wanted = map(ast.unparse, node.args)
        return b.error("K0335", node, "`trunc` takes the type first, then the value",
                       help=f"write `trunc({wanted}, {value})`")
    ty = plain or typeexpr.resolve(b.cx, b.scope, node.args[0])
    made = expr.value(b, node.args[1])
    if t.POISON in (ty, made.ty):
        return b.poison(node)
    if not isinstance(ty, t.IntType):
        return b.error("K0308", node.args[0], f"`trunc` makes an integer, not `{ty.name}`",
                       help="for example `trunc(u8, x)`")
    if made.ty is t.LITERAL:
        done = tree.Const(ty, b.loc(node), ty.wrap(made.value))      # type: ignore[attr-defined]
        return calls.whole_width(done)
    if isinstance(made.ty, t.NewtypeType | t.BitsType | t.EnumType):
        made = tree.Convert(made.ty.base, made.loc, "raw", made)
    if not isinstance(made.ty, t.IntType):
        return b.error("K0308", node.args[1], f"`trunc` takes an integer, not `{made.ty.name}`",
                       help="the value must be an integer, or a type kept in one: an enum, flags, "
                       "bits, address")
    kind = "trunc" if ty.bits <= made.ty.bits else "widen"
    if kind == "widen" and not t.lossless(made.ty, ty):      # sign-extend, then read as unsigned
        made = tree.Convert(t.int_type(ty.bits, True), made.loc, "widen", made)
        kind = "trunc"
    return calls.whole_width(tree.Convert(ty, b.loc(node), kind, made))


def _wrapping(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    b.wrap += 1
    made = expr.value(b, node.args[0], want)
    if made.ty is t.LITERAL and isinstance(want, t.IntType):
        made = b.coerce(made, want, node)
    b.wrap -= 1
    return made


def _bits_of(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    made = expr.value(b, node.args[0])
    ty = made.ty
    if isinstance(ty, t.NewtypeType | t.BitsType | t.EnumType):
        if isinstance(made, tree.Const):
            return tree.Const(ty.base, made.loc, made.value)
        return tree.Convert(ty.base, b.loc(node), "raw", made)
    if ty is t.POISON:
        return made
    return b.error("K0308", node, f"`bits_of` takes an enum, flags, bits or address, not "
                   f"`{ty.name}`",
                   help="leave `bits_of` out if it is an integer already")


def _from_bits(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    ty = typeexpr.resolve(b.cx, b.scope, node.args[0])
    if not isinstance(ty, t.NewtypeType | t.BitsType | t.EnumType):
        return b.poison(node) if ty is t.POISON else b.error(
            "K0308", node.args[0], f"`from_bits` makes an enum, flags, bits or address, not "
            f"`{ty.name}`",
            help="the type comes first: `from_bits(Control, n)`; an integer is made by `u32(n)`")
    return calls.conversion(b, node, ty, expr.converted(b, node.args[1], ty.base))


def _same_type(op: str, bits_only: bool = False) -> Any:
    """An operation on integers of one type, giving that type."""
    def check(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
        made = [expr.value(b, a, want) for a in node.args]
        if any(m.ty is t.POISON for m in made):
            return b.poison(node)
        first = made[0]
        ty: t.Type | None = first.ty
        for other in made[1:]:
            ty = operators.common(b, first, other)
            if ty is None:
                break
            first = other if ty is other.ty else first
        if ty is t.LITERAL and isinstance(want, t.IntType):
            ty = want
        if ty is t.LITERAL and op in ("min", "max"):
            pick = min if op == "min" else max
            return tree.Const(t.LITERAL, b.loc(node),
                              pick(m.value for m in made))           # type: ignore[attr-defined]
        if not isinstance(ty, t.IntType) or (bits_only and ty.signed):
            return b.error("K0308", node, f"`{op}` takes {'unsigned ' * bits_only}integers of one "
                           "type", f"found {', '.join(f'`{m.ty.name}`' for m in made)}",
                           help="convert first, for example `min(u64(a), b)`; `popcount` and its "
                           "like take `u8` to `u64`")
        args = [b.coerce(m, ty, a) for m, a in zip(made, node.args, strict=True)]
        result = args[0]
        if len(args) == 1:
            return tree.Intrinsic(ty, b.loc(node), op, args)
        for other in args[1:]:
            result = tree.Intrinsic(ty, b.loc(node), op, [result, other])
        return result
    return check


def _abs(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    made = expr.value(b, node.args[0], want)
    if not isinstance(made.ty, t.IntType) or not made.ty.signed:
        return made if made.ty is t.POISON or isinstance(made.ty, t.IntType) else b.error(
            "K0308", node, f"`abs` takes an integer, not `{made.ty.name}`",
            help="a condition has no sign: convert it, `i32(x)`, if it is counted")
    loc, saved = b.loc(node), b.out
    b.out = []
    var = b.temp(made.ty, made, loc)
    load = tree.Load(made.ty, loc, tree.VarPlace(made.ty, loc, var))
    body, b.out = b.out, saved
    less = tree.Compare(t.BOOL, loc, "lt", load, tree.Const(made.ty, loc, 0))
    flipped = tree.Unary(made.ty, loc, "neg", load, bool(b.wrap))
    return tree.Seq(made.ty, loc, body, tree.IfExp(made.ty, loc, less, flipped, load))


def _ord(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    arg = node.args[0] if len(node.args) == 1 else None
    if isinstance(arg, ast.Constant) and isinstance(arg.value, str | bytes) and (
            len(arg.value) == 1):
        return tree.Const(t.LITERAL, b.loc(node), ord(arg.value))
    return b.error("K0308", node, "`ord` takes a one-character literal",
                   help="the bytes of a Str are numbers already: `text[i]`")


def _rotate(op: str) -> Any:
    def check(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
        made = expr.value(b, node.args[0], want)
        if made.ty is t.LITERAL and isinstance(want, t.IntType):
            made = b.coerce(made, want, node)
        if not isinstance(made.ty, t.IntType) or made.ty.signed:
            return made if made.ty is t.POISON else b.error(
                "K0308", node, f"`{op}` takes an unsigned integer, not `{made.ty.name}`",
                help="convert first: `u32(x)`")
        count = expr.value(b, node.args[1], made.ty)
        count = b.coerce(count, made.ty, node.args[1]) if count.ty is t.LITERAL else (
            calls.conversion(b, node.args[1], made.ty, count))
        return tree.Intrinsic(made.ty, b.loc(node), op, [made, count])
    return check


def _with_carry(op: str) -> Any:
    def check(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
        left, right = (expr.value(b, a) for a in node.args)
        ty = operators.common(b, left, right)
        if not isinstance(ty, t.IntType):
            return b.poison(node) if t.POISON in (left.ty, right.ty) else b.error(
                "K0308", node, f"`{op}` takes two integers of one type",
                help=f"convert the narrower one, for example `{op}(a, u64(b))`")
        left, right = b.coerce(left, ty, node.args[0]), b.coerce(right, ty, node.args[1])
        made = t.tuple_of((ty, t.BOOL)) if op != "mulhi" else ty
        if op == "mulhi" and ty is not t.U64:
            return b.error("K0308", node, "`mulhi` multiplies two u64",
                           help="convert first: `mulhi(u64(a), u64(b))`")
        return tree.Intrinsic(made, b.loc(node), op, [left, right])
    return check


HANDLERS: dict[str, Any] = {
    "trunc": _trunc, "wrapping": _wrapping, "bits_of": _bits_of, "from_bits": _from_bits,
    "min": _same_type("min"), "max": _same_type("max"), "abs": _abs, "ord": _ord,
    "popcount": _same_type("popcount", True), "ctz": _same_type("ctz", True),
    "clz": _same_type("clz", True), "bswap": _same_type("bswap", True),
    "rotl": _rotate("rotl"), "rotr": _rotate("rotr"),
    "mulhi": _with_carry("mulhi"), "add_carry": _with_carry("add_carry"),
    "sub_borrow": _with_carry("sub_borrow"), "mul_overflow": _with_carry("mul_overflow"),
}
