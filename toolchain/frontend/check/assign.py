# SPDX-License-Identifier: BSD-3-Clause
"""Assignment: a first value, a new one, one part of another; what may not be stored where.

    n: u32 = 0              Declare(n, 0)            a name's first assignment gives its type
    p.next = q              Assign(p.next, q)        and ends what was known of paths over `next`
    regs.CC.EN = 1          MmioWrite(CC, ...)       a register is read and written whole
    low, high = split(n)    a temporary tuple, then an assignment for each

bind() is for what else assigns: loops, patterns, `with ... as`.

Tests     tests/toolchain/test_check_flow.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import calls, expr, lifetimes, loops, operators, typeexpr
from toolchain.frontend.check.body import (
    Body,
    CaughtError,
    pointee,
    points_to_constant,
    points_to_local,
    require_layout,
    root_of,
    writes_constant,
)
from toolchain.frontend.modules import Variable


def assign(b: Body, node: ast.Assign) -> None:
    if len(node.targets) > 1:
        b.error("K0109", node, "one target at a time", help="write two assignments")
        _refused(b, node.value, *node.targets)
        return
    target = node.targets[0]
    if isinstance(target, ast.Tuple | ast.List):
        _unpack(b, node, target)
        return
    if isinstance(target, ast.Name) and target.id not in b.frame.globals:
        _assign_name(b, node, target)
        return
    store(b, target, node.value, node)


def _refused(b: Body, value: ast.expr, *targets: ast.expr) -> None:
    """The rest of an assignment that was reported."""
    expr.value(b, value, t.POISON)
    for target in targets:
        loops.poison_targets(b, target)


def _assign_name(b: Body, node: ast.Assign, target: ast.Name) -> None:
    var = b.frame.names.get(target.id)
    if isinstance(var, CaughtError):
        b.error("K0201", target, f"`{target.id}` is the caught error here", help="use another name")
        return
    want = var.ty if isinstance(var, tree.Var) else None
    made = expr.value(b, node.value, want)
    if made.ty is t.POISON:
        b.excuse(target.id, target)
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
        outer = isinstance(b.cx.lookup(b.scope.module, target.id), Variable)
        b.error("K0310", target, f"`{target.id}` needs a type: this number has none",
                help=f"for the module's variable say `global {target.id}` first" if outer else
                f"write `{target.id}: u32 = {b.scope.module.source.segment(b.loc(node))}`")
        return t.POISON
    if isinstance(ty, t.VoidType):
        b.error("K0308", node, "this has no value", "nothing to assign",
                help="call it alone on a line, or let it return something")
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
    lifetimes.learned(b, var, made)
    b.into_union.pop(var, None)
    b.written(tree.VarPlace(var.ty, made.loc, var))
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
                       f"`{name} = ref(new)`; what it points to is filled with `copy({name}, "
                       "...)`")
    return made


def annotated(b: Body, node: ast.AnnAssign) -> None:
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
        _initial(b, node, ty)
        b.know(b.declare(name, t.POISON, node.target))
        return
    if isinstance(ty, t.VoidType) and ty is not t.POISON:
        b.error("K0301", node.annotation, f"a variable cannot be `{ty.name}`",
                help="it has no values; a variable needs a type that does, such as `u32`")
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
        expr.value(b, node.value, ty)
        return None
    name = ast.unparse(node.target)
    made = _refuse_temporary(b, calls.fill(b, node.value, ty, f"`{name}`"), name, node.value)
    return made if made.ty is not t.POISON else tree.ZeroInit(ty, b.loc(node))


def _unpack(b: Body, node: ast.Assign, target: ast.Tuple | ast.List) -> None:
    starred = next((p for p in target.elts if isinstance(p, ast.Starred)), None)
    if starred is not None:
        b.error("K0101", starred, "`*` unpacking is not kpy", help="name the items")
        _refused(b, node.value, target)
        return
    nested = next((p for p in target.elts if isinstance(p, ast.Tuple | ast.List)), None)
    if nested is not None:
        b.error("K0341", nested, "targets cannot be nested", help="unpack one level at a time")
        _refused(b, node.value, target)
        return
    made = expr.value(b, node.value, _unpack_types(b, node.value, target))
    if made.ty is t.POISON:
        loops.poison_targets(b, target)
        return
    if not isinstance(made.ty, t.TupleType):
        b.error("K0341", node.value, f"`{made.ty.name}` is not a tuple",
                help="a function gives several values with `-> tuple[A, B]`")
        loops.poison_targets(b, target)
        return
    if len(made.ty.items) != len(target.elts):
        b.error("K0341", target, f"{len(made.ty.items)} values for {len(target.elts)} names",
                help="name each of them; `_` takes one that is not needed")
        loops.poison_targets(b, target)
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
        expr.value(b, value, want)
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
                f"{place.field.width} bit{'s' * (place.field.width != 1)}",
                help="use a smaller value, or declare the field wider: `Bits[high, low]`")
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
    if writes_constant(b, place, node):
        return
    local = next((x for v in lifetimes.values(made) if (x := points_to_local(b, v))), None)
    if local is not None and not isinstance(root_of(place), tree.VarPlace) and (
            not b.scope.module.unsafe):
        b.error("K0343", node, f"{local} ends when the function returns; its address cannot be "
                "kept", help="let the caller pass the storage in, use a global or an allocator; "
                "what is taken out again before the end is said so: `lend(x)`")
        return
    lifetimes.stored(b, place, made, loc)
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
        b.error("K0806", node, f"register `{register.register.name}` is read-only",
                help="read it; if the specification lets it be written, declare it `RW[...]`")
        return
    if register.register.count > 1 and register.index is None:
        b.error("K0806", node, f"`{register.register.name}` is an array of registers",
                help="say which: `regs.BELL[i] = value`")
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


def augmented(b: Body, node: ast.AugAssign) -> None:
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
        expr.value(b, node.value, t.POISON)
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
    if writes_constant(b, place, node):
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
        b.coerce(new, place.ty, node.value, f"`{ast.unparse(node.target)}`")
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
