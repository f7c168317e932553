# SPDX-License-Identifier: BSD-3-Clause
"""Loops: while; for over ranges, sequences and expanded generators.

    for i, x in enumerate(xs):      .i = 0; .seq = xs
        use(x)                      while .i < len(.seq): i = .i; x = .seq[.i]; use(x)
                                      step: .i += 1

    for td in q.each():             the body of `each`, its `yield e` replaced by
        use(td)                     `td = e; use(td)`

Tests     tests/toolchain/test_messages.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import (
    assign,
    calls,
    classes,
    conditions,
    const,
    expr,
    functions,
    operators,
    stmt,
)
from toolchain.frontend.check.body import Body, Frame, Target, mark_address_taken, stored_names
from toolchain.frontend.check.functions import Signature
from toolchain.frontend.modules import FunctionDecl

EXPANSION_LIMIT = 16     # generators inside generators


@dataclass(slots=True)
class Source:
    """What a loop runs over: go on while `cond`, the `item` now, `step` to the next."""

    cond: tree.Expr
    item: tree.Expr
    step: list[tree.Stmt]


@dataclass(slots=True)
class Expansion:
    """A generator being expanded: what its `yield` becomes."""

    node: ast.For
    frame: Frame               # the user's
    target: Target
    element: t.Type
    end: tree.Label            # `return` in the generator goes here
    returns: list[set[Any]]
    outer: list[str]           # the generators that the loop itself stands in
    counter: tree.Var | None = None     # of `enumerate(...)` around it


def while_(b: Body, node: ast.While) -> None:
    """`while cond: ... else: ...`"""
    b.forget_changes(node.body, [ast.Expr(node.test)])
    cond, yes, no = conditions.condition(b, node.test)
    endless = isinstance(cond, tree.Const) and cond.value == 1 and cond.ty is t.BOOL
    start = b.fork()
    b.assume(yes)
    label = tree.Label("while")
    target = Target(label, label)
    body = _body(b, node.body, target)
    b.flow = None if start is None or endless else set(start)
    b.assume(no)
    other = stmt.block(b, node.orelse)
    b.flow = b.merge(b.flow, *target.breaks)
    if cond.ty is not t.POISON:
        b.out.append(tree.While(b.loc(node), cond, body, [], other, label))


def _body(b: Body, nodes: list[ast.stmt], target: Target) -> list[tree.Stmt]:
    b.targets.append(target)
    body = stmt.block(b, nodes)
    b.targets.pop()
    return body


def break_(b: Body, node: ast.Break) -> None:
    """`break`"""
    target = b.targets[-1] if b.targets else None
    if target is None:
        b.error("K0407", node, "`break` outside a loop", help="a function is left by `return`")
        return
    b.out.append(tree.Break(b.loc(node), target.break_label))
    if b.flow is not None:
        target.breaks.append(b.flow)
    b.flow = None


def continue_(b: Body, node: ast.Continue) -> None:
    """`continue`"""
    target = b.targets[-1] if b.targets else None
    if target is None:
        b.error("K0407", node, "`continue` outside a loop",
                help="a function is left by `return`")
        return
    if target.continue_label is target.break_label:
        b.out.append(tree.Continue(b.loc(node), target.continue_label))
    else:                                # an expanded generator: leave the block of this round
        b.out.append(tree.Break(b.loc(node), target.continue_label))
        if b.flow is not None:
            target.continues.append(b.flow)
    b.flow = None


def for_(b: Body, node: ast.For) -> None:
    """`for target in iterable: ... else: ...`"""
    counted = _is_enumerate(b, node.iter) and len(node.iter.args) == 1   # type: ignore[attr-defined]
    generator = _generator(b, node.iter.args[0] if counted else node.iter)  # type: ignore
    if generator is not None:
        counter = b.temp(t.U64, tree.Const(t.U64, b.loc(node), 0), b.loc(node), "n") if counted \
            else None
        if generator[0] is None or not _expand(b, node, *generator, counter):
            _wrong(b, node)
        return
    saved, b.out = b.out, []
    b.forget_changes(node.body)
    source = _source(b, node.iter, _target_type(b, node.target))
    if source is None:
        b.out = saved
        _wrong(b, node)
        return
    start = b.fork()
    label = tree.Label("for")
    target = Target(label, label)
    setup, b.out = b.out, []
    _bind_item(b, node.target, source.item)
    binding, b.out = b.out, []
    body = binding + _body(b, node.body, target)
    b.flow = None if start is None else set(start)
    other = stmt.block(b, node.orelse)
    b.flow = b.merge(b.flow, *target.breaks)
    b.out = saved
    b.out.extend(setup)
    b.out.append(tree.While(b.loc(node), source.cond, body, source.step, other, label))


def _wrong(b: Body, node: ast.For) -> None:
    """The rest of a loop over something that was reported."""
    start = b.fork()
    poison_targets(b, node.target)
    _body(b, node.body, Target(tree.Label(), tree.Label()))
    b.flow = None if start is None else set(start)
    stmt.block(b, node.orelse)


def _is_enumerate(b: Body, node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and (
        node.func.id == "enumerate" and not expr.is_local(b, node.func)
        and "enumerate" not in b.scope.module.names)


def _target_type(b: Body, target: ast.expr) -> t.Type | None:
    found = b.frame.names.get(target.id) if isinstance(target, ast.Name) else None
    return found.ty if isinstance(found, tree.Var) else None


def poison_targets(b: Body, target: ast.expr) -> None:
    for part in ast.walk(target):
        if isinstance(part, ast.Name):
            b.excuse(part.id, part)


def _bind_item(b: Body, target: ast.expr, item: tree.Expr) -> None:
    if isinstance(target, ast.Tuple | ast.List):
        if not isinstance(item, tree.MakeTuple):
            if isinstance(item.ty, t.TupleType):
                held = b.temp(item.ty, item, item.loc)
                load = tree.Load(item.ty, item.loc, tree.VarPlace(item.ty, item.loc, held))
                item = tree.MakeTuple(item.ty, item.loc, [
                    tree.TupleGet(ty, item.loc, load, i) for i, ty in enumerate(item.ty.items)])
            else:
                b.error("K0341", target, f"`{item.ty.name}` is not a tuple",
                        help="one name takes it; enumerate() and zip() give pairs")
                poison_targets(b, target)
                return
        if len(target.elts) != len(item.items):
            b.error("K0341", target, f"{len(item.items)} values for {len(target.elts)} names",
                    help="name each of them; `_` takes one that is not needed")
            poison_targets(b, target)
            return
        for part, value in zip(target.elts, item.items, strict=True):
            _bind_item(b, part, value)
        return
    if isinstance(target, ast.Name) and target.id == "_":
        return
    assign.bind(b, target, item)


# ---- what can be looped over --------------------------------------------------------------------

def _source(b: Body, node: ast.expr, want: t.Type | None) -> Source | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and (
            not expr.is_local(b, node.func) and node.func.id not in b.scope.module.names):
        maker = {"range": _range, "enumerate": _enumerate, "zip": _zip, "reversed": _reversed,
                 }.get(node.func.id)
        if maker is not None:
            return maker(b, node, want)
    return _sequence(b, node, False)


def _range(b: Body, node: ast.Call, want: t.Type | None, backwards: bool = False,
           ) -> Source | None:
    args = list(node.args)
    if not 1 <= len(args) <= 3 or node.keywords:
        b.error("K0335", node, "`range` takes one to three numbers",
                help="`range(stop)`, `range(start, stop)` or `range(start, stop, step)`")
        return None
    step = const.integer(b.cx, b.scope, args[2]) if len(args) == 3 else 1
    if step is None or step == 0:
        if step == 0:
            b.error("K0345", args[2], "a step of 0 never ends", help="give another step")
        return None
    bounds = [expr.value(b, a, want) for a in (args[:1] if len(args) == 1 else args[:2])]
    if len(bounds) == 1:
        bounds.insert(0, tree.Const(t.LITERAL, b.loc(node), 0))
        args.insert(0, args[0])
    ty = _range_type(b, node, bounds, step, want)
    if ty is None:
        return None
    first, last = (b.coerce(e, ty, a) for e, a in zip(bounds, args, strict=False))
    if t.POISON in (first.ty, last.ty):
        return None
    loc = b.loc(node)
    low = _hold(b, first, loc, "start")
    high = _hold(b, last, loc, "stop")
    if backwards:
        return _backwards(b, loc, ty, low, high, step)
    counter = b.temp(ty, low, loc, "i")
    place = tree.VarPlace(ty, loc, counter)
    load = tree.Load(ty, loc, place)
    cond = tree.Compare(t.BOOL, loc, "lt" if step > 0 else "gt", load, high)
    return Source(cond, load, [_advance(ty, loc, place, high, step)])


def _hold(b: Body, made: tree.Expr, loc: tree.Loc, name: str) -> tree.Expr:
    """`made`, evaluated once; constants as they are."""
    if isinstance(made, tree.Const):
        return made
    var = b.temp(made.ty, made, loc, name)
    return tree.Load(made.ty, loc, tree.VarPlace(made.ty, loc, var))


def _range_type(b: Body, node: ast.Call, bounds: list[tree.Expr], step: int,
                want: t.Type | None) -> t.IntType | None:
    ty = operators.common(b, *bounds)
    if ty is t.LITERAL:
        if isinstance(want, t.IntType):
            return want
        negative = any(e.value < 0 for e in bounds) or (          # type: ignore[attr-defined]
            step < 0)
        return t.I64 if negative else t.U64
    if isinstance(ty, t.IntType):
        return ty
    if t.POISON not in (bounds[0].ty, bounds[1].ty):
        of = isinstance(bounds[1].ty, t.SliceType | t.ArrayType)
        b.error("K0345", node, f"a range from `{bounds[0].ty.name}` to `{bounds[1].ty.name}`",
                help="write `for x in s:`, or `for i, x in enumerate(s):` to count along" if of
                else "both ends are integers of one type")
    return None


def _advance(ty: t.Type, loc: tree.Loc, place: tree.Place, last: tree.Expr, step: int,
             ) -> tree.Stmt:
    """The counter's next value; never past `last`, so that it cannot wrap."""
    size = tree.Const(ty, loc, abs(step))
    op = "add" if step > 0 else "sub"
    if abs(step) == 1:
        return tree.AugAssign(loc, place, op, size, True)
    load = tree.Load(ty, loc, place)
    ends = (last, load) if step > 0 else (load, last)
    left: tree.Expr = tree.Binary(ty, loc, "sub", *ends, True)
    unsigned = t.int_type(ty.bits)                                   # type: ignore[attr-defined]
    if left.ty is not unsigned:
        left = tree.Convert(unsigned, loc, "trunc", left)
    far = tree.Compare(t.BOOL, loc, "gt", left, tree.Const(unsigned, loc, abs(step)))
    following = tree.Binary(ty, loc, op, load, size, True)
    return tree.Assign(loc, place, tree.IfExp(ty, loc, far, following, last))


