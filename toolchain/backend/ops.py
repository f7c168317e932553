# SPDX-License-Identifier: BSD-3-Clause
"""Arithmetic, comparison and conversion: kpy's exact meaning in instructions without UB.

    %3: u32 = add %1, %2 or trap       %t0 = call {i32, i1} @llvm.uadd.with.overflow.i32(...)
                                       %r3 = extractvalue {i32, i1} %t0, 0
                                       %t1 = extractvalue {i32, i1} %t0, 1
                                       br i1 %t1, label %x0, label %o0
                                     o0:

What holds of the text: no nsw, nuw, exact or inbounds; no shift by the width or more reaches a
result; no division by zero or of the minimum by -1 is executed.  The trap blocks (x0) are put
at the end of the function.
Tests     tests/toolchain/test_backend_arithmetic.py
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from toolchain.backend.abi import int_of, memory, register
from toolchain.frontend import types
from toolchain.lower import cfg

if TYPE_CHECKING:
    from toolchain.backend.llvm import FunctionEmitter

_WITH_OVERFLOW = {"add", "sub", "mul"}
_BITWISE = {"and", "or", "xor"}
_PREDICATE = {"eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge"}


def binary(e: FunctionEmitter, ins: cfg.Binary) -> None:
    base = int_of(ins.dest.ty) or types.U64
    left, right = e.op(ins.left), e.op(ins.right)
    op = ins.op
    if op in _BITWISE:
        e.put(f"{e.reg(ins.dest)} = {op} i{base.bits} {left}, {right}")
    elif op in _WITH_OVERFLOW:
        if ins.trap is None:
            e.put(f"{e.reg(ins.dest)} = {op} i{base.bits} {left}, {right}")
        else:
            _overflow(e, op, base, left, right, e.reg(ins.dest), ins.trap)
    elif op in ("shl", "shr"):
        _shift(e, ins, base, left)
    else:
        _divide(e, ins, base, left, right)


def _overflow(e: FunctionEmitter, op: str, base: types.IntType, left: str, right: str,
              dest: str, trap: cfg.Trap, shown: tuple[str, str] | None = None) -> None:
    """`shown`: the values reported, where they are not the operands as computed."""
    name = f"llvm.{'s' if base.signed else 'u'}{op}.with.overflow.i{base.bits}"
    pair = f"{{i{base.bits}, i1}}"
    e.module.declare(name, f"declare {pair} @{name}(i{base.bits}, i{base.bits})")
    both, failed = e.temp(), e.temp()
    e.put(f"{both} = call {pair} @{name}(i{base.bits} {left}, i{base.bits} {right})")
    e.put(f"{dest} = extractvalue {pair} {both}, 0")
    e.put(f"{failed} = extractvalue {pair} {both}, 1")
    e.trap_if(failed, trap, [(base, value) for value in shown or (left, right)])


def _shift(e: FunctionEmitter, ins: cfg.Binary, base: types.IntType, left: str) -> None:
    bits, dest = base.bits, e.reg(ins.dest)
    count_ty = int_of(ins.right.ty) or types.U64
    down = "ashr" if base.signed else "lshr"
    if isinstance(ins.right, cfg.Imm):
        count = ins.right.value
        if ins.op == "shr":
            if count < bits:
                e.put(f"{dest} = {down} i{bits} {left}, {count}")
            elif base.signed:
                e.put(f"{dest} = ashr i{bits} {left}, {bits - 1}")
            else:
                e.put(f"{dest} = and i{bits} {left}, 0")
            return
        if count >= bits:
            e.put(f"{dest} = and i{bits} {left}, 0")
            back = "0"
        else:
            e.put(f"{dest} = shl i{bits} {left}, {count}")
            back = e.temp()
            if ins.trap is not None:
                e.put(f"{back} = {down} i{bits} {dest}, {count}")
        if ins.trap is not None:
            lost = e.temp()
            e.put(f"{lost} = icmp ne i{bits} {back}, {left}")
            e.trap_if(lost, ins.trap, [(base, left), (count_ty, str(count))])
        return
    count = e.op(ins.right)
    big = e.temp()
    if count_ty.bits < 63 and (1 << count_ty.bits) <= bits:
        big = "false"
    else:
        e.put(f"{big} = icmp uge i{count_ty.bits} {count}, {bits}")
    amount = resize(e, count, count_ty.bits, bits, signed=False)
    if ins.op == "shr":
        raw = e.temp()
        if base.signed:
            safe = e.temp()
            e.put(f"{safe} = select i1 {big}, i{bits} {bits - 1}, i{bits} {amount}")
            e.put(f"{dest} = ashr i{bits} {left}, {safe}")
        else:
            e.put(f"{raw} = lshr i{bits} {left}, {amount}")
            e.put(f"{dest} = select i1 {big}, i{bits} 0, i{bits} {raw}")
        return
    raw = e.temp()
    e.put(f"{raw} = shl i{bits} {left}, {amount}")
    e.put(f"{dest} = select i1 {big}, i{bits} 0, i{bits} {raw}")
    if ins.trap is not None:
        safe, again, back, lost = e.temp(), e.temp(), e.temp(), e.temp()
        e.put(f"{safe} = select i1 {big}, i{bits} 0, i{bits} {amount}")
        e.put(f"{again} = {down} i{bits} {dest}, {safe}")
        e.put(f"{back} = select i1 {big}, i{bits} 0, i{bits} {again}")
        e.put(f"{lost} = icmp ne i{bits} {back}, {left}")
        e.trap_if(lost, ins.trap, [(base, left), (count_ty, count)])


def _divide(e: FunctionEmitter, ins: cfg.Binary, base: types.IntType, left: str,
            right: str) -> None:
    """Floor division and its remainder, which has the divisor's sign."""
    bits, dest = base.bits, e.reg(ins.dest)
    known = ins.right.value if isinstance(ins.right, cfg.Imm) else None
    if known is None or known == 0:
        zero = e.temp()
        e.put(f"{zero} = icmp eq i{bits} {right}, 0")
        e.trap_if(zero, cfg.Trap.ZERO_DIVISOR, [(base, left)])
        if known == 0:
            right = "1"
    floor = ins.op == "floordiv"
    if not base.signed:
        e.put(f"{dest} = {'udiv' if floor else 'urem'} i{bits} {left}, {right}")
        return
    if known is not None and known > 0 and known & (known - 1) == 0:
        if floor:
            e.put(f"{dest} = ashr i{bits} {left}, {known.bit_length() - 1}")
        else:
            e.put(f"{dest} = and i{bits} {left}, {known - 1}")
        return
    safe, minus_one = right, None
    if known is None or known == -1:
        minus_one, safe = e.temp(), e.temp()
        e.put(f"{minus_one} = icmp eq i{bits} {right}, -1")
        if ins.trap is not None and floor:
            least, both = e.temp(), e.temp()
            e.put(f"{least} = icmp eq i{bits} {left}, {base.minimum}")
            e.put(f"{both} = and i1 {least}, {minus_one}")
            e.trap_if(both, ins.trap, [(base, left), (base, right)])
        e.put(f"{safe} = select i1 {minus_one}, i{bits} 1, i{bits} {right}")
    rest, uneven, differ, sign, adjust = (e.temp() for _ in range(5))
    e.put(f"{rest} = srem i{bits} {left}, {safe}")
    e.put(f"{uneven} = icmp ne i{bits} {rest}, 0")
    e.put(f"{sign} = xor i{bits} {rest}, {safe}")
    e.put(f"{differ} = icmp slt i{bits} {sign}, 0")
    e.put(f"{adjust} = and i1 {uneven}, {differ}")
    if not floor:
        # A divisor of -1 was divided as 1: the remainder is 0 either way.
        moved = e.temp()
        e.put(f"{moved} = add i{bits} {rest}, {safe}")
        e.put(f"{dest} = select i1 {adjust}, i{bits} {moved}, i{bits} {rest}")
        return
    quotient, less, lower = e.temp(), e.temp(), e.temp()
    e.put(f"{quotient} = sdiv i{bits} {left}, {safe}")
    e.put(f"{less} = sext i1 {adjust} to i{bits}")
    if minus_one is None:
        e.put(f"{dest} = add i{bits} {quotient}, {less}")
        return
    negated = e.temp()
    e.put(f"{lower} = add i{bits} {quotient}, {less}")
    e.put(f"{negated} = sub i{bits} 0, {left}")
    e.put(f"{dest} = select i1 {minus_one}, i{bits} {negated}, i{bits} {lower}")


