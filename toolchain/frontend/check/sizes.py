# SPDX-License-Identifier: BSD-3-Clause
"""What is known of a type when compiling: sizes, offsets, zero, assertions.

    sizeof(Thread)              Const 192
    offsetof(Thread, "name")    Const 8
    field(p, F)                 the field of *p that a generic's FieldVar names
    zeroed(Request)             ZeroInit(Request), where a Request may begin as zero

Tests     tests/toolchain/test_messages.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import const, expr, typeexpr
from toolchain.frontend.check.body import Body, require_layout
from toolchain.frontend.check.scope import nearest


def _type_argument(b: Body, node: ast.Call) -> t.Type:
    arg = node.args[0]
    ty = (typeexpr.resolve(b.cx, b.scope, arg) if typeexpr.names_type(b.cx, b.scope, arg)
          else expr.access(b, arg).ty)
    known = ty is not t.POISON and require_layout(b, ty, arg) and not t.is_broken(ty)
    return ty if known else t.POISON


def _sizeof(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    ty = _type_argument(b, node)
    return b.poison(node) if ty is t.POISON else tree.Const(t.LITERAL, b.loc(node), ty.size)


def _alignof(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    ty = _type_argument(b, node)
    return b.poison(node) if ty is t.POISON else tree.Const(t.LITERAL, b.loc(node), ty.align)


def field_name(b: Body, node: ast.expr) -> str | None:
    """The name that a string or a FieldVar says; None after a report."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name) and isinstance(b.scope.env.get(node.id), str):
        return b.scope.env[node.id]
    if isinstance(node, ast.Name) and b.scope.env.get(node.id) is t.POISON:
        return None
    b.error("K0339", node, "this is a field's name: a string, or a FieldVar",
            help="for example `offsetof(Thread, \"name\")`")
    return None


def _offsetof(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    ty, name = _type_argument(b, node), field_name(b, node.args[1])
    if ty is t.POISON or name is None:
        return b.poison(node)
    found = ty.fields.get(name) if isinstance(ty, t.StructType) else None
    if found is None:
        return b.error("K0203", node.args[1], f"`{ty.name}` has no field `{name}`",
                       help=nearest(name, tuple(getattr(ty, "fields", ()))) or (expr.members_of(
                    ty) if isinstance(ty, t.StructType | t.BitsType) else "it has none"))
    return tree.Const(t.LITERAL, b.loc(node), found.offset)


def _field(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    """`field(p, F)`: the field that a generic's FieldVar names."""
    name = field_name(b, node.args[1])
    if name is None:
        return b.poison(node)
    shaped = ast.copy_location(ast.Attribute(node.args[0], name, ast.Load()), node)
    return expr.member(b, shaped, expr.access(b, node.args[0]))


def _zeroed(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    ty = typeexpr.resolve(b.cx, b.scope, node.args[0])
    if ty is t.POISON or not require_layout(b, ty, node):
        return b.poison(node)
    wrong = t.without_zero(ty)
    if wrong is not None and not b.scope.module.unsafe:
        return b.error("K0314", node, f"`{wrong.name}` is never null, so it has no zero",
                       help="make it `| None`; an unsafe module may fill it in afterwards")
    return tree.ZeroInit(ty, b.loc(node))


def _static_assert(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    check_static_assert(b.cx, b.scope, node)
    return tree.Const(t.VOID, b.loc(node), 0)


def check_static_assert(cx: Any, scope: Any, node: ast.Call) -> None:
    """`static_assert(cond, "why")`, at module level or in a function."""
    if not 1 <= len(node.args) <= 2:
        cx.error("K0335", scope, node, "`static_assert` takes a condition and a reason",
                 help="for example `static_assert(sizeof(Blockref) == 128, \"as on disk\")`")
        return
    value = const.python_value(cx, scope, node.args[0])
    if value is not const.FAILED and not value:
        why = node.args[1].value if len(node.args) > 1 and isinstance(
            node.args[1], ast.Constant) else ast.unparse(node.args[0])
        cx.error("K0507", scope, node, f"static assertion failed: {why}",
                 help="change what it is about, or the condition if that is outdated")


HANDLERS: dict[str, Any] = {
    "sizeof": _sizeof, "alignof": _alignof, "offsetof": _offsetof, "field": _field,
    "zeroed": _zeroed, "static_assert": _static_assert,
}