def _backwards(b: Body, loc: tree.Loc, ty: t.IntType, low: tree.Expr, high: tree.Expr, step: int,
               ) -> Source | None:
    """reversed(range(low, high)): the counter is one past the item."""
    if step != 1:
        b.error("K0345", stub(loc), "reversed(range(...)) has no step here",
                help="write the range from the other end, with a negative step")
        return None
    start = tree.IfExp(ty, loc, tree.Compare(t.BOOL, loc, "lt", low, high), high, low)
    counter = b.temp(ty, start, loc, "i")
    place = tree.VarPlace(ty, loc, counter)
    load = tree.Load(ty, loc, place)
    one = tree.Const(ty, loc, 1)
    item = tree.Binary(ty, loc, "sub", load, one, True)
    cond = tree.Compare(t.BOOL, loc, "gt", load, low)
    return Source(cond, item, [tree.AugAssign(loc, place, "sub", one, True)])


def stub(loc: tree.Loc) -> ast.AST:
    """An ast node at `loc`, for reports."""
    node = ast.Pass()
    node.lineno, node.col_offset = loc.line, loc.col
    node.end_lineno, node.end_col_offset = loc.end_line, loc.end_col
    return node


def _enumerate(b: Body, node: ast.Call, want: t.Type | None) -> Source | None:
    args = [*node.args, *(k.value for k in node.keywords if k.arg == "start")]
    if not 1 <= len(args) <= 2 or not node.args or len(args) - len(node.args) != len(node.keywords):
        b.error("K0335", node, "`enumerate` takes what to loop over, and perhaps a start",
                help="for example `for i, x in enumerate(items, 1):`")
        return None
    loc = b.loc(node)
    start: tree.Expr = tree.Const(t.U64, loc, 0)
    if len(args) == 2:
        start = expr.value(b, args[1], t.U64)
        if start.ty is t.LITERAL:
            start = b.coerce(start, t.U64, args[1])
    inner = _source(b, node.args[0], None)
    if inner is None or not isinstance(start.ty, t.IntType):
        return None
    ty = start.ty
    counter = b.temp(ty, start, loc, "n")
    place = tree.VarPlace(ty, loc, counter)
    load = tree.Load(ty, loc, place)
    item = tree.MakeTuple(_pair(load.ty, inner.item.ty), loc, [load, inner.item])
    count = tree.AugAssign(loc, place, "add", tree.Const(ty, loc, 1), True)
    return Source(inner.cond, item, [*inner.step, count])


