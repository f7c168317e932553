# SPDX-License-Identifier: BSD-3-Clause
"""Statements: assignment, branches, errors, clean-up.

block() checks a list of statements in order and gives their typed forms; what cannot be reached
after a return, raise or endless loop is reported once.

Tests     tests/toolchain/test_check_stmt.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import (
    builtins,
    calls,
    classes,
    conditions,
    expr,
    format,
    loops,
    operators,
    patterns,
    typeexpr,
)
from toolchain.frontend.check.body import (
    Body,
    CaughtError,
    address,
    pointee,
    points_to_constant,
    points_to_local,
    require_layout,
    root_of,
)
from toolchain.frontend.check.scope import is_poisoned
from toolchain.frontend.modules import Constant, Variable


def block(b: Body, nodes: list[ast.stmt]) -> list[tree.Stmt]:
    """The typed form of `nodes`."""
    saved, b.out = b.out, []
    warned = False
    for node in nodes:
        if b.dead and not warned:
            warned = True
            if not _only_shape(node) and b.frame.generator is None:
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


# ---- assignment ---------------------------------------------------------------------------------

def _assign(b: Body, node: ast.Assign) -> None:
    if len(node.targets) > 1:
        b.error("K0109", node, "one target at a time", help="write two assignments")
        for part in node.targets:
            loops._poison_targets(b, part)
        return
    target = node.targets[0]
    if isinstance(target, ast.Tuple | ast.List):
        _unpack(b, node, target)
        return
    if isinstance(target, ast.Name) and target.id not in b.frame.globals:
        _assign_name(b, node, target)
        return
    store(b, target, node.value, node)


def _assign_name(b: Body, node: ast.Assign, target: ast.Name) -> None:
    var = b.frame.names.get(target.id)
    if isinstance(var, CaughtError):
        b.error("K0201", target, f"`{target.id}` is the caught error here", help="use another name")
        return
    want = var.ty if isinstance(var, tree.Var) else None
    made = expr.value(b, node.value, want)
    if made.ty is t.POISON:
        if var is None:
            b.know(b.declare(target.id, t.POISON, target))
        return
    if isinstance(var, tree.Var):
        assign_var(b, var, made, target, node.value)
        return
    ty = _inferred(b, made, target, node.value)
    if ty is t.POISON:
        b.know(b.declare(target.id, t.POISON, target))
        return
    made = calls.refuse_copy(b, made, node.value)
    _hides(b, target)
    var = b.declare(target.id, ty, target)
    b.out.append(tree.Declare(b.loc(node), var, b.coerce(made, ty, node.value)))
    _learn(b, var, made)


def _hides(b: Body, target: ast.Name) -> None:
    """Warn if a new local has the name of a variable of the module: was `global` forgotten?"""
    meaning = b.scope.module.names.get(target.id)
    if isinstance(meaning, Variable) and b.frame.generator is None:
        b.cx.sink.warning("K0225", b.loc(target),
                          f"local `{target.id}` hides the module's variable",
                          help=f"say `global {target.id}` first to assign the variable, or use "
                          "another name", notes=(("the variable is declared", meaning.loc),))


def _inferred(b: Body, made: tree.Expr, target: ast.Name, node: ast.expr) -> t.Type:
    """The type of a variable first assigned `made`, without an annotation."""
    ty = made.ty
    if ty is t.LITERAL:
        b.error("K0310", target, f"`{target.id}` needs a type: this number has none",
                help=f"write `{target.id}: u32 = {b.scope.module.source.segment(b.loc(node))}`")
        return t.POISON
    if isinstance(ty, t.VoidType):
        b.error("K0308", node, "this has no value", "nothing to assign")
        return t.POISON
    return ty


def _learn(b: Body, var: tree.Var, made: tree.Expr) -> None:
    """Facts after `var = made`."""
    if isinstance(var.ty, t.PtrType | t.SliceType):
        if points_to_local(b, made) is not None:
            b.to_local.add(var)
        if points_to_constant(b, made):
            b.to_constant.add(var)
        else:
            b.to_constant.discard(var)
    b.written(tree.VarPlace(var.ty, var.loc, var))
    b.know(var)
    if isinstance(var.ty, t.PtrType) and var.ty.nullable and _never_null(made):
        b.know((var,))


def _never_null(made: tree.Expr) -> bool:
    while isinstance(made, tree.Convert) and made.kind == "ptr" and isinstance(
            made.ty, t.PtrType) and made.ty.nullable:
        made = made.operand
    return isinstance(made.ty, t.PtrType) and not made.ty.nullable


def assign_var(b: Body, var: tree.Var, made: tree.Expr, target: ast.AST, node: ast.AST) -> None:
    """`var = made` for a variable that has its type."""
    if var.ty is t.POISON:
        b.know(var)
        return
    done = b.coerce(made, var.ty, node, f"`{var.name}`")
    if done.ty is t.POISON:
        b.know(var)
        return
    done = _refuse_temporary(b, calls.refuse_copy(b, done, node), var.name, node)
    place = tree.VarPlace(var.ty, b.loc(target), var)
    b.out.append(tree.Assign(b.loc(target), place, done))
    _learn(b, var, done)


def _refuse_temporary(b: Body, made: tree.Expr, name: str, node: ast.AST) -> tree.Expr:
    """Report if pointer `name` would point at a value that no one holds."""
    if isinstance(made.ty, t.PtrType) and isinstance(pointee(made), tree.Temp):
        return b.error("K0343", node, f"`{name}` is a pointer, and this is a new value that "
                       "nothing else holds", help="make storage of it first: `new = ...`, then "
                       f"`{name} = ref(new)`")
    return made


def _annotated(b: Body, node: ast.AnnAssign) -> None:
    if not isinstance(node.target, ast.Name):
        b.error("K0110", node, "only a variable can be annotated",
                help="fields have their type from the struct")
        return
    name = node.target.id
    ty = typeexpr.resolve(b.cx, b.scope, node.annotation)
    previous = b.frame.names.get(name)
    if isinstance(previous, tree.Var) and previous.ty is not ty and t.POISON not in (
            previous.ty, ty):
        b.error("K0201", node, f"`{name}` is `{previous.ty.name}` already",
                help="use another name", notes=(("declared", previous.loc),))
        return
    if isinstance(ty, t.VoidType) and ty is not t.POISON:
        b.error("K0301", node.annotation, f"a variable cannot be `{ty.name}`")
        ty = t.POISON
    if ty is not t.POISON and not require_layout(b, ty, node):
        ty = t.POISON
    var = previous if isinstance(previous, tree.Var) else None
    made = _initial(b, node, ty)
    if var is None:
        _hides(b, node.target)
        var = b.declare(name, ty, node.target)
    if ty is t.POISON:
        b.know(var)
        return
    if node.value is None and not ty.is_aggregate:
        return                     # declared, not assigned: reading it first is an error
    if node.value is None and (wrong := t.without_zero(ty)) is not None:
        b.error("K0314", node, f"`{name}` would begin as zero, and `{wrong.name}` is never null",
                help="give it a value, or make the pointer `| None`")
    b.out.append(tree.Declare(b.loc(node), var, made))
    if made is not None:
        _learn(b, var, made)
    b.know(var)


def _initial(b: Body, node: ast.AnnAssign, ty: t.Type) -> tree.Expr | None:
    if node.value is None:
        return None
    if ty is t.POISON:
        expr.value(b, node.value)
        return None
    name = ast.unparse(node.target)
    made = _refuse_temporary(b, calls.fill(b, node.value, ty, f"`{name}`"), name, node.value)
    return made if made.ty is not t.POISON else tree.ZeroInit(ty, b.loc(node))


def _unpack(b: Body, node: ast.Assign, target: ast.Tuple | ast.List) -> None:
    starred = next((p for p in target.elts if isinstance(p, ast.Starred)), None)
    if starred is not None:
        b.error("K0101", starred, "`*` unpacking is not kpy", help="name the items")
        return
    nested = next((p for p in target.elts if isinstance(p, ast.Tuple | ast.List)), None)
    if nested is not None:
        b.error("K0341", nested, "targets cannot be nested", help="unpack one level at a time")
        return
    made = expr.value(b, node.value, _unpack_types(b, node.value, target))
    if made.ty is t.POISON:
        for part in target.elts:
            if isinstance(part, ast.Name) and part.id not in b.frame.names:
                b.know(b.declare(part.id, t.POISON, part))
        return
    if not isinstance(made.ty, t.TupleType):
        b.error("K0341", node.value, f"`{made.ty.name}` is not a tuple",
                help="a function gives several values with `-> tuple[A, B]`")
        loops._poison_targets(b, target)
        return
    if len(made.ty.items) != len(target.elts):
        b.error("K0341", target, f"{len(made.ty.items)} values for {len(target.elts)} names",
                help="name each of them; `_` takes one that is not needed")
        loops._poison_targets(b, target)
        return
    loc = b.loc(node)
    held = b.temp(made.ty, made, loc)
    for index, (part, ty) in enumerate(zip(target.elts, made.ty.items, strict=True)):
        load = tree.Load(made.ty, loc, tree.VarPlace(made.ty, loc, held))
        item = tree.TupleGet(ty, loc, load, index)
        if isinstance(part, ast.Name) and part.id == "_":
            continue
        bind(b, part, item)


def _unpack_types(b: Body, value: ast.expr, target: ast.Tuple | ast.List) -> t.Type | None:
    """The types that the targets have already, so that literals can take them."""
    if not isinstance(value, ast.Tuple) or len(value.elts) != len(target.elts):
        return None
    known = [b.frame.names.get(p.id) if isinstance(p, ast.Name) else None for p in target.elts]
    types = tuple(v.ty for v in known if isinstance(v, tree.Var) and v.ty is not t.POISON
                  and not v.ty.is_aggregate)
    return t.tuple_of(types) if len(types) == len(target.elts) else None


def bind(b: Body, target: ast.expr, made: tree.Expr) -> None:
    """Assign a computed value to a target: a new name, a variable, or storage."""
    if isinstance(target, ast.Name) and target.id not in b.frame.globals:
        var = b.frame.names.get(target.id)
        if isinstance(var, tree.Var):
            assign_var(b, var, made, target, target)
            return
        var = b.declare(target.id, made.ty, target)
        b.out.append(tree.Declare(b.loc(target), var, made))
        _learn(b, var, made)
        return
    place = expr.access(b, target)
    if place.ty is not t.POISON:
        put(b, place, b.coerce(made, place.ty, target), target)


def store(b: Body, target: ast.expr, value: ast.expr, node: ast.stmt) -> None:
    """`target = value` where target is storage: a field, an element, a register, a global."""
    if isinstance(target, ast.Starred):
        b.error("K0106", target, "`*` unpacking is not kpy", help="name the items")
        return
    place = expr.access(b, target)
    want = place.ty
    if want is t.POISON:
        expr.value(b, value)
        return
    if isinstance(want, t.AtomicType):
        b.error("K0323", node, "an atomic is stored by its methods",
                help=f"write `{ast.unparse(target)}.store({ast.unparse(value)})`")
        return
    made = calls.fill(b, value, want, f"`{b.scope.module.source.segment(b.loc(target))}`")
    if made.ty is t.POISON:
        return
    if isinstance(place, tree.FieldPlace) and isinstance(place.base.ty, t.BitsType) and isinstance(
            made, tree.Const) and made.value >= 1 << place.field.width:
        b.error("K0311", value, f"{made.value} does not fit `{place.field.name}`, which has "
                f"{place.field.width} bit{'s' * (place.field.width != 1)}")
        return
    put(b, place, made, node)


def put(b: Body, place: tree.Expr, made: tree.Expr, node: ast.AST) -> None:
    """Store a value of the right type."""
    loc = b.loc(node)
    if made.ty is t.POISON:
        return
    if isinstance(place, expr.RegisterBits) or (
            isinstance(place, tree.FieldPlace) and isinstance(place.base.ty, t.BitsType)):
        made = calls.fit_bits(b, made, place.field)
    if isinstance(place, expr.Register | expr.RegisterBits):
        _put_register(b, place, made, node)
        return
    if not isinstance(place, tree.Place):
        b.error("K0342", node, "this cannot be assigned to", help=_no_storage(b, node))
        return
    if _is_constant(b, place, node):
        return
    local = points_to_local(b, made)
    if local is not None and not isinstance(root_of(place), tree.VarPlace) and (
            not b.scope.module.unsafe):
        b.error("K0343", node, f"{local} ends when the function returns; its address cannot be "
                "kept", help="let the caller pass the storage in, use a global or an allocator; an "
                "unsafe module may keep it for as long as the function runs")
        return
    b.out.append(tree.Assign(loc, place, made))
    b.written(place)
    if isinstance(place, tree.FieldPlace) and isinstance(place.ty, t.FnType):
        calls.note_table(b, place.base.ty, place.field.name, made)   # type: ignore[arg-type]
    path = expr.path_of(place)
    if path is not None and isinstance(place.ty, t.PtrType) and place.ty.nullable and (
            _never_null(made)):
        b.know(path)


def _no_storage(b: Body, node: ast.AST) -> str:
    target = node.targets[0] if isinstance(node, ast.Assign) else node
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice):
        return f"write `{ast.unparse(target)}.copy_from(...)`, or `.fill(value)`"
    return "it is a value, not storage"


def _put_register(b: Body, place: Any, made: tree.Expr, node: ast.AST) -> None:
    loc = b.loc(node)
    register = place.register if isinstance(place, expr.RegisterBits) else place
    access = register.register.access
    if access == "RO":
        b.error("K0806", node, f"register `{register.register.name}` is read-only")
        return
    if register.register.count > 1 and register.index is None:
        b.error("K0806", node, f"`{register.register.name}` is an array of registers")
        return
    if isinstance(place, expr.RegisterBits):
        if access == "WO":
            b.error("K0806", node, f"`{register.register.name}` is write-only: one field cannot "
                    "be changed alone", help="assign the whole register")
            return
        old = expr.read(b, register, node)
        made = tree.BitsWith(register.ty, loc, old, {place.field.name: made})
    write = tree.MmioWrite(t.VOID, loc, register.base, register.register, register.index, made)
    b.out.append(tree.ExprStmt(loc, write))


def _augmented(b: Body, node: ast.AugAssign) -> None:
    target = node.target
    if isinstance(target, ast.Name) and target.id not in b.frame.globals and (
            target.id not in b.frame.names):
        meaning = b.cx.lookup(b.scope.module, target.id)
        hint = (f"say `global {target.id}` first, as in Python" if isinstance(meaning, Variable)
                else f"give it its first value before: `{target.id}: u32 = 0`")
        b.error("K0403", target, f"`{target.id}` is changed before it has a value", help=hint)
        b.know(b.declare(target.id, t.POISON, target))
        return
    place = expr.access(b, target)
    if place.ty is t.POISON:
        expr.value(b, node.value)
        return
    op = operators.OPS[type(node.op)]
    if isinstance(place.ty, t.AtomicType):
        b.error("K0323", node, "an atomic is changed by its methods",
                help=f"write `{ast.unparse(target)}.add(...)`")
        return
    if isinstance(place, expr.Register | expr.RegisterBits):
        old = expr.read(b, place, node)
        new = operators.combine(b, node, op, old, expr.value(b, node.value, place.ty), target,
                           node.value, place.ty)
        _put_register(b, place, b.coerce(new, place.ty, node), node)
        return
    if not isinstance(place, tree.Place):
        b.error("K0342", node, "this cannot be assigned to", help="it is a value, not storage")
        return
    _augment_place(b, node, place, op)


def _augment_place(b: Body, node: ast.AugAssign, place: tree.Place, op: str) -> None:
    loc = b.loc(node)
    if _is_constant(b, place, node):
        return
    right = expr.value(b, node.value, place.ty)
    load = tree.Load(place.ty, place.loc, place)
    new = operators.combine(b, node, op, load, right, node.target, node.value, place.ty)
    if new.ty is t.POISON:
        return
    if isinstance(new, tree.Binary) and new.left is load and new.ty is place.ty:
        b.out.append(tree.AugAssign(loc, place, op, new.right, new.wrap))
    elif new.ty is place.ty:      # PhysAddr += n, MPtr += n: computed, with the place held
        _augment_computed(b, node, place, op, right)
    else:
        b.coerce(new, place.ty, node, f"`{ast.unparse(node.target)}`")
        return
    b.written(place)


def _augment_computed(b: Body, node: ast.AugAssign, place: tree.Place, op: str,
                      right: tree.Expr) -> None:
    loc = b.loc(node)
    if isinstance(place, tree.VarPlace | tree.GlobalPlace):
        held: tree.Place = place
    else:
        pointer = b.temp(t.ptr(place.ty), tree.AddrOf(t.ptr(place.ty), loc, place), loc)
        load = tree.Load(pointer.ty, loc, tree.VarPlace(pointer.ty, loc, pointer))
        held = tree.Deref(place.ty, loc, load)
    old = tree.Load(place.ty, loc, held)
    new = operators.combine(b, node, op, old, right, node.target, node.value, place.ty)
    b.out.append(tree.Assign(loc, held, new))


def _delete(b: Body, node: ast.Delete) -> None:
    b.error("K0101", node, "`del` is not kpy", help="storage ends with its function or owner")


def _global(b: Body, node: ast.Global) -> None:
    for name in node.names:
        meaning = b.cx.lookup(b.scope.module, name)
        if isinstance(meaning, Constant) and not is_poisoned(meaning):
            b.error("K0342", node, f"`{name}` is a constant",
                    notes=(("declared", meaning.loc),),
                    help=f"for a variable write `{name}: u32 = ...` in the module")
        elif not isinstance(meaning, Variable) and not is_poisoned(meaning):
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
        name = builtins.vocabulary_name(b, inner.func)
        if name in ("kprintf", "klog", "panic"):
            format.printing(b, inner, name)
            return
    made = expr.value(b, inner)
    if made.ty is t.POISON:
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
        b.error("K0406", node, f"`{b.function.name}` is `-> Never`: it cannot return")
    elif node.value is None:
        if result is not t.VOID:
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
        if isinstance(made, tree.Place) and made.ty.is_aggregate and not isinstance(
                made, tree.VarPlace | tree.Temp):
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


def _is_constant(b: Body, place: tree.Expr, node: ast.AST) -> bool:
    """Whether a store to `place` would write a constant; reported then."""
    root = root_of(place)
    if isinstance(root, tree.GlobalPlace) and root.global_.constant:
        b.error("K0342", node, f"`{root.global_.name}` is a constant",
                notes=(("declared", root.global_.loc),),
                help="leave `Final` out if it should change")
        return True
    through = root.pointer if isinstance(root, tree.Deref) else root
    if isinstance(through.ty, t.PtrType | t.SliceType) and points_to_constant(b, through):
        b.error("K0342", node, "this is constant: it lies in read-only memory",
                help="copy it into storage of your own first")
        return True
    return False


# ---- errors and clean-up ------------------------------------------------------------------------

def _raise(b: Body, node: ast.Raise) -> None:
    loc = b.loc(node)
    if node.cause is not None:
        b.error("K0602", node, "`raise ... from` is not kpy", help="an error is one number")
        return
    code = _error_code(b, node)
    if code is None:
        b.flow = None
        return
    if b.handlers == 0 and not b.function.throws:
        b.error("K0602", node, f"`{b.function.name}` raises but is not @throws",
                help="mark it @throws; its callers then handle the error",
                notes=(("declared", b.function.loc),))
    if not isinstance(code, tree.Const) and node.exc is not None:
        held = b.temp(t.I32, code, loc, "code")
        code = tree.Load(t.I32, loc, tree.VarPlace(t.I32, loc, held))
        above = tree.Compare(t.BOOL, loc, "gt", code, tree.Const(t.I32, loc, 0))
        b.out.append(tree.Assert(loc, above, "an error's code is above 0", [("code", code)], []))
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
    if isinstance(made, ast.Call) and builtins.vocabulary_name(b, made.func) == "Errno":
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
    if first.type is not None and builtins.vocabulary_name(b, first.type) != "Errno":
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
        return block(b, node.body)
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
        b.error("K0344", node, f"`{left.function.name}` may raise; leaving must not fail")
    statements: list[tree.Stmt] = []
    if item.optional_vars is not None:
        saved, b.out = b.out, []
        bind(b, item.optional_vars, entered)
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
    cond, yes, _ = conditions.condition(b, node.test)
    if cond.ty is t.POISON:
        return
    message = format.pieces(b, node.msg) if node.msg is not None else []
    text = b.scope.module.source.segment(b.loc(node.test))
    b.out.append(tree.Assert(b.loc(node), cond, text, _shown(b, node.test, cond), message))
    b.assume(yes)
    if isinstance(cond, tree.Const) and cond.value == 0:
        b.flow = None


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
    ast.Assign: _assign, ast.AnnAssign: _annotated, ast.AugAssign: _augmented,
    ast.Expr: _expression, ast.If: _if, ast.Return: _return, ast.Raise: _raise, ast.Try: _try,
    ast.With: _with, ast.Assert: _assert, ast.Pass: _pass, ast.Global: _global,
    ast.Delete: _delete,
    ast.While: lambda b, node: loops.while_(b, node),      # these modules import this one
    ast.For: lambda b, node: loops.for_(b, node),
    ast.Break: lambda b, node: loops.break_(b, node),
    ast.Continue: lambda b, node: loops.continue_(b, node),
    ast.Match: lambda b, node: patterns.match(b, node),
}
