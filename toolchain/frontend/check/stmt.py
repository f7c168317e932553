# SPDX-License-Identifier: BSD-3-Clause
"""Statements: branches, errors, clean-up; assignment has a file of its own.

block() checks a list of statements in order and gives their typed forms; what cannot be reached
after a return, raise or endless loop is reported once.

Tests     tests/toolchain/test_messages.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import (
    assign,
    calls,
    classes,
    conditions,
    expr,
    format,
    loops,
    patterns,
)
from toolchain.frontend.check.body import Body, CaughtError, address, points_to_local
from toolchain.frontend.check.scope import is_poisoned
from toolchain.frontend.modules import Constant, Variable


def block(b: Body, nodes: list[ast.stmt]) -> list[tree.Stmt]:
    """The typed form of `nodes`."""
    saved, b.out = b.out, []
    warned = False
    for node in nodes:
        if b.dead and not warned:
            warned = True
            if not _only_shape(node) and b.frame.generator is None and not b.is_wrong:
                b.cx.sink.warning("K0404", b.loc(node), "this can never run",
                                  help="what comes before always leaves")
            b.flow = set(v for v in b.frame.names.values() if isinstance(v, tree.Var))
            statement(b, node)
            b.flow = None
            continue
        alive = b.flow is not None
        if not alive:
            b.flow = set(v for v in b.frame.names.values() if isinstance(v, tree.Var))
        statement(b, node)
        if not alive:
            b.flow = None
    done, b.out = b.out, saved
    return done


def _only_shape(node: ast.stmt) -> bool:
    """Statements a person writes after an endless loop for the reader's or a linter's sake."""
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name) and node.value.func.id == "unreachable")


def statement(b: Body, node: ast.stmt) -> None:
    """Check one statement; its typed form goes to `b.out`."""
    handler = _HANDLERS.get(type(node))
    if handler is None:
        what, hint = _REFUSALS.get(type(node), (f"`{type(node).__name__}` is not kpy", ""))
        b.error("K0101", node, what, help=hint)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            b.know(b.declare(node.name, t.POISON, node))
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            b.know(b.declare(alias.asname or alias.name, t.POISON, node))
        return
    handler(b, node)


def _delete(b: Body, node: ast.Delete) -> None:
    b.error("K0101", node, "`del` is not kpy", help="storage ends with its function or owner")


def _global(b: Body, node: ast.Global) -> None:
    for name in node.names:
        meaning = b.cx.lookup(b.scope.module, name)
        if isinstance(meaning, Constant) and not is_poisoned(meaning):
            b.error("K0342", node, f"`{name}` is a constant",
                    notes=(("declared", meaning.loc),),
                    help=f"for a variable write `{name}: u32 = ...` in the module")
        elif not isinstance(meaning, Variable) and not is_poisoned(meaning) and b.cx.first(
                "unknown", b.scope.module.name, name, 0):
            b.error("K0202", node, f"there is no module variable `{name}`",
                    help=f"declare it in the module: `{name}: u32 = 0`")
        if isinstance(meaning, Variable):
            b.frame.globals.add(name)
        else:
            b.know(b.declare(name, t.POISON, node))


# ---- expressions as statements ------------------------------------------------------------------

def _expression(b: Body, node: ast.Expr) -> None:
    inner, loc = node.value, b.loc(node)
    if isinstance(inner, ast.Constant) and (isinstance(inner.value, str) or inner.value is ...):
        return
    if isinstance(inner, ast.Yield):
        loops.yielded(b, inner)
        return
    if isinstance(inner, ast.Call):
        name = expr.vocabulary_name(b, inner.func)
        if name in ("kprintf", "klog", "panic"):
            format.printing(b, inner, name)
            return
        if name == "kassert":
            _kassert(b, inner)
            return
    made = expr.value(b, inner)
    if made.ty is t.POISON:
        b.unsure = b.unsure or isinstance(inner, ast.Call)
        return
    if isinstance(made, tree.Seq) and made.ty is t.VOID:
        b.out.extend(made.body)
        return
    effect = tree.Call | tree.CallIndirect | tree.AtomicOp | tree.Fence | tree.MmioWrite | (
        tree.VolatileLoad | tree.VolatileStore | tree.AsmExpr | tree.MmioRead | tree.Intrinsic)
    if not isinstance(made, effect) and not (isinstance(made, tree.Seq)):
        if made.ty is not t.VOID:
            b.error("K0405", node, "this does nothing", "its value is not used",
                    help="assign it, or remove it")
        return
    b.out.append(tree.ExprStmt(loc, made))
    if made.ty is t.NEVER:
        b.flow = None


# ---- branches -----------------------------------------------------------------------------------

def _if(b: Body, node: ast.If) -> None:
    cond, yes, no = conditions.condition(b, node.test)
    start = b.fork()
    constant = cond.value if isinstance(cond, tree.Const) and cond.ty is t.BOOL else None
    b.assume(yes)
    then = block(b, node.body)
    after_then = b.flow
    b.flow = None if start is None else set(start)
    b.assume(no)
    other = block(b, node.orelse)
    if constant == 1:
        b.flow = after_then
    elif constant != 0:
        b.flow = b.merge(after_then, b.flow)
    if cond.ty is not t.POISON:
        b.out.append(tree.If(b.loc(node), cond, then, other))


def _return(b: Body, node: ast.Return) -> None:
    loc = b.loc(node)
    result = b.function.result
    if b.frame.generator is not None:
        loops.generator_return(b, node)
        return
    if result is t.NEVER:
        b.error("K0406", node, f"`{b.function.name}` is `-> Never`: it cannot return",
                help="end it with a call of another `-> Never`, or `while True: pass`; or change "
                "its result")
    elif node.value is None:
        if result not in (t.VOID, t.POISON):
            b.error("K0308", node, f"`{b.function.name}` returns `{result.name}`",
                    "no value here", notes=(("declared", b.function.loc),),
                    help=f"return a `{result.name}`, or say `-> None`")
        b.out.append(tree.Return(loc, None))
    elif result is t.VOID:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            b.error("K0308", node.value, f"`{b.function.name}` returns nothing",
                    help="give it a result type: `-> ...`", notes=(("declared", b.function.loc),))
        b.out.append(tree.Return(loc, None))
    else:
        made = expr.converted(b, node.value, result, f"the result of `{b.function.name}`")
        _no_dangling(b, made, node.value)
        if isinstance(made, tree.Place) and made.ty.is_aggregate and result is made.ty and (
                not isinstance(made, tree.VarPlace | tree.Temp)):
            made = calls.refuse_copy(b, made, node.value)
        if made.ty is not t.POISON:
            b.out.append(tree.Return(loc, made))
    b.flow = None


def _no_dangling(b: Body, made: tree.Expr, node: ast.AST) -> None:
    """A pointer or slice into this function's own storage must not leave it."""
    local = points_to_local(b, made)
    if local is not None:
        b.error("K0343", node, f"{local} ends when the function returns; its address cannot leave",
                help="let the caller pass the storage in")


