# SPDX-License-Identifier: BSD-3-Clause
"""Expressions: names, attributes, operators, literals.

access() gives storage as a place, even a scalar's; value() gives what can be computed with:

    access(`td.prio`)   FieldPlace(Deref(Load td), prio)
    value(`td.prio`)    Load(FieldPlace(...))

`want` is the type the context asks for; it only decides what a literal becomes.

Tests     tests/toolchain/test_check_expr.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import calls, classes, const, functions, typeexpr
from toolchain.frontend.check.body import (
    Body,
    CaughtError,
    character,
    mark_address_taken,
    path_of,
    require_layout,
)
from toolchain.frontend.check.scope import is_poisoned, nearest
from toolchain.frontend.modules import (
    Alias,
    Class,
    Constant,
    FunctionDecl,
    ModuleDecl,
    Parameter,
    Variable,
    Vocabulary,
)


class Register(tree.Expr):
    """A device register, perhaps an element of a register array, not read yet."""

    __slots__ = ("base", "index", "register")

    def __init__(self, base: tree.Expr, register: t.Register, index: tree.Expr | None,
                 loc: tree.Loc) -> None:
        super().__init__(register.ty, loc)
        self.base, self.register, self.index = base, register, index


class RegisterBits(tree.Expr):
    """A bit field of a device register, not read yet."""

    __slots__ = ("field", "register")

    def __init__(self, register: Register, field: t.Field, loc: tree.Loc) -> None:
        super().__init__(field.ty, loc)
        self.register, self.field = register, field


def value(b: Body, node: ast.expr, want: t.Type | None = None) -> tree.Expr:
    """`node` as a value (aggregates: as the place or literal they are)."""
    return read(b, access(b, node, want), node)


def read(b: Body, expr: tree.Expr, node: ast.AST) -> tree.Expr:
    """What is in a place or register."""
    if isinstance(expr, Register):
        if expr.register.access == "WO":
            return b.error("K0806", node, f"register `{expr.register.name}` is write-only")
        if expr.register.count > 1 and expr.index is None:
            return b.error("K0806", node, f"`{expr.register.name}` is an array of registers",
                           help=f"say which: `{expr.register.name}[i]`")
        return tree.MmioRead(expr.ty, expr.loc, expr.base, expr.register, expr.index)
    if isinstance(expr, RegisterBits):
        return tree.BitsGet(expr.ty, expr.loc, read(b, expr.register, node), expr.field)
    return b.load(expr)


def converted(b: Body, node: ast.expr, want: t.Type, what: str = "") -> tree.Expr:
    """`node` as a `want`."""
    return b.coerce(value(b, node, want), want, node, what)


def access(b: Body, node: ast.expr, want: t.Type | None = None) -> tree.Expr:
    """`node` as a place where it is one, else as a value."""
    handler = _HANDLERS.get(type(node))
    if handler is None:
        return _refused(b, node)
    return handler(b, node, want)


# ---- literals -----------------------------------------------------------------------------------

def _constant(b: Body, node: ast.Constant, want: t.Type | None) -> tree.Expr:
    loc, item = b.loc(node), node.value
    if isinstance(item, bool):
        return tree.Const(t.BOOL, loc, int(item))
    if isinstance(item, int):
        return tree.Const(t.LITERAL, loc, item)
    if item is None:
        if isinstance(want, t.PtrType | t.MPtrType | t.UserPtrType):
            ty = t.ptr(want.elem, True) if isinstance(want, t.PtrType) else want
            return tree.Const(ty, loc, 0)
        if want is t.POISON:
            return b.poison(node)
        return b.error("K0312", node, "`None` needs a pointer type here",
                       help="only `Ptr[T] | None` has a null")
    if isinstance(item, str):
        try:
            return tree.ConstData(t.STR, loc, item.encode("utf-8"))
        except UnicodeEncodeError:
            return b.error("K0112", node, "this text has half of a surrogate pair: it is not "
                           "UTF-8", help="write the character itself, or bytes: b\"...\"")
    if isinstance(item, bytes):
        if isinstance(want, t.ArrayType) and want.elem is t.U8:
            return _array_bytes(b, node, item, want)
        return tree.ConstData(t.slice_of(t.U8), loc, item)
    if isinstance(item, float | complex):
        return b.error("K0107", node, "floating point is not kpy",
                       help="scale to an integer: the kernel keeps no FPU state of its own")
    return b.error("K0107", node, "`...` is not a value",
                   help="it is the body of an @upcall or @extern function")


def _array_bytes(b: Body, node: ast.Constant, item: bytes, want: t.ArrayType) -> tree.Expr:
    if len(item) > want.count:
        return b.error("K0311", node, f"{len(item)} bytes do not fit `{want.name}`")
    return tree.ConstData(want, b.loc(node), item.ljust(want.count, b"\0"))


def _list(b: Body, node: ast.List, want: t.Type | None) -> tree.Expr:
    if not isinstance(want, t.ArrayType):
        return b.error("K0318", node, "a list needs a type here",
                       help="for example `x: Array[u32, 3] = [1, 2, 3]`; lists do not grow: they "
                            "are arrays")
    if len(node.elts) != want.count:
        return b.error("K0318", node, f"{len(node.elts)} items for `{want.name}`",
                       help=f"give all {want.count}; `x: {want.name}` alone is zeroed")
    items = [converted(b, e, want.elem, "this item") for e in node.elts]
    return tree.ArrayLit(want, b.loc(node), items)


def _tuple(b: Body, node: ast.Tuple, want: t.Type | None) -> tree.Expr:
    if want is t.POISON:
        return b.poison(node)
    if isinstance(want, t.TupleType) and len(want.items) != len(node.elts):
        return b.error("K0341", node, f"{len(node.elts)} values for `{want.name}`",
                       help=f"give {len(want.items)}")
    wants: list[t.Type | None] = list(want.items) if isinstance(want, t.TupleType) and len(
        want.items) == len(node.elts) else [None] * len(node.elts)
    items = [value(b, e, w) for e, w in zip(node.elts, wants, strict=True)]
    if any(e.ty is t.POISON for e in items):
        return b.poison(node)
    fixed = []
    for item, part, wanted in zip(items, node.elts, wants, strict=True):
        if wanted is not None:
            item = b.coerce(item, wanted, part)
        elif item.ty is t.LITERAL:
            return b.error("K0310", part, "this number needs a type",
                           help=f"for example `u32({ast.unparse(part)})`")
        elif item.ty.is_aggregate or isinstance(item.ty, t.VoidType):
            return b.error("K0307", part, f"a tuple cannot hold `{item.ty.name}`",
                           help="tuples are values of registers; hold a Ptr")
        fixed.append(item)
    return tree.MakeTuple(t.tuple_of(tuple(i.ty for i in fixed)), b.loc(node), fixed)


def _joined(b: Body, node: ast.JoinedStr, want: t.Type | None) -> tree.Expr:
    return b.error("K0108", node, "an f-string can only be printed",
                   help="use it as the argument of kprintf, klog, panic or assert; no text is "
                        "built in memory")


# ---- names and attributes -----------------------------------------------------------------------

def _name(b: Body, node: ast.Name, want: t.Type | None) -> tree.Expr:
    found = b.frame.names.get(node.id)
    loc = b.loc(node)
    if isinstance(found, tree.Var):
        if b.flow is not None and found not in b.flow and found.kind != "param":
            return b.error("K0403", node, f"`{node.id}` may not have been assigned here",
                           help="assign it before the branch, or on every way to here",
                           notes=((f"declared as `{found.ty.name}`", found.loc),))
        return tree.VarPlace(found.ty, loc, found)
    if isinstance(found, CaughtError):
        return b.error("K0604", node, f"`{node.id}` is an error: use `{node.id}.code`")
    if node.id in b.frame.stored and node.id not in b.scope.env:
        outer = isinstance(b.cx.lookup(b.scope.module, node.id), Variable)
        hint = f"for the module's variable say `global {node.id}` first" if outer else "assign it"
        b.know(b.declare(node.id, t.POISON, node))          # said once
        return b.error("K0403", node, f"`{node.id}` is used before it is assigned",
                       help=f"a name assigned anywhere in a function is local to it; {hint}")
    bound = b.scope.env.get(node.id)
    if isinstance(bound, int) and not isinstance(bound, bool):
        return tree.Const(t.LITERAL, loc, bound)
    if bound is not None:
        return b.error("K0320", node, f"`{node.id}` is a type or field name, not a value")
    meaning = b.cx.lookup(b.scope.module, node.id)
    if meaning is None:
        unknown(b, node)
        return b.poison(node)
    return declared(b, node, meaning)


def unknown(b: Body, node: ast.Name) -> None:
    """Report a name that means nothing here."""
    owner, name = b.function.owner, node.id
    mine = isinstance(owner, t.StructType | t.BitsType) and (
        name in owner.fields or classes.method(b.cx, owner, name))
    hint = f"write `self.{name}`, as in Python" if mine else ""
    b.cx.unknown(b.scope, node, name, tuple(b.frame.names), hint)


def declared(b: Body, node: ast.expr, meaning: Any) -> tree.Expr:
    """The value or place of a module-level declaration."""
    loc = b.loc(node)
    if is_poisoned(meaning):
        return b.poison(node)
    if isinstance(meaning, Constant):
        return _module_constant(b, node, meaning)
    if isinstance(meaning, Variable):
        made = functions.variable(b.cx, meaning)
        if made is None:
            return b.poison(node)
        b.effects.globals[made.symbol] = made
        return tree.GlobalPlace(made.ty, loc, made)
    if isinstance(meaning, FunctionDecl):
        made = functions.declared(b.cx, meaning)
        return function_ref(b, node, made) if made is not None else b.poison(node)
    text = ast.unparse(node)
    if isinstance(meaning, Vocabulary):
        return b.error("K0320", node, f"`{text}` is not a value", help=_vocabulary_help(text))
    if isinstance(meaning, Class | Alias | Parameter):
        return b.error("K0320", node, f"`{text}` is a type, not a value",
                       help=f"make one: `{text}(...)`")
    return b.error("K0320", node, f"`{text}` is a module, not a value")


def _vocabulary_help(name: str) -> str:
    return f"call it: `{name}(...)`" if name.islower() else ""


def function_ref(b: Body, node: ast.expr, made: tree.Function) -> tree.Expr:
    """The address of a function."""
    ty = functions.type_of(made)
    b.effects.functions[made.symbol] = made
    b.effects.address_taken.append((ty.name, made.symbol))
    return tree.FnRef(ty, b.loc(node), made)


def _module_constant(b: Body, node: ast.expr, decl: Constant) -> tree.Expr:
    found = const.constant(b.cx, decl)
    if found is None:
        return b.poison(node)
    ty, data = found
    if isinstance(data, int) and not isinstance(data, bool):
        return tree.Const(ty, b.loc(node), data)
    if isinstance(data, bool):
        return tree.Const(ty, b.loc(node), int(data))
    made = functions.constant_global(b.cx, decl, ty, data)
    b.effects.globals[made.symbol] = made
    return tree.GlobalPlace(ty, b.loc(node), made)


def _attribute(b: Body, node: ast.Attribute, want: t.Type | None) -> tree.Expr:
    root = node.value
    if isinstance(root, ast.Name) and isinstance(b.frame.names.get(root.id), CaughtError):
        caught = b.frame.names[root.id]
        if node.attr == "code":
            return tree.VarPlace(t.I32, b.loc(node), caught.var)
        return b.error("K0604", node, f"an error has only `.code`, not `.{node.attr}`")
    if not is_local(b, root):
        meaning = b.cx.resolve(b.scope, node)
        if meaning is not None:
            return declared(b, node, meaning)
        base_meaning = b.cx.resolve(b.scope, root)
        if isinstance(base_meaning, ModuleDecl):
            names = tuple(base_meaning.names)
            return b.error("K0203", node, f"module `{base_meaning.name}` has no name "
                           f"`{node.attr}`", help=nearest(node.attr, names))
        if typeexpr.names_type(b.cx, b.scope, root):
            return _type_attribute(b, node)
    return member(b, node, access(b, root))


def is_local(b: Body, node: ast.expr) -> bool:
    """Whether the leftmost name of `node` is a local variable."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and (
        node.id in b.frame.names or node.id in b.frame.stored)


