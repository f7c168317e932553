# SPDX-License-Identifier: BSD-3-Clause
"""Values: every expression that fits registers.

    a[i] + n if ok else 0                 branch %0, if.then, if.else
                                        if.then:
                                          check index %2, %3 or trap index
                                          %5: u32 = load %4
                                          %6: u32 = add %5, %1 or trap overflow
                                          .value = %6 ...

Operands are evaluated left to right; what may trap is an instruction with `trap`, and whether
arithmetic may trap is decided here, once, from the mode (`Options.traps_overflow`).
Tests     tests/toolchain/test_lower_values.py
"""
from __future__ import annotations

from toolchain.frontend import tree, types
from toolchain.lower import cfg
from toolchain.lower.build import Builder, slot_mem, values
from toolchain.lower.cleanup import is_void, test_code
from toolchain.lower.place import (
    address_of,
    at_index,
    check_index,
    inside,
    load,
    slice_parts,
    store,
)

_BIT_OPS = {"and", "or", "xor"}


# ---- constants and memory

@values(tree.Const)
def _const(b: Builder, expr: tree.Const) -> cfg.Operand:
    value = expr.value
    if isinstance(expr.ty, types.EndianType) and expr.ty.big:
        size = expr.ty.size
        value = int.from_bytes((value & ((1 << size * 8) - 1)).to_bytes(size, "big"), "little")
    return cfg.Imm(expr.ty, value)


@values(tree.ConstData)
def _const_data(b: Builder, expr: tree.ConstData) -> cfg.Operand:
    if isinstance(expr.ty, types.SliceType):
        address, length = slice_parts(b, expr)
        return make(b, expr.ty, [address, length])
    return load(b, cfg.Mem(cfg.Data(expr.ty, expr.value), 0, expr.ty.align), expr.ty)


@values(tree.FnRef)
def _fn_ref(b: Builder, expr: tree.FnRef) -> cfg.Operand:
    return cfg.Sym(expr.function.attrs.export or expr.function.symbol, expr.ty)


@values(tree.Load)
def _load(b: Builder, expr: tree.Load) -> cfg.Operand:
    return load(b, b.place(expr.place), expr.ty)


@values(tree.VarPlace, tree.GlobalPlace, tree.Deref, tree.FieldPlace, tree.IndexPlace, tree.Temp,
        tree.UnionPayload)
def _place_value(b: Builder, expr: tree.Place) -> cfg.Operand:
    """A place where its value is meant."""
    return load(b, b.place(expr), expr.ty)


@values(tree.AddrOf)
def _addr_of(b: Builder, expr: tree.AddrOf) -> cfg.Operand:
    return address_of(b, b.place(expr.place), expr.ty)


@values(tree.ZeroInit)
def _zero(b: Builder, expr: tree.ZeroInit) -> cfg.Operand:
    if isinstance(expr.ty, types.SliceType | types.TupleType):
        return cfg.ZeroValue(expr.ty)
    return cfg.Imm(expr.ty, 0)


@values(tree.VolatileLoad)
def _volatile_load(b: Builder, expr: tree.VolatileLoad) -> cfg.Operand:
    mem = b.place(expr.place)
    dest = b.reg(expr.ty)
    b.emit(cfg.Load(b.at, dest, mem, volatile=True))
    return dest


@values(tree.VolatileStore)
def _volatile_store(b: Builder, expr: tree.VolatileStore) -> None:
    mem = b.place(expr.place)
    b.emit(cfg.Store(b.at, mem, b.value(expr.value), volatile=True))


# ---- arithmetic

def binary(b: Builder, op: str, left: cfg.Operand, right: cfg.Operand, ty: types.Type,
           wrap: bool) -> cfg.Operand:
    """left op right of type `ty`, trapping as the mode and `wrap` say."""
    trap: cfg.Trap | None = None
    if op in ("floordiv", "mod"):
        trap = cfg.Trap.OVERFLOW if b.options.traps_overflow and not wrap else None
    elif op not in _BIT_OPS and op != "shr" and not wrap and b.options.traps_overflow:
        trap = cfg.Trap.SHIFT if op == "shl" else cfg.Trap.OVERFLOW
    dest = b.reg(ty)
    b.emit(cfg.Binary(b.at, dest, op, left, right, trap))
    return dest


