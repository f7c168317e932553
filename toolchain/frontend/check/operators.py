# SPDX-License-Identifier: BSD-3-Clause
"""Arithmetic: operands brought to one type, literals folded, addresses kept apart from numbers.

    small + 1           Binary(add, Load small, Const 1'u8)
    page + 4096         Convert(raw<PhysAddr>, Binary(add, ...))
    [7] * 8             constant data of an array

Tests     tests/toolchain/programs/, tests/toolchain/messages.md
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import bounded, const, expr, hints
from toolchain.frontend.check.body import Body

OPS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.FloorDiv: "floordiv", ast.Mod: "mod",
        ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor", ast.LShift: "shl",
        ast.RShift: "shr", ast.Pow: "pow", ast.Div: "div", ast.MatMult: "matmul"}
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//", "mod": "%", "and": "&", "or": "|",
          "xor": "^", "shl": "<<", "shr": ">>", "pow": "**", "div": "/", "matmul": "@"}


def _repeated(b: Body, node: ast.BinOp, want: t.ArrayType) -> tree.Expr:
    """`[value] * N`: an array's initial value, made at compile time."""
    data = const.python_value(b.cx, b.scope, node)
    done = const.converted(b.cx, b.scope, node, data, want) if data is not const.FAILED else None
    if done is None:
        return b.poison(node)
    made = tree.ConstData(want, b.loc(node), done[1])
    note_symbols(b, want, done[1])
    return made


def note_symbols(b: Body, ty: t.Type, data: Any, key: str = "") -> None:
    """For later passes: the functions and globals whose addresses constant data holds."""
    if isinstance(data, tree.SymbolRef):
        if isinstance(data.target, tree.Function):
            b.effects.functions[data.symbol] = data.target
            b.effects.address_taken += [(k, data.symbol) for k in (ty.name, key) if k]
        elif isinstance(data.target, tree.Global):
            b.effects.globals[data.symbol] = data.target
    elif isinstance(data, dict) and isinstance(ty, t.StructType):
        for name, part in data.items():
            note_symbols(b, ty.fields[name].ty, part, f"{ty.symbol}.{name}")
    elif isinstance(data, list) and isinstance(ty, t.ArrayType | t.SliceType):
        for part in data:
            note_symbols(b, ty.elem, part)


def binary(b: Body, node: ast.BinOp, want: t.Type | None) -> tree.Expr:
    """A binary operation."""
    if isinstance(want, t.ArrayType) and isinstance(node.op, ast.Mult) and isinstance(
            node.left, ast.List):
        return _repeated(b, node, want)
    spine = [node]          # `a + b + c + ...` is deep on the left: walk it with a loop
    while isinstance(spine[-1].left, ast.BinOp):
        spine.append(spine[-1].left)
    made = expr.value(b, spine[-1].left, want)
    for part in reversed(spine):
        right = expr.value(b, part.right, made.ty if isinstance(made.ty, t.IntType) else want)
        made = combine(b, part, OPS[type(part.op)], made, right, part.left, part.right, want)
    return made


def combine(b: Body, node: ast.AST, op: str, left: tree.Expr, right: tree.Expr,
            left_node: ast.AST, right_node: ast.AST, want: t.Type | None = None) -> tree.Expr:
    """`left op right`, operands brought to one type."""
    if left.ty is t.POISON or right.ty is t.POISON:
        return b.poison(node)
    if op in ("div", "matmul") or (op == "pow" and not both_literal(left, right)):
        return _no_operator(b, node, op)
    if both_literal(left, right):
        return _fold(b, node, op, left, right)
    if op in ("shl", "shr"):
        return _shift(b, node, op, left, right, left_node, right_node, want)
    special = _address_arithmetic(b, node, op, left, right, right_node)
    if special is not None:
        return special
    ty = common(b, left, right)
    if ty is None or not _operates(op, ty):
        return _cannot(b, node, op, left, right, left_node, right_node)
    left, right = b.coerce(left, ty, left_node), b.coerce(right, ty, right_node)
    if t.POISON in (left.ty, right.ty):
        return b.poison(node)
    if op in ("floordiv", "mod") and isinstance(right, tree.Const) and right.value == 0:
        return b.error("K0326", right_node, "division by zero",
                       help="test the divisor first, or check the constant")
    if ty is t.BOOL:
        return tree.Compare(t.BOOL, b.loc(node), "ne", left, right) if op == "xor" else (
            tree.Binary(t.BOOL, b.loc(node), op, left, right))
    return tree.Binary(ty, b.loc(node), op, left, right, bool(b.wrap))