# ---- errors and clean-up ------------------------------------------------------------------------

def _raise(b: Body, node: ast.Raise) -> None:
    loc = b.loc(node)
    if node.cause is not None:
        b.error("K0602", node, "`raise ... from` is not kpy", help="an error is one number")
        b.flow = None
        return
    code = _error_code(b, node)
    if code is None:
        b.flow = None
        return
    if b.handlers == 0 and not b.function.throws and not b.function.attrs.unknown:
        b.error("K0602", node, f"`{b.function.name}` raises but is not @throws",
                help="mark it @throws; its callers then handle the error",
                notes=(("declared", b.function.loc),))
    if not isinstance(code, tree.Const) and node.exc is not None:
        held = b.temp(t.I32, code, loc, "code")
        code = tree.Load(t.I32, loc, tree.VarPlace(t.I32, loc, held))
        above = tree.Compare(t.BOOL, loc, "gt", code, tree.Const(t.I32, loc, 0))
        b.out.append(tree.Assert(loc, above, "an error's code is above 0", [("code", code)], []))
    b.effects.raises |= b.handlers == 0
    b.out.append(tree.Raise(loc, code))
    b.flow = None


def _error_code(b: Body, node: ast.Raise) -> tree.Expr | None:
    made = node.exc
    if made is None or (isinstance(made, ast.Name) and isinstance(
            b.frame.names.get(made.id), CaughtError)):
        caught = b.frame.names.get(made.id) if isinstance(made, ast.Name) else (
            b.caught[-1] if b.caught else None)
        if not isinstance(caught, CaughtError):
            b.error("K0602", node, "`raise` alone stands in an `except`",
                    help="say which error: `raise Errno(code)`")
            return None
        place = tree.VarPlace(t.I32, b.loc(node), caught.var)
        return tree.Load(t.I32, b.loc(node), place)
    if isinstance(made, ast.Call) and expr.vocabulary_name(b, made.func) == "Errno":
        if len(made.args) != 1 or made.keywords:
            b.error("K0603", made, "`Errno` takes its code",
                    help="for example `raise Errno(ENOMEM)`")
            return None
        code = expr.value(b, made.args[0], t.I32)
        if isinstance(code.ty, t.EnumType):
            code = tree.Convert(code.ty.base, code.loc, "raw", code)
        if isinstance(code.ty, t.IntType) and not t.lossless(code.ty, t.I32):
            code = tree.Convert(t.I32, code.loc, "checked", code)
        code = b.coerce(code, t.I32, made.args[0], "an error code")
        if isinstance(code, tree.Const) and code.ty is t.I32 and code.value <= 0:
            b.error("K0603", made.args[0], f"error code {code.value}: codes are above 0",
                    help="0 would mean no error; the codes are in kernel/lib/errno.py")
            return None
        return None if code.ty is t.POISON else code
    head = made.func if isinstance(made, ast.Call) else made
    if isinstance(head, ast.Name) and head.id == "Errno" and b.cx.resolve(b.scope, head) is None:
        expr.unknown(b, head)
        return None
    b.error("K0602", node, "only `Errno(code)` can be raised",
            help="`raise Errno(ENOMEM)`; the codes are in kernel/lib/errno.py")
    return None