@values(tree.Binary)
def _binary(b: Builder, expr: tree.Binary) -> cfg.Operand:
    left = b.value(expr.left)
    return binary(b, expr.op, left, b.value(expr.right), expr.ty, expr.wrap)


@values(tree.Unary)
def _unary(b: Builder, expr: tree.Unary) -> cfg.Operand:
    operand = b.value(expr.operand)
    traps = expr.op == "neg" and not expr.wrap and b.options.traps_overflow
    dest = b.reg(expr.ty)
    b.emit(cfg.Unary(b.at, dest, expr.op, operand, cfg.Trap.OVERFLOW if traps else None))
    return dest


@values(tree.Compare)
def _compare(b: Builder, expr: tree.Compare) -> cfg.Operand:
    left = b.value(expr.left)
    right = b.value(expr.right)
    dest = b.reg(types.BOOL)
    b.emit(cfg.Compare(b.at, dest, expr.op, left, right))
    return dest


_TRAP_OF = {"checked": cfg.Trap.CONVERSION, "enum": cfg.Trap.NOT_A_MEMBER}


@values(tree.Convert)
def _convert(b: Builder, expr: tree.Convert) -> cfg.Operand:
    operand = b.value(expr.operand)
    if expr.kind == "slice":
        return operand
    if expr.kind == "unwrap":
        b.emit(cfg.Check(b.at, "null", [operand], cfg.Trap.NULL))
        return operand
    dest = b.reg(expr.ty)
    trap = _TRAP_OF.get(expr.kind)
    if expr.kind == "checked" and isinstance(expr.ty, types.EnumType):
        trap = cfg.Trap.NOT_A_MEMBER
    b.emit(cfg.Convert(b.at, dest, expr.kind, operand, trap))
    return dest


@values(tree.BitsGet)
def _bits_get(b: Builder, expr: tree.BitsGet) -> cfg.Operand:
    operand = b.value(expr.operand)
    dest = b.reg(expr.ty)
    b.emit(cfg.BitsGet(b.at, dest, operand, expr.field.bit, expr.field.width))
    return dest


@values(tree.BitsWith)
def _bits_with(b: Builder, expr: tree.BitsWith) -> cfg.Operand:
    return _with_fields(b, b.value(expr.operand), expr.ty, expr.fields)


@values(tree.StructLit)
def _bits_literal(b: Builder, expr: tree.StructLit) -> cfg.Operand:
    return _with_fields(b, cfg.Imm(expr.ty, 0), expr.ty, expr.fields)


def _with_fields(b: Builder, whole: cfg.Operand, ty: types.Type,
                 fields: dict[str, tree.Expr]) -> cfg.Operand:
    for name, expr in fields.items():
        value = b.value(expr)
        field = ty.fields[name]
        dest = b.reg(ty)
        b.emit(cfg.BitsSet(b.at, dest, whole, field.bit, field.width, value))
        whole = dest
    return whole


# ---- control flow inside expressions

def condition(b: Builder, expr: tree.Expr, then: cfg.Block, other: cfg.Block) -> None:
    """Branch on a bool expression; and, or, not become branches."""
    if isinstance(expr, tree.Logic):
        middle = b.new_block(expr.op)
        if expr.op == "and":
            condition(b, expr.left, middle, other)
        else:
            condition(b, expr.left, then, middle)
        b.start(middle)
        condition(b, expr.right, then, other)
    elif isinstance(expr, tree.Unary) and expr.op == "not":
        condition(b, expr.operand, other, then)
    elif isinstance(expr, tree.Const):
        b.jump(then if expr.value else other)
    else:
        value = b.value(expr)
        before = b.goto(expr.loc)
        b.branch(value, then, other)
        b.at = before