def _pair(*items: t.Type) -> t.TupleType:
    return t.tuple_of(items)


def _zip(b: Body, node: ast.Call, want: t.Type | None) -> Source | None:
    if len(node.args) < 2 or any(k.arg != "strict" for k in node.keywords):
        b.error("K0335", node, "`zip` takes two or more to loop over",
                help="for example `for a, b in zip(left, right):`")
        return None
    parts = [_source(b, a, None) for a in node.args]
    if any(p is None for p in parts):
        return None
    loc = b.loc(node)
    cond = parts[0].cond                                             # type: ignore[union-attr]
    for part in parts[1:]:
        cond = tree.Logic(t.BOOL, loc, "and", cond, part.cond)       # type: ignore[union-attr]
    items = [p.item for p in parts]                                  # type: ignore[union-attr]
    item = tree.MakeTuple(_pair(*(i.ty for i in items)), loc, items)
    return Source(cond, item, [s for p in parts for s in p.step])    # type: ignore[union-attr]


def _reversed(b: Body, node: ast.Call, want: t.Type | None) -> Source | None:
    if len(node.args) != 1:
        b.error("K0335", node, "`reversed` takes one sequence",
                help="for example `for x in reversed(items):`")
        return None
    inner = node.args[0]
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and (
            inner.func.id == "range"):
        return _range(b, inner, want, True)
    return _sequence(b, inner, True)


