# SPDX-License-Identifier: BSD-3-Clause
"""Expressions of the typed tree, in plain Python.

    Binary add (Load a) (Const 1)  of u8, a = 255      exact 256, not a u8: Trap OVERFLOW(255, 1)
    IndexPlace (Load xs) (Load i)                       address + i * size, or Trap INDEX(i, len)

`value()` gives a value as memory.py describes them; `place()` a Ref: an address, or a variable or
bits that have none.
"""
from __future__ import annotations

from typing import Any

from toolchain import printing
from toolchain.frontend import tree
from toolchain.frontend import types as ty
from toolchain.oracle import arith, memory
from toolchain.oracle.state import BitRef, Frame, Ref, Trap, UnsupportedError, VarRef

BITWISE = {"and", "or", "xor", "shr"}


class Evaluator:
    """Values and places.  The statements and calls are `execute.py`'s and `machine.py`'s."""

    def __init__(self, overflow_checks: bool) -> None:
        self.overflow_checks = overflow_checks
        self.memory = memory.Memory()
        self.constants: dict[int, tuple[tree.Expr, Any]] = {}
        self._values = {cls: getattr(self, f"_{name}") for name, cls in EXPRESSIONS.items()}
        self._places = {cls: getattr(self, f"_{name}") for name, cls in PLACES.items()}

    # What the subclasses bring.

    def run(self, body: list[tree.Stmt], frame: Frame) -> Any:
        raise NotImplementedError

    def invoke(self, function: tree.Function, args: list[Any]) -> Any:
        raise NotImplementedError

    def function_at(self, address: int) -> tree.Function:
        raise NotImplementedError

    def address_of_symbol(self, symbol: str) -> int:
        raise NotImplementedError

    def address_of_function(self, function: tree.Function) -> int:
        raise NotImplementedError

    # ---- entry points

    def value(self, expr: tree.Expr, frame: Frame) -> Any:
        """The value of `expr`; of a place, what is in it."""
        evaluate = self._values.get(type(expr))
        if evaluate is not None:
            return evaluate(expr, frame)
        return self.load(self.place(expr, frame), expr.ty)

    def place(self, expr: tree.Expr, frame: Frame) -> Ref:
        """Where `expr` is; a value without a place is put into a temporary."""
        find = self._places.get(type(expr))
        if find is not None:
            return find(expr, frame)
        return self._temporary(expr, expr, frame)

    def load(self, ref: Ref, of: ty.Type) -> Any:
        if isinstance(ref, int):
            return self.memory.load(ref, of)
        if isinstance(ref, VarRef):
            held = ref.frame.values.get(ref.var)
            return memory.zero(of) if held is None else held
        return get_bits(self.load(ref.base, ref.whole), ref.field)

    def store(self, ref: Ref, of: ty.Type, value: Any) -> None:
        if isinstance(ref, int):
            self.memory.store(ref, of, value)
        elif isinstance(ref, VarRef):
            ref.frame.values[ref.var] = value
        else:
            whole = self.load(ref.base, ref.whole)
            self.store(ref.base, ref.whole, set_bits(whole, ref.field, value))

    def address(self, expr: tree.Expr, frame: Frame) -> int:
        """The address of a place; a variable gets one if it has none."""
        ref = self.place(expr, frame)
        if isinstance(ref, VarRef):
            return ref.frame.address(ref.var, self.memory)
        assert isinstance(ref, int), "bits have no address"
        return ref

    def _temporary(self, expr: tree.Expr, value: tree.Expr, frame: Frame) -> int:
        held = self.value(value, frame)
        where = frame.temps.get(id(expr))
        if where is None:
            where = frame.temps[id(expr)] = self.memory.stack.new(expr.ty.size, expr.ty.align)
        self.memory.store(where, expr.ty, held)
        return where

    # ---- constants

    def _const(self, e: tree.Const, frame: Frame) -> Any:
        return bool(e.value) if e.ty is ty.BOOL else e.value

    def _const_data(self, e: tree.ConstData, frame: Frame) -> Any:
        known = self.constants.get(id(e))
        if known is None:
            data = memory.constant_bytes(e.ty, e.value, self.put_constant, self.address_of_symbol)
            known = self.constants[id(e)] = e, memory.decode(e.ty, data)
        return known[1]

    def put_constant(self, of: ty.Type, value: Any) -> int:
        data = memory.constant_bytes(of, value, self.put_constant, self.address_of_symbol)
        where = self.memory.static.new(len(data), of.align)
        self.memory.write(where, data)
        return where

    def _fn_ref(self, e: tree.FnRef, frame: Frame) -> int:
        return self.address_of_function(e.function)

    def _zero_init(self, e: tree.ZeroInit, frame: Frame) -> Any:
        return memory.zero(e.ty)

    # ---- places

    def _var_place(self, e: tree.VarPlace, frame: Frame) -> Ref:
        var = e.var
        if var in frame.addresses or var.ty.is_aggregate:
            return frame.address(var, self.memory)
        return VarRef(frame, var)

    def _global_place(self, e: tree.GlobalPlace, frame: Frame) -> int:
        return self.address_of_symbol(e.global_.symbol)

    def _deref(self, e: tree.Deref, frame: Frame) -> int:
        return self.value(e.pointer, frame)

    def _field_place(self, e: tree.FieldPlace, frame: Frame) -> Ref:
        if isinstance(e.base.ty, ty.BitsType):
            return BitRef(self.place(e.base, frame), e.base.ty, e.field)
        return self.address(e.base, frame) + e.field.offset

    def _index_place(self, e: tree.IndexPlace, frame: Frame) -> int:
        of = e.base.ty
        if isinstance(of, ty.ArrayType):
            start, length = self.address(e.base, frame), of.count
        elif isinstance(of, ty.SliceType):
            start, length = self.value(e.base, frame)
        else:
            start, length = self.value(e.base, frame), 0
        index = self.value(e.index, frame)
        if not e.unchecked and not 0 <= index < length:
            raise Trap("INDEX", index, length, e.loc)
        return start + index * e.ty.size

    def _union_payload(self, e: tree.UnionPayload, frame: Frame) -> int:
        return self.address(e.base, frame) + e.base.ty.payload_offset

    def _temp(self, e: tree.Temp, frame: Frame) -> int:
        return self._temporary(e, e.value, frame)

    def _load(self, e: tree.Load, frame: Frame) -> Any:
        return self.load(self.place(e.place, frame), e.ty)

    def _addr_of(self, e: tree.AddrOf, frame: Frame) -> int:
        return self.address(e.place, frame)

    def _union_tag(self, e: tree.UnionTag, frame: Frame) -> int:
        return self.memory.load(self.address(e.base, frame), ty.U32)

    # ---- operators

    def fit(self, exact: int, of: ty.Type, wrap: bool, trap: tuple[str, int, int],
            loc: tree.Loc) -> int:
        """`exact` as a value of type `of`: as it is, wrapped, or a trap."""
        base = memory.integer_base(of)
        if base.holds(exact):
            return exact
        if wrap or not self.overflow_checks:
            return base.wrap(exact)
        raise Trap(*trap, loc)

    def binary(self, op: str, a: int, b: int, of: ty.Type, wrap: bool, loc: tree.Loc) -> Any:
        if op in {"floordiv", "mod"} and b == 0:
            raise Trap("ZERO_DIVISOR", a, 0, loc)
        exact = arith.EXACT[op](a, b)
        if of is ty.BOOL:
            return bool(exact)
        return self.fit(exact, of, wrap or op in BITWISE,
                        ("SHIFT" if op == "shl" else "OVERFLOW", a, b), loc)

    def _binary(self, e: tree.Binary, frame: Frame) -> Any:
        a = self.value(e.left, frame)
        return self.binary(e.op, a, self.value(e.right, frame), e.ty, e.wrap, e.loc)

    def _unary(self, e: tree.Unary, frame: Frame) -> Any:
        a = self.value(e.operand, frame)
        if e.op == "not":
            return not a
        if e.op == "inv":
            return memory.integer_base(e.ty).wrap(~a)
        return self.fit(-a, e.ty, e.wrap, ("OVERFLOW", a, 0), e.loc)

    def _compare(self, e: tree.Compare, frame: Frame) -> bool:
        a = self.value(e.left, frame)
        return arith.COMPARE[e.op](a, self.value(e.right, frame))

    def _slice_equal(self, e: tree.SliceEqual, frame: Frame) -> bool:
        left, right = (self.slice_bytes(side, frame) for side in (e.left, e.right))
        return (left == right) != e.negate

    def slice_bytes(self, e: tree.Expr, frame: Frame) -> bytes:
        address, length = self.value(e, frame)
        assert isinstance(e.ty, ty.SliceType)
        return self.memory.read(address, length * e.ty.elem.size)

    def _logic(self, e: tree.Logic, frame: Frame) -> bool:
        left = self.value(e.left, frame)
        if left == (e.op == "or"):
            return left
        return self.value(e.right, frame)

    def _if_exp(self, e: tree.IfExp, frame: Frame) -> Any:
        return self.value(e.then if self.value(e.cond, frame) else e.other, frame)

    def _convert(self, e: tree.Convert, frame: Frame) -> Any:
        value, to = self.value(e.operand, frame), e.ty
        if e.kind == "bool":
            return value != 0
        if e.kind == "unwrap" and value == 0:
            raise Trap("NULL", 0, 0, e.loc)
        if isinstance(to, ty.EnumType) and e.kind in {"enum", "checked"}:
            if value not in to.members.values():
                raise Trap("NOT_A_MEMBER", value, 0, e.loc)
            return value
        if e.kind == "checked":
            base = memory.integer_base(to)
            if not base.holds(value):
                raise Trap("CONVERSION", value, base.bits + 256 * base.signed, e.loc)
            return value
        if e.kind in {"trunc", "raw", "int_ptr", "ptr_int"}:
            return (to is ty.BOOL and value != 0) or memory.integer_base(to).wrap(int(value))
        return value                     # widen, endian, ptr, slice, unwrap: the same number

    # ---- calls

    def _call(self, e: tree.Call, frame: Frame) -> Any:
        return self.invoke(e.function, [self.value(arg, frame) for arg in e.args])

    def _call_indirect(self, e: tree.CallIndirect, frame: Frame) -> Any:
        callee = self.function_at(self.value(e.callee, frame))
        return self.invoke(callee, [self.value(arg, frame) for arg in e.args])

    # ---- slices, tuples, aggregates

    def _len(self, e: tree.Len, frame: Frame) -> int:
        return self.value(e.operand, frame)[1]

    def _slice_data(self, e: tree.SliceData, frame: Frame) -> int:
        return self.value(e.operand, frame)[0]

    def _make_slice(self, e: tree.MakeSlice, frame: Frame) -> tuple[int, int]:
        pointer = self.value(e.pointer, frame)
        return pointer, self.value(e.length, frame)

    def _slice_of(self, e: tree.SliceOf, frame: Frame) -> tuple[int, int]:
        of = e.base.ty
        if isinstance(of, ty.ArrayType):
            start, length = self.address(e.base, frame), of.count
        else:
            start, length = self.value(e.base, frame)
        lo = 0 if e.lo is None else self.value(e.lo, frame)
        hi = length if e.hi is None else self.value(e.hi, frame)
        if not 0 <= lo <= hi <= length:
            raise Trap("SLICE", lo, hi, e.loc)
        return start + lo * e.ty.elem.size, hi - lo

    def _make_tuple(self, e: tree.MakeTuple, frame: Frame) -> tuple[Any, ...]:
        return tuple(self.value(item, frame) for item in e.items)

    def _tuple_get(self, e: tree.TupleGet, frame: Frame) -> Any:
        return self.value(e.operand, frame)[e.index]

    def _struct_lit(self, e: tree.StructLit, frame: Frame) -> Any:
        if isinstance(e.ty, ty.BitsType):
            return self._with_bits(0, e.ty, e.fields, frame)
        data = bytearray(e.ty.size)
        for name, item in e.fields.items():
            field = e.ty.fields[name]
            data[field.offset:field.offset + field.ty.size] = memory.encode(
                field.ty, self.value(item, frame))
        return bytes(data)

    def _union_lit(self, e: tree.UnionLit, frame: Frame) -> bytes:
        data = bytearray(e.ty.size)
        payload = self.value(e.payload, frame)
        data[:4] = e.tag.to_bytes(4, "little")
        data[e.ty.payload_offset:e.ty.payload_offset + len(payload)] = payload
        return bytes(data)

    def _array_lit(self, e: tree.ArrayLit, frame: Frame) -> bytes:
        data = b"".join(memory.encode(e.ty.elem, self.value(item, frame)) for item in e.items)
        return data.ljust(e.ty.size, b"\0")

    def _bits_get(self, e: tree.BitsGet, frame: Frame) -> Any:
        return get_bits(self.value(e.operand, frame), e.field)

    def _bits_with(self, e: tree.BitsWith, frame: Frame) -> int:
        return self._with_bits(self.value(e.operand, frame), e.ty, e.fields, frame)

    def _with_bits(self, whole: int, of: ty.Type, parts: dict[str, tree.Expr],
                   frame: Frame) -> int:
        for name, part in parts.items():
            whole = set_bits(whole, of.fields[name], self.value(part, frame))
        return whole

    def _seq(self, e: tree.Seq, frame: Frame) -> Any:
        signal = self.run(e.body, frame)
        assert signal is None, "control leaves a Seq"
        return self.value(e.value, frame)

    # ---- the machine

    def _atomic_op(self, e: tree.AtomicOp, frame: Frame) -> Any:
        where = self.address(e.place, frame)
        of = e.place.ty.elem
        args = [self.value(arg, frame) for arg in e.args]
        old = self.memory.load(where, of)
        if e.op == "load":
            return old
        if e.op in {"cas", "cas_value"}:
            if old == args[0]:
                self.memory.store(where, of, args[1])
            return old == args[0] if e.op == "cas" else old
        new = args[0]
        if e.op not in {"store", "swap"}:
            new = memory.integer_base(of).wrap(arith.EXACT[e.op](old, new))
        self.memory.store(where, of, new)
        return None if e.op == "store" else old

    def _fence(self, e: tree.Fence, frame: Frame) -> None:
        return None

    def _register(self, e: tree.MmioRead | tree.MmioWrite, frame: Frame) -> int:
        base = self.value(e.base, frame)
        index = 0 if e.index is None else self.value(e.index, frame)
        if not 0 <= index < e.register.count:
            raise Trap("INDEX", index, e.register.count, e.loc)
        return base + e.register.offset + index * e.register.stride

    def _mmio_read(self, e: tree.MmioRead, frame: Frame) -> Any:
        return self.memory.load(self._register(e, frame), e.register.ty)

    def _mmio_write(self, e: tree.MmioWrite, frame: Frame) -> None:
        where = self._register(e, frame)
        self.memory.store(where, e.register.ty, self.value(e.value, frame))

    def _volatile_load(self, e: tree.VolatileLoad, frame: Frame) -> Any:
        return self.load(self.place(e.place, frame), e.ty)

    def _volatile_store(self, e: tree.VolatileStore, frame: Frame) -> None:
        ref = self.place(e.place, frame)
        self.store(ref, e.place.ty, self.value(e.value, frame))

    def _intrinsic(self, e: tree.Intrinsic, frame: Frame) -> Any:
        args = [self.value(arg, frame) for arg in e.args]
        if e.op == "trap":
            raise Trap("UNREACHABLE", 0, 0, e.loc)
        if e.op in {"pause", "frame_address", "return_address"}:
            return None if e.op == "pause" else 0
        if e.op in {"memcpy", "memmove", "memset", "memcmp"}:
            return self._bulk(e.op, *args)
        if e.op in {"slice_copy", "slice_fill"}:
            return self._slice_write(e, *args)
        return arith.intrinsic(e.op, memory.integer_base(e.args[0].ty), args)

    def _bulk(self, op: str, to: int, what: int, length: int) -> int | None:
        if op == "memset":
            self.memory.write(to, bytes([what & 0xFF]) * length)
        elif op == "memcmp":
            a, b = self.memory.read(to, length), self.memory.read(what, length)
            return (a > b) - (a < b)
        else:
            self.memory.write(to, self.memory.read(what, length))
        return None

    def _slice_write(self, e: tree.Intrinsic, to: tuple[int, int], what: Any) -> None:
        of = e.args[0].ty
        assert isinstance(of, ty.SliceType)
        if e.op == "slice_fill":
            self.memory.write(to[0], memory.encode(of.elem, what) * to[1])
            return
        if to[1] != what[1]:
            raise Trap("SLICE", what[1], to[1], e.loc)
        self.memory.write(to[0], self.memory.read(what[0], to[1] * of.elem.size))

    def _asm_expr(self, e: tree.AsmExpr, frame: Frame) -> Any:
        raise UnsupportedError(f"assembly: {e.template}")

    def _table_ref(self, e: tree.TableRef, frame: Frame) -> Any:
        raise UnsupportedError(f"the link-time table {e.table}")

    # ---- messages

    def message(self, pieces: list[tree.FormatPiece], frame: Frame) -> str:
        """The text of kprintf's, panic's or assert's pieces."""
        shown = []
        for piece in pieces:
            if piece.value is None:
                shown.append(piece.text.decode("utf-8", "replace"))
            elif isinstance(piece.value.ty, ty.SliceType):
                shown.append(printing.show_text(self.slice_bytes(piece.value, frame), piece.spec))
            else:
                spec = piece.spec or printing.default_spec(piece.value.ty)
                shown.append(printing.show_value(int(self.value(piece.value, frame)), spec))
        return "".join(shown)