def _type_attribute(b: Body, node: ast.Attribute) -> tree.Expr:
    ty = typeexpr.resolve(b.cx, b.scope, node.value)
    if isinstance(ty, t.EnumType):
        if node.attr in ty.members:
            return tree.Const(ty, b.loc(node), ty.members[node.attr])
        return b.error("K0203", node, f"`{ty.name}` has no member `{node.attr}`",
                       help=nearest(node.attr, tuple(ty.members)))
    if isinstance(ty, t.IntType) and node.attr in ("MAX", "MIN"):
        return tree.Const(ty, b.loc(node), ty.maximum if node.attr == "MAX" else ty.minimum)
    if ty is t.POISON:
        return b.poison(node)
    return b.error("K0320", node, f"`{ty.name}` is a type: it has no value `{node.attr}`",
                   help="methods are called on an object")


def member(b: Body, node: ast.Attribute, base: tree.Expr) -> tree.Expr:
    """`base.attr`."""
    name, loc = node.attr, b.loc(node)
    if base.ty is t.POISON:
        return b.poison(node)
    if isinstance(base, Register) and isinstance(base.ty, t.BitsType):
        field = base.ty.fields.get(name)
        if field is not None:
            return RegisterBits(base, field, loc)
    if isinstance(base.ty, t.MmioType):
        found = base.ty.regs.registers.get(name)
        if found is not None:
            return Register(b.load(base), found, None, loc)
        return b.error("K0203", node, f"`{base.ty.regs.name}` has no register `{name}`",
                       help=nearest(name, tuple(base.ty.regs.registers)))
    place = storage(b, base, node)
    if place is None:
        return b.poison(node)
    ty = place.ty
    if name == "value" and isinstance(place, tree.Deref) and (
            not ty.is_aggregate and not isinstance(ty, t.BitsType)):
        return place                       # what a Ptr to a scalar points to
    if isinstance(ty, t.StructType | t.BitsType):
        if not require_layout(b, ty, node):
            return b.poison(node)
        field = ty.fields.get(name)
        if field is not None:
            if isinstance(ty, t.BitsType) and not isinstance(place, tree.Place):
                return tree.BitsGet(field.ty, loc, read(b, place, node), field)
            if field.ty is t.POISON:
                return b.poison(node)
            return tree.FieldPlace(field.ty, loc, place, field)       # type: ignore[arg-type]
        found = classes.method(b.cx, ty, name)
        if found is not None:
            if any(n == "property" for n, _, _ in classes.decorators(
                    b.cx, classes.scope_of(b.cx, ty), found.node)):
                return calls.method(b, node, place, found, [], [])
            return b.error("K0321", node, f"method `{name}` is not called",
                           help=f"write `{ast.unparse(node)}(...)`")
        return b.error("K0203", node, f"`{ty.name}` has no field `{name}`",
                       help=nearest(name, (*ty.fields, *ty.methods)) or members_of(ty),
                       notes=_declared_here(b, ty))
    if isinstance(ty, t.SliceType) and name == "data":
        if not b.scope.module.unsafe:
            return b.error("K0801", node, "`.data` is a raw pointer: for unsafe modules",
                           help="pass the slice itself: it has the length with it")
        return tree.SliceData(t.mptr(ty.elem), loc, b.load(place))
    if isinstance(ty, t.UnionType):
        return b.error("K0322", node, f"`{ty.name}` may hold any of its structs",
                       help="look which with `match`")
    if isinstance(ty, t.AtomicType):
        return b.error("K0323", node, f"an atomic has no field `{name}`",
                       help="its methods are load store swap add sub and_ or_ xor cas")
    return b.error("K0203", node, f"`{ty.name}` has no attribute `{name}`",
                   help=_no_attribute(b, ty, name, node))