def _sequence(b: Body, node: ast.expr, backwards: bool) -> Source | None:
    if isinstance(node, ast.Tuple):
        b.error("K0333", node, "a tuple cannot be looped over",
                help="make an array first: `items: Array[u32, "
                f"{len(node.elts)}] = [{', '.join(map(ast.unparse, node.elts[:4]))}"
                f"{', ...' * (len(node.elts) > 4)}]`")
        return None
    made = expr.access(b, node)
    if isinstance(made.ty, t.PtrType) and isinstance(made.ty.elem, t.ArrayType | t.SliceType):
        made = expr.storage(b, made, node) or b.poison(node)
    if made.ty is t.POISON:
        return None
    if not isinstance(made.ty, t.ArrayType | t.SliceType):
        hint = ("`range(n)` counts" if isinstance(made.ty, t.IntType | t.LiteralType) else
                "give the struct an @inline generator `__iter__`" if isinstance(
                    made.ty, t.StructType) or (isinstance(made.ty, t.PtrType) and isinstance(
                        made.ty.elem, t.StructType)) else
                "a `for` runs over arrays, slices, range(...) and generators")
        inner = made.ty.elem if isinstance(made.ty, t.PtrType) else made.ty
        if not isinstance(inner, t.StructType) or (
                not inner.excuses("__iter__") and b.cx.first("no loop", inner)):
            b.error("K0333", node, f"`{made.ty.name}` cannot be looped over", help=hint)
        return None
    loc = b.loc(node)
    if isinstance(made.ty, t.ArrayType):
        length: tree.Expr = tree.Const(t.U64, loc, made.ty.count)
        if not isinstance(made, tree.VarPlace | tree.GlobalPlace):
            mark_address_taken(b, made)
            whole = t.slice_of(made.ty.elem)
            held = b.temp(whole, tree.SliceOf(whole, loc, made, None, None), loc, "seq")
            made = tree.Load(whole, loc, tree.VarPlace(whole, loc, held))
    else:
        held = b.temp(made.ty, b.load(made), loc, "seq")
        made = tree.Load(made.ty, loc, tree.VarPlace(made.ty, loc, held))
        length = tree.Len(t.U64, loc, made)
    zero, one = tree.Const(t.U64, loc, 0), tree.Const(t.U64, loc, 1)
    counter = b.temp(t.U64, length if backwards else zero, loc, "i")
    place = tree.VarPlace(t.U64, loc, counter)
    load = tree.Load(t.U64, loc, place)
    if backwards:
        cond = tree.Compare(t.BOOL, loc, "ne", load, zero)
        at: tree.Expr = tree.Binary(t.U64, loc, "sub", load, one, True)
    else:
        cond = tree.Compare(t.BOOL, loc, "lt", load, length)
        at = load
    elem = made.ty.elem                                              # type: ignore[attr-defined]
    item: tree.Expr = tree.IndexPlace(elem, loc, made, at)
    if elem.is_aggregate:
        mark_address_taken(b, made)
        item = tree.AddrOf(t.ptr(elem), loc, item)                   # type: ignore[arg-type]
    else:
        item = tree.Load(elem, loc, item)                            # type: ignore[arg-type]
    step = tree.AugAssign(loc, place, "sub" if backwards else "add", one, True)
    return Source(cond, item, [step])