@values(tree.Logic)
def _logic(b: Builder, expr: tree.Logic) -> cfg.Operand:
    slot = b.temp(expr.op, types.BOOL)
    right, after = b.new_block(expr.op), b.new_block(f"{expr.op}.end")
    left = b.value(expr.left)
    b.store_slot(slot, left)
    b.branch(left, *((right, after) if expr.op == "and" else (after, right)))
    b.start(right)
    b.store_slot(slot, b.value(expr.right))
    b.jump(after)
    b.start(after)
    return b.load_slot(slot)


@values(tree.IfExp)
def _if_exp(b: Builder, expr: tree.IfExp) -> cfg.Operand | None:
    slot = None if is_void(expr.ty) else b.temp("value", expr.ty)
    then, other, after = b.new_block("if.then"), b.new_block("if.else"), b.new_block("if.end")
    condition(b, expr.cond, then, other)
    for block, arm in ((then, expr.then), (other, expr.other)):
        b.start(block)
        value = b.value(arm)
        if slot is not None:
            b.store_slot(slot, value)
        b.jump(after)
    b.start(after)
    return b.load_slot(slot) if slot is not None else None


@values(tree.Seq)
def _seq(b: Builder, expr: tree.Seq) -> cfg.Operand | None:
    b.nested(expr.body)
    if b.ended:
        b.start(b.new_block("dead"))
    return b.value(expr.value)


# ---- calls

def call(b: Builder, expr: tree.Call | tree.CallIndirect, into: cfg.Mem | None,
         ) -> cfg.Operand | None:
    """The call; an aggregate result goes to `into`."""
    if isinstance(expr, tree.Call):
        function = expr.function
        callee: cfg.Operand = cfg.Sym(function.attrs.export or function.symbol, types.VOID)
        signature = types.fn(tuple(p.ty for p in function.params), function.result,
                             function.throws)
    else:
        function, callee, signature = None, b.value(expr.callee), expr.signature
    args = [b.value(arg) for arg in expr.args]
    result = signature.result
    dest = None if is_void(result) or result.is_aggregate else b.reg(result)
    code = b.reg(types.I32) if signature.throws else None
    b.emit(cfg.Call(b.at, dest, code, callee, signature, args, into, function))
    if code is not None:
        test_code(b, code)
    if result is types.NEVER or (function is not None and function.attrs.noreturn):
        b.unreachable()
        b.start(b.new_block("dead"))
    return dest


@values(tree.Call, tree.CallIndirect)
def _call(b: Builder, expr: tree.Call | tree.CallIndirect) -> cfg.Operand | None:
    into = slot_mem(b.temp("unused", expr.ty)) if expr.ty.is_aggregate else None
    return call(b, expr, into)


# ---- slices and tuples

def make(b: Builder, ty: types.Type, items: list[cfg.Operand]) -> cfg.Operand:
    dest = b.reg(ty)
    b.emit(cfg.Make(b.at, dest, items))
    return dest


@values(tree.Len)
def _len(b: Builder, expr: tree.Len) -> cfg.Operand:
    operand = expr.operand
    if isinstance(operand, tree.Load):
        return b.load(inside(b.place(operand.place), 8), types.U64)
    if isinstance(operand, tree.ConstData):
        return cfg.Imm(types.U64, len(operand.value))
    dest = b.reg(types.U64)
    b.emit(cfg.Extract(b.at, dest, b.value(operand), 1))
    return dest


@values(tree.SliceData)
def _slice_data(b: Builder, expr: tree.SliceData) -> cfg.Operand:
    return slice_parts(b, expr.operand)[0]


@values(tree.MakeSlice)
def _make_slice(b: Builder, expr: tree.MakeSlice) -> cfg.Operand:
    pointer = b.value(expr.pointer)
    return make(b, expr.ty, [pointer, b.value(expr.length)])