def members_of(ty: t.StructType | t.BitsType) -> str:
    """The names of a struct's fields, for a reader who looks for one."""
    names = list(ty.fields)
    if not names:
        return "it has no fields; each is declared in the class: `name: type`"
    return f"its fields are {', '.join(names[:12])}{', ...' * (len(names) > 12)}"


def _declared_here(b: Body, ty: t.NominalType) -> tuple[tuple[str, Any], ...]:
    found = b.cx.instances.get(ty)
    return ((f"`{ty.name}` is declared here", found[0].loc),) if found else ()


def _no_attribute(b: Body, ty: t.Type, name: str, node: ast.Attribute) -> str:
    text = b.scope.module.source.segment(b.loc(node.value))
    if isinstance(ty, t.EnumType) and name in ("name", "value"):
        return (f"write `bits_of({text})`" if name == "value"
                else "a member is a number; `match` on it and print text for each case")
    if name in ("append", "extend", "insert", "pop", "remove", "add", "clear"):
        return "an array does not grow: keep a count beside it, `items[count] = x`"
    if name in ("sort", "index", "count", "reverse"):
        return "write the loop, or see kernel/lib"
    if name in ("startswith", "endswith"):
        return f"compare a slice: `len({text}) >= n and {text}[:n] == ...`"
    if name == "copy":
        return "write `to.copy_from(from)`"
    if ty is t.STR:
        return "text is compared, indexed, sliced and printed; none is built in memory"
    if isinstance(ty, t.IntType | t.BoolType):
        return "a number has no attributes; what can be done with it are functions of kpy"
    if isinstance(ty, t.SliceType | t.ArrayType):
        return "its length is len(x); it has copy_from(other) and fill(value)"
    return "a `Ptr` to a number is read as `p.value`" if isinstance(ty, t.IntType) else ""