def both_literal(left: tree.Expr, right: tree.Expr) -> bool:
    """Whether both are compile-time integers without a type."""
    return (left.ty is t.LITERAL and right.ty is t.LITERAL and isinstance(left, tree.Const)
            and isinstance(right, tree.Const))


def _no_operator(b: Body, node: ast.AST, op: str) -> tree.Expr:
    hint = {"div": "`//` divides integers, rounding down",
            "pow": "multiply, or shift: `1 << n`"}.get(
                op, "there are + - * // % & | ^ << and >>")
    return b.error("K0327", node, f"`{_SIGNS[op]}` does not exist for run-time integers",
                   help=hint)


def _fold(b: Body, node: ast.AST, op: str, left: Any, right: Any) -> tree.Expr:
    x, y = left.value, right.value
    if op in ("floordiv", "mod") and y == 0:
        return b.error("K0326", node, "division by zero",
                       help="test the divisor first, or check the constant")
    if op in ("shl", "shr", "pow") and not 0 <= y <= 4096:
        return b.error("K0326", node, f"{y} is not a usable count",
                       help="counts of `<<`, `>>` and `**` are 0 to 4096 in constants")
    result = {"add": lambda: x + y, "sub": lambda: x - y, "mul": lambda: x * y,
              "floordiv": lambda: x // y, "mod": lambda: x % y, "and": lambda: x & y,
              "or": lambda: x | y, "xor": lambda: x ^ y, "shl": lambda: x << y,
              "shr": lambda: x >> y, "pow": lambda: x ** y}[op]()
    if abs(result).bit_length() > bounded.MOST_BITS:
        message, hint = bounded.LARGE_NUMBER
        return b.error("K0503", node, message, help=hint)
    return tree.Const(t.LITERAL, b.loc(node), result)


def _shift(b: Body, node: ast.AST, op: str, left: tree.Expr, right: tree.Expr,
           left_node: ast.AST, right_node: ast.AST, want: t.Type | None) -> tree.Expr:
    if left.ty is t.LITERAL:
        if want is t.POISON:
            return b.poison(node)
        if not isinstance(want, t.IntType):
            return b.error("K0310", left_node, "this number needs a type",
                           help=f"for example `u64({ast.unparse(left_node)})`")  # type: ignore
        left = b.coerce(left, want, left_node)
    if not isinstance(left.ty, t.IntType):
        return _cannot(b, node, op, left, right, left_node, right_node)
    if right.ty is t.LITERAL:
        if not 0 <= right.value <= left.ty.bits:                     # type: ignore[attr-defined]
            return b.error("K0326", right_node, f"{right.value} is not a shift count of "
                           f"`{left.ty.name}`", f"valid: 0 to {left.ty.bits}",
                           help="convert to a wider type first")     # type: ignore[attr-defined]
        right = tree.Const(left.ty if not left.ty.signed else t.U8, right.loc,
                           right.value)                              # type: ignore[attr-defined]
    elif not isinstance(right.ty, t.IntType):
        return _cannot(b, node, op, left, right, left_node, right_node)
    elif right.ty.signed:
        right = tree.Convert(t.int_type(right.ty.bits), right.loc, "checked", right)
    return tree.Binary(left.ty, b.loc(node), op, left, right, bool(b.wrap))


def _address_arithmetic(b: Body, node: ast.AST, op: str, left: tree.Expr, right: tree.Expr,
                        right_node: ast.AST) -> tree.Expr | None:
    """PhysAddr + n, PhysAddr - PhysAddr, MPtr + n; None where it is none of these."""
    loc, ty = b.loc(node), left.ty
    if isinstance(ty, t.NewtypeType) and op in ("add", "sub", "and", "mod"):
        inner = tree.Convert(t.U64, left.loc, "raw", left)
        if right.ty is ty and op == "sub":
            other = tree.Convert(t.U64, right.loc, "raw", right)
            return tree.Binary(t.U64, loc, op, inner, other, bool(b.wrap))
        if right.ty is ty:
            return None
        other = b.coerce(right, t.U64, right_node)
        if other.ty is t.POISON:
            return other
        made = tree.Binary(t.U64, loc, op, inner, other, bool(b.wrap))
        return made if op == "mod" else tree.Convert(ty, loc, "raw", made)
    if isinstance(ty, t.MPtrType) and op in ("add", "sub"):
        if right.ty is ty and op == "sub":
            x, y = (tree.Convert(t.I64, e.loc, "ptr_int", e) for e in (left, right))
            bytes_apart = tree.Binary(t.I64, loc, "sub", x, y, True)
            return tree.Binary(t.I64, loc, "floordiv", bytes_apart,
                               tree.Const(t.I64, loc, max(ty.elem.size, 1)), True)
        step = step_of(b, right, right_node)
        if op == "sub":
            step = tree.Unary(t.I64, loc, "neg", step, True)
        place = tree.IndexPlace(ty.elem, loc, left, step, True)
        return tree.AddrOf(ty, loc, place)
    return None


