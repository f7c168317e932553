# SPDX-License-Identifier: BSD-3-Clause
"""What only unsafe modules may do: pointers out of numbers and out of other pointers.

    cast(Ptr[Header], p)            Convert(ptr, p)
    pointer_at(Rsdp, address)       Convert(int_ptr, address)
    make_slice(p, n)                MakeSlice(p, n): nobody checks that there are n
    memcpy(to, from_, n)            Intrinsic(memcpy, ...)

Tests     tests/toolchain/test_messages.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import expr, sizes, typeexpr
from toolchain.frontend.check.body import Body, address, require_layout


def require(b: Body, node: ast.Call) -> None:
    """Report a function that this module may not use, once; then go on as if it might."""
    module, name = b.scope.module, ast.unparse(node.func)
    if not module.unsafe and b.cx.first("unsafe", module.name, name):
        b.error("K0801", node, f"`{name}` is for unsafe modules",
                help="say `UNSAFE: Final = True` at the top of the module, with the reason")


def _cast(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
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
    made = expr.value(b, node.args[0])
    length = expr.converted(b, node.args[1], t.U64, "a length")
    if not isinstance(made.ty, t.PtrType | t.MPtrType):
        return b.poison(node) if made.ty is t.POISON else b.error(
            "K0308", node, f"`make_slice` takes a pointer, not `{made.ty.name}`",
            help="for example `make_slice(pointer_at(u8, address), length)`")
    return tree.MakeSlice(t.slice_of(made.ty.elem), b.loc(node), made, length)


def _container_of(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    ty = typeexpr.resolve(b.cx, b.scope, node.args[0])
    name = sizes.field_name(b, node.args[1])
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


def _symbol_address(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    """The address of a symbol that the linker or assembly defines."""
    if not isinstance(node.args[0], ast.Constant) or not isinstance(node.args[0].value, str):
        return b.error("K0339", node.args[0], "this is a symbol's name: a literal string",
                       help="for example `symbol_address(\"_start\")`")
    name = str(node.args[0].value)
    made = tree.Global(name, name, t.U8, None, False, b.loc(node), extern=True, export=name)
    b.effects.globals[name] = made
    place = tree.GlobalPlace(t.U8, b.loc(node), made)
    return tree.Convert(t.VIRT_ADDR, b.loc(node), "ptr_int",
                        tree.AddrOf(t.ptr(t.U8), b.loc(node), place))


HANDLERS: dict[str, Any] = {
    "cast": _cast, "address_of": _address_of, "pointer_at": _pointer_at,
    "make_slice": _make_slice, "container_of": _container_of, "symbol_address": _symbol_address,
    "memcpy": _memory("memcpy"), "memmove": _memory("memmove"), "memset": _memory("memset"),
    "memcmp": _memory("memcmp"),
}