def storage(b: Body, base: tree.Expr, node: ast.AST) -> tree.Expr | None:
    """What attributes of `base` are looked up in: pointers are followed, once.

    A place, or a BitsType value; None after a report.
    """
    ty = base.ty
    if isinstance(ty, t.PtrType):
        pointer = b.load(base)
        if isinstance(pointer.ty, t.PtrType) and pointer.ty.nullable:
            at = node.value if isinstance(node, ast.Attribute | ast.Subscript) else node
            b.error("K0401", at, f"this `{pointer.ty.name}` may be null", "may be null here",
                    help=_null_help(b, base), notes=_null_notes(b, base))
            return None
        return tree.Deref(pointer.ty.elem, pointer.loc, pointer)   # type: ignore[attr-defined]
    if isinstance(ty, t.MPtrType):
        return tree.Deref(ty.elem, base.loc, b.load(base))
    if isinstance(ty, t.UserPtrType):
        b.error("K0802", node, "a user's pointer cannot be followed",
                help="copy what it points to with copyin()")
        return None
    if ty.is_aggregate and not isinstance(base, tree.Place):
        return tree.Temp(ty, base.loc, base)
    return base


def _null_help(b: Body, base: tree.Expr) -> str:
    path = path_of(base)
    text = b.scope.module.source.segment(base.loc)
    if path is not None and len(path) > 1:
        return (f"test `{text} is not None` just before, or keep it: `found = {text}` and test "
                "`found`; a call or a store in between may change it")
    if path is not None:
        return f"test it first: `if {text} is not None:`"
    return "keep it in a local and test that"


def _null_notes(b: Body, base: tree.Expr) -> tuple[tuple[str, Any], ...]:
    if isinstance(base, tree.VarPlace):
        return ((f"`{base.var.name}` is declared", base.var.loc),)
    return ()


# ---- subscripts ---------------------------------------------------------------------------------

def _subscript(b: Body, node: ast.Subscript, want: t.Type | None) -> tree.Expr:
    base = access(b, node.value)
    loc = b.loc(node)
    if base.ty is t.POISON:
        return base
    if isinstance(base, Register):
        index = converted(b, node.slice, t.U64, "an index")
        return Register(base.base, base.register, index, loc)
    if isinstance(base.ty, t.PtrType):
        place = storage(b, base, node)
        if place is None:
            return b.poison(node)
        base = place
    if isinstance(base.ty, t.ArrayType) and not isinstance(base, tree.Place):
        base = tree.Temp(base.ty, base.loc, base)
    if isinstance(node.slice, ast.Slice):
        return _slicing(b, node, base)
    ty = base.ty
    if isinstance(ty, t.TupleType):
        return _tuple_item(b, node, base)
    if isinstance(ty, t.MPtrType):
        index = step_of(b, _index(b, node.slice, t.I64), node.slice)
        return tree.IndexPlace(ty.elem, loc, b.load(base), index, True)
    if not isinstance(ty, t.ArrayType | t.SliceType):
        return b.error("K0324", node, f"`{ty.name}` cannot be indexed",
                       help="arrays, slices, Str and tuples have elements")
    whole = base if isinstance(ty, t.ArrayType) else b.load(base)
    index = _index(b, node.slice, t.U64)
    if isinstance(index, tree.Const) and index.ty is t.LITERAL:
        return _constant_index(b, node, whole, index)
    if isinstance(index.ty, t.IntType) and index.ty.signed:
        index = tree.Convert(t.U64, index.loc, "checked", index)
    else:
        index = b.coerce(index, t.U64, node.slice, "an index")
    return tree.IndexPlace(ty.elem, loc, whole, index)


def _index(b: Body, node: ast.expr, want: t.Type) -> tree.Expr:
    return value(b, node, want)


def _constant_index(b: Body, node: ast.Subscript, whole: tree.Expr, index: tree.Const,
                    ) -> tree.Expr:
    ty, at = whole.ty, index.value
    loc = b.loc(node)
    if isinstance(ty, t.ArrayType):
        if not -ty.count <= at < ty.count:
            return b.error("K0325", node.slice, f"index {at} is outside `{ty.name}`",
                           f"valid: 0 to {ty.count - 1}")
        at %= ty.count
    elif at < 0:                     # counted from the end, as Python does
        length = tree.Len(t.U64, loc, whole)
        back = tree.Const(t.U64, loc, -at)
        return tree.IndexPlace(ty.elem, loc, whole, tree.Binary(t.U64, loc, "sub", length, back,
                                                                True))
    return tree.IndexPlace(ty.elem, loc, whole, tree.Const(t.U64, index.loc, at))


