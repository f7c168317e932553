# SPDX-License-Identifier: BSD-3-Clause
"""Expressions: literals, names, attributes, subscripts; what is left is in its neighbours.

access() gives storage as a place, even a scalar's; value() gives what can be computed with:

    access(`td.prio`)   FieldPlace(Deref(Load td), prio)
    value(`td.prio`)    Load(FieldPlace(...))

`want` is the type the context asks for; it only decides what a literal becomes.

Tests     tests/toolchain/test_messages.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import (
    calls,
    classes,
    conditions,
    const,
    functions,
    operators,
    typeexpr,
)
from toolchain.frontend.check.body import (
    Body,
    CaughtError,
    mark_address_taken,
    path_of,
    require_layout,
)
from toolchain.frontend.check.scope import among, is_poisoned, item_of, nearest
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
            return b.error("K0806", node, f"register `{expr.register.name}` is write-only",
                           help="keep what was written in a variable, and read that")
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
        return b.error("K0311", node, f"{len(item)} bytes do not fit `{want.name}`",
                       help=f"use an `Array[u8, {len(item)}]`, or shorter bytes")
    return tree.ConstData(want, b.loc(node), item.ljust(want.count, b"\0"))


def _list(b: Body, node: ast.List, want: t.Type | None) -> tree.Expr:
    if want is t.POISON:
        for item in node.elts:
            value(b, item, want)
        return b.poison(node)
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
        for item in node.elts:
            value(b, item, want)
        return b.poison(node)
    if isinstance(want, t.SliceType | t.ArrayType):
        items = ", ".join(map(ast.unparse, node.elts[:4])) + ", ..." * (len(node.elts) > 4)
        return b.error("K0308", node, f"expected `{want.name}`, found a tuple",
                       help="a tuple is no sequence: make an array of it, `x: "
                       f"Array[{want.elem.name}, {len(node.elts)}] = [{items}]`")
    if len(node.elts) > t.TUPLE_LIMIT:
        return b.error("K0307", node, f"a tuple holds {t.TUPLE_LIMIT} values at most, not "
                       f"{len(node.elts)}", help="fill an Array or a @struct")
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
    if want is t.POISON:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                value(b, part.value, want)
        return b.poison(node)
    return b.error("K0108", node, "an f-string can only be printed",
                   help="use it as the argument of kprintf, klog, panic or assert; no text is "
                        "built in memory")


# ---- names and attributes -----------------------------------------------------------------------

def _name(b: Body, node: ast.Name, want: t.Type | None) -> tree.Expr:
    found = b.frame.names.get(node.id)
    loc = b.loc(node)
    if isinstance(found, tree.Var):
        if b.flow is not None and found not in b.flow and found in b.overwritten:
            b.know(found)                                   # said once
            return b.error("K0348", node, f"`{node.id}` points into a Union that was overwritten",
                           help="use it before, or copy out what is needed: "
                           "`case V(field=name):` binds a value",
                           notes=(b.overwritten[found],))
        if found.ty is t.POISON:
            return b.poison(node)
        if b.flow is not None and found not in b.flow and found.kind != "param" and (
                b.cx.first("not assigned", found)):
            b.error("K0403", node, f"`{node.id}` may not have been assigned here",
                    help="assign it before the branch, or on every way to here",
                    notes=((f"declared as `{found.ty.name}`", found.loc),))
        return tree.VarPlace(found.ty, loc, found)
    if isinstance(found, CaughtError):
        return b.error("K0604", node, f"`{node.id}` is an error: use `{node.id}.code`",
                       help="an error is a number: compare it, `e.code == ENOENT`, or raise it "
                       "on, `raise e`")
    if node.id in b.frame.stored and node.id not in b.scope.env:
        outer = isinstance(b.cx.lookup(b.scope.module, node.id), Variable)
        hint = f"for the module's variable say `global {node.id}` first" if outer else "assign it"
        b.know(b.declare(node.id, t.POISON, node))          # said once
        return b.error("K0403", node, f"`{node.id}` is used before it is assigned",
                       help=f"a name assigned anywhere in a function is local to it; {hint}")
    bound = b.scope.env.get(node.id)
    if isinstance(bound, int) and not isinstance(bound, bool):
        return tree.Const(t.LITERAL, loc, bound)
    if bound is t.POISON:
        return b.poison(node)
    if bound is not None:
        return b.error("K0320", node, f"`{node.id}` is a type or field name, not a value",
                       help="write a value of that type, or `sizeof(...)` or `offsetof(...)` of it")
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
    if name == "self":
        hint = ("a @staticmethod has no `self`: leave @staticmethod out, or pass what it needs"
                if owner is not None else "`self` is the first parameter of a method: pass what "
                "the function needs")
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
        if meaning.made == "unreachable":
            b.flow = None               # as it was meant
        return b.error("K0320", node, f"`{text}` is not a value", help=_vocabulary_help(text))
    if isinstance(meaning, Class | Alias | Parameter):
        made = typeexpr.resolve(b.cx, b.scope, node) if isinstance(meaning, Class) and (
            not classes.generic_parameters(b.cx, meaning)) else None
        return b.error("K0320", node, f"`{text}` is a type, not a value",
                       help=f"a member is `{text}.{next(iter(made.members))}`"
                       if isinstance(made, t.EnumType) and made.members else
                       f"make one: `{text}(...)`; which of its structs a Union holds, `match` "
                       "tells" if isinstance(made, t.StructType) else f"make one: `{text}(...)`")
    return b.error("K0320", node, f"`{text}` is a module, not a value",
                   help=f"name something in it: `{text}.NAME`")


def _vocabulary_help(name: str) -> str:
    return f"call it: `{name}(...)`" if name.islower() else ""


def function_ref(b: Body, node: ast.expr, made: tree.Function) -> tree.Expr:
    """The address of a function."""
    if functions.is_wrong(made):
        return b.poison(node)
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
        return b.error("K0604", node, f"an error has only `.code`, not `.{node.attr}`",
                       help=f"write `{ast.unparse(node.value)}.code`; the names of codes are in "
                       "kernel/lib/errno.py")
    if not is_local(b, root):
        meaning = b.cx.resolve(b.scope, node)
        if meaning is not None:
            return declared(b, node, meaning)
        base_meaning = b.cx.resolve(b.scope, root)
        if isinstance(base_meaning, ModuleDecl):
            names = tuple(base_meaning.names)
            if not first(b, base_meaning, node.attr, names, node):
                return b.poison(node)
            return b.error("K0203", node, f"module `{base_meaning.name}` has no name "
                           f"`{node.attr}`", help=among(node.attr, names))
        if typeexpr.names_type(b.cx, b.scope, root):
            return _type_attribute(b, node)
    return member(b, node, access(b, root))


def first(b: Body, owner: Any, name: str, names: tuple[str, ...], node: ast.AST) -> bool:
    """Whether to say that `owner` lacks a name: once, or, where it is misspelt, in each function.
    """
    where = item_of(b.scope.module, node) if nearest(name, names) else 0
    return b.cx.first("no such member", owner, name, where)


def is_local(b: Body, node: ast.expr) -> bool:
    """Whether the leftmost name of `node` is a local variable."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and (
        node.id in b.frame.names or node.id in b.frame.stored)