def unary(e: FunctionEmitter, ins: cfg.Unary) -> None:
    base = int_of(ins.dest.ty) or types.U64
    operand, dest = e.op(ins.operand), e.reg(ins.dest)
    if ins.op == "not":
        e.put(f"{dest} = xor i1 {operand}, true")
    elif ins.op == "inv":
        e.put(f"{dest} = xor i{base.bits} {operand}, -1")
    elif ins.trap is None:
        e.put(f"{dest} = sub i{base.bits} 0, {operand}")
    else:
        _overflow(e, "sub", base, "0", operand, dest, ins.trap, (operand, "0"))


def compare(e: FunctionEmitter, ins: cfg.Compare) -> None:
    ty = ins.left.ty if not isinstance(ins.left, cfg.Slot | cfg.Data) else ins.right.ty
    base = int_of(ty) if not isinstance(ins.left, cfg.Sym | cfg.Slot | cfg.Data) else None
    predicate = _PREDICATE[ins.op]
    if predicate not in ("eq", "ne"):
        predicate = ("s" if base is not None and base.signed else "u") + predicate
    kind = f"i{base.bits}" if base is not None else "ptr"
    e.put(f"{e.reg(ins.dest)} = icmp {predicate} {kind} {e.op(ins.left)}, {e.op(ins.right)}")