def _tuple_item(b: Body, node: ast.Subscript, base: tree.Expr) -> tree.Expr:
    at = const.integer(b.cx, b.scope, node.slice)
    items = base.ty.items                                           # type: ignore[attr-defined]
    if at is None:
        return b.poison(node)
    if not -len(items) <= at < len(items):
        return b.error("K0325", node.slice, f"index {at} is outside `{base.ty.name}`",
                       f"valid: 0 to {len(items) - 1}")
    at %= len(items)
    return tree.TupleGet(items[at], b.loc(node), b.load(base), at)


def _slicing(b: Body, node: ast.Subscript, base: tree.Expr) -> tree.Expr:
    part, ty, loc = node.slice, base.ty, b.loc(node)
    assert isinstance(part, ast.Slice)
    if part.step is not None:
        return b.error("K0324", part, "a slice has no step", help="loop with range(a, b, step)")
    if not isinstance(ty, t.ArrayType | t.SliceType):
        return b.error("K0324", node, f"`{ty.name}` cannot be sliced",
                       help="arrays, slices and Str have parts")
    whole = base if isinstance(ty, t.ArrayType) else b.load(base)
    low = _bound(b, part.lower, whole)
    high = _bound(b, part.upper, whole)
    if isinstance(ty, t.ArrayType):
        mark_address_taken(b, whole)
    made = ty if isinstance(ty, t.SliceType) else t.slice_of(ty.elem)
    return tree.SliceOf(made, loc, whole, low, high)


def _bound(b: Body, node: ast.expr | None, whole: tree.Expr) -> tree.Expr | None:
    if node is None:
        return None
    bound = value(b, node, t.U64)
    if isinstance(bound, tree.Const) and bound.ty is t.LITERAL and bound.value < 0:
        length = (tree.Const(t.U64, bound.loc, whole.ty.count)
                  if isinstance(whole.ty, t.ArrayType) else tree.Len(t.U64, bound.loc, whole))
        return tree.Binary(t.U64, bound.loc, "sub", length,
                           tree.Const(t.U64, bound.loc, -bound.value), True)
    if isinstance(bound.ty, t.IntType) and bound.ty.signed:
        return tree.Convert(t.U64, bound.loc, "checked", bound)
    return b.coerce(bound, t.U64, node, "a bound")


# ---- operators ----------------------------------------------------------------------------------

_OPS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.FloorDiv: "floordiv", ast.Mod: "mod",
        ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor", ast.LShift: "shl",
        ast.RShift: "shr", ast.Pow: "pow", ast.Div: "div", ast.MatMult: "matmul"}
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//", "mod": "%", "and": "&", "or": "|",
          "xor": "^", "shl": "<<", "shr": ">>", "pow": "**", "div": "/", "matmul": "@"}
_COMPARES = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt",
             ast.GtE: "ge"}


def _binary(b: Body, node: ast.BinOp, want: t.Type | None) -> tree.Expr:
    spine = [node]          # `a + b + c + ...` is deep on the left: walk it with a loop
    while isinstance(spine[-1].left, ast.BinOp):
        spine.append(spine[-1].left)
    made = value(b, spine[-1].left, want)
    for part in reversed(spine):
        right = value(b, part.right, made.ty if isinstance(made.ty, t.IntType) else want)
        made = combine(b, part, _OPS[type(part.op)], made, right, part.left, part.right, want)
    return made


def combine(b: Body, node: ast.AST, op: str, left: tree.Expr, right: tree.Expr,
            left_node: ast.AST, right_node: ast.AST, want: t.Type | None = None) -> tree.Expr:
    """`left op right`, operands brought to one type."""
    if left.ty is t.POISON or right.ty is t.POISON:
        return b.poison(node)
    if op in ("div", "matmul") or (op == "pow" and not _both_literal(left, right)):
        return _no_operator(b, node, op)
    if _both_literal(left, right):
        return _fold(b, node, op, left, right)
    if op in ("shl", "shr"):
        return _shift(b, node, op, left, right, left_node, right_node, want)
    special = _address_arithmetic(b, node, op, left, right, right_node)
    if special is not None:
        return special
    ty = common(b, left, right)
    if ty is None or not _operates(op, ty):
        return _cannot(b, node, op, left, right)
    left, right = b.coerce(left, ty, left_node), b.coerce(right, ty, right_node)
    if t.POISON in (left.ty, right.ty):
        return b.poison(node)
    if op in ("floordiv", "mod") and isinstance(right, tree.Const) and right.value == 0:
        return b.error("K0326", right_node, "division by zero")
    if ty is t.BOOL:
        return tree.Compare(t.BOOL, b.loc(node), "ne", left, right) if op == "xor" else (
            tree.Binary(t.BOOL, b.loc(node), op, left, right))
    return tree.Binary(ty, b.loc(node), op, left, right, bool(b.wrap))


def _both_literal(left: tree.Expr, right: tree.Expr) -> bool:
    return (left.ty is t.LITERAL and right.ty is t.LITERAL and isinstance(left, tree.Const)
            and isinstance(right, tree.Const))


def _no_operator(b: Body, node: ast.AST, op: str) -> tree.Expr:
    hint = {"div": "`//` divides integers, rounding down",
            "pow": "multiply, or shift: `1 << n`"}.get(op, "")
    return b.error("K0327", node, f"`{_SIGNS[op]}` does not exist for run-time integers",
                   help=hint)