# ---- generators ---------------------------------------------------------------------------------

def _generator(b: Body, node: ast.expr,
               ) -> tuple[Signature | None, list[tree.Expr], ast.expr] | None:
    """(signature, first arguments, node) where `node` is a generator's call or a struct with
    __iter__; None where it is neither; a signature of None was reported."""
    if isinstance(node, ast.Call):
        func = node.func
        if not expr.is_local(b, func):
            meaning = b.cx.resolve(b.scope, func.value if isinstance(func, ast.Subscript) else func)
            if isinstance(meaning, FunctionDecl):
                if not functions.is_generator(meaning.node):
                    made = functions.signature(b.cx, meaning) if not functions.generic_names(
                        b.cx, meaning, {}) else None
                    return _container(b, node) if made and _iterable(
                        b, made.function.result) else None
                return calls.resolve_function(b, node, meaning, None), [], node
        if not isinstance(func, ast.Attribute) or b.cx.resolve(b.scope, func) is not None:
            return None
        if not expr.is_local(b, func) and b.cx.resolve(b.scope, func.value) is None and (
                not isinstance(func.value, ast.Call | ast.Subscript | ast.Attribute)):
            return None
        return _method_generator(b, node, func)
    if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        return None
    return _container(b, node)


def _iterable(b: Body, ty: t.Type) -> FunctionDecl | None:
    """The `__iter__` of a struct, or of the one that a pointer leads to."""
    inner = ty.elem if isinstance(ty, t.PtrType) and not ty.nullable else ty
    return classes.method(b.cx, inner, "__iter__") if isinstance(inner, t.StructType) else None


def _container(b: Body, node: ast.expr,
               ) -> tuple[Signature | None, list[tree.Expr], ast.expr] | None:
    """`for x in items`, where items has an `__iter__`; else None."""
    made = expr.access(b, node)
    found = _iterable(b, made.ty)
    if found is None:
        return None
    owner = expr.storage(b, made, node)
    if owner is None:
        return (None, [], node)
    bare = ast.copy_location(ast.Name("items", ast.Load()), node)       # its call has no arguments
    signature, first = calls.bind_method(b, bare, owner, found, [], [])
    return signature, first, bare


def _method_generator(b: Body, node: ast.Call, func: ast.Attribute,
                      ) -> tuple[Signature | None, list[tree.Expr], ast.expr] | None:
    quiet = b.cx.sink.errors
    made = expr.access(b, func.value)
    if b.cx.sink.errors != quiet:
        return (None, [], node)
    inner = made.ty.elem if isinstance(made.ty, t.PtrType) else made.ty
    if not isinstance(inner, t.StructType):
        return None
    found = classes.method(b.cx, inner, func.attr)
    if found is None:
        return None
    if not functions.is_generator(found.node):
        signature = functions.method(b.cx, inner, found)
        return _container(b, node) if signature and _iterable(
            b, signature.function.result) else None
    owner = expr.storage(b, made, func)
    if owner is None:
        return (None, [], node)
    signature, first = calls.bind_method(b, node, owner, found, node.args, node.keywords)
    return signature, first, node


