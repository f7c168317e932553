# SPDX-License-Identifier: BSD-3-Clause
"""Storage: its address, its bytes, its length; copies of it; single accesses.

    ref(node.link)          AddrOf(FieldPlace(...)), a Ptr[Link]
    copy(to, from_)         Assign(to, from_), the only way to copy a struct
    line.fill(32)           Intrinsic(slice_fill, [line, 32])
    volatile_load(x)        VolatileLoad(x)

Tests     tests/toolchain/test_messages.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import calls, classes, expr
from toolchain.frontend.check.body import Body, address, mark_address_taken, writes_constant


def _ref(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    place = expr.access(b, node.args[0])
    if place.ty is t.POISON:
        return place
    if isinstance(place, tree.FieldPlace) and isinstance(place.base.ty, t.BitsType):
        return b.error("K0317", node, "a bit field has no address",
                       help="pass its value, and assign the result: `c.MODE = change(c.MODE)`")
    if not isinstance(place, tree.Place) or isinstance(place, tree.Temp):
        return b.error("K0340", node, f"`{ast.unparse(node.func)}` takes storage: a variable, "
                       "field or element", help="this is a value; keep it in a variable first")
    return address(b, place, t.ptr(place.ty), node)


def _lend(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    """`lend(x)`: what passes for x, a Ptr or Slice, to what gives it back before the end."""
    made = expr.access(b, node.args[0])
    if isinstance(made.ty, t.PtrType | t.SliceType):
        made = expr.read(b, made, node.args[0])
    elif isinstance(made.ty, t.ArrayType):
        made = b.coerce(made, t.slice_of(made.ty.elem), node)
    else:
        made = _ref(b, node, want)
    return made if made.ty is t.POISON else tree.Seq(made.ty, made.loc, [], made)


def _copy(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    from toolchain.frontend.check import assign  # noqa: PLC0415  cycle
    to = _storage_argument(b, node.args[0])
    if to is None:
        return b.poison(node)
    source: tree.Expr | None = expr.access(b, node.args[1])
    if not isinstance(source, tree.Place) and source.ty.is_aggregate:        # a new value
        assign.put(b, to, b.coerce(source, to.ty, node.args[1], "the copy"), node)
        return tree.Seq(t.VOID, b.loc(node), [], tree.Const(t.VOID, b.loc(node), 0))
    source = _as_storage(b, source, node.args[1])
    if source is None:
        return b.poison(node)
    if to.ty is not source.ty:
        return b.error("K0308", node, f"cannot copy `{source.ty.name}` to `{to.ty.name}`",
                       help="both must be storage of one type; copy the fields that they share "
                       "one by one")
    if isinstance(to.ty, t.AtomicType):
        return b.error("K0323", node, "an atomic is not copied; load() and store() it",
                       help="write `to.store(source.load())`")
    if writes_constant(b, to, node):
        return b.poison(node)
    b.written(to)
    return tree.Seq(t.VOID, b.loc(node), [tree.Assign(b.loc(node), to, source)],  # type: ignore
                    tree.Const(t.VOID, b.loc(node), 0))


def _storage_argument(b: Body, node: ast.expr) -> tree.Expr | None:
    return _as_storage(b, expr.access(b, node), node)


def _as_storage(b: Body, place: tree.Expr, node: ast.expr) -> tree.Expr | None:
    if isinstance(place.ty, t.PtrType):
        return expr.storage(b, place, node)
    if place.ty is t.POISON:
        return None
    if not isinstance(place, tree.Place):
        b.error("K0340", node, "`copy` takes storage",
                help="assign a value: `to = value`; what is copied must be a variable, field or "
                "element")
        return None
    return place


def _unwrap(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    made = expr.value(b, node.args[0])
    if not isinstance(made.ty, t.PtrType):
        return made if made.ty is t.POISON else b.error(
            "K0308", node, f"`unwrap` takes a `Ptr[T] | None`, not `{made.ty.name}`",
            help="leave `unwrap` out: there is nothing that could be None")
    if not made.ty.nullable:
        return made
    return tree.Convert(t.ptr(made.ty.elem), b.loc(node), "unwrap", made)


def _len(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    made = expr.access(b, node.args[0])
    loc = b.loc(node)
    if isinstance(made.ty, t.PtrType) and isinstance(made.ty.elem, t.ArrayType | t.SliceType):
        made = expr.storage(b, made, node) or b.poison(node)
    if isinstance(made.ty, t.ArrayType):
        return tree.Const(t.U64, loc, made.ty.count)
    if isinstance(made.ty, t.SliceType):
        return tree.Len(t.U64, loc, b.load(made))
    if made.ty is t.POISON:
        return made
    owner = expr.storage(b, made, node)
    found = owner and classes.method(b.cx, owner.ty, "__len__")
    if found:
        return calls.method(b, node, owner, found, [], [])
    if owner is None or (isinstance(owner.ty, t.StructType) and owner.ty.excuses("__len__")):
        return b.poison(node)
    return b.error("K0308", node, f"`{made.ty.name}` has no length",
                       help="arrays, slices and Str have one, and structs with `__len__`")


def _bytes_of(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    """`bytes_of(storage)`: its bytes as Slice[u8]; pointer-free storage, or an unsafe module."""
    place = _storage_argument(b, node.args[0])
    if place is None:
        return b.poison(node)
    if not b.scope.module.unsafe and _holds_pointers(place.ty):
        return b.error("K0801", node, f"`{place.ty.name}` holds pointers; its bytes are for unsafe "
                       "modules",
                       help="copy out the fields that may be seen, or say `UNSAFE: Final = True` "
                       "with the reason")
    mark_address_taken(b, place)
    loc = b.loc(node)
    start = tree.Convert(t.mptr(t.U8), loc, "ptr", tree.AddrOf(t.ptr(place.ty), loc,
                                                              place))  # type: ignore[arg-type]
    return tree.MakeSlice(t.slice_of(t.U8), loc, start, tree.Const(t.U64, loc, place.ty.size))


def _holds_pointers(ty: t.Type) -> bool:
    """Whether writing any bytes into `ty` could forge a pointer, a bool or an enum."""
    if isinstance(ty, t.ArrayType | t.AtomicType):
        return _holds_pointers(ty.elem)
    if isinstance(ty, t.StructType):
        return any(_holds_pointers(f.ty) for f in ty.fields.values())
    if isinstance(ty, t.EnumType):
        return not ty.is_flags
    return not isinstance(ty, t.IntType | t.EndianType | t.BitsType | t.NewtypeType)


def slice_method(b: Body, node: ast.Call, base: tree.Expr, name: str) -> tree.Expr:
    """`x.copy_from(y)` (equal lengths, or it traps) and `x.fill(v)`."""
    elem = base.ty.elem                                              # type: ignore[attr-defined]
    whole = t.slice_of(elem)
    loc = b.loc(node)
    to = b.coerce(b.load(base), whole, node)
    if isinstance(elem, t.AtomicType) or (name == "fill" and not elem.is_scalar):
        return b.error("K0323", node, f"elements of `{elem.name}` cannot be copied like this",
                       help="write a loop that stores each; atomics by `.store(...)`")
    other = (expr.converted(b, node.args[0], whole, "the source") if name == "copy_from"
             else expr.converted(b, node.args[0], elem, "the value"))
    if t.POISON in (to.ty, other.ty) or writes_constant(b, to, node):
        return b.poison(node)
    b.forget_memory()
    return tree.Intrinsic(t.VOID, loc, "slice_copy" if name == "copy_from" else "slice_fill",
                          [to, other])


def _volatile_load(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    place = expr.access(b, node.args[0])
    if not isinstance(place, tree.Place) or place.ty.is_aggregate:
        return place if place.ty is t.POISON else b.error(
            "K0340", node, "`volatile_load` takes a scalar's storage",
            help="pass a variable, field or element of a number or pointer, not a value or a "
            "struct")
    return tree.VolatileLoad(place.ty, b.loc(node), place)


def _volatile_store(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    place = expr.access(b, node.args[0])
    made = expr.converted(b, node.args[1], place.ty)
    if not isinstance(place, tree.Place) or place.ty.is_aggregate:
        return b.poison(node) if place.ty is t.POISON else b.error(
            "K0340", node, "`volatile_store` takes a scalar's storage",
            help="pass a variable, field or element of a number or pointer, not a value or a "
            "struct")
    b.written(place)
    return tree.VolatileStore(t.VOID, b.loc(node), place, made)


HANDLERS: dict[str, Any] = {
    "ref": _ref, "lend": _lend, "copy": _copy, "unwrap": _unwrap, "len": _len,
    "bytes_of": _bytes_of, "volatile_load": _volatile_load, "volatile_store": _volatile_store,
}