@values(tree.SliceOf)
def _slice_of(b: Builder, expr: tree.SliceOf) -> cfg.Operand:
    base_ty = expr.base.ty
    if isinstance(base_ty, types.ArrayType):
        mem = b.place(expr.base)
        length: cfg.Operand = cfg.Imm(types.U64, base_ty.count)
        address = address_of(b, mem, types.mptr(base_ty.elem))
    else:
        address, length = slice_parts(b, expr.base)
    if expr.lo is None and expr.hi is None:
        return make(b, expr.ty, [address, length])
    lo: cfg.Operand = b.value(expr.lo) if expr.lo is not None else cfg.Imm(types.U64, 0)
    hi = b.value(expr.hi) if expr.hi is not None else length
    b.emit(cfg.Check(b.at, "slice", [lo, hi, length], cfg.Trap.SLICE))
    if isinstance(lo, cfg.Imm) and lo.value == 0:
        return make(b, expr.ty, [address, hi])
    count = b.reg(types.U64)
    b.emit(cfg.Binary(b.at, count, "sub", hi, lo))
    start = at_index(b, cfg.Mem(address, 0, base_ty.elem.align), lo, base_ty.elem.size)
    return make(b, expr.ty, [start.base, count])


@values(tree.SliceEqual)
def _slice_equal(b: Builder, expr: tree.SliceEqual) -> cfg.Operand:
    left, left_len = slice_parts(b, expr.left)
    right, right_len = slice_parts(b, expr.right)
    slot = b.temp("equal", types.BOOL)
    b.store_slot(slot, cfg.Imm(types.BOOL, int(expr.negate)))
    compare, after = b.new_block("equal"), b.new_block("equal.end")
    same = b.reg(types.BOOL)
    b.emit(cfg.Compare(b.at, same, "eq", left_len, right_len))
    b.branch(same, compare, after)
    b.start(compare)
    size = _byte_size(b, left_len, expr.left.ty.elem)
    order, result = b.reg(types.I32), b.reg(types.BOOL)
    b.emit(cfg.Intrinsic(b.at, order, "memcmp", [left, right, size]))
    b.emit(cfg.Compare(b.at, result, "ne" if expr.negate else "eq", order,
                       cfg.Imm(types.I32, 0)))
    b.store_slot(slot, result)
    b.jump(after)
    b.start(after)
    return b.load_slot(slot)


@values(tree.MakeTuple)
def _make_tuple(b: Builder, expr: tree.MakeTuple) -> cfg.Operand:
    return make(b, expr.ty, [b.value(item) for item in expr.items])


@values(tree.TupleGet)
def _tuple_get(b: Builder, expr: tree.TupleGet) -> cfg.Operand:
    operand = expr.operand
    if isinstance(operand, tree.Load):
        return b.load(inside(b.place(operand.place), operand.ty.offsets[expr.index]), expr.ty)
    dest = b.reg(expr.ty)
    b.emit(cfg.Extract(b.at, dest, b.value(operand), expr.index))
    return dest


@values(tree.UnionTag)
def _union_tag(b: Builder, expr: tree.UnionTag) -> cfg.Operand:
    return b.load(b.place(expr.base), types.U32)


# ---- the machine

@values(tree.AtomicOp)
def _atomic(b: Builder, expr: tree.AtomicOp) -> cfg.Operand | None:
    mem = b.place(expr.place)
    args = [b.value(arg) for arg in expr.args]
    dest = None if is_void(expr.ty) else b.reg(expr.ty)
    b.emit(cfg.Atomic(b.at, dest, expr.op, mem, expr.place.ty.elem, args, expr.order))
    return dest


@values(tree.Fence)
def _fence(b: Builder, expr: tree.Fence) -> None:
    b.emit(cfg.Fence(b.at, expr.order))


def _register(b: Builder, expr: tree.MmioRead | tree.MmioWrite) -> cfg.Mem:
    register = expr.register
    mem = cfg.Mem(b.value(expr.base), register.offset, register.ty.align)
    if expr.index is None:
        return mem
    index = b.value(expr.index)
    check_index(b, index, cfg.Imm(types.U64, register.count))
    if isinstance(index, cfg.Imm):
        return cfg.Mem(mem.base, mem.offset + index.value * register.stride, mem.align)
    return cfg.Mem(at_index(b, mem, index, register.stride).base, 0, mem.align)


