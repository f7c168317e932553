# SPDX-License-Identifier: BSD-3-Clause
"""f-strings: split at compile time into literal pieces and typed values.

    kprintf(f"cpu {n:>3}: {name}\\n")     "cpu ", n (width 3), ": ", name, "\\n"

Tests     tests/toolchain/test_messages.py
"""
from __future__ import annotations

import ast
import re

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import expr
from toolchain.frontend.check.body import Body

_SPEC = re.compile(r"(?P<align>[<>])?(?P<sign>\+)?(?P<alt>#)?(?P<zero>0)?(?P<width>\d{1,2})?"
                   r"(?P<kind>[dxXobcs])?$")
BASES = {"d": 10, "x": 16, "X": 16, "o": 8, "b": 2, "c": 1, "s": 0}


def printing(b: Body, node: ast.Call, sink: str) -> None:
    """`kprintf(f"...")`, `klog(f"...")` or `panic(f"...")` as a statement."""
    if len(node.args) != 1 or node.keywords:
        b.error("K0335", node, f"`{sink}` takes one f-string",
                help=f'for example `{sink}(f"x = {{x}}\\n")`')
        if sink == "panic":
            b.flow = None
        return
    made = pieces(b, node.args[0])
    b.out.append(tree.Print(b.loc(node), sink, made))
    if sink == "panic":
        b.flow = None


def pieces(b: Body, node: ast.expr) -> list[tree.FormatPiece]:
    """The pieces of a message: an f-string, a string, or one value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [tree.FormatPiece(node.value.encode("utf-8"))]
    if not isinstance(node, ast.JoinedStr):
        made = _piece(b, node, node, "")
        return [made] if made is not None else []
    out: list[tree.FormatPiece] = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            out.append(tree.FormatPiece(str(part.value).encode("utf-8")))
            continue
        assert isinstance(part, ast.FormattedValue)
        text = _spec_text(b, part)
        if part.conversion not in (-1, 115):
            b.error("K0111", part.value, "`!r`, `!a` and `{x=}` are not kpy",
                    help="leave it out: numbers, enums and text are printed as they are, with a "
                    "name in front as `x={x}`")
            continue
        made = _piece(b, part.value, node, text) if text is not None else None
        if made is not None:
            out.append(made)
    return out


def _spec_text(b: Body, part: ast.FormattedValue) -> str | None:
    if part.format_spec is None:
        return ""
    assert isinstance(part.format_spec, ast.JoinedStr)
    text = ""
    for piece in part.format_spec.values:
        if not isinstance(piece, ast.Constant):
            b.error("K0111", part.value, "a format's width is a number, not an expression",
                    help="write the number, as in `{n:>8}`")
            return None
        text += str(piece.value)
    return text


def _piece(b: Body, node: ast.expr, whole: ast.expr, text: str) -> tree.FormatPiece | None:
    made = expr.value(b, node, t.U64)
    if made.ty is t.LITERAL:
        made = b.coerce(made, t.I64 if made.value < 0 else t.U64, node)  # type: ignore
    if made.ty is t.POISON:
        return None
    if isinstance(made.ty, t.ArrayType) and made.ty.elem is t.U8:
        made = b.coerce(made, t.slice_of(t.U8), node)
    shown = (t.IntType | t.BoolType | t.EnumType | t.BitsType | t.NewtypeType | t.PtrType |
             t.MPtrType | t.UserPtrType | t.FnType | t.EndianType | t.MmioType)
    is_text = isinstance(made.ty, t.SliceType) and made.ty.elem is t.U8
    if not is_text and not isinstance(made.ty, shown):
        b.error("K0111", node, f"`{made.ty.name}` cannot be printed",
                help="print its fields" if isinstance(made.ty, t.StructType) else
                "print what is in it, one by one")
        return None
    if isinstance(made.ty, t.EndianType):
        made = tree.Convert(made.ty.base, made.loc, "endian", made)
    spec = _pack(b, node, whole, text, made.ty, is_text)
    return tree.FormatPiece(b"", made, spec) if spec is not None else None


def _pack(b: Body, node: ast.expr, whole: ast.expr, text: str, ty: t.Type, is_text: bool,
          ) -> int | None:
    """The spec word of kpy.rt.print_value."""
    found = _SPEC.fullmatch(text)
    if found is None or (is_text and found["kind"] not in (None, "s")) or (
            not is_text and found["kind"] == "s"):
        b.error("K0111", node, f"`:{text}` is not a format of `{ty.name}`",
                help="a format is [<>][+][#][0][width][d x X o b c]; text takes [<>][width]")
        return None
    pointer = isinstance(ty, t.PtrType | t.MPtrType | t.UserPtrType | t.FnType | t.MmioType |
                         t.NewtypeType)
    kind = found["kind"] or ("s" if is_text else "x" if pointer else "d")
    signed = isinstance(ty, t.IntType) and ty.signed
    word = BASES[kind] | int(found["width"] or 0) << 8
    word |= bool(found["zero"]) << 16
    word |= bool(found["alt"] or (pointer and found["kind"] is None)) << 17
    word |= signed << 18
    left = found["align"] == "<" or (is_text and found["align"] is None)    # as Python has it
    word |= left << 19
    word |= (kind == "X") << 20
    word |= (ty is t.BOOL and found["kind"] is None) << 21
    word |= bool(found["sign"]) << 22
    return word | (ty.size if not is_text else 1) << 24
