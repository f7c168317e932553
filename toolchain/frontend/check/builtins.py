# SPDX-License-Identifier: BSD-3-Clause
"""The functions of the vocabulary: one small checker each.

    trunc(u8, x)        Convert(trunc, x)
    sizeof(Thread)      Const 192
    count.add(1)        AtomicOp(add, count, [1], seq_cst)
    asm("rdmsr", ...)   AsmExpr

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
    const,
    expr,
    lifetimes,
    operators,
    typeexpr,
    vocabulary,
)
from toolchain.frontend.check.body import (
    Body,
    address,
    mark_address_taken,
    require_layout,
    writes_constant,
)
from toolchain.frontend.check.scope import nearest
from toolchain.frontend.modules import Vocabulary


def call(b: Body, node: ast.Call, name: str, want: t.Type | None) -> tree.Expr:
    """A call of builtin `name`."""
    handler = _HANDLERS.get(name)
    if handler is None:
        return b.error("K0320", node.func, f"`{name}` cannot be used here",
                       help=_elsewhere(name))
    return handler(b, node, want)


def _elsewhere(name: str) -> str:
    if name in ("range", "enumerate", "zip", "reversed"):
        return f"`{name}(...)` stands in a `for`"
    if name == "kassert":
        return "`kassert(cond)` is a statement of its own"
    if name in ("kprintf", "klog", "panic"):
        return f"`{name}(f\"...\")` is a statement of its own"
    return ""


def _counted(b: Body, node: ast.Call, least: int, most: int | None = None) -> bool:
    most = least if most is None else most
    if least <= len(node.args) <= most and not node.keywords:
        return True
    count = str(least) if least == most else f"{least} to {most}"
    name = ast.unparse(node.func)
    hint = ("write the loop; it keeps the " + ("least" if name == "min" else "greatest")
            if name in ("min", "max") and len(node.args) == 1 else "docs/kpy.md tells what it does")
    b.error("K0335", node, f"`{name}` takes {count} argument{'s' * (most != 1)}", help=hint)
    calls.only_arguments(b, node)
    return False


# ---- sizes and types ----------------------------------------------------------------------------

def _type_argument(b: Body, node: ast.Call) -> t.Type:
    arg = node.args[0]
    ty = (typeexpr.resolve(b.cx, b.scope, arg) if typeexpr.names_type(b.cx, b.scope, arg)
          else expr.access(b, arg).ty)
    if ty is not t.POISON and not require_layout(b, ty, arg):
        return t.POISON
    return ty


def _sizeof(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 1):
        return b.poison(node)
    ty = _type_argument(b, node)
    return b.poison(node) if ty is t.POISON else tree.Const(t.LITERAL, b.loc(node), ty.size)


def _alignof(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 1):
        return b.poison(node)
    ty = _type_argument(b, node)
    return b.poison(node) if ty is t.POISON else tree.Const(t.LITERAL, b.loc(node), ty.align)


def _field_name(b: Body, node: ast.expr) -> str | None:
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
    if not _counted(b, node, 2):
        return b.poison(node)
    ty, name = _type_argument(b, node), _field_name(b, node.args[1])
    if ty is t.POISON or name is None:
        return b.poison(node)
    found = ty.fields.get(name) if isinstance(ty, t.StructType) else None
    if found is None:
        return b.error("K0203", node.args[1], f"`{ty.name}` has no field `{name}`",
                       help=nearest(name, tuple(getattr(ty, "fields", ()))) or (expr.members_of(
                    ty) if isinstance(ty, t.StructType | t.BitsType) else "it has none"))
    return tree.Const(t.LITERAL, b.loc(node), found.offset)


def _zeroed(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 1):
        return b.poison(node)
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


# ---- values -------------------------------------------------------------------------------------

def _trunc(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 2):
        return b.poison(node)
    plain = vocabulary.PLAIN_TYPES.get(vocabulary_name(b, node.args[0]))    # u3 is fine here
    if plain is None and vocabulary_name(b, node.args[1]) in vocabulary.PLAIN_TYPES:
        value, wanted = map(ast.unparse, node.args)
        return b.error("K0335", node, "`trunc` takes the type first, then the value",
                       help=f"write `trunc({wanted}, {value})`")
    ty = plain or typeexpr.resolve(b.cx, b.scope, node.args[0])
    made = expr.value(b, node.args[1])
    if t.POISON in (ty, made.ty):
        return b.poison(node)
    if not isinstance(ty, t.IntType):
        return b.error("K0308", node.args[0], f"`trunc` makes an integer, not `{ty.name}`",
                       help="for example `trunc(u8, x)`")
    if made.ty is t.LITERAL:
        done = tree.Const(ty, b.loc(node), ty.wrap(made.value))      # type: ignore[attr-defined]
        return calls.whole_width(done)
    if isinstance(made.ty, t.NewtypeType | t.BitsType | t.EnumType):
        made = tree.Convert(made.ty.base, made.loc, "raw", made)
    if not isinstance(made.ty, t.IntType):
        return b.error("K0308", node.args[1], f"`trunc` takes an integer, not `{made.ty.name}`",
                       help="the value must be an integer, or a type kept in one: an enum, flags, "
                       "bits, address")
    kind = "trunc" if ty.bits <= made.ty.bits else "widen"
    if kind == "widen" and not t.lossless(made.ty, ty):      # sign-extend, then read as unsigned
        made = tree.Convert(t.int_type(ty.bits, True), made.loc, "widen", made)
        kind = "trunc"
    return calls.whole_width(tree.Convert(ty, b.loc(node), kind, made))


def _wrapping(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 1):
        return b.poison(node)
    b.wrap += 1
    made = expr.value(b, node.args[0], want)
    if made.ty is t.LITERAL and isinstance(want, t.IntType):
        made = b.coerce(made, want, node)
    b.wrap -= 1
    return made


def _bits_of(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 1):
        return b.poison(node)
    made = expr.value(b, node.args[0])
    ty = made.ty
    if isinstance(ty, t.NewtypeType | t.BitsType | t.EnumType):
        if isinstance(made, tree.Const):
            return tree.Const(ty.base, made.loc, made.value)
        return tree.Convert(ty.base, b.loc(node), "raw", made)
    if ty is t.POISON:
        return made
    return b.error("K0308", node, f"`bits_of` takes an enum, flags, bits or address, not "
                   f"`{ty.name}`",
                   help="leave `bits_of` out if it is an integer already")


def _from_bits(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 2):
        return b.poison(node)
    ty = typeexpr.resolve(b.cx, b.scope, node.args[0])
    if not isinstance(ty, t.NewtypeType | t.BitsType | t.EnumType):
        return b.poison(node) if ty is t.POISON else b.error(
            "K0308", node.args[0], f"`from_bits` makes an enum, flags, bits or address, not "
            f"`{ty.name}`",
            help="the type comes first: `from_bits(Control, n)`; an integer is made by `u32(n)`")
    return calls.conversion(b, node, ty, expr.converted(b, node.args[1], ty.base))


def _ref(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 1):
        return b.poison(node)
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
    if not _counted(b, node, 1):
        return b.poison(node)
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
    if not _counted(b, node, 2):
        return b.poison(node)
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
    if not _counted(b, node, 1):
        return b.poison(node)
    made = expr.value(b, node.args[0])
    if not isinstance(made.ty, t.PtrType):
        return made if made.ty is t.POISON else b.error(
            "K0308", node, f"`unwrap` takes a `Ptr[T] | None`, not `{made.ty.name}`",
            help="leave `unwrap` out: there is nothing that could be None")
    if not made.ty.nullable:
        return made
    return tree.Convert(t.ptr(made.ty.elem), b.loc(node), "unwrap", made)


def _len(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 1):
        return b.poison(node)
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
    return b.error("K0308", node, f"`{made.ty.name}` has no length",
                       help="arrays, slices and Str have one, and structs with `__len__`")


def _same_type(op: str, bits_only: bool = False) -> Any:
    """An operation on integers of one type, giving that type."""
    def check(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
        if not _counted(b, node, 2 if op in ("min", "max") else 1, 8 if op in ("min", "max")
                        else 1):
            return b.poison(node)
        made = [expr.value(b, a, want) for a in node.args]
        if any(m.ty is t.POISON for m in made):
            return b.poison(node)
        first = made[0]
        ty: t.Type | None = first.ty
        for other in made[1:]:
            ty = operators.common(b, first, other)
            if ty is None:
                break
            first = other if ty is other.ty else first
        if ty is t.LITERAL and isinstance(want, t.IntType):
            ty = want
        if ty is t.LITERAL and op in ("min", "max"):
            pick = min if op == "min" else max
            return tree.Const(t.LITERAL, b.loc(node),
                              pick(m.value for m in made))           # type: ignore[attr-defined]
        if not isinstance(ty, t.IntType) or (bits_only and ty.signed):
            return b.error("K0308", node, f"`{op}` takes {'unsigned ' * bits_only}integers of one "
                           "type", f"found {', '.join(f'`{m.ty.name}`' for m in made)}",
                           help="convert first, for example `min(u64(a), b)`; `popcount` and its "
                           "like take `u8` to `u64`")
        args = [b.coerce(m, ty, a) for m, a in zip(made, node.args, strict=True)]
        result = args[0]
        if len(args) == 1:
            return tree.Intrinsic(ty, b.loc(node), op, args)
        for other in args[1:]:
            result = tree.Intrinsic(ty, b.loc(node), op, [result, other])
        return result
    return check


def _abs(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 1):
        return b.poison(node)
    made = expr.value(b, node.args[0], want)
    if not isinstance(made.ty, t.IntType) or not made.ty.signed:
        return made if made.ty is t.POISON or isinstance(made.ty, t.IntType) else b.error(
            "K0308", node, f"`abs` takes an integer, not `{made.ty.name}`",
            help="a condition has no sign: convert it, `i32(x)`, if it is counted")
    loc, saved = b.loc(node), b.out
    b.out = []
    var = b.temp(made.ty, made, loc)
    load = tree.Load(made.ty, loc, tree.VarPlace(made.ty, loc, var))
    body, b.out = b.out, saved
    less = tree.Compare(t.BOOL, loc, "lt", load, tree.Const(made.ty, loc, 0))
    flipped = tree.Unary(made.ty, loc, "neg", load, bool(b.wrap))
    return tree.Seq(made.ty, loc, body, tree.IfExp(made.ty, loc, less, flipped, load))


def _ord(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    arg = node.args[0] if len(node.args) == 1 else None
    if isinstance(arg, ast.Constant) and isinstance(arg.value, str | bytes) and (
            len(arg.value) == 1):
        return tree.Const(t.LITERAL, b.loc(node), ord(arg.value))
    return b.error("K0308", node, "`ord` takes a one-character literal",
                   help="the bytes of a Str are numbers already: `text[i]`")


def _rotate(op: str) -> Any:
    def check(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
        if not _counted(b, node, 2):
            return b.poison(node)
        made = expr.value(b, node.args[0], want)
        if made.ty is t.LITERAL and isinstance(want, t.IntType):
            made = b.coerce(made, want, node)
        if not isinstance(made.ty, t.IntType) or made.ty.signed:
            return made if made.ty is t.POISON else b.error(
                "K0308", node, f"`{op}` takes an unsigned integer, not `{made.ty.name}`",
                help="convert first: `u32(x)`")
        count = expr.value(b, node.args[1], made.ty)
        count = b.coerce(count, made.ty, node.args[1]) if count.ty is t.LITERAL else (
            calls.conversion(b, node.args[1], made.ty, count))
        return tree.Intrinsic(made.ty, b.loc(node), op, [made, count])
    return check


def _with_carry(op: str) -> Any:
    def check(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
        if not _counted(b, node, 2):
            return b.poison(node)
        left, right = (expr.value(b, a) for a in node.args)
        ty = operators.common(b, left, right)
        if not isinstance(ty, t.IntType):
            return b.poison(node) if t.POISON in (left.ty, right.ty) else b.error(
                "K0308", node, f"`{op}` takes two integers of one type",
                help=f"convert the narrower one, for example `{op}(a, u64(b))`")
        left, right = b.coerce(left, ty, node.args[0]), b.coerce(right, ty, node.args[1])
        made = t.tuple_of((ty, t.BOOL)) if op != "mulhi" else ty
        if op == "mulhi" and ty is not t.U64:
            return b.error("K0308", node, "`mulhi` multiplies two u64",
                           help="convert first: `mulhi(u64(a), u64(b))`")
        return tree.Intrinsic(made, b.loc(node), op, [left, right])
    return check


def _nothing(op: str, result: t.Type) -> Any:
    def check(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
        if not _counted(b, node, 0):
            return b.poison(node)
        return tree.Intrinsic(result, b.loc(node), op, [])
    return check


def _unreachable(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    return tree.Intrinsic(t.NEVER, b.loc(node), "trap", [])


def _field(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    """`field(p, F)`: the field that a generic's FieldVar names."""
    if not _counted(b, node, 2):
        return b.poison(node)
    name = _field_name(b, node.args[1])
    if name is None:
        return b.poison(node)
    shaped = ast.copy_location(ast.Attribute(node.args[0], name, ast.Load()), node)
    return expr.member(b, shaped, expr.access(b, node.args[0]))