def _try(b: Body, node: ast.Try) -> None:
    loc = b.loc(node)
    start = b.fork()
    catches = bool(node.handlers)
    b.handlers += catches
    body = block(b, node.body)
    b.handlers -= catches
    other: list[tree.Stmt] = []
    if node.orelse:
        other = block(b, node.orelse)
    after = b.flow
    code_var: tree.Var | None = None
    handler: list[tree.Stmt] | None = None
    if catches:
        b.flow = None if start is None else set(start)
        b.forget_changes(node.body)
        code_var, handler = _handler(b, node)
        b.flow = b.merge(after, b.flow)
    final: list[tree.Stmt] = []
    if node.finalbody:
        leaving = b.flow
        b.flow = None if start is None else set(start)
        b.forget_changes(node.body, *[h.body for h in node.handlers], node.orelse)
        entry = b.fork()
        final = block(b, node.finalbody)
        if b.flow is None:
            leaving = None
        elif leaving is not None and entry is not None:
            b.flow, kept = leaving, b.flow
            b.forget_changes(node.finalbody)
            leaving = b.flow | (kept - entry) if b.flow is not None else None
        b.flow = leaving
    b.out.append(tree.Try(loc, body, code_var, handler, other, final))


def _handler(b: Body, node: ast.Try) -> tuple[tree.Var | None, list[tree.Stmt]]:
    if len(node.handlers) > 1:
        b.error("K0604", node.handlers[1].type or node.handlers[1],
                "one `except` catches all: there is only Errno",
                help="`match e.code:` tells the codes apart")
    first = node.handlers[0]
    if isinstance(first.type, ast.Name) and first.type.id == "Errno" and (
            b.cx.resolve(b.scope, first.type) is None):
        expr.unknown(b, first.type)
    elif first.type is not None and expr.vocabulary_name(b, first.type) != "Errno":
        b.error("K0604", first.type, "only `Errno` can be caught",
                help="write `except Errno as e:`; `e.code` tells which")
    b._temps += 1
    name = first.name or "error"
    var = tree.Var(f".{name}{b._temps}", t.I32, "temp", b.loc(first))
    b.function.locals.append(var)
    b.know(var)
    caught = CaughtError(var)
    previous = b.frame.names.get(first.name) if first.name else None
    if isinstance(previous, tree.Var):
        b.error("K0201", first.type or first, f"`{first.name}` is a variable already",
                help="use another name", notes=(("declared", previous.loc),))
    if first.name:
        b.frame.names[first.name] = caught
    b.caught.append(caught)
    body = block(b, first.body)
    b.caught.pop()
    if first.name:
        b.frame.names.pop(first.name, None)
        if previous is not None:
            b.frame.names[first.name] = previous
    return var, body


