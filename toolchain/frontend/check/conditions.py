# SPDX-License-Identifier: BSD-3-Clause
"""Truth: comparison, `is`, `in`, `and`, `or`, and the facts that a condition proves.

condition() gives the value, what holds where it is true, and what holds where it is false:

    p is not None and p.next is None      true: {p}   false: nothing

Tests     tests/toolchain/test_check_flow.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import calls, classes, expr, hints, operators
from toolchain.frontend.check.body import Body, path_of

_COMPARES = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt",
             ast.GtE: "ge"}


def comparison(b: Body, node: ast.Compare, want: t.Type | None) -> tree.Expr:
    """A comparison used as a value."""
    made, _, _ = condition(b, node)
    return made


def logic(b: Body, node: ast.BoolOp, want: t.Type | None) -> tree.Expr:
    """`and` / `or` used as a value."""
    made, _, _ = condition(b, node)
    return made


def condition(b: Body, node: ast.expr) -> tuple[tree.Expr, set[Any], set[Any]]:
    """A truth value, the facts it proves when true, and those when false."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        made, yes, no = condition(b, node.operand)
        if made.ty is not t.POISON:
            made = tree.Unary(t.BOOL, b.loc(node), "not", made)
        return made, no, yes
    if isinstance(node, ast.BoolOp):
        return _chain(b, node)
    if isinstance(node, ast.Compare):
        return _comparison(b, node)
    before = b.fork()
    made = expr.value(b, node, t.BOOL)
    pointer = path_of(made) if isinstance(made.ty, t.PtrType) else None
    made = b.boolean(made, node)
    new = {f for f in (b.flow or ()) if before is not None and f not in before}
    if pointer is not None:             # `if p:` was reported; what was meant by it holds
        return made, new | {pointer}, new
    return made, new, new


def _chain(b: Body, node: ast.BoolOp) -> tuple[tree.Expr, set[Any], set[Any]]:
    conj = isinstance(node.op, ast.And)
    made, yes, no = condition(b, node.values[0])
    parts = [made]
    start = b.fork()
    ways = [(set(yes), set(no))]
    for part in node.values[1:]:
        b.assume(ways[-1][0] if conj else ways[-1][1])
        if made.ty is t.POISON and not isinstance(part, ast.Compare):
            continue                    # `a or 5`: what was meant is no condition at all
        right, y, n = condition(b, part)
        if right.ty is t.POISON or made.ty is t.POISON:
            made = b.poison(node)
        parts.append(right)
        ways.append((y, n))
    if made.ty is not t.POISON:
        made = tree.joined("and" if conj else "or", b.loc(node), parts)
    end = b.fork()
    if conj:
        true = set().union(*(w[0] for w in ways))
        false = set.intersection(*(w[1] for w in ways))
    else:
        true = set.intersection(*(w[0] for w in ways))
        false = set().union(*(w[1] for w in ways))
    # What a call in a later part ended is gone; what later parts assigned may not have happened.
    b.flow = None if start is None or end is None else start & end
    alive = end or set()
    return (made, {f for f in true if f in alive or f in ways[-1][0]},
            {f for f in false if f in alive or f in ways[-1][1]})


def _comparison(b: Body, node: ast.Compare) -> tuple[tree.Expr, set[Any], set[Any]]:
    if len(node.ops) > 1:
        return _chained(b, node), set(), set()
    op, right_node = node.ops[0], node.comparators[0]
    if isinstance(op, ast.Is | ast.IsNot):
        return _identity(b, node, op, right_node)
    if isinstance(op, ast.In | ast.NotIn):
        return _membership(b, node, op, right_node), set(), set()
    right_want = None
    left = expr.value(b, node.left)
    if isinstance(right_node, ast.Constant) and right_node.value is None:
        negate = isinstance(op, ast.NotEq)
        b.error("K0329", node, "compare with None by `is`",
                help=f"write `{ast.unparse(node.left)} is {'not ' * negate}None`")
        path = path_of(left)                # what was meant holds
        facts = {path} if path is not None else set()
        return (b.poison(node), facts, set()) if negate else (b.poison(node), set(), facts)
    if left.ty is not t.LITERAL and left.ty.is_scalar:
        right_want = left.ty
    right = expr.value(b, right_node, right_want)
    return compare(b, node, _COMPARES[type(op)], left, right, node.left, right_node), set(), set()