def step_of(b: Body, made: tree.Expr, node: ast.AST) -> tree.Expr:
    """How far an MPtr moves: i64; a u64 is taken as it is, modulo 2**64 like the address."""
    if made.ty is t.U64:
        return tree.Convert(t.I64, made.loc, "trunc", made)
    return b.coerce(made, t.I64, node, "a pointer's step")


def common(b: Body, left: tree.Expr, right: tree.Expr) -> t.Type | None:
    """The one type both operands can have."""
    x, y = left.ty, right.ty
    if x is y:
        return x
    if x is t.LITERAL:
        return y if isinstance(y, t.IntType | t.NewtypeType | t.EndianType) else None
    if y is t.LITERAL:
        return x if isinstance(x, t.IntType | t.NewtypeType | t.EndianType) else None
    if isinstance(x, t.IntType) and isinstance(y, t.IntType):
        return y if t.lossless(x, y) else x if t.lossless(y, x) else None
    if isinstance(x, t.PtrType) and isinstance(y, t.PtrType):
        if t.lossless(x, t.ptr(y.elem, True)):
            return t.ptr(y.elem, x.nullable or y.nullable)
        if t.lossless(y, t.ptr(x.elem, True)):
            return t.ptr(x.elem, x.nullable or y.nullable)
    return None


def _operates(op: str, ty: t.Type) -> bool:
    if isinstance(ty, t.IntType):
        return True
    if isinstance(ty, t.EnumType) and ty.is_flags:
        return op in ("and", "or", "xor")
    return ty is t.BOOL and op in ("and", "or", "xor")


def _cannot(b: Body, node: ast.AST, op: str, left: tree.Expr, right: tree.Expr,
            left_node: ast.AST, right_node: ast.AST) -> tree.Expr:
    x, y = left.ty, right.ty
    verb = {"add": "add", "sub": "subtract", "mul": "multiply", "floordiv": "divide",
            "mod": "divide"}.get(op, f"apply `{_SIGNS.get(op, op)}` to")
    return b.error("K0316", node, f"cannot {verb} `{x.name}` and `{y.name}`",
                   f"left is `{x.name}`, right is `{y.name}`",
                   help=hints.combination(x, y, left_node, right_node))


def unary(b: Body, node: ast.UnaryOp, want: t.Type | None) -> tree.Expr:
    """`-x`, `+x`, `~x`, `not x`."""
    if isinstance(node.op, ast.Not):
        inner = b.boolean(expr.value(b, node.operand), node.operand)
        return inner if inner.ty is t.POISON else tree.Unary(t.BOOL, b.loc(node), "not", inner)
    operand = expr.value(b, node.operand, want)
    ty = operand.ty
    if ty is t.POISON or (isinstance(node.op, ast.UAdd) and isinstance(
            ty, t.IntType | t.LiteralType)):
        return operand
    op = "neg" if isinstance(node.op, ast.USub) else "inv"
    if ty is t.LITERAL and isinstance(operand, tree.Const):
        result = -operand.value if op == "neg" else ~operand.value
        if op == "inv" and isinstance(want, t.IntType) and not want.signed:
            result = want.wrap(result)
        return tree.Const(t.LITERAL, b.loc(node), result)
    if op == "inv" and isinstance(ty, t.EnumType) and ty.is_flags:
        return tree.Unary(ty, b.loc(node), op, operand)
    if not isinstance(ty, t.IntType):
        return b.error("K0316", node, f"cannot apply `{'-' if op == 'neg' else '~'}` to "
                       f"`{ty.name}`",
                       help="negate a condition with `not`; `-` and `~` are for integers")
    if op == "neg" and not ty.signed and not b.wrap:
        return b.error("K0328", node, f"`-x` of a `{ty.name}` fits only for 0",
                       help=f"write `wrapping(-x)` if wrap is meant, or convert to "
                            f"`i{ty.bits}` first")
    return tree.Unary(ty, b.loc(node), op, operand, bool(b.wrap) or op == "inv")
