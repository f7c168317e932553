# SPDX-License-Identifier: BSD-3-Clause
"""Structs, arrays and unions, made in the storage where they will live.

    p: Point = Point(x=f(), y=2)          %0: i32 = call f
                                          p = %0
                                          p+4 = 2

`fill` writes into storage that nothing in the expression can see (a new variable, a temporary,
the result).  An assignment to older storage is made in two steps: first every part is computed,
then all are stored; a part that needs storage itself (a call's result, an array) goes through a
temporary.  So `p = Point(x=p.y, y=p.x)` swaps.
Tests     tests/toolchain/test_lower_values.py
"""
from __future__ import annotations

from toolchain.frontend import tree, types
from toolchain.lower import cfg
from toolchain.lower.build import Builder, fills, parts, slot_mem
from toolchain.lower.expression import call, condition
from toolchain.lower.place import inside


def zero(b: Builder, mem: cfg.Mem, size: int) -> None:
    if size:
        b.emit(cfg.Zero(b.at, mem, size))


def assign(b: Builder, place: tree.Place, expr: tree.Expr) -> None:
    """place = expr, of an aggregate type."""
    if isinstance(expr, tree.ZeroInit):
        zero(b, b.place(place), expr.ty.size)
        return
    if isinstance(expr, tree.Load | tree.Place) and not isinstance(expr, tree.Temp):
        source = b.place(expr.place if isinstance(expr, tree.Load) else expr)
        copy(b, b.place(place), source, expr.ty)
        return
    if isinstance(expr, tree.StructLit) and all(not e.ty.is_aggregate
                                                for e in expr.fields.values()):
        parts = [(name, b.value(e)) for name, e in expr.fields.items()]
        mem = b.place(place)
        _clear_unnamed(b, mem, expr.ty, expr.fields)
        for name, value in parts:
            b.store(inside(mem, expr.ty.fields[name].offset), value)
        return
    slot = b.temp("new", expr.ty)
    b.fill(expr, slot_mem(slot))
    copy(b, b.place(place), slot_mem(slot), expr.ty)


def copy(b: Builder, to: cfg.Mem, source: cfg.Mem, ty: types.Type) -> None:
    if ty.size:
        b.emit(cfg.Copy(b.at, to, source, ty.size))


def _clear_unnamed(b: Builder, mem: cfg.Mem, ty: types.StructType,
                   named: dict[str, tree.Expr]) -> None:
    """Zero the struct first unless the named fields cover every byte (padding must not leak)."""
    if sum(ty.fields[name].ty.size for name in named) < ty.size:
        zero(b, mem, ty.size)


@fills(tree.StructLit)
def _struct(b: Builder, expr: tree.StructLit, mem: cfg.Mem) -> None:
    _clear_unnamed(b, mem, expr.ty, expr.fields)
    for name, value in expr.fields.items():
        b.fill(value, inside(mem, expr.ty.fields[name].offset))


@fills(tree.UnionLit)
def _union(b: Builder, expr: tree.UnionLit, mem: cfg.Mem) -> None:
    if expr.ty.payload_offset + expr.payload.ty.size < expr.ty.size or \
            expr.ty.payload_offset > 4:
        zero(b, mem, expr.ty.size)
    b.fill(expr.payload, inside(mem, expr.ty.payload_offset))
    b.store(mem, cfg.Imm(types.U32, expr.tag))


@fills(tree.ArrayLit)
def _array(b: Builder, expr: tree.ArrayLit, mem: cfg.Mem) -> None:
    elem = expr.ty.elem
    if len(expr.items) < expr.ty.count:
        zero(b, mem, expr.ty.size)
    if len(expr.items) > 1 and all(isinstance(i, tree.Const) for i in expr.items) \
            and len(expr.items) == expr.ty.count and not isinstance(elem, types.EndianType):
        data = cfg.Data(expr.ty, [item.value for item in expr.items])
        copy(b, mem, cfg.Mem(data, 0, expr.ty.align), expr.ty)
        return
    for i, item in enumerate(expr.items):
        b.fill(item, inside(mem, i * elem.size))


@fills(tree.ZeroInit)
def _zero_init(b: Builder, expr: tree.ZeroInit, mem: cfg.Mem) -> None:
    zero(b, mem, expr.ty.size)


@fills(tree.ConstData)
def _const_data(b: Builder, expr: tree.ConstData, mem: cfg.Mem) -> None:
    copy(b, mem, cfg.Mem(cfg.Data(expr.ty, expr.value), 0, expr.ty.align), expr.ty)


@fills(tree.Call, tree.CallIndirect)
def _call(b: Builder, expr: tree.Call | tree.CallIndirect, mem: cfg.Mem) -> None:
    call(b, expr, mem)


@fills(tree.IfExp)
def _if_exp(b: Builder, expr: tree.IfExp, mem: cfg.Mem) -> None:
    then, other, after = b.new_block("if.then"), b.new_block("if.else"), b.new_block("if.end")
    condition(b, expr.cond, then, other)
    for block, arm in ((then, expr.then), (other, expr.other)):
        b.start(block)
        b.fill(arm, mem)
        b.jump(after)
    b.start(after)


@fills(tree.Seq)
def _seq(b: Builder, expr: tree.Seq, mem: cfg.Mem) -> None:
    b.nested(expr.body)
    if b.ended:
        b.start(b.new_block("dead"))
    b.fill(expr.value, mem)


@fills(tree.Load)
def _load(b: Builder, expr: tree.Load, mem: cfg.Mem) -> None:
    copy(b, mem, b.place(expr.place), expr.ty)


@fills(tree.VarPlace, tree.GlobalPlace, tree.Deref, tree.FieldPlace, tree.IndexPlace,
       tree.UnionPayload)
def _place(b: Builder, expr: tree.Place, mem: cfg.Mem) -> None:
    copy(b, mem, b.place(expr), expr.ty)


@fills(tree.Temp)
def _temp(b: Builder, expr: tree.Temp, mem: cfg.Mem) -> None:
    b.fill(expr.value, mem)


def mentions(node: object, var: tree.Var) -> bool:
    """Whether a tree refers to `var`."""
    return any(isinstance(part, tree.VarPlace) and part.var is var for part in parts(node))