def resize(e: FunctionEmitter, value: str, old: int, new: int, signed: bool) -> str:
    """An integer of `old` bits as one of `new` bits: extended or cut."""
    if old == new:
        return value
    dest = e.temp()
    word = "trunc" if new < old else "sext" if signed else "zext"
    e.put(f"{dest} = {word} i{old} {value} to i{new}")
    return dest


def _alias(e: FunctionEmitter, ins: cfg.Convert) -> None:
    """The same bits in another type: no instruction."""
    e.rename(ins.dest, e.op(ins.operand))


def _resize(e: FunctionEmitter, ins: cfg.Convert) -> None:
    source, dest = int_of(ins.operand.ty), int_of(ins.dest.ty)
    if ins.operand.ty is not types.BOOL and ins.dest.ty is types.BOOL:
        e.put(f"{e.reg(ins.dest)} = icmp ne i{source.bits} {e.op(ins.operand)}, 0")
        return
    e.rename(ins.dest, resize(e, e.op(ins.operand), source.bits, dest.bits, source.signed))


def _bool(e: FunctionEmitter, ins: cfg.Convert) -> None:
    source = int_of(ins.operand.ty)
    e.put(f"{e.reg(ins.dest)} = icmp ne i{source.bits} {e.op(ins.operand)}, 0")


def _checked(e: FunctionEmitter, ins: cfg.Convert) -> None:
    if isinstance(ins.dest.ty, types.EnumType):
        _enum(e, ins)
        return
    source, dest = int_of(ins.operand.ty), int_of(ins.dest.ty)
    value = e.op(ins.operand)
    code = dest.bits + (256 if dest.signed else 0)
    sign = "s" if source.signed else "u"
    for bound, predicate in ((dest.minimum, "lt"), (dest.maximum, "gt")):
        if source.holds(bound) and bound != (source.minimum if predicate == "lt"
                                             else source.maximum):
            wrong = e.temp()
            e.put(f"{wrong} = icmp {sign}{predicate} i{source.bits} {value}, {bound}")
            e.trap_if(wrong, ins.trap, [(source, value), (None, str(code))])
    _resize(e, ins)