def _expand(b: Body, node: ast.For, made: Signature, first: list[tree.Expr], call: ast.expr,
            counter: tree.Var | None) -> bool:
    """Put the generator's body in place of the loop; False after a report."""
    loc = b.loc(node)
    symbol = made.function.symbol
    owner = made.function.owner
    if made.yields is None and owner is not None and "__next__" in owner.wrong:
        return False                    # a Python iterator was reported
    if made.yields is None:
        b.error("K0333", call, f"`{made.function.name}` is no generator",
                help="what a `for` runs over yields: `@inline`, `-> Iterator[T]`, with a `yield`")
        return False
    if symbol in b.expanding or len(b.expanding) >= EXPANSION_LIMIT:
        b.error("K0218", call, f"generator `{made.function.name}` is expanded inside itself",
                help="a generator cannot use itself: write a loop with a stack of its own")
        return False
    count = sum(isinstance(p, ast.Yield) for p in ast.walk(made.node))
    if count != 1:
        b.error("K0218", made.node, f"generator `{made.function.name}` has {count} yields",
                help="one `yield` is expanded to the loop's body; gather the cases before it")
        return False
    args = _arguments(b, call, made, first)
    if args is None:
        return False
    saved, b.out = b.out, []
    b.forget_changes(node.body)
    frame = Frame(made.scope, stored=stored_names(made.node))
    expansion = Expansion(node, b.frame, Target(tree.Label("for"), tree.Label("round")),
                          made.yields, tree.Label("generator"), [], b.expanding, counter)
    frame.generator = expansion
    for param, arg in zip(made.function.params, args, strict=True):
        var = b.temp(param.ty, arg, loc, param.name)
        frame.names[param.name] = var
    outer, b.frame = b.frame, frame
    b.expanding = [*b.expanding, symbol]
    b.targets.append(None)
    body = stmt.block(b, made.node.body)
    b.targets.pop()
    b.expanding = expansion.outer
    b.frame = outer
    b.flow = b.merge(b.flow, *expansion.returns)
    b.out.append(tree.Block(loc, body, expansion.end))
    b.out.extend(stmt.block(b, node.orelse))
    inner, b.out = b.out, saved
    b.flow = b.merge(b.flow, *expansion.target.breaks)
    b.out.append(tree.Block(loc, inner, expansion.target.break_label))
    return True


def _arguments(b: Body, node: ast.expr, made: Signature, first: list[tree.Expr],
               ) -> list[tree.Expr] | None:
    if first and made.function.params:
        first = [b.coerce(first[0], made.function.params[0].ty, node)]
    if not isinstance(node, ast.Call):
        node = ast.copy_location(ast.Call(node, [], []), node)
    return calls._arguments(b, node, made, first)


def yielded(b: Body, node: ast.Yield) -> None:
    """`yield e` in an expanded generator: the user's target and loop body."""
    expansion = b.frame.generator
    if node.value is None:
        b.error("K0218", node, "`yield` needs a value",
                help="write `yield item`")
        return
    if expansion is None:                # where the generator is defined: see generics.py
        expr.value(b, node.value)
        return
    loc = b.loc(node)
    item = expr.converted(b, node.value, expansion.element, "what is yielded")
    generator_frame, b.frame = b.frame, expansion.frame
    expanding, b.expanding = b.expanding, expansion.outer
    saved, b.out = b.out, []
    target = expansion.target
    b.targets.append(target)
    if item.ty is t.POISON:
        poison_targets(b, expansion.node.target)
    else:
        _bind_item(b, expansion.node.target, _numbered(b, expansion.counter, item))
    body = b.out + stmt.block(b, expansion.node.body)
    b.targets.pop()
    b.out, b.frame, b.expanding = saved, generator_frame, expanding
    b.flow = b.merge(b.flow, *target.continues)
    b.out.append(tree.Block(loc, body, target.continue_label))


def _numbered(b: Body, counter: tree.Var | None, item: tree.Expr) -> tree.Expr:
    """(number, item) inside `enumerate`; the counter is one further at once, whatever follows."""
    if counter is None:
        return item
    loc = item.loc
    place = tree.VarPlace(t.U64, loc, counter)
    now = b.temp(t.U64, tree.Load(t.U64, loc, place), loc, "i")
    b.out.append(tree.AugAssign(loc, place, "add", tree.Const(t.U64, loc, 1), True))
    number = tree.Load(t.U64, loc, tree.VarPlace(t.U64, loc, now))
    return tree.MakeTuple(_pair(t.U64, item.ty), loc, [number, item])


def generator_return(b: Body, node: ast.Return) -> None:
    """`return` in an expanded generator: the loop is over."""
    if node.value is not None:
        b.error("K0218", node, "a generator returns nothing",
                help="`return` alone ends the loop; yield what the loop should see")
    expansion = b.frame.generator
    b.out.append(tree.Break(b.loc(node), expansion.end))
    if b.flow is not None:
        expansion.returns.append(b.flow)
    b.flow = None