def vocabulary_name(b: Body, node: ast.expr) -> str:
    """The vocabulary's name for `node` (kprintf, panic, ...), or ""."""
    if is_local(b, node):
        return ""
    meaning = b.cx.resolve(b.scope, node)
    return meaning.made if isinstance(meaning, Vocabulary) else ""


def _type_attribute(b: Body, node: ast.Attribute) -> tree.Expr:
    ty = typeexpr.resolve(b.cx, b.scope, node.value)
    if isinstance(ty, t.NominalType) and ty.excuses(node.attr):
        return b.poison(node)
    if isinstance(ty, t.EnumType):
        if node.attr in ty.members:
            return tree.Const(ty, b.loc(node), ty.members[node.attr])
        if not first(b, ty, node.attr, tuple(ty.members), node):
            return b.poison(node)
        return b.error("K0203", node, f"`{ty.name}` has no member `{node.attr}`",
                       help=among(node.attr, tuple(ty.members)))
    if isinstance(ty, t.IntType) and node.attr in ("MAX", "MIN"):
        return tree.Const(ty, b.loc(node), ty.maximum if node.attr == "MAX" else ty.minimum)
    if ty is t.POISON:
        return b.poison(node)
    return b.error("K0320", node, f"`{ty.name}` is a type: it has no value `{node.attr}`",
                   help="methods are called on an object")


def member(b: Body, node: ast.Attribute, base: tree.Expr, kind: str = "field") -> tree.Expr:
    """`base.attr`; `kind`: what it is used as."""
    name, loc = node.attr, b.loc(node)
    if base.ty is t.POISON:
        return b.poison(node)
    if isinstance(base, Register) and isinstance(base.ty, t.BitsType):
        field = base.ty.fields.get(name)
        if field is not None and not base.ty.excuses(name):
            return RegisterBits(base, field, loc)
    if isinstance(base.ty, t.MmioType):
        if base.ty.regs.excuses(name):
            return b.poison(node)
        found = base.ty.regs.registers.get(name)
        if found is not None:
            return Register(b.load(base), found, None, loc)
        if not first(b, base.ty.regs, name, tuple(base.ty.regs.registers), node):
            return b.poison(node)
        return b.error("K0203", node, f"`{base.ty.regs.name}` has no register `{name}`",
                       help=among(name, tuple(base.ty.regs.registers)))
    place = storage(b, base, node)
    if place is None:
        return b.poison(node)
    ty = place.ty
    if name == "value" and isinstance(place, tree.Deref) and (
            not ty.is_aggregate and not isinstance(ty, t.BitsType)):
        return place                       # what a Ptr to a scalar points to
    if isinstance(ty, t.StructType | t.BitsType):
        if not require_layout(b, ty, node) or ty.excuses(name):
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
            scope = classes.scope_of(b.cx, ty)
            marks = [n for n, _, _ in classes.decorators(b.cx, scope, found.node)]
            if "property" in marks:
                return calls.method(b, node, place, found, [], [])
            if "" in marks:                     # it may have been to be one
                return b.poison(node)
            return b.error("K0321", node, f"method `{name}` is not called",
                           help=f"write `{ast.unparse(node)}(...)`")
        if not first(b, ty, name, (*ty.fields, *ty.methods), node):
            return b.poison(node)
        near = nearest(name, (*ty.fields, *ty.methods))
        return b.error("K0203", node, f"`{ty.name}` has no {kind} `{name}`",
                       help=near or (members_of(ty) if kind == "field" else _methods_of(ty)),
                       notes=_declared_here(b, ty))
    if isinstance(ty, t.SliceType) and name == "data":
        if not b.scope.module.unsafe:
            return b.error("K0801", node, "`.data` is a raw pointer: for unsafe modules",
                           help="pass the slice itself: it has the length with it")
        return tree.SliceData(t.mptr(ty.elem), loc, b.load(place))
    if isinstance(ty, t.UnionType):
        if not b.cx.first("in a union", b.function, path_of(place)):
            return b.poison(node)
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