def _fold(b: Body, node: ast.AST, op: str, left: Any, right: Any) -> tree.Expr:
    x, y = left.value, right.value
    if op in ("floordiv", "mod") and y == 0:
        return b.error("K0326", node, "division by zero")
    if op in ("shl", "shr", "pow") and not 0 <= y <= 4096:
        return b.error("K0326", node, f"{y} is not a usable count")
    result = {"add": lambda: x + y, "sub": lambda: x - y, "mul": lambda: x * y,
              "floordiv": lambda: x // y, "mod": lambda: x % y, "and": lambda: x & y,
              "or": lambda: x | y, "xor": lambda: x ^ y, "shl": lambda: x << y,
              "shr": lambda: x >> y, "pow": lambda: x ** y}[op]()
    if abs(result) >= const.BIGGEST:
        return b.error("K0503", node, "this number is too large to be meant")
    return tree.Const(t.LITERAL, b.loc(node), result)


def _shift(b: Body, node: ast.AST, op: str, left: tree.Expr, right: tree.Expr,
           left_node: ast.AST, right_node: ast.AST, want: t.Type | None) -> tree.Expr:
    if left.ty is t.LITERAL:
        if not isinstance(want, t.IntType):
            return b.error("K0310", left_node, "this number needs a type",
                           help=f"for example `u64({ast.unparse(left_node)})`")  # type: ignore
        left = b.coerce(left, want, left_node)
    if not isinstance(left.ty, t.IntType):
        return _cannot(b, node, op, left, right)
    if right.ty is t.LITERAL:
        if not 0 <= right.value <= left.ty.bits:                     # type: ignore[attr-defined]
            return b.error("K0326", right_node, f"{right.value} is not a shift count of "
                           f"`{left.ty.name}`", f"valid: 0 to {left.ty.bits}",
                           help="convert to a wider type first")     # type: ignore[attr-defined]
        right = tree.Const(left.ty if not left.ty.signed else t.U8, right.loc,
                           right.value)                              # type: ignore[attr-defined]
    elif not isinstance(right.ty, t.IntType):
        return _cannot(b, node, op, left, right)
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


def _cannot(b: Body, node: ast.AST, op: str, left: tree.Expr, right: tree.Expr) -> tree.Expr:
    x, y = left.ty, right.ty
    verb = {"add": "add", "sub": "subtract", "mul": "multiply", "floordiv": "divide",
            "mod": "divide"}.get(op, f"apply `{_SIGNS.get(op, op)}` to")
    hint = ""
    if isinstance(x, t.IntType) and isinstance(y, t.IntType):
        wide = t.int_type(min(64, max(x.bits, y.bits) * 2), True)
        hint = f"convert one: `{wide.name}(...)` holds both" if max(x.bits, y.bits) < 64 else (
            f"convert one: `{x.name}(...)` or `{y.name}(...)`; it traps if it does not fit")
    elif isinstance(x, t.EndianType) or isinstance(y, t.EndianType):
        base = (x if isinstance(x, t.EndianType) else y).base          # type: ignore[union-attr]
        hint = f"bring it into the CPU's byte order first: `{base.name}(...)`"
    elif t.STR in (x, y):
        hint = "text is not built in memory; print the parts with kprintf(f\"...\")"
    elif isinstance(x, t.EnumType) or isinstance(y, t.EnumType):
        hint = "`bits_of(x)` is the number behind an enum"
    elif t.BOOL in (x, y):
        hint = "a bool is no number: `u32(flag)` is 0 or 1"
    elif isinstance(x, t.PtrType):
        hint = "pointers have no arithmetic; index a Slice, or an MPtr in an unsafe module"
    return b.error("K0316", node, f"cannot {verb} `{x.name}` and `{y.name}`",
                   f"left is `{x.name}`, right is `{y.name}`", help=hint)


def _unary(b: Body, node: ast.UnaryOp, want: t.Type | None) -> tree.Expr:
    if isinstance(node.op, ast.Not):
        inner = b.boolean(value(b, node.operand), node.operand)
        return inner if inner.ty is t.POISON else tree.Unary(t.BOOL, b.loc(node), "not", inner)
    operand = value(b, node.operand, want)
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
                       f"`{ty.name}`")
    if op == "neg" and not ty.signed and not b.wrap:
        return b.error("K0328", node, f"`-x` of a `{ty.name}` fits only for 0",
                       help=f"write `wrapping(-x)` if wrap is meant, or convert to "
                            f"`i{ty.bits}` first")
    return tree.Unary(ty, b.loc(node), op, operand, bool(b.wrap) or op == "inv")


def _compare(b: Body, node: ast.Compare, want: t.Type | None) -> tree.Expr:
    expr, _, _ = condition(b, node)
    return expr


def _logic(b: Body, node: ast.BoolOp, want: t.Type | None) -> tree.Expr:
    expr, _, _ = condition(b, node)
    return expr