def _volatile_load(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 1):
        return b.poison(node)
    place = expr.access(b, node.args[0])
    if not isinstance(place, tree.Place) or place.ty.is_aggregate:
        return place if place.ty is t.POISON else b.error(
            "K0340", node, "`volatile_load` takes a scalar's storage",
            help="pass a variable, field or element of a number or pointer, not a value or a "
            "struct")
    return tree.VolatileLoad(place.ty, b.loc(node), place)


def _volatile_store(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 2):
        return b.poison(node)
    place = expr.access(b, node.args[0])
    made = expr.converted(b, node.args[1], place.ty)
    if not isinstance(place, tree.Place) or place.ty.is_aggregate:
        return b.poison(node) if place.ty is t.POISON else b.error(
            "K0340", node, "`volatile_store` takes a scalar's storage",
            help="pass a variable, field or element of a number or pointer, not a value or a "
            "struct")
    b.written(place)
    return tree.VolatileStore(t.VOID, b.loc(node), place, made)


# ---- unsafe -------------------------------------------------------------------------------------

def _unsafe(b: Body, node: ast.Call) -> bool:
    module = b.scope.module
    if not module.unsafe and b.cx.first("unsafe", module.name):      # which one line mends
        b.error("K0801", node, f"`{ast.unparse(node.func)}` is for unsafe modules",
                help="say `UNSAFE: Final = True` at the top of the module, with the reason")
    return True