def _methods_of(ty: t.StructType | t.BitsType) -> str:
    names = list(ty.methods)
    while isinstance(ty, t.StructType) and ty.base is not None:
        ty = ty.base
        names += ty.methods
    if not names:
        return (f"`{ty.name}` has none: write `def name(self) -> None:` in the class, or a "
                "function that takes a `Ptr` to it")
    return f"its methods are {', '.join(names[:12])}{', ...' * (len(names) > 12)}"


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
    if name == "format":
        return "print it so: kprintf(f\"n = {n:>8}\\n\")"
    if name == "copy":
        return "write `to.copy_from(from)`"
    if ty is t.STR:
        return "text is compared, indexed, sliced and printed; none is built in memory"
    if isinstance(ty, t.IntType | t.BoolType):
        return "a number has no attributes; what can be done with it are functions of kpy"
    if isinstance(ty, t.SliceType | t.ArrayType):
        return "its length is len(x); it has copy_from(other) and fill(value)"
    if isinstance(ty, t.RegsType):
        return f"a device's registers are reached through an `Mmio[{ty.name}]`"
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
            if (path := path_of(base)) is not None:
                b.know(path)                    # said once
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
    pointer = base.ty if isinstance(base.ty, t.PtrType) else None
    if pointer is not None:
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
        index = operators.step_of(b, _index(b, node.slice, t.I64), node.slice)
        return tree.IndexPlace(ty.elem, loc, b.load(base), index, True)
    if not isinstance(ty, t.ArrayType | t.SliceType):
        if pointer is not None:
            return b.error("K0324", node, f"a `{pointer.name}` points to one, and has no index",
                           help=f"it is `p.value`; several are a `Slice[{ty.name}]`"
                           if ty.is_scalar else "follow it with a dot; several are a "
                           f"`Slice[{ty.name}]`")
        return b.error("K0324", node, f"`{ty.name}` cannot be indexed",
                       help="arrays, slices, Str and tuples have elements")
    if isinstance(node.slice, ast.Tuple):
        parts = "".join(f"[{ast.unparse(part)}]" for part in node.slice.elts)
        return b.error("K0324", node, "an index is one number",
                       help=f"an array of arrays is indexed twice: `{ast.unparse(node.value)}"
                       f"{parts}`")
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
                           f"valid: 0 to {ty.count - 1}",
                           help="a constant index may count from the end: -1 is the last")
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
                       f"valid: 0 to {len(items) - 1}",
                       help="a constant index may count from the end: -1 is the last")
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


# ---- the rest --------------------------------------------------------------------------------

def _walrus(b: Body, node: ast.NamedExpr, want: t.Type | None) -> tree.Expr:
    name = node.target.id
    made = value(b, node.value, want)
    var = b.frame.names.get(name)
    if made.ty is t.POISON:
        b.excuse(name, node.target)
        return made
    if made.ty is t.LITERAL and isinstance(var, tree.Var):
        made = b.coerce(made, var.ty, node.value)
    if made.ty is t.LITERAL or made.ty.is_aggregate or isinstance(made.ty, t.VoidType):
        hint = (f"say it: `{name} := u32({ast.unparse(node.value)})`" if made.ty is t.LITERAL
                else "assign it in a statement of its own")
        if not isinstance(var, tree.Var):
            b.know(b.declare(name, t.POISON, node.target))
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
    ast.Subscript: _subscript, ast.NamedExpr: _walrus, ast.Call: _call, ast.Tuple: _tuple,
    ast.List: _list, ast.JoinedStr: _joined,
    ast.BinOp: lambda b, node, want: operators.binary(b, node, want),     # these import this module
    ast.UnaryOp: lambda b, node, want: operators.unary(b, node, want),
    ast.BoolOp: lambda b, node, want: conditions.logic(b, node, want),
    ast.Compare: lambda b, node, want: conditions.comparison(b, node, want),
    ast.IfExp: lambda b, node, want: conditions.if_expression(b, node, want),
}