def _enum(e: FunctionEmitter, ins: cfg.Convert) -> None:
    """Trap unless the value is a member: one comparison where members have no gaps."""
    ty, source, value = ins.dest.ty, int_of(ins.operand.ty), e.op(ins.operand)
    members = sorted(set(ty.members.values()))
    bits = source.bits
    if ty.is_flags:
        allowed = 0
        for member in members:
            allowed |= member
        other, wrong = e.temp(), e.temp()
        mask = ~allowed & ((1 << bits) - 1)
        e.put(f"{other} = and i{bits} {value}, {mask}")
        e.put(f"{wrong} = icmp ne i{bits} {other}, 0")
        e.trap_if(wrong, ins.trap, [(source, value)])
    else:
        members = [m for m in members if source.holds(m)]
        if members and members[-1] - members[0] == len(members) - 1:
            moved, wrong = e.temp(), e.temp()
            e.put(f"{moved} = sub i{bits} {value}, {members[0]}")
            e.put(f"{wrong} = icmp ugt i{bits} {moved}, {len(members) - 1}")
            e.trap_if(wrong, ins.trap, [(source, value)])
        else:
            okay, trap = e.new_label("o"), e.new_label("x")
            cases = " ".join(f"i{bits} {m}, label %{okay}" for m in members)
            e.put(f"switch i{bits} {value}, label %{trap} [ {cases} ]")
            e.trap_block(trap, ins.trap, [(source, value)])
            e.label(okay)
    e.rename(ins.dest, resize(e, value, bits, int_of(ty).bits, source.signed))


def swap_bytes(e: FunctionEmitter, bits: int, value: str, dest: str) -> None:
    e.module.declare(f"llvm.bswap.i{bits}", f"declare i{bits} @llvm.bswap.i{bits}(i{bits})")
    e.put(f"{dest} = call i{bits} @llvm.bswap.i{bits}(i{bits} {value})")


def _endian(e: FunctionEmitter, ins: cfg.Convert) -> None:
    wire = ins.dest.ty if isinstance(ins.dest.ty, types.EndianType) else ins.operand.ty
    if wire.big:
        swap_bytes(e, wire.base.bits, e.op(ins.operand), e.reg(ins.dest))
    else:
        _resize(e, ins)


def _int_ptr(e: FunctionEmitter, ins: cfg.Convert) -> None:
    source = int_of(ins.operand.ty)
    wide = resize(e, e.op(ins.operand), source.bits, 64, source.signed)
    e.put(f"{e.reg(ins.dest)} = inttoptr i64 {wide} to ptr")


def _ptr_int(e: FunctionEmitter, ins: cfg.Convert) -> None:
    dest = int_of(ins.dest.ty)
    e.put(f"{e.reg(ins.dest)} = ptrtoint ptr {e.op(ins.operand)} to i{dest.bits}")


def _bits(e: FunctionEmitter, ins: cfg.Convert) -> None:
    """Any scalar as a u64 (hooks and messages)."""
    source = int_of(ins.operand.ty)
    if source is None or isinstance(ins.operand, cfg.Slot | cfg.Sym | cfg.Data):
        e.put(f"{e.reg(ins.dest)} = ptrtoint ptr {e.op(ins.operand)} to i64")
    else:
        e.rename(ins.dest, resize(e, e.op(ins.operand), source.bits, 64, source.signed))


def _from_bits(e: FunctionEmitter, ins: cfg.Convert) -> None:
    """The reverse of `bits`."""
    dest = int_of(ins.dest.ty)
    if dest is None:
        e.put(f"{e.reg(ins.dest)} = inttoptr i64 {e.op(ins.operand)} to ptr")
    else:
        e.rename(ins.dest, resize(e, e.op(ins.operand), 64, dest.bits, signed=False))


CONVERSIONS: dict[str, Callable[[FunctionEmitter, cfg.Convert], None]] = {
    "widen": _resize, "trunc": _resize, "raw": _resize, "checked": _checked, "enum": _enum,
    "endian": _endian, "ptr": _alias, "int_ptr": _int_ptr, "ptr_int": _ptr_int, "bool": _bool,
    "bits": _bits, "from_bits": _from_bits,
}


def convert(e: FunctionEmitter, ins: cfg.Convert) -> None:
    CONVERSIONS[ins.kind](e, ins)