@values(tree.MmioRead)
def _mmio_read(b: Builder, expr: tree.MmioRead) -> cfg.Operand:
    mem = _register(b, expr)
    dest = b.reg(expr.ty)
    b.emit(cfg.MmioRead(b.at, dest, mem))
    return dest


@values(tree.MmioWrite)
def _mmio_write(b: Builder, expr: tree.MmioWrite) -> None:
    mem = _register(b, expr)
    b.emit(cfg.MmioWrite(b.at, mem, b.value(expr.value)))


@values(tree.Intrinsic)
def _intrinsic(b: Builder, expr: tree.Intrinsic) -> cfg.Operand | None:
    if expr.op in ("slice_copy", "slice_fill"):
        (_slice_copy if expr.op == "slice_copy" else _slice_fill)(b, expr)
        return None
    args = [b.value(arg) for arg in expr.args]
    dest = None if is_void(expr.ty) else b.reg(expr.ty)
    b.emit(cfg.Intrinsic(b.at, dest, expr.op, args))
    if expr.op == "trap":
        b.unreachable()
        b.start(b.new_block("dead"))
    return dest


def _slice_copy(b: Builder, expr: tree.Intrinsic) -> None:
    """Equal lengths, or it traps; the two may overlap."""
    to, to_len = slice_parts(b, expr.args[0])
    source, length = slice_parts(b, expr.args[1])
    b.emit(cfg.Check(b.at, "same", [length, to_len], cfg.Trap.SLICE))
    size = _byte_size(b, length, expr.args[0].ty.elem)
    b.emit(cfg.Intrinsic(b.at, None, "memmove", [to, source, size]))


def _slice_fill(b: Builder, expr: tree.Intrinsic) -> None:
    """A memset of bytes, else a loop."""
    elem = expr.args[0].ty.elem
    to, length = slice_parts(b, expr.args[0])
    value = b.value(expr.args[1])
    if elem is types.U8:
        b.emit(cfg.Intrinsic(b.at, None, "memset", [to, value, length]))
        return
    counter = b.temp("i", types.U64)
    b.store_slot(counter, cfg.Imm(types.U64, 0))
    head, body, after = b.new_block("fill"), b.new_block("fill.body"), b.new_block("fill.end")
    b.jump(head)
    b.start(head)
    i, more = b.load_slot(counter), b.reg(types.BOOL)
    b.emit(cfg.Compare(b.at, more, "lt", i, length))
    b.branch(more, body, after)
    b.start(body)
    b.store(at_index(b, cfg.Mem(to, 0, elem.align), i, elem.size), value)
    b.store_slot(counter, binary(b, "add", i, cfg.Imm(types.U64, 1), types.U64, wrap=True))
    b.jump(head)
    b.start(after)


def _byte_size(b: Builder, length: cfg.Operand, elem: types.Type) -> cfg.Operand:
    if elem.size == 1:
        return length
    return binary(b, "mul", length, cfg.Imm(types.U64, elem.size), types.U64, wrap=True)


@values(tree.AsmExpr)
def _asm(b: Builder, expr: tree.AsmExpr) -> cfg.Operand | None:
    args = [b.value(arg) for arg in expr.args]
    dest = None if is_void(expr.ty) else b.reg(expr.ty)
    b.emit(cfg.Asm(b.at, dest, expr.template, expr.constraints, args, expr.volatile))
    return dest


@values(tree.TableRef)
def _table(b: Builder, expr: tree.TableRef) -> cfg.Operand:
    start = cfg.Sym(f"kpy.table.{expr.table}", types.mptr(expr.ty.elem))
    count = b.load(cfg.Mem(cfg.Sym(f"kpy.table.{expr.table}.count", types.U64), 0, 8), types.U64)
    return make(b, expr.ty, [start, count])


__all__ = ["binary", "call", "condition", "load", "store"]
