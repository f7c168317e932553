# SPDX-License-Identifier: BSD-3-Clause
"""Places: where a variable, field or element is, as a base, an offset and an alignment.

    p.regs[i].flags                       %0: Ptr[P] = load p
                                          check index %1, 4
                                          %2: address = index %0+16, %1 * 8
                                          -> Mem(%2, offset 4, align 4)

Constant offsets add up in the Mem and cost no instruction.
Tests     tests/toolchain/test_lower_values.py
"""
from __future__ import annotations

from toolchain.frontend import tree, types
from toolchain.lower import cfg
from toolchain.lower.build import Builder, places, slot_mem


def known_align(align: int, offset: int) -> int:
    """The alignment of address + offset, where that of the address is known."""
    while offset % align:
        align >>= 1
    return align


def inside(mem: cfg.Mem, offset: int) -> cfg.Mem:
    """The storage `offset` bytes further in."""
    return cfg.Mem(mem.base, mem.offset + offset, known_align(mem.align, offset), mem.percpu)


@places(tree.VarPlace)
def _var(b: Builder, place: tree.VarPlace) -> cfg.Mem:
    return slot_mem(b.slot(place.var))


@places(tree.GlobalPlace)
def _global(b: Builder, place: tree.GlobalPlace) -> cfg.Mem:
    g = place.global_
    symbol = cfg.Sym(g.export or g.symbol, g.ty, g.percpu)
    return cfg.Mem(symbol, 0, g.alignment, g.percpu)


@places(tree.Deref)
def _deref(b: Builder, place: tree.Deref) -> cfg.Mem:
    return cfg.Mem(b.value(place.pointer), 0, place.ty.align)


@places(tree.FieldPlace)
def _field(b: Builder, place: tree.FieldPlace) -> cfg.Mem:
    base = b.place(place.base)
    if isinstance(place.base.ty, types.BitsType):
        return cfg.Mem(base.base, base.offset, base.align, base.percpu, place.field,
                       place.base.ty)
    return inside(base, place.field.offset)


@places(tree.IndexPlace)
def _index(b: Builder, place: tree.IndexPlace) -> cfg.Mem:
    base_ty, elem = place.base.ty, place.ty
    length: cfg.Operand | None = None
    if isinstance(base_ty, types.ArrayType):
        mem = b.place(place.base)
        length = cfg.Imm(types.U64, base_ty.count)
    elif isinstance(base_ty, types.SliceType):
        address, length = slice_parts(b, place.base)
        mem = cfg.Mem(address, 0, elem.align)
    else:
        mem = cfg.Mem(b.value(place.base), 0, elem.align)
    index = b.value(place.index)
    if length is not None and not place.unchecked:
        check_index(b, index, length)
    if isinstance(index, cfg.Imm):
        return inside(mem, index.value * elem.size)
    return at_index(b, mem, index, elem.size)


@places(tree.UnionPayload)
def _payload(b: Builder, place: tree.UnionPayload) -> cfg.Mem:
    return inside(b.place(place.base), place.base.ty.payload_offset)


@places(tree.Temp)
def _temp(b: Builder, place: tree.Temp) -> cfg.Mem:
    slot = b.temp("temp", place.ty)
    b.fill(place.value, slot_mem(slot))
    return slot_mem(slot)


def at_index(b: Builder, mem: cfg.Mem, index: cfg.Operand, scale: int) -> cfg.Mem:
    """The storage of element `index`, `scale` bytes each."""
    address = b.reg(cfg.PERCPU_ADDRESS if mem.percpu else cfg.ADDRESS)
    b.emit(cfg.IndexAddr(b.at, address, mem, index, scale))
    align = known_align(mem.align, scale) if scale else mem.align
    return cfg.Mem(address, 0, align, mem.percpu)


def check_index(b: Builder, index: cfg.Operand, length: cfg.Operand) -> None:
    """Trap unless index < length; nothing where both are known and right."""
    known = isinstance(index, cfg.Imm) and isinstance(length, cfg.Imm)
    if not (known and 0 <= index.value < length.value):
        b.emit(cfg.Check(b.at, "index", [index, length], cfg.Trap.INDEX))


def slice_parts(b: Builder, expr: tree.Expr) -> tuple[cfg.Operand, cfg.Operand]:
    """Address and length of a slice value, without making the pair where it lies in memory."""
    while isinstance(expr, tree.Convert) and expr.kind == "slice":
        expr = expr.operand
    if isinstance(expr, tree.ConstData):
        return cfg.Data(expr.ty, expr.value), cfg.Imm(types.U64, len(expr.value))
    if isinstance(expr, tree.Load):
        mem = b.place(expr.place)
        return (b.load(mem, types.mptr(expr.ty.elem)), b.load(inside(mem, 8), types.U64))
    value = b.value(expr)
    address, length = b.reg(types.mptr(expr.ty.elem)), b.reg(types.U64)
    b.emit(cfg.Extract(b.at, address, value, 0))
    b.emit(cfg.Extract(b.at, length, value, 1))
    return address, length


def address_of(b: Builder, mem: cfg.Mem, ty: types.Type) -> cfg.Operand:
    """The address of `mem` as a value of pointer type `ty`."""
    if mem.offset == 0 and not mem.percpu:
        return mem.base
    dest = b.reg(ty)
    b.emit(cfg.Addr(b.at, dest, mem))
    return dest


def load(b: Builder, mem: cfg.Mem, ty: types.Type) -> cfg.Operand:
    """The value in `mem`; of a bit field, extracted."""
    if mem.bits is None:
        return b.load(mem, ty)
    whole = b.load(_whole(mem), mem.whole)
    dest = b.reg(ty)
    b.emit(cfg.BitsGet(b.at, dest, whole, mem.bits.bit, mem.bits.width))
    return dest


def store(b: Builder, mem: cfg.Mem, value: cfg.Operand) -> None:
    """Put `value` into `mem`; of a bit field: read, replace, write."""
    if mem.bits is None:
        b.store(mem, value)
        return
    whole = b.load(_whole(mem), mem.whole)
    dest = b.reg(mem.whole)
    b.emit(cfg.BitsSet(b.at, dest, whole, mem.bits.bit, mem.bits.width, value))
    b.store(_whole(mem), dest)


def _whole(mem: cfg.Mem) -> cfg.Mem:
    return cfg.Mem(mem.base, mem.offset, mem.align, mem.percpu)