def bits_get(e: FunctionEmitter, ins: cfg.BitsGet) -> None:
    whole, dest = int_of(ins.operand.ty), int_of(ins.dest.ty)
    value = e.op(ins.operand)
    if ins.bit:
        moved = e.temp()
        e.put(f"{moved} = lshr i{whole.bits} {value}, {ins.bit}")
        value = moved
    value = resize(e, value, whole.bits, ins.width, signed=False)
    e.rename(ins.dest, resize(e, value, ins.width, dest.bits, dest.signed))


def bits_set(e: FunctionEmitter, ins: cfg.BitsSet) -> None:
    whole, part = int_of(ins.dest.ty).bits, int_of(ins.value.ty)
    mask = ((1 << ins.width) - 1) << ins.bit
    value = resize(e, e.op(ins.value), part.bits, whole, signed=False)
    placed, kept, cut = e.temp(), e.temp(), e.temp()
    e.put(f"{placed} = shl i{whole} {value}, {ins.bit}")
    e.put(f"{cut} = and i{whole} {placed}, {mask}")
    e.put(f"{kept} = and i{whole} {e.op(ins.operand)}, {((1 << whole) - 1) ^ mask}")
    e.put(f"{e.reg(ins.dest)} = or i{whole} {kept}, {cut}")


def intrinsic(e: FunctionEmitter, ins: cfg.Intrinsic) -> None:
    _INTRINSICS[ins.op](e, ins)


def _count(e: FunctionEmitter, ins: cfg.Intrinsic) -> None:
    """popcount ctz clz; the result may be of another width than the operand."""
    source, dest = int_of(ins.args[0].ty), int_of(ins.dest.ty)
    name = {"popcount": "ctpop", "ctz": "cttz", "clz": "ctlz"}[ins.op]
    full, i = f"llvm.{name}.i{source.bits}", f"i{source.bits}"
    flag = "" if name == "ctpop" else ", i1"
    e.module.declare(full, f"declare {i} @{full}({i}{flag})")
    raw = e.temp()
    e.put(f"{raw} = call {i} @{full}({i} {e.op(ins.args[0])}{flag + ' false' if flag else ''})")
    e.rename(ins.dest, resize(e, raw, source.bits, dest.bits, signed=False))


def _bswap(e: FunctionEmitter, ins: cfg.Intrinsic) -> None:
    base = int_of(ins.dest.ty)
    if base.bits == 8:
        e.rename(ins.dest, e.op(ins.args[0]))
    else:
        swap_bytes(e, base.bits, e.op(ins.args[0]), e.reg(ins.dest))


def _rotate(e: FunctionEmitter, ins: cfg.Intrinsic) -> None:
    base, count = int_of(ins.dest.ty), int_of(ins.args[1].ty)
    name, i = f"llvm.fsh{ins.op[-1]}.i{base.bits}", f"i{base.bits}"
    e.module.declare(name, f"declare {i} @{name}({i}, {i}, {i})")
    value = e.op(ins.args[0])
    amount = resize(e, e.op(ins.args[1]), count.bits, base.bits, signed=False)
    e.put(f"{e.reg(ins.dest)} = call {i} @{name}({i} {value}, {i} {value}, {i} {amount})")


def _extreme(e: FunctionEmitter, ins: cfg.Intrinsic) -> None:
    base = int_of(ins.dest.ty)
    name = f"llvm.{'s' if base.signed else 'u'}{ins.op}.i{base.bits}"
    i = f"i{base.bits}"
    e.module.declare(name, f"declare {i} @{name}({i}, {i})")
    e.put(f"{e.reg(ins.dest)} = call {i} @{name}({i} {e.op(ins.args[0])}, "
          f"{i} {e.op(ins.args[1])})")


def _mulhi(e: FunctionEmitter, ins: cfg.Intrinsic) -> None:
    base = int_of(ins.dest.ty)
    bits, extend = base.bits, "sext" if base.signed else "zext"
    left, right, full, high = (e.temp() for _ in range(4))
    for name, arg in ((left, ins.args[0]), (right, ins.args[1])):
        e.put(f"{name} = {extend} i{bits} {e.op(arg)} to i{2 * bits}")
    e.put(f"{full} = mul i{2 * bits} {left}, {right}")
    e.put(f"{high} = lshr i{2 * bits} {full}, {bits}")
    e.put(f"{e.reg(ins.dest)} = trunc i{2 * bits} {high} to i{bits}")