def _cast(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _unsafe(b, node) or not _counted(b, node, 2):
        return b.poison(node)
    ty = typeexpr.resolve(b.cx, b.scope, node.args[0])
    made = expr.value(b, node.args[1])
    if made.ty.is_aggregate and isinstance(made, tree.Place):
        made = address(b, made, t.ptr(made.ty), node)
    pointers = t.PtrType | t.MPtrType | t.UserPtrType | t.MmioType | t.FnType
    if t.POISON in (ty, made.ty):
        return b.poison(node)
    if not isinstance(ty, pointers) or not isinstance(made.ty, pointers):
        return b.error("K0308", node, f"`cast` is between pointers, not `{made.ty.name}` to "
                       f"`{ty.name}`",
                       help="an address becomes a pointer by `pointer_at(T, address)`")
    return tree.Convert(ty, b.loc(node), "ptr", made)


def _address_of(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _unsafe(b, node) or not _counted(b, node, 1):
        return b.poison(node)
    made = expr.value(b, node.args[0])
    if made.ty.is_aggregate and isinstance(made, tree.Place):
        made = address(b, made, t.ptr(made.ty), node)
    if isinstance(made.ty, t.SliceType):
        made = tree.SliceData(t.mptr(made.ty.elem), made.loc, made)
    if not isinstance(made.ty, t.PtrType | t.MPtrType | t.MmioType | t.FnType):
        return made if made.ty is t.POISON else b.error(
            "K0308", node, f"`address_of` takes a pointer or storage, not `{made.ty.name}`",
            help="an address that is a number already is `VirtAddr(n)`")
    return tree.Convert(t.VIRT_ADDR, b.loc(node), "ptr_int", made)


def _pointer_at(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _unsafe(b, node) or not _counted(b, node, 2):
        return b.poison(node)
    ty = typeexpr.resolve(b.cx, b.scope, node.args[0])
    made = expr.value(b, node.args[1], t.U64)
    if made.ty is t.LITERAL:
        made = b.coerce(made, t.U64, node.args[1])
    if t.POISON in (ty, made.ty):
        return b.poison(node)
    if made.ty not in (t.VIRT_ADDR, t.U64):
        return b.error("K0308", node.args[1], "`pointer_at` takes a VirtAddr or u64, not "
                       f"`{made.ty.name}`",
                       help="give an address: `pointer_at(Thread, VirtAddr(n))`")
    result = t.mmio(ty) if isinstance(ty, t.RegsType) else t.ptr(ty)
    return tree.Convert(result, b.loc(node), "int_ptr", made)


def _make_slice(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _unsafe(b, node) or not _counted(b, node, 2):
        return b.poison(node)
    made = expr.value(b, node.args[0])
    length = expr.converted(b, node.args[1], t.U64, "a length")
    if not isinstance(made.ty, t.PtrType | t.MPtrType):
        return b.poison(node) if made.ty is t.POISON else b.error(
            "K0308", node, f"`make_slice` takes a pointer, not `{made.ty.name}`",
            help="for example `make_slice(pointer_at(u8, address), length)`")
    return tree.MakeSlice(t.slice_of(made.ty.elem), b.loc(node), made, length)


def _container_of(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _unsafe(b, node) or not _counted(b, node, 3):
        return b.poison(node)
    ty = typeexpr.resolve(b.cx, b.scope, node.args[0])
    name = _field_name(b, node.args[1])
    made = expr.value(b, node.args[2])
    if t.POISON in (ty, made.ty) or name is None or not require_layout(b, ty, node):
        return b.poison(node)
    found = ty.fields.get(name) if isinstance(ty, t.StructType) else None
    if found is None or not isinstance(made.ty, t.PtrType):
        return b.error("K0203", node, f"`container_of` takes a struct, its field's name and the "
                       f"field's address; `{ty.name}` has no field `{name}`" if found is None else
                       "the third argument is the field's address",
                       help="for example `container_of(Thread, \"link\", p)`, where `p` is a "
                       "`Ptr` to the field")
    loc = b.loc(node)
    as_bytes = tree.Convert(t.mptr(t.U8), loc, "ptr", made)
    back = tree.IndexPlace(t.U8, loc, as_bytes, tree.Const(t.I64, loc, -found.offset), True)
    start = tree.AddrOf(t.mptr(t.U8), loc, back)
    return tree.Convert(t.ptr(ty), loc, "ptr", start)


def _memory(op: str) -> Any:
    def check(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
        if not _unsafe(b, node) or not _counted(b, node, 3):
            return b.poison(node)
        first = expr.value(b, node.args[0])
        second = (expr.converted(b, node.args[1], t.U8, "the byte") if op == "memset"
                  else expr.value(b, node.args[1]))
        length = expr.converted(b, node.args[2], t.U64, "a length")
        for made in (first,) if op == "memset" else (first, second):
            if not isinstance(made.ty, t.PtrType | t.MPtrType):
                return b.poison(node) if made.ty is t.POISON else b.error(
                    "K0308", node, f"`{op}` takes pointers, not `{made.ty.name}`",
                    help="pass `ref(x)`; a slice copies itself: `to.copy_from(source)`")
        b.forget_memory()
        result = t.I32 if op == "memcmp" else t.VOID
        return tree.Intrinsic(result, b.loc(node), op, [first, second, length])
    return check


# ---- slices and atomics -------------------------------------------------------------------------

def slice_method(b: Body, node: ast.Call, base: tree.Expr, name: str) -> tree.Expr:
    """`x.copy_from(y)` (equal lengths, or it traps) and `x.fill(v)`."""
    if not _counted(b, node, 1):
        return b.poison(node)
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


_ATOMIC_HELP = ("for example `counter.load()` or `counter.load(order=acquire)`",
                "for example `counter.add(1)` or `counter.add(1, order=relaxed)`",
                "for example `lock.cas(0, 1)`: what is expected, and what to put there")
_ATOMIC_ARGS = {"load": 0, "store": 1, "swap": 1, "add": 1, "sub": 1, "and_": 1, "or_": 1,
                "xor": 1, "cas": 2, "cas_value": 2}


def atomic(b: Body, node: ast.Call, base: tree.Expr, method: str) -> tree.Expr:
    """A method of Atomic[T]; the order is its last part (`load_acquire`) or `order=`."""
    name, order = method, "seq_cst"
    for suffix in vocabulary.ORDERS:
        if method.endswith(f"_{suffix}"):
            name, order = method[:-len(suffix) - 1], suffix
    if name not in _ATOMIC_ARGS:
        return b.error("K0323", node, f"an atomic has no method `{method}`",
                       help=nearest(method, tuple(_ATOMIC_ARGS)) or
                       "its methods are load store swap add sub and_ or_ xor cas cas_value")
    elem = base.ty.elem                                              # type: ignore[attr-defined]
    for keyword in node.keywords:
        found = _order(b, keyword.value) if keyword.arg == "order" else None
        if found is None:
            return b.error("K0323", keyword, "an order is one of "
                           + ", ".join(vocabulary.ORDERS),
                           help="for example `counter.load(order=acquire)` or "
                           "`counter.load_acquire()`")
        order = found
    if len(node.args) != _ATOMIC_ARGS[name]:
        return b.error("K0335", node, f"`{method}` takes {_ATOMIC_ARGS[name]} "
                       f"value{'s' * (_ATOMIC_ARGS[name] != 1)} and an order",
                       help=_ATOMIC_HELP[_ATOMIC_ARGS[name]])
    bad = {"load": ("release", "acq_rel"), "store": ("acquire", "acq_rel")}.get(name, ())
    if order in bad:
        return b.error("K0323", node, f"a {name} cannot be `{order}`",
                       help="loads acquire, stores release")
    if name in ("add", "sub", "and_", "or_", "xor") and not isinstance(
            elem, t.IntType | t.BitsType | t.NewtypeType) and not (
            isinstance(elem, t.EnumType) and elem.is_flags and name not in ("add", "sub")):
        return b.error("K0323", node, f"`{name}` needs an integer; this is `{base.ty.name}`",
                       help="use `load`, `store`, `swap` or `cas`")
    args = [expr.converted(b, a, elem, "this atomic") for a in node.args]
    if any(a.ty is t.POISON for a in args) or not isinstance(base, tree.Place):
        return b.poison(node)
    if args and name in ("store", "swap", "cas", "cas_value"):
        lifetimes.stored(b, base, args[-1], b.loc(node))
    result = t.VOID if name == "store" else t.BOOL if name == "cas" else elem
    return tree.AtomicOp(result, b.loc(node), name.rstrip("_"), base, args, order)


def _order(b: Body, node: ast.expr) -> str | None:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(
        node, ast.Attribute) else node.value if isinstance(node, ast.Constant) else None
    return name if name in vocabulary.ORDERS else None


def _fence(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if len(node.args) > 1:
        return b.error("K0335", node, "`fence` takes an order",
                       help="for example `fence(release)`; alone, `fence()` is seq_cst")
    order = _order(b, node.args[0]) if node.args else "seq_cst"
    if order is None or order == "relaxed":
        return b.error("K0323", node, "a fence is acquire, release, acq_rel or seq_cst",
                       help="a relaxed fence orders nothing: leave it out, or say what it must "
                       "order")
    return tree.Fence(t.VOID, b.loc(node), order)


def _compiler_fence(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    return tree.Fence(t.VOID, b.loc(node), "compiler")


# ---- machine ------------------------------------------------------------------------------------

def _asm(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    """asm("in al, dx", out=("a", u8), ins={"d": port}, clobbers=("memory",))."""
    if len(node.args) != 1 or not isinstance(node.args[0], ast.Constant) or not isinstance(
            node.args[0].value, str):
        return b.error("K0804", node, "`asm` takes its template as a literal string",
                       help="for example `asm(\"pause\")`")
    outs: list[tuple[str, t.Type]] = []
    ins: list[tuple[str, tree.Expr]] = []
    clobbers: list[str] = []
    volatile = True
    for keyword in node.keywords:
        match keyword.arg:
            case "out":
                outs = _asm_outputs(b, keyword.value)
            case "ins":
                ins = _asm_inputs(b, keyword.value)
            case "clobbers":
                clobbers = _strings(keyword.value)
            case "volatile":
                volatile = not (isinstance(keyword.value, ast.Constant)
                                and keyword.value.value is False)
            case _:
                return b.error("K0804", keyword, f"`asm` has no `{keyword.arg}=`",
                               help="it has out=, ins=, clobbers=, volatile=")
    if any(e.ty is t.POISON for _, e in ins) or any(ty is t.POISON for _, ty in outs):
        return b.poison(node)
    constraints = [f"={_constraint(c)}" for c, _ in outs] + [_constraint(c) for c, _ in ins]
    constraints += [f"~{{{c}}}" for c in (*clobbers, "dirflag", "fpsr", "flags")]
    result = t.VOID if not outs else outs[0][1] if len(outs) == 1 else t.tuple_of(
        tuple(ty for _, ty in outs))
    if "memory" in clobbers:
        b.forget_memory()
    return tree.AsmExpr(result, b.loc(node), node.args[0].value, ",".join(constraints),
                        [e for _, e in ins], volatile)


def _strings(node: ast.expr) -> list[str]:
    parts = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
    return [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]


_REGISTERS = {"a": "ax", "b": "bx", "c": "cx", "d": "dx", "S": "si", "D": "di"}


def _constraint(text: str) -> str:
    if text in _REGISTERS:
        return f"{{{_REGISTERS[text]}}}"
    if text in ("r", "m", "i", "n", "q", "g", "ri", "rm") or text.isdigit():
        return text
    return f"{{{text}}}"


def _asm_outputs(b: Body, node: ast.expr) -> list[tuple[str, t.Type]]:
    """out=("a", u32), or out={"a": u32, "d": u32}."""
    if isinstance(node, ast.Dict):
        pairs = list(zip(node.keys, node.values, strict=True))
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2:
        pairs = [(node.elts[0], node.elts[1])]
    else:
        b.error("K0804", node, "outputs are `out=(\"a\", u32)` or `out={\"a\": u32, \"d\": u32}`",
                help="the register comes first, then the type of what is read from it")
        return [("r", t.POISON)]
    out = []
    for key, value in pairs:
        name = key.value if isinstance(key, ast.Constant) else ""
        ty = typeexpr.resolve(b.cx, b.scope, value)
        if ty is not t.POISON and (not ty.is_scalar or isinstance(ty, t.SliceType | t.TupleType)):
            b.error("K0804", value, f"a register cannot hold `{ty.name}`",
                    help="an output is an integer, a bool or a pointer; structs go through memory")
            ty = t.POISON
        out.append((str(name), ty))
    return out


def _asm_inputs(b: Body, node: ast.expr) -> list[tuple[str, tree.Expr]]:
    if not isinstance(node, ast.Dict):
        b.error("K0804", node, "inputs are `ins={\"a\": value, ...}`",
                help="for example `ins={\"d\": port, \"a\": value}`")
        return [("r", b.poison(node))]
    out = []
    for key, value in zip(node.keys, node.values, strict=True):
        name = key.value if isinstance(key, ast.Constant) else ""
        made = expr.value(b, value)
        if made.ty is t.LITERAL:
            made = b.coerce(made, t.U64, value)
        if made.ty.is_aggregate and isinstance(made, tree.Place):
            made = address(b, made, t.ptr(made.ty), value)
        if isinstance(made.ty, t.SliceType | t.TupleType):
            made = b.error("K0804", value, f"a register cannot hold `{made.ty.name}`",
                           help="pass an integer or a pointer: of a slice, its address and its "
                           "length")
        out.append((str(name), made))
    return out


def _entries(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not _counted(b, node, 1):
        return b.poison(node)
    if not isinstance(node.args[0], ast.Constant) or not isinstance(node.args[0].value, str):
        return b.error("K0805", node, "`entries` takes the table's name",
                       help='for example `entries("sysinit")`')
    ty = t.slice_of(typeexpr.table_entry())
    b.effects.tables.add(str(node.args[0].value))
    return tree.TableRef(ty, b.loc(node), str(node.args[0].value))


def _symbol_address(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    """The address of a symbol that the linker or assembly defines."""
    if not _unsafe(b, node) or not _counted(b, node, 1):
        return b.poison(node)
    if not isinstance(node.args[0], ast.Constant) or not isinstance(node.args[0].value, str):
        return b.error("K0339", node.args[0], "this is a symbol's name: a literal string",
                       help="for example `symbol_address(\"_start\")`")
    name = str(node.args[0].value)
    made = tree.Global(name, name, t.U8, None, False, b.loc(node), extern=True, export=name)
    b.effects.globals[name] = made
    place = tree.GlobalPlace(t.U8, b.loc(node), made)
    return tree.Convert(t.VIRT_ADDR, b.loc(node), "ptr_int",
                        tree.AddrOf(t.ptr(t.U8), b.loc(node), place))


def _bytes_of(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    """`bytes_of(storage)`: its bytes as Slice[u8]; pointer-free storage, or an unsafe module."""
    if not _counted(b, node, 1):
        return b.poison(node)
    place = _storage_argument(b, node.args[0])
    if place is None:
        return b.poison(node)
    if not b.scope.module.unsafe and holds_pointers(place.ty):
        return b.error("K0801", node, f"`{place.ty.name}` holds pointers; its bytes are for unsafe "
                       "modules",
                       help="copy out the fields that may be seen, or say `UNSAFE: Final = True` "
                       "with the reason")
    mark_address_taken(b, place)
    loc = b.loc(node)
    start = tree.Convert(t.mptr(t.U8), loc, "ptr", tree.AddrOf(t.ptr(place.ty), loc,
                                                              place))  # type: ignore[arg-type]
    return tree.MakeSlice(t.slice_of(t.U8), loc, start, tree.Const(t.U64, loc, place.ty.size))


def holds_pointers(ty: t.Type) -> bool:
    """Whether writing any bytes into `ty` could forge a pointer, a bool or an enum."""
    if isinstance(ty, t.ArrayType | t.AtomicType):
        return holds_pointers(ty.elem)
    if isinstance(ty, t.StructType):
        return any(holds_pointers(f.ty) for f in ty.fields.values())
    if isinstance(ty, t.EnumType):
        return not ty.is_flags
    return not isinstance(ty, t.IntType | t.EndianType | t.BitsType | t.NewtypeType)


def vocabulary_name(b: Body, node: ast.expr) -> str:
    """The vocabulary's name for `node` (kprintf, panic, ...), or ""."""
    if expr.is_local(b, node):
        return ""
    meaning = b.cx.resolve(b.scope, node)
    return meaning.made if isinstance(meaning, Vocabulary) else ""


_HANDLERS: dict[str, Any] = {
    "sizeof": _sizeof, "alignof": _alignof, "offsetof": _offsetof, "zeroed": _zeroed,
    "static_assert": _static_assert, "trunc": _trunc, "wrapping": _wrapping, "bits_of": _bits_of,
    "from_bits": _from_bits, "ref": _ref, "lend": _lend, "copy": _copy,
    "unwrap": _unwrap, "len": _len,
    "min": _same_type("min"), "max": _same_type("max"), "abs": _abs, "ord": _ord,
    "popcount": _same_type("popcount", True), "ctz": _same_type("ctz", True),
    "clz": _same_type("clz", True), "bswap": _same_type("bswap", True),
    "rotl": _rotate("rotl"), "rotr": _rotate("rotr"),
    "mulhi": _with_carry("mulhi"), "add_carry": _with_carry("add_carry"),
    "sub_borrow": _with_carry("sub_borrow"), "mul_overflow": _with_carry("mul_overflow"),
    "field": _field, "volatile_load": _volatile_load, "volatile_store": _volatile_store,
    "pause": _nothing("pause", t.VOID), "frame_address": _nothing("frame_address", t.U64),
    "return_address": _nothing("return_address", t.U64), "unreachable": _unreachable,
    "cast": _cast, "address_of": _address_of, "pointer_at": _pointer_at,
    "make_slice": _make_slice, "container_of": _container_of, "memcpy": _memory("memcpy"),
    "memmove": _memory("memmove"), "memset": _memory("memset"), "memcmp": _memory("memcmp"),
    "fence": _fence, "compiler_fence": _compiler_fence, "asm": _asm, "entries": _entries,
    "symbol_address": _symbol_address, "bytes_of": _bytes_of,
}