def _chained(b: Body, node: ast.Compare) -> tree.Expr:
    """`a < b <= c`: each operand evaluated once."""
    loc = b.loc(node)
    if any(type(op) not in _COMPARES for op in node.ops):
        return b.error("K0330", node, "only `<` `<=` `==` `!=` `>` `>=` can be chained",
                       help="write the comparisons with `and` between them")
    saved, b.out = b.out, []
    left_node: ast.expr = node.left
    left = expr.value(b, left_node)
    parts: list[tree.Expr] = []
    for position, (op, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
        right = expr.value(b, right_node, left.ty if left.ty is not t.LITERAL else None)
        last = position == len(node.ops) - 1
        if not last and right.ty.is_scalar and not isinstance(right, tree.Const) and (
                right.ty is not t.POISON):
            held = b.temp(right.ty, right, right.loc)
            right = tree.Load(right.ty, right.loc, tree.VarPlace(right.ty, right.loc, held))
        part = compare(b, node, _COMPARES[type(op)], left, right, left_node, right_node)
        inner, b.out = b.out, []
        if inner and part.ty is not t.POISON:
            part = tree.Seq(t.BOOL, loc, inner, part)
        parts.append(part)
        left, left_node = right, right_node
    b.out = saved
    wrong = any(part.ty is t.POISON for part in parts)
    return b.poison(node) if wrong else tree.joined("and", loc, parts)


def compare(b: Body, node: ast.AST, op: str, left: tree.Expr, right: tree.Expr,
            left_node: ast.AST, right_node: ast.AST) -> tree.Expr:
    """`left op right` as a bool."""
    loc = b.loc(node)
    if left.ty is t.POISON or right.ty is t.POISON:
        return b.poison(node)
    if operators.both_literal(left, right):
        x, y = left.value, right.value                               # type: ignore[attr-defined]
        result = {"eq": x == y, "ne": x != y, "lt": x < y, "le": x <= y, "gt": x > y,
                  "ge": x >= y}[op]
        return tree.Const(t.BOOL, loc, int(result))
    if _bytes_like(left.ty) and _bytes_like(right.ty) and op in ("eq", "ne"):
        return _slices_equal(b, node, op, left, right, left_node, right_node)
    ty = operators.common(b, left, right)
    if ty is not None and ty.is_scalar:
        ordered = isinstance(ty, t.IntType | t.NewtypeType | t.MPtrType) or (
            isinstance(ty, t.EnumType) and not ty.is_flags)
        equal = not isinstance(ty, t.SliceType | t.TupleType | t.VoidType | t.MmioType)
        if ordered or (equal and op in ("eq", "ne")):
            left, right = b.coerce(left, ty, left_node), b.coerce(right, ty, right_node)
            if t.POISON in (left.ty, right.ty):
                return b.poison(node)
            return tree.Compare(t.BOOL, loc, op, left, right)
    return b.error("K0316", node, f"cannot compare `{left.ty.name}` and `{right.ty.name}`",
                   f"left is `{left.ty.name}`, right is `{right.ty.name}`",
                   help=hints.comparison(left.ty, right.ty, left_node, right_node))


def _bytes_like(ty: t.Type) -> bool:
    return isinstance(ty, t.SliceType | t.ArrayType) and isinstance(ty.elem, t.IntType)


def _slices_equal(b: Body, node: ast.AST, op: str, left: tree.Expr, right: tree.Expr,
                  left_node: ast.AST, right_node: ast.AST) -> tree.Expr:
    if left.ty.elem is not right.ty.elem:                            # type: ignore[attr-defined]
        return b.error("K0316", node, f"cannot compare `{left.ty.name}` and `{right.ty.name}`",
                       help="compare slices of one type; else element by element in a loop")
    want = t.slice_of(left.ty.elem)                                  # type: ignore[attr-defined]
    left, right = b.coerce(left, want, left_node), b.coerce(right, want, right_node)
    return tree.SliceEqual(t.BOOL, b.loc(node), left, right, op == "ne")


def _identity(b: Body, node: ast.Compare, op: ast.cmpop, right_node: ast.expr,
              ) -> tuple[tree.Expr, set[Any], set[Any]]:
    negate, loc = isinstance(op, ast.IsNot), b.loc(node)
    before = b.fork()
    left = expr.access(b, node.left)
    new = {f for f in (b.flow or ()) if before is not None and f not in before}
    if left.ty is t.POISON:
        return left, set(), set()
    if isinstance(right_node, ast.Constant) and right_node.value is None:
        if isinstance(left.ty, t.PtrType) and not left.ty.nullable:
            return b.error("K0331", node, f"a `{left.ty.name}` is never null",
                           help="drop the test, or declare it `| None`"), set(), set()
        if not isinstance(left.ty, t.PtrType | t.MPtrType | t.UserPtrType):
            return b.error("K0331", node, f"a `{left.ty.name}` is never None",
                           help="only `Ptr[T] | None` can be; drop the test"), set(), set()
        raw = _unnarrowed(left)
        path = path_of(left)
        if isinstance(left, tree.Seq):
            path = path_of(left.value)
        null = tree.Const(left.ty, loc, 0)
        test = tree.Compare(t.BOOL, loc, "ne" if negate else "eq", raw, null)
        facts = {path} | new if path is not None else new
        return (test, facts, new) if negate else (test, new, facts)
    pointer = expr.value(b, node.left)
    if pointer.ty.is_aggregate:
        pointer = b.coerce(pointer, t.ptr(pointer.ty), node.left)
    right = expr.value(b, right_node, pointer.ty)
    if right.ty.is_aggregate:
        right = b.coerce(right, t.ptr(right.ty), right_node)
    if t.POISON not in (pointer.ty, right.ty) and not isinstance(pointer.ty, t.PtrType):
        return b.error("K0331", node, "`is` compares pointers",
                       help="compare values with `==`"), set(), set()
    return (compare(b, node, "ne" if negate else "eq", pointer, right, node.left, right_node),
            set(), set())


def _unnarrowed(place: tree.Expr) -> tree.Expr:
    if isinstance(place, tree.Place):
        return tree.Load(place.ty, place.loc, place)
    return place


def _membership(b: Body, node: ast.Compare, op: ast.cmpop, right_node: ast.expr) -> tree.Expr:
    """`x in (A, B)`, `Flag.X in flags`, `c in b"abc"`."""
    loc, negate = b.loc(node), isinstance(op, ast.NotIn)
    left = expr.value(b, node.left)
    if left.ty is t.POISON:
        return left
    made: tree.Expr
    if isinstance(right_node, ast.Tuple | ast.List | ast.Set):
        made = _in_tuple(b, node, left, right_node)
    elif isinstance(right_node, ast.Constant) and isinstance(right_node.value, bytes):
        items = [ast.copy_location(ast.Constant(c), right_node) for c in right_node.value]
        made = _in_tuple(b, node, left, ast.copy_location(ast.Tuple(items, ast.Load()),
                                                          right_node))
    else:
        right = expr.value(b, right_node, left.ty)
        if right.ty is t.POISON:
            return right
        if isinstance(left.ty, t.EnumType) and left.ty.is_flags and right.ty is left.ty:
            both = tree.Binary(left.ty, loc, "and", left, right)
            made = tree.Compare(t.BOOL, loc, "ne", both, tree.Const(left.ty, loc, 0))
        else:
            owner = expr.storage(b, right, right_node)
            found = owner and classes.method(b.cx, owner.ty, "__contains__")
            if not found:
                return b.error("K0332", node, f"`in` does not look into `{right.ty.name}`",
                               help="write the loop, or `x in (A, B, C)`")
            made = calls.method(b, right_node, owner, found, [node.left], [])
    if made.ty is t.POISON or not negate:
        return made
    return tree.Unary(t.BOOL, loc, "not", made)


def _in_tuple(b: Body, node: ast.Compare, left: tree.Expr, right: ast.Tuple | ast.List | ast.Set,
              ) -> tree.Expr:
    loc = b.loc(node)
    if left.ty is t.LITERAL or not right.elts:
        return b.error("K0332", node, "nothing to look for",
                       help="write `x in (A, B)` with a variable before `in` and values after it")
    saved, b.out = b.out, []
    held = b.temp(left.ty, left, left.loc)
    parts: list[tree.Expr] = []
    for item in right.elts:
        load = tree.Load(left.ty, left.loc, tree.VarPlace(left.ty, left.loc, held))
        parts.append(compare(b, node, "eq", load, expr.value(b, item, left.ty), node.left, item))
    body, b.out = b.out, saved
    if any(part.ty is t.POISON for part in parts):
        return b.poison(node)
    return tree.Seq(t.BOOL, loc, body, tree.joined("or", loc, parts))


def if_expression(b: Body, node: ast.IfExp, want: t.Type | None) -> tree.Expr:
    """`a if cond else b`."""
    cond, yes, no = condition(b, node.test)
    start = b.fork()
    b.assume(yes)
    then = expr.value(b, node.body, want)
    after_then = b.fork()
    b.flow = None if start is None else set(start)
    b.assume(no)
    other = expr.value(b, node.orelse, want)
    b.flow = b.merge(after_then, b.flow)
    if t.POISON in (cond.ty, then.ty, other.ty):
        return b.poison(node)
    ty = operators.common(b, then, other)
    if want is t.POISON:
        return b.poison(node)
    if ty is t.LITERAL:
        if not isinstance(want, t.IntType):
            return b.error("K0310", node, "this number needs a type",
                           help="write one branch as `u32(...)`")
        ty = want
    if ty is None and want is not None:
        ty = want
    if ty is None or ty.is_aggregate:
        return b.error("K0316", node, f"the branches are `{then.ty.name}` and `{other.ty.name}`",
                       help="both must have one type; storage is chosen by `ref(...)`")
    then, other = b.coerce(then, ty, node.body), b.coerce(other, ty, node.orelse)
    return tree.IfExp(ty, b.loc(node), cond, then, other)