def _with(b: Body, node: ast.With) -> None:
    b.out.extend(_with_items(b, node, list(node.items)))


def _with_items(b: Body, node: ast.With, items: list[ast.withitem]) -> list[tree.Stmt]:
    if not items:
        return block(b, node.body)
    item = items[0]
    saved, b.out = b.out, []
    made = _manager(b, item)
    if made is None:
        b.out = saved
        if item.optional_vars is not None:
            loops.poison_targets(b, item.optional_vars)
        return _with_items(b, node, items[1:])
    manager, enter, leave, forbids = made
    enter_body = b.out
    region = b.region
    if forbids:
        b.region = b.loc(item.context_expr)
    body = _with_items(b, node, items[1:])
    b.region = region
    if b.flow is not None:
        b.forget_memory()           # leaving calls __exit__
    b.out = saved
    return [tree.With(b.loc(node), manager, [*enter_body, *enter], body, leave)]


def _manager(b: Body, item: ast.withitem,
             ) -> tuple[tree.Declare, list[tree.Stmt], list[tree.Stmt], bool] | None:
    """The manager's address, its enter and leave statements, whether blocking is forbidden."""
    node = item.context_expr
    made = expr.access(b, node)
    if made.ty is t.POISON:
        return None
    owner = expr.storage(b, made, node)
    if owner is None:
        return None
    enter = classes.method(b.cx, owner.ty, "__enter__")
    leave = classes.method(b.cx, owner.ty, "__exit__")
    if enter is None or leave is None or not isinstance(owner.ty, t.StructType):
        wrong = isinstance(owner.ty, t.StructType) and (
            owner.ty.excuses("__enter__") or owner.ty.excuses("__exit__"))
        if wrong or not b.cx.first("no manager", owner.ty):
            return None
        b.error("K0344", node, f"`{owner.ty.name}` cannot stand in `with`",
                help="it needs methods __enter__(self) and __exit__(self)")
        return None
    loc = b.loc(node)
    pointer = address(b, owner, t.ptr(owner.ty), node)
    b._temps += 1
    var = tree.Var(f".with{b._temps}", t.ptr(owner.ty), "temp", loc)
    b.function.locals.append(var)
    declare = tree.Declare(loc, var, pointer)
    place = tree.Deref(owner.ty, loc, tree.Load(var.ty, loc, tree.VarPlace(var.ty, loc, var)))
    entered = calls.method(b, node, place, enter, [], [])
    left = calls.method(b, node, place, leave, [], [])
    if t.POISON in (entered.ty, left.ty):
        return None
    if isinstance(left, tree.Call) and left.throws:
        b.error("K0344", node, f"`{left.function.name}` may raise; leaving must not fail",
                help="handle the error inside `__exit__`, or let it end in panic")
    statements: list[tree.Stmt] = []
    if item.optional_vars is not None:
        saved, b.out = b.out, []
        if entered.ty is t.VOID:
            b.error("K0344", item.optional_vars, "`__enter__` gives nothing to name",
                    help=f"write `with {ast.unparse(node)}:`, or let `__enter__` return a pointer")
            loops.poison_targets(b, item.optional_vars)
        else:
            assign.bind(b, item.optional_vars, entered)
        statements, b.out = b.out, saved
    else:
        statements.append(tree.ExprStmt(loc, entered))
    forbids = isinstance(entered, tree.Call) and entered.function.attrs.forbids_blocking
    return declare, statements, [tree.ExprStmt(loc, left)], forbids


def _assert(b: Body, node: ast.Assert) -> None:
    if isinstance(node.test, ast.Tuple):
        b.error("K0309", node.test, "a tuple is always true",
                help="leave the parentheses out: `assert cond, \"text\"`")
        return
    made = _assertion(b, node, node.test, node.msg)
    if made is None:
        return
    b.assume(made[1])
    if isinstance(made[0].cond, tree.Const) and made[0].cond.value == 0:
        b.flow = None