def get_bits(whole: int, field: ty.Field) -> Any:
    """Bits field.bit and up of `whole`, as field.ty."""
    raw = whole >> field.bit & ((1 << field.width) - 1)
    if field.ty is ty.BOOL:
        return bool(raw)
    base = memory.integer_base(field.ty)
    return raw - (1 << field.width) if base.signed and raw >> (field.width - 1) else raw


def set_bits(whole: int, field: ty.Field, value: Any) -> int:
    mask = (1 << field.width) - 1
    return whole & ~(mask << field.bit) | (int(value) & mask) << field.bit


EXPRESSIONS: dict[str, type[tree.Expr]] = {
    "const": tree.Const, "const_data": tree.ConstData, "fn_ref": tree.FnRef, "load": tree.Load,
    "addr_of": tree.AddrOf, "unary": tree.Unary, "binary": tree.Binary, "compare": tree.Compare,
    "slice_equal": tree.SliceEqual, "logic": tree.Logic, "if_exp": tree.IfExp,
    "convert": tree.Convert, "call": tree.Call, "call_indirect": tree.CallIndirect,
    "len": tree.Len, "slice_data": tree.SliceData, "make_slice": tree.MakeSlice,
    "slice_of": tree.SliceOf,
    "make_tuple": tree.MakeTuple, "tuple_get": tree.TupleGet, "struct_lit": tree.StructLit,
    "union_lit": tree.UnionLit, "array_lit": tree.ArrayLit, "zero_init": tree.ZeroInit,
    "bits_get": tree.BitsGet, "bits_with": tree.BitsWith, "seq": tree.Seq,
    "atomic_op": tree.AtomicOp, "fence": tree.Fence, "mmio_read": tree.MmioRead,
    "mmio_write": tree.MmioWrite, "volatile_load": tree.VolatileLoad,
    "volatile_store": tree.VolatileStore, "intrinsic": tree.Intrinsic,
    "asm_expr": tree.AsmExpr, "table_ref": tree.TableRef, "union_tag": tree.UnionTag,
}

PLACES: dict[str, type[tree.Place]] = {
    "var_place": tree.VarPlace, "global_place": tree.GlobalPlace, "deref": tree.Deref,
    "field_place": tree.FieldPlace, "index_place": tree.IndexPlace,
    "union_payload": tree.UnionPayload, "temp": tree.Temp,
}