def condition(b: Body, node: ast.expr) -> tuple[tree.Expr, set[Any], set[Any]]:
    """A truth value, the facts it proves when true, and those when false."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        expr, yes, no = condition(b, node.operand)
        if expr.ty is not t.POISON:
            expr = tree.Unary(t.BOOL, b.loc(node), "not", expr)
        return expr, no, yes
    if isinstance(node, ast.BoolOp):
        return _chain(b, node)
    if isinstance(node, ast.Compare):
        return _comparison(b, node)
    before = b.fork()
    expr = b.boolean(value(b, node, t.BOOL), node)
    new = {f for f in (b.flow or ()) if before is not None and f not in before}
    return expr, new, new


def _chain(b: Body, node: ast.BoolOp) -> tuple[tree.Expr, set[Any], set[Any]]:
    conj = isinstance(node.op, ast.And)
    expr, yes, no = condition(b, node.values[0])
    start = b.fork()
    ways = [(set(yes), set(no))]
    for part in node.values[1:]:
        b.assume(ways[-1][0] if conj else ways[-1][1])
        if expr.ty is t.POISON and not isinstance(part, ast.Compare):
            continue                    # `a or 5`: what was meant is no condition at all
        right, y, n = condition(b, part)
        if right.ty is t.POISON or expr.ty is t.POISON:
            expr = b.poison(node)
        else:
            expr = tree.Logic(t.BOOL, b.loc(node), "and" if conj else "or", expr, right)
        ways.append((y, n))
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
    return (expr, {f for f in true if f in alive or f in ways[-1][0]},
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
    left = value(b, node.left)
    if isinstance(right_node, ast.Constant) and right_node.value is None:
        return b.error("K0329", node, "compare with None by `is`",
                       help=f"write `{ast.unparse(node.left)} is None`"), set(), set()
    if left.ty is not t.LITERAL and left.ty.is_scalar:
        right_want = left.ty
    right = value(b, right_node, right_want)
    return compare(b, node, _COMPARES[type(op)], left, right, node.left, right_node), set(), set()


def _chained(b: Body, node: ast.Compare) -> tree.Expr:
    """`a < b <= c`: each operand evaluated once."""
    loc = b.loc(node)
    if any(type(op) not in _COMPARES for op in node.ops):
        return b.error("K0330", node, "only `<` `<=` `==` `!=` `>` `>=` can be chained",
                       help="write the comparisons with `and` between them")
    saved, b.out = b.out, []
    left_node: ast.expr = node.left
    left = value(b, left_node)
    made: tree.Expr | None = None
    for position, (op, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
        right = value(b, right_node, left.ty if left.ty is not t.LITERAL else None)
        last = position == len(node.ops) - 1
        if not last and right.ty.is_scalar and not isinstance(right, tree.Const) and (
                right.ty is not t.POISON):
            held = b.temp(right.ty, right, right.loc)
            right = tree.Load(right.ty, right.loc, tree.VarPlace(right.ty, right.loc, held))
        part = compare(b, node, _COMPARES[type(op)], left, right, left_node, right_node)
        inner, b.out = b.out, []
        if inner and part.ty is not t.POISON:
            part = tree.Seq(t.BOOL, loc, inner, part)
        made = part if made is None else tree.Logic(t.BOOL, loc, "and", made, part)
        if part.ty is t.POISON:
            b.out = saved
            return part
        left, left_node = right, right_node
    b.out = saved
    assert made is not None
    return made


def compare(b: Body, node: ast.AST, op: str, left: tree.Expr, right: tree.Expr,
            left_node: ast.AST, right_node: ast.AST) -> tree.Expr:
    """`left op right` as a bool."""
    loc = b.loc(node)
    if left.ty is t.POISON or right.ty is t.POISON:
        return b.poison(node)
    if _both_literal(left, right):
        x, y = left.value, right.value                               # type: ignore[attr-defined]
        result = {"eq": x == y, "ne": x != y, "lt": x < y, "le": x <= y, "gt": x > y,
                  "ge": x >= y}[op]
        return tree.Const(t.BOOL, loc, int(result))
    if _bytes_like(left.ty) and _bytes_like(right.ty) and op in ("eq", "ne"):
        return _slices_equal(b, node, op, left, right, left_node, right_node)
    ty = common(b, left, right)
    if ty is not None and ty.is_scalar:
        ordered = isinstance(ty, t.IntType | t.NewtypeType | t.MPtrType) or (
            isinstance(ty, t.EnumType) and not ty.is_flags)
        equal = not isinstance(ty, t.SliceType | t.TupleType | t.VoidType | t.MmioType)
        if ordered or (equal and op in ("eq", "ne")):
            left, right = b.coerce(left, ty, left_node), b.coerce(right, ty, right_node)
            if t.POISON in (left.ty, right.ty):
                return b.poison(node)
            return tree.Compare(t.BOOL, loc, op, left, right)
    hint = ""
    if isinstance(left.ty, t.StructType):
        hint = "compare its fields, or `a is b` for the same storage"
    elif isinstance(left.ty, t.IntType) and isinstance(right.ty, t.IntType):
        wide = t.int_type(min(64, max(left.ty.bits, right.ty.bits) * 2), True)
        hint = f"convert both to `{wide.name}`"
    elif isinstance(left.ty, t.EnumType) or isinstance(right.ty, t.EnumType):
        hint = "compare with a member, or compare bits_of(x)"
    elif isinstance(left.ty, t.EndianType) or isinstance(right.ty, t.EndianType):
        hint = "bring it into the CPU's byte order first"
    elif t.STR in (left.ty, right.ty) and (isinstance(left.ty, t.IntType)
                                           or isinstance(right.ty, t.IntType)):
        text = right_node if right.ty is t.STR else left_node
        hint = character(text) or "text is compared with text"
    elif t.BOOL in (left.ty, right.ty):
        hint = "a bool is no number: test it itself, `if flag:`"
    return b.error("K0316", node, f"cannot compare `{left.ty.name}` and `{right.ty.name}`",
                   f"left is `{left.ty.name}`, right is `{right.ty.name}`", help=hint)


def _bytes_like(ty: t.Type) -> bool:
    return isinstance(ty, t.SliceType | t.ArrayType) and isinstance(ty.elem, t.IntType)


def _slices_equal(b: Body, node: ast.AST, op: str, left: tree.Expr, right: tree.Expr,
                  left_node: ast.AST, right_node: ast.AST) -> tree.Expr:
    if left.ty.elem is not right.ty.elem:                            # type: ignore[attr-defined]
        return b.error("K0316", node, f"cannot compare `{left.ty.name}` and `{right.ty.name}`")
    want = t.slice_of(left.ty.elem)                                  # type: ignore[attr-defined]
    left, right = b.coerce(left, want, left_node), b.coerce(right, want, right_node)
    return tree.SliceEqual(t.BOOL, b.loc(node), left, right, op == "ne")


def _identity(b: Body, node: ast.Compare, op: ast.cmpop, right_node: ast.expr,
              ) -> tuple[tree.Expr, set[Any], set[Any]]:
    negate, loc = isinstance(op, ast.IsNot), b.loc(node)
    before = b.fork()
    left = access(b, node.left)
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
    pointer = value(b, node.left)
    if pointer.ty.is_aggregate:
        pointer = b.coerce(pointer, t.ptr(pointer.ty), node.left)
    right = value(b, right_node, pointer.ty)
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
    left = value(b, node.left)
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
        right = value(b, right_node, left.ty)
        if right.ty is t.POISON:
            return right
        if isinstance(left.ty, t.EnumType) and left.ty.is_flags and right.ty is left.ty:
            both = tree.Binary(left.ty, loc, "and", left, right)
            made = tree.Compare(t.BOOL, loc, "ne", both, tree.Const(left.ty, loc, 0))
        else:
            owner = storage(b, right, right_node)
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
        return b.error("K0332", node, "nothing to look for")
    saved, b.out = b.out, []
    held = b.temp(left.ty, left, left.loc)
    made: tree.Expr | None = None
    for item in right.elts:
        load = tree.Load(left.ty, left.loc, tree.VarPlace(left.ty, left.loc, held))
        part = compare(b, node, "eq", load, value(b, item, left.ty), node.left, item)
        if part.ty is t.POISON:
            b.out = saved
            return part
        made = part if made is None else tree.Logic(t.BOOL, loc, "or", made, part)
    body, b.out = b.out, saved
    assert made is not None
    return tree.Seq(t.BOOL, loc, body, made)


def _if_expression(b: Body, node: ast.IfExp, want: t.Type | None) -> tree.Expr:
    cond, yes, no = condition(b, node.test)
    start = b.fork()
    b.assume(yes)
    then = value(b, node.body, want)
    after_then = b.fork()
    b.flow = None if start is None else set(start)
    b.assume(no)
    other = value(b, node.orelse, want)
    b.flow = b.merge(after_then, b.flow)
    if t.POISON in (cond.ty, then.ty, other.ty):
        return b.poison(node)
    ty = common(b, then, other)
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


def _walrus(b: Body, node: ast.NamedExpr, want: t.Type | None) -> tree.Expr:
    name = node.target.id
    made = value(b, node.value, want)
    if made.ty is t.POISON:
        return made
    var = b.frame.names.get(name)
    if made.ty is t.LITERAL and isinstance(var, tree.Var):
        made = b.coerce(made, var.ty, node.value)
    if made.ty is t.LITERAL or made.ty.is_aggregate or isinstance(made.ty, t.VoidType):
        hint = (f"say it: `{name} := u32({ast.unparse(node.value)})`" if made.ty is t.LITERAL
                else "assign it in a statement of its own")
        return b.error("K0310", node, f"`{name} :=` needs a value of a known scalar type",
                       help=hint)
    if not isinstance(var, tree.Var):
        var = b.declare(name, made.ty, node.target)
    made = b.coerce(made, var.ty, node.value)
    place = tree.VarPlace(var.ty, b.loc(node.target), var)
    b.written(place)
    b.know(var)
    loc = b.loc(node)
    return tree.Seq(var.ty, loc, [tree.Assign(loc, place, made)],
                    tree.Load(var.ty, loc, place))


def _call(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    return calls.call(b, node, want)


_REFUSALS: dict[type, tuple[str, str]] = {
    ast.Lambda: ("`lambda` is not kpy", "write a function and pass its name"),
    ast.Dict: ("a dict is not kpy", "use an Array indexed by an enum, or a tree of kernel/lib"),
    ast.Set: ("a set is not kpy", "use a @flags enum or a bitmap; `x in (A, B)` works"),
    ast.ListComp: ("a comprehension is not kpy", "write the loop; nothing grows by itself here"),
    ast.SetComp: ("a comprehension is not kpy", "write the loop"),
    ast.DictComp: ("a comprehension is not kpy", "write the loop"),
    ast.GeneratorExp: ("a generator expression is not kpy", "write the loop"),
    ast.Await: ("`await` is not kpy", "block on a message port or tsleep()"),
    ast.Yield: ("`yield` stands alone in an @inline generator", "write it as a statement"),
    ast.YieldFrom: ("`yield from` is not kpy", "loop and yield"),
    ast.Starred: ("`*` unpacking is not kpy", "name the items"),
    ast.Slice: ("a slice stands in `[ ]` only", ""),
    ast.FormattedValue: ("an f-string can only be printed", ""),
}


def _refused(b: Body, node: ast.expr) -> tree.Expr:
    what, hint = _REFUSALS.get(type(node), (f"`{type(node).__name__}` is not kpy", ""))
    return b.error("K0101", node, what, help=hint)


_HANDLERS: dict[type, Any] = {
    ast.Constant: _constant, ast.Name: _name, ast.Attribute: _attribute,
    ast.Subscript: _subscript, ast.BinOp: _binary, ast.UnaryOp: _unary, ast.BoolOp: _logic,
    ast.Compare: _compare, ast.IfExp: _if_expression, ast.NamedExpr: _walrus, ast.Call: _call,
    ast.Tuple: _tuple, ast.List: _list, ast.JoinedStr: _joined,
}