def _kassert(b: Body, node: ast.Call) -> None:
    """`kassert(cond, f"text")`: an assert that a release build leaves out, so it proves nothing."""
    if not 1 <= len(node.args) <= 2 or node.keywords:
        b.error("K0335", node, "`kassert` takes a condition, and perhaps an f-string",
                help='for example `kassert(n < limit, f"{n} is too much")`')
        return
    made = _assertion(b, node, node.args[0], node.args[1] if len(node.args) == 2 else None)
    if made is not None:
        made[0].debug = True


def _assertion(b: Body, node: ast.stmt | ast.expr, test: ast.expr, msg: ast.expr | None,
               ) -> tuple[tree.Assert, Any] | None:
    """Append the check of `test`; it, and what holds behind it."""
    cond, yes, _ = conditions.condition(b, test)
    message = format.pieces(b, msg) if msg is not None else []
    if cond.ty is t.POISON:
        return None
    text = b.scope.module.source.segment(b.loc(test))
    made = tree.Assert(b.loc(node), cond, text, _shown(b, test, cond), message)
    b.out.append(made)
    return made, yes


def _shown(b: Body, node: ast.expr, cond: tree.Expr) -> list[tuple[str, tree.Expr]]:
    """The operands of a comparison, shown when it fails; only what can be read again."""
    if not isinstance(node, ast.Compare) or not isinstance(cond, tree.Compare):
        return []
    shown = []
    for part, made in ((node.left, cond.left), (node.comparators[0], cond.right)):
        plain = made
        while isinstance(plain, tree.Convert):
            plain = plain.operand
        if isinstance(plain, tree.Load) and _pure(plain.place) and isinstance(
                made.ty, t.IntType | t.BoolType | t.EnumType | t.NewtypeType | t.PtrType):
            shown.append((b.scope.module.source.segment(b.loc(part)), made))
    return shown


def _pure(place: tree.Expr) -> bool:
    while True:
        if isinstance(place, tree.VarPlace | tree.GlobalPlace):
            return True
        if isinstance(place, tree.FieldPlace):
            place = place.base
        elif isinstance(place, tree.Deref):
            place = place.pointer
        elif isinstance(place, tree.Load):
            place = place.place
        elif isinstance(place, tree.Convert) and place.kind == "ptr":
            place = place.operand
        else:
            return False


def _pass(b: Body, node: ast.stmt) -> None:
    return




_REFUSALS: dict[type, tuple[str, str]] = {
    ast.FunctionDef: ("a function inside a function is not kpy",
                      "move it to module level and pass what it needs"),
    ast.AsyncFunctionDef: ("`async def` is not kpy", "write a thread"),
    ast.ClassDef: ("a class inside a function is not kpy", "move it to module level"),
    ast.Import: ("imports stand at the top of the module", "move it there"),
    ast.ImportFrom: ("imports stand at the top of the module", "move it there"),
    ast.Nonlocal: ("`nonlocal` is not kpy: there are no closures", "pass a Ptr"),
    ast.AsyncFor: ("`async for` is not kpy", ""), ast.AsyncWith: ("`async with` is not kpy", ""),
    ast.TryStar: ("`except*` is not kpy", "there is one error at a time"),
}
_HANDLERS: dict[type, Any] = {
    ast.Assign: assign.assign, ast.AnnAssign: assign.annotated, ast.AugAssign: assign.augmented,
    ast.Expr: _expression, ast.If: _if, ast.Return: _return, ast.Raise: _raise, ast.Try: _try,
    ast.With: _with, ast.Assert: _assert, ast.Pass: _pass, ast.Global: _global,
    ast.Delete: _delete,
    ast.While: lambda b, node: loops.while_(b, node),      # these modules import this one
    ast.For: lambda b, node: loops.for_(b, node),
    ast.Break: lambda b, node: loops.break_(b, node),
    ast.Continue: lambda b, node: loops.continue_(b, node),
    ast.Match: lambda b, node: patterns.match(b, node),
}
