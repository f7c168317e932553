# SPDX-License-Identifier: BSD-3-Clause
"""match: over integers, enums, bools, bytes and tagged unions; every value has its case.

    match msg:                          Switch(tag of msg):
        case Read(off=o, n=n):            0: o = payload.off; n = payload.n; ...
            ...                           1: ...
        case Stop():

Plain constant cases become one Switch; guards and bytes become a chain of tests in a Block.

Tests     tests/toolchain/test_messages.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import assign, conditions, expr, stmt, typeexpr
from toolchain.frontend.check.body import Body, address


@dataclass(slots=True)
class Case:
    """One pattern: the values it accepts (None: any), and names to bind."""

    values: list[int] | None = None
    bytes: list[bytes] = field(default_factory=list)
    names: list[tuple[ast.AST, str, tree.Expr]] = field(default_factory=list)
    wrong: bool = False
    payload: tree.Expr | None = None       # of a variant


@dataclass(slots=True)
class Subject:
    """What is matched: its integer, and its storage."""

    ty: t.Type
    number: tree.Expr | None
    place: tree.Expr
    loc: tree.Loc
    union: tree.Expr | None = None         # the Union's storage as the program names it


def match(b: Body, node: ast.Match) -> None:
    """A match statement."""
    saved, b.out = b.out, []
    subject = _subject(b, node.subject)
    setup, b.out = b.out, saved
    if subject is None:
        for part in node.cases:
            _look_at(b, part.pattern)
        _wrong(b, [(Case(wrong=True), part) for part in node.cases])
        return
    b.out.extend(setup)
    cases = [(_pattern(b, subject, c.pattern), c) for c in node.cases]
    if any(c.wrong for c, _ in cases):
        _wrong(b, cases)
        return
    _check_reached(b, subject, cases)
    exhaustive = _exhaustive(b, node, subject, cases)
    if subject.number is not None and all(c.guard is None for _, c in cases):
        _switch(b, node, subject, cases, exhaustive)
    else:
        _chain(b, node, subject, cases)


def _wrong(b: Body, cases: list[tuple[Case, ast.match_case]]) -> None:
    """The rest of a match of which something was reported."""
    start, ends = b.fork(), []
    for case, part in cases:
        b.flow = None if start is None else set(start)
        for where, name, value in case.names:
            if name not in b.frame.names:
                b.know(b.declare(name, value.ty, where))
        _poison_names(b, part.pattern)
        if part.guard is not None:
            b.assume(conditions.condition(b, part.guard)[1])
        stmt.block(b, part.body)
        ends.append(b.flow)
    b.flow = b.merge(*ends)


def _look_at(b: Body, pattern: ast.pattern) -> None:
    """Report what is wrong in a pattern, whatever it is compared with."""
    for part in ast.walk(pattern):
        if isinstance(part, ast.MatchValue):
            expr.value(b, part.value, t.POISON)
        elif isinstance(part, ast.MatchClass):
            typeexpr.resolve(b.cx, b.scope, part.cls)


def _poison_names(b: Body, pattern: ast.pattern) -> None:
    """What a wrong pattern would bind is not reported again where it is used."""
    for part in ast.walk(pattern):
        if isinstance(part, ast.MatchAs) and part.name:
            b.excuse(part.name, part)


def _subject(b: Body, node: ast.expr) -> Subject | None:
    made = expr.access(b, node)
    loc = b.loc(node)
    if made.ty is t.POISON:
        return None
    if isinstance(made.ty, t.PtrType) and isinstance(made.ty.elem, t.UnionType):
        made = expr.storage(b, made, node) or b.poison(node)
        if made.ty is t.POISON:
            return None
    ty = made.ty
    if isinstance(ty, t.UnionType):
        if not isinstance(made, tree.Place):
            made = tree.Temp(ty, loc, made)
        pointer = b.temp(t.ptr(ty), address(b, made, t.ptr(ty), node), loc, "match")
        load = tree.Load(pointer.ty, loc, tree.VarPlace(pointer.ty, loc, pointer))
        place = tree.Deref(ty, loc, load)
        return Subject(ty, tree.UnionTag(t.U32, loc, place), place, loc, made)
    if ty is t.LITERAL:
        b.error("K0310", node, "this number is known already",
                help="`match` chooses at run time; look at a variable")
        return None
    value = expr.read(b, made, node)
    if not isinstance(ty, t.IntType | t.EnumType | t.BoolType | t.SliceType | t.NewtypeType):
        b.error("K0346", node, f"`match` does not look into `{ty.name}`",
                help=f"test it: `if {ast.unparse(node)} is None:`" if isinstance(
                    ty, t.PtrType) and ty.nullable else
                "it takes integers, enums, bools, bytes and Unions")
        return None
    held = b.temp(ty, value, loc, "match")
    load = tree.Load(ty, loc, tree.VarPlace(ty, loc, held))
    if isinstance(ty, t.SliceType):
        return Subject(ty, None, load, loc)
    return Subject(ty, load, load, loc)


def _pattern(b: Body, subject: Subject, node: ast.pattern) -> Case:
    match node:
        case ast.MatchAs(pattern=None, name=None):
            return Case()
        case ast.MatchAs(pattern=None, name=str(name)):
            return Case(names=[(node, name, subject.place)])
        case ast.MatchAs(pattern=inner, name=str(name)) if inner is not None:
            made = _pattern(b, subject, inner)
            made.names.append((node, name, made.payload or subject.place))
            return made
        case ast.MatchOr(patterns=parts):
            return _either(b, subject, parts)
        case ast.MatchValue(value=value):
            return _value(b, subject, value)
        case ast.MatchSingleton(value=bool(value)) if subject.ty is t.BOOL:
            return Case([int(value)])
        case ast.MatchClass():
            return _variant(b, subject, node)
    b.error("K0346", node, f"this pattern does not match a `{subject.ty.name}`",
            help="patterns are constants, `A | B`, `Variant(field=name)` and `_`" if not isinstance(
                node, ast.MatchSequence) else "elements are looked at one by one, with `if`"
            if isinstance(subject.ty, t.SliceType) else "several values are `case 1 | 2:`")
    return Case(wrong=True)


def _either(b: Body, subject: Subject, parts: list[ast.pattern]) -> Case:
    made = [_pattern(b, subject, p) for p in parts]
    if any(c.wrong for c in made):
        return Case(wrong=True)
    bound = next((n for c in made for n in c.names), None)
    if bound is not None:
        b.error("K0346", bound[0], "alternatives cannot bind names",
                help="write a case for each")
        return Case(wrong=True)
    if any(c.values is None and not c.bytes for c in made):
        return Case()
    if any(c.bytes for c in made):
        return Case([], [x for c in made for x in c.bytes])
    return Case([v for c in made for v in c.values or ()])


def _value(b: Body, subject: Subject, node: ast.expr) -> Case:
    if isinstance(subject.ty, t.SliceType):
        item = node.value if isinstance(node, ast.Constant) else None
        if isinstance(item, str) and subject.ty is t.STR:
            return Case([], [item.encode("utf-8")])
        if isinstance(item, bytes) and subject.ty.elem is t.U8:
            return Case([], [item])
        b.error("K0346", node, f"this is not a `{subject.ty.name}` literal",
                help="write text as \"...\" for a Str, as b\"...\" for a Slice[u8]")
        return Case(wrong=True)
    item = node.value if isinstance(node, ast.Constant) else None
    if isinstance(item, bytes | str) and len(item) == 1 and isinstance(subject.ty, t.IntType):
        return Case([ord(item)])                 # `case b"+":` of a byte
    made = expr.value(b, node, subject.ty)
    if made.ty is t.LITERAL:
        made = b.coerce(made, subject.ty, node)
    if made.ty is t.POISON:
        return Case(wrong=True)
    if not isinstance(made, tree.Const) or made.ty is not subject.ty:
        if isinstance(made, tree.Const) and isinstance(subject.ty, t.IntType) and isinstance(
                made.ty, t.IntType) and subject.ty.holds(made.value):
            return Case([made.value])
        b.error("K0346", node, f"this is not a constant of `{subject.ty.name}`",
                "" if made.ty is subject.ty else f"this is `{made.ty.name}`",
                help="a case is a value known at compile time, of the type that is looked at")
        return Case(wrong=True)
    return Case([made.value])


def _variant(b: Body, subject: Subject, node: ast.MatchClass) -> Case:
    ty = typeexpr.resolve(b.cx, b.scope, node.cls)
    if ty is t.POISON:
        return Case(wrong=True)
    union = subject.ty
    if not isinstance(union, t.UnionType) or ty not in union.variants:
        b.error("K0346", node, f"`{ty.name}` is not one of `{union.name}`",
                help=f"it is one of {', '.join(v.name for v in union.variants)}" if isinstance(
                    union, t.UnionType) else "a class as pattern is for Unions")
        return Case(wrong=True)
    tag = union.variants.index(ty)                                   # type: ignore[arg-type]
    made = Case([tag])
    payload = tree.UnionPayload(ty, b.loc(node), subject.place, tag)  # type: ignore[arg-type]
    made.payload = payload
    pairs = list(zip(ty.fields, node.patterns, strict=False))         # type: ignore[attr-defined]
    if len(node.patterns) > len(ty.fields):                           # type: ignore[attr-defined]
        b.error("K0346", node, f"`{ty.name}` has fewer fields",
                help="name them: `Variant(field=name)`")
        return Case(wrong=True)
    pairs += list(zip(node.kwd_attrs, node.kwd_patterns, strict=True))
    for name, part in pairs:
        field_ = ty.fields.get(name)                                  # type: ignore[attr-defined]
        if ty.excuses(name):                                          # type: ignore[attr-defined]
            return Case(wrong=True)
        if field_ is None:
            if expr.first(b, ty, name, tuple(ty.fields), part):       # type: ignore[attr-defined]
                b.error("K0203", part, f"`{ty.name}` has no field `{name}`",
                        help=expr.members_of(ty))                     # type: ignore[arg-type]
            return Case(wrong=True)
        if not isinstance(part, ast.MatchAs) or part.pattern is not None:
            b.error("K0346", part, "a field's pattern is a name or `_`",
                    help="compare it in a guard: `case V(x=n) if n == 3:`")
            return Case(wrong=True)
        if part.name is not None:
            made.names.append((part, part.name, tree.FieldPlace(
                field_.ty, b.loc(part), payload, field_)))
    return made


def _check_reached(b: Body, subject: Subject, cases: list[tuple[Case, ast.match_case]]) -> None:
    seen: dict[Any, ast.AST] = {}
    everything: ast.AST | None = None
    for case, part in cases:
        if everything is not None:
            bare = isinstance(everything, ast.MatchAs) and everything.name
            union = isinstance(subject.ty, t.UnionType) and bare in {
                v.name for v in subject.ty.variants}
            b.error("K0347", part.pattern, "this case can never match",
                    help=f"a variant is matched with parentheses, `case {bare}():`" if union else
                    f"`case {bare}:` binds a name and takes anything; a constant is matched "
                    f"as `module.{bare}` or in a guard, `case x if x == {bare}:`" if bare else "",
                    notes=(("an earlier case takes everything", b.loc(everything)),))
            return
        keys: list[Any] = [*(case.values or ()), *case.bytes]
        for key in keys:
            if key in seen:
                b.error("K0347", part.pattern, "this case has been taken above",
                        notes=(("here", b.loc(seen[key])),),
                        help="remove it, or match another value")
                return
        if part.guard is None:
            for key in keys:
                seen[key] = part.pattern
            if case.values is None and not case.bytes:
                everything = part.pattern


def _exhaustive(b: Body, node: ast.Match, subject: Subject,
                cases: list[tuple[Case, ast.match_case]]) -> bool:
    """Whether the cases cover all; reports where they do not.  True: without a wildcard."""
    plain = [c for c, part in cases if part.guard is None]
    if any(c.values is None and not c.bytes for c in plain):
        return False
    covered = {v for c in plain for v in c.values or ()}
    ty = subject.ty
    names: dict[str, int] = {}
    if isinstance(ty, t.EnumType) and not ty.is_flags:
        names = {f"{ty.name}.{n}": v for n, v in ty.members.items()}
    elif isinstance(ty, t.UnionType):
        names = {v.name: i for i, v in enumerate(ty.variants)}
    elif ty is t.BOOL:
        names = {"True": 1, "False": 0}
    missing = [n for n, v in names.items() if v not in covered]
    if names and not missing:
        return True
    what = (", ".join(f"`{n}`" for n in missing[:5]) + (" ..." if len(missing) > 5 else "")
            if missing else f"other values of `{ty.name}`")
    b.error("K0402", node, f"no case for {what}", help="add the cases, or `case _:`")
    return False


def _bind(b: Body, case: Case, union: tree.Expr | None) -> None:
    """Declare what the pattern binds; a pointer into `union` ends when that is overwritten."""
    for where, name, value in case.names:
        item = value
        if isinstance(value, tree.Place):
            item = (tree.AddrOf(t.ptr(value.ty), value.loc, value) if value.ty.is_aggregate
                    else b.load(value))
        target = ast.copy_location(ast.Name(name, ast.Store()), where)
        assign.bind(b, target, item)
        var = b.frame.names.get(name)
        if union is not None and isinstance(item, tree.AddrOf) and isinstance(var, tree.Var):
            b.into_union[var] = union


def _case_body(b: Body, subject: Subject, case: Case, part: ast.match_case) -> list[tree.Stmt]:
    saved, b.out = b.out, []
    _bind(b, case, subject.union)
    body = b.out + stmt.block(b, part.body)
    b.out = saved
    return body


def _switch(b: Body, node: ast.Match, subject: Subject,
            cases: list[tuple[Case, ast.match_case]], exhaustive: bool) -> None:
    start, ends = b.fork(), []
    out: list[tuple[list[int], list[tree.Stmt]]] = []
    default: list[tree.Stmt] | None = None if exhaustive else []
    for case, part in cases:
        b.flow = None if start is None else set(start)
        body = _case_body(b, subject, case, part)
        ends.append(b.flow)
        if case.values is None:
            default = body
        else:
            out.append((case.values, body))
    b.flow = b.merge(*ends)
    assert subject.number is not None
    b.out.append(tree.Switch(b.loc(node), subject.number, out, default))


def _chain(b: Body, node: ast.Match, subject: Subject,
           cases: list[tuple[Case, ast.match_case]]) -> None:
    loc, label = b.loc(node), tree.Label("match")
    start = b.fork()
    ends: list[set[Any] | None] = []
    saved, b.out = b.out, []
    for case, part in cases:
        b.flow = None if start is None else set(start)
        outer, b.out = b.out, []
        _bind(b, case, subject.union)
        if part.guard is not None:
            cond, yes, _ = conditions.condition(b, part.guard)
            b.assume(yes)
            body = stmt.block(b, part.body)
            b.out.append(tree.If(b.loc(part.guard), cond,
                                 [*body, tree.Break(loc, label)], []))
        else:
            b.out.extend(stmt.block(b, part.body))
            b.out.append(tree.Break(loc, label))
        ends.append(b.flow)
        inner, b.out = b.out, outer
        test = _test(b, subject, case, b.loc(part.pattern))
        b.out.append(tree.If(b.loc(part.pattern), test, inner, []) if test is not None
                     else tree.Block(b.loc(part.pattern), inner, tree.Label("case")))
    b.out.append(tree.ExprStmt(loc, tree.Intrinsic(t.NEVER, loc, "trap", [])))
    body, b.out = b.out, saved
    b.flow = b.merge(*ends)
    b.out.append(tree.Block(loc, body, label))


def _test(b: Body, subject: Subject, case: Case, loc: tree.Loc) -> tree.Expr | None:
    """Whether the subject is one of the case's values; None: always."""
    tests: list[tree.Expr] = []
    for value in case.values or ():
        assert subject.number is not None
        ty = subject.number.ty
        tests.append(tree.Compare(t.BOOL, loc, "eq", subject.number, tree.Const(ty, loc, value)))
    for data in case.bytes:
        tests.append(tree.SliceEqual(t.BOOL, loc, subject.place,
                                     tree.ConstData(subject.ty, loc, data), False))
    return tree.joined("or", loc, tests) if tests else None