def _with_carry(e: FunctionEmitter, ins: cfg.Intrinsic) -> None:
    """A tuple[T, bool]: the wrapped result, and whether it wrapped."""
    base = int_of(ins.args[0].ty)
    op = {"add_carry": "add", "sub_borrow": "sub", "mul_overflow": "mul"}[ins.op]
    name = f"llvm.{'s' if base.signed else 'u'}{op}.with.overflow.i{base.bits}"
    i, pair = f"i{base.bits}", f"{{i{base.bits}, i1}}"
    e.module.declare(name, f"declare {pair} @{name}({i}, {i})")
    both, value, flag, wide, half = (e.temp() for _ in range(5))
    e.put(f"{both} = call {pair} @{name}({i} {e.op(ins.args[0])}, {i} {e.op(ins.args[1])})")
    e.put(f"{value} = extractvalue {pair} {both}, 0")
    e.put(f"{flag} = extractvalue {pair} {both}, 1")
    e.put(f"{wide} = zext i1 {flag} to i8")
    ty = register(ins.dest.ty)
    e.put(f"{half} = insertvalue {ty} poison, {memory(ins.args[0].ty)} {value}, 0")
    e.put(f"{e.reg(ins.dest)} = insertvalue {ty} {half}, i8 {wide}, 1")


def _address(e: FunctionEmitter, ins: cfg.Intrinsic) -> None:
    name = "llvm.frameaddress.p0" if ins.op == "frame_address" else "llvm.returnaddress"
    e.module.declare(name, f"declare ptr @{name}(i32)")
    raw = e.temp()
    e.put(f"{raw} = call ptr @{name}(i32 0)")
    e.put(f"{e.reg(ins.dest)} = ptrtoint ptr {raw} to i64")


def _memory(e: FunctionEmitter, ins: cfg.Intrinsic) -> None:
    to, source, size = (e.op(arg) for arg in ins.args)
    if ins.op == "memcmp":
        e.module.declare("memcmp", "declare i32 @memcmp(ptr, ptr, i64)")
        call = f"call i32 @memcmp(ptr {to}, ptr {source}, i64 {size})"
        if ins.dest is None:
            e.put(call)
        else:
            raw = e.temp()
            e.put(f"{raw} = {call}")
            e.rename(ins.dest, resize(e, raw, 32, int_of(ins.dest.ty).bits, signed=True))
        return
    if ins.op == "memset":
        value = resize(e, source, int_of(ins.args[1].ty).bits, 8, signed=False)
        e.module.declare("llvm.memset.p0.i64",
                         "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        e.put(f"call void @llvm.memset.p0.i64(ptr {to}, i8 {value}, i64 {size}, i1 false)")
        return
    name = f"llvm.{ins.op}.p0.p0.i64"
    e.module.declare(name, f"declare void @{name}(ptr, ptr, i64, i1)")
    e.put(f"call void @{name}(ptr {to}, ptr {source}, i64 {size}, i1 false)")


def _pause(e: FunctionEmitter, ins: cfg.Intrinsic) -> None:
    e.put('call void asm sideeffect "pause", "~{memory},~{dirflag},~{fpsr},~{flags}"()')


def _trap(e: FunctionEmitter, ins: cfg.Intrinsic) -> None:
    e.module.declare("llvm.trap", "declare void @llvm.trap()")
    e.put("call void @llvm.trap()")


_INTRINSICS: dict[str, Callable[[FunctionEmitter, cfg.Intrinsic], None]] = {
    "popcount": _count, "ctz": _count, "clz": _count, "bswap": _bswap, "rotl": _rotate,
    "rotr": _rotate, "min": _extreme, "max": _extreme, "mulhi": _mulhi,
    "add_carry": _with_carry, "sub_borrow": _with_carry, "mul_overflow": _with_carry,
    "frame_address": _address, "return_address": _address, "memcpy": _memory,
    "memmove": _memory, "memset": _memory, "memcmp": _memory, "pause": _pause, "trap": _trap,
}
