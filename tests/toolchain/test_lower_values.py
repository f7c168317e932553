# SPDX-License-Identifier: BSD-3-Clause
"""What every expression and place of the typed tree does when it runs, in dev and in release."""
from __future__ import annotations

import ctypes
import struct

import pytest

from tests.toolchain import build as k
from tests.toolchain.run import build
from toolchain.backend.jit import CheckFailed, Panic
from toolchain.frontend import tree, types
from toolchain.frontend.types import BOOL, I32, I64, STR, U8, U16, U32, U64, VOID
from toolchain.lower.cfg import Trap

pytestmark = pytest.mark.parametrize("mode", ["dev", "release"])


def run(mode, f, *args, others=(), **more):
    program = build(k.module(f, *others, **more), mode=mode)
    return program.call(f, *args)


def trap_of(mode, f, *args):
    with pytest.raises(CheckFailed) as failed:
        run(mode, f, *args)
    return failed.value.kind, failed.value.a, failed.value.b


# ---- aggregates

def point():
    return k.struct("Point", x=U32, y=U64)


def test_struct_literal_swaps(mode):
    ty = point()
    p, out = k.local("p", ty), k.param("out", types.ptr(ty))
    lit = lambda x, y: tree.StructLit(ty, k.here(), {"x": x, "y": y})  # noqa: E731
    low = k.convert("trunc", k.load(k.field(p, "y")), U32)
    wide = k.convert("widen", k.load(k.field(p, "x")), U64)
    f = k.function("f", [out], VOID, [
        k.declare(p, lit(k.const(1, U32), k.const(2))),
        k.assign(p, lit(low, wide)),
        k.assign(k.deref(k.load(out)), k.place(p))])
    buffer = ctypes.create_string_buffer(b"\xff" * 16, 16)
    run(mode, f, buffer)
    assert buffer.raw == struct.pack("<IxxxxQ", 2, 1)


def test_aggregate_result_and_nested(mode):
    inner = point()
    outer = k.struct("Outer", a=U8, p=inner, q=inner)
    n = k.param("n", U32)
    make = k.function("make", [n], inner, [k.ret(tree.StructLit(inner, k.here(), {
        "x": k.load(n), "y": k.const(7)}))])
    m = k.param("m", U32)
    f = k.function("f", [m], outer, [k.ret(tree.StructLit(outer, k.here(), {
        "a": k.const(3, U8), "p": k.call(make, k.load(m)),
        "q": tree.IfExp(inner, k.here(), k.compare("eq", k.load(m), k.const(5, U32)),
                        k.call(make, k.const(8, U32)), tree.ZeroInit(inner, k.here()))}))])
    got = run(mode, f, 5, others=[make])
    assert got == struct.pack("<B7xIxxxxQIxxxxQ", 3, 5, 7, 8, 7)
    assert run(mode, f, 6, others=[make]) == struct.pack("<B7xIxxxxQIxxxxQ", 3, 6, 7, 0, 0)


def test_assigned_call_does_not_see_its_target(mode):
    """p = swapped(ref(p)): the callee reads p while it makes the result."""
    ty = k.struct("Pair", x=U64, y=U64)
    q = k.param("q", types.ptr(ty))
    swapped = k.function("swapped", [q], ty, [k.ret(tree.StructLit(ty, k.here(), {
        "x": k.load(k.field(k.deref(k.load(q)), "y")),
        "y": k.load(k.field(k.deref(k.load(q)), "x"))}))])
    p = k.local("p", ty)
    f = k.function("f", [], ty, [
        k.declare(p, tree.StructLit(ty, k.here(), {"x": k.const(1), "y": k.const(2)})),
        k.assign(p, k.call(swapped, k.addr(p))), k.ret(k.place(p))])
    assert run(mode, f, others=[swapped]) == struct.pack("<QQ", 2, 1)


def test_arrays(mode):
    ty = types.array(U16, 4)
    a, i = k.local("a", ty), k.param("i", U64)
    f = k.function("f", [i], U16, [
        k.declare(a, tree.ArrayLit(ty, k.here(), [k.const(n, U16) for n in (5, 6, 7, 8)])),
        k.aug(k.index(a, k.load(i)), "add", k.const(10, U16)),
        k.ret(k.load(k.index(a, k.load(i))))])
    assert [run(mode, f, n) for n in (0, 3)] == [15, 18]
    assert trap_of(mode, f, 4) == (Trap.INDEX, 4, 4)


def test_union(mode):
    a, b = k.struct("A", n=U64), k.struct("B", s=STR, m=U8)
    ty = types.union_of((a, b))
    ty.finish()
    u, which = k.local("u", ty), k.param("which", BOOL)
    lit = tree.IfExp(ty, k.here(), k.load(which),
                     tree.UnionLit(ty, k.here(), 0, tree.StructLit(a, k.here(), {
                         "n": k.const(77)})),
                     tree.UnionLit(ty, k.here(), 1, tree.StructLit(b, k.here(), {
                         "m": k.const(9, U8)})))
    payload = lambda tag, s: tree.UnionPayload(s, k.here(), k.place(u), tag)  # noqa: E731
    f = k.function("f", [which], U64, [
        k.declare(u, lit),
        tree.Switch(k.here(), tree.UnionTag(U32, k.here(), k.place(u)), [
            ([0], [k.ret(k.load(k.field(payload(0, a), "n")))]),
            ([1], [k.ret(k.convert("widen", k.load(k.field(payload(1, b), "m")), U64))])],
            None)])
    assert (run(mode, f, True), run(mode, f, False)) == (77, 9)


# ---- slices, strings, tuples

def test_slices(mode):
    ty = types.slice_of(U32)
    xs, lo, hi = k.param("xs", ty), k.param("lo", U64), k.param("hi", U64)
    part = tree.SliceOf(ty, k.here(), k.load(xs), k.load(lo), k.load(hi))
    f = k.function("f", [xs, lo, hi], U64, [k.ret(k.length(part))])
    g = k.function("g", [xs, lo, hi], U32, [k.ret(k.load(k.index(part, k.const(0))))])
    program = build(k.module(f, g), mode=mode)
    data = ctypes.create_string_buffer(struct.pack("<5I", *range(10, 15)), 20)
    view = (ctypes.addressof(data), 5)
    assert program.call(f, view, 1, 4) == 3
    assert program.call(g, view, 3, 5) == 13
    for bounds in ((4, 3), (0, 6), (6, 6)):
        with pytest.raises(CheckFailed) as failed:
            program.call(f, view, *bounds)
        assert failed.value.kind is Trap.SLICE
    with pytest.raises(CheckFailed):
        program.call(g, view, 2, 2)


def test_slice_of_array_and_string_equality(mode):
    ty = types.array(U8, 4)
    a, s = k.local("a", ty), k.param("s", STR)
    base = tree.SliceOf(types.slice_of(U8), k.here(), k.place(a), k.const(1), None)
    for negate in (False, True):
        f = k.function("f", [s], BOOL, [
            k.declare(a, tree.ArrayLit(ty, k.here(), [k.const(n, U8) for n in b"xabc"])),
            k.ret(tree.SliceEqual(BOOL, k.here(), base,
                                  k.convert("slice", k.load(s), types.slice_of(U8)), negate))])
        results = [run(mode, f, text) for text in (b"abc", b"abd", b"ab")]
        assert results == [not negate, negate, negate]


def test_constant_slice_and_tuple(mode):
    pair = types.tuple_of((U8, BOOL, STR))
    i = k.param("i", U64)
    numbers = tree.ConstData(types.slice_of(U16), k.here(), [3, 4, 500])
    t = k.local("t", pair)
    f = k.function("f", [i], U16, [k.ret(k.load(k.index(numbers, k.load(i))))])
    g = k.function("g", [], pair, [
        k.declare(t, tree.MakeTuple(pair, k.here(), [
            k.const(5, U8), k.const(1, BOOL), tree.ConstData(STR, k.here(), b"hey")])),
        k.ret(tree.MakeTuple(pair, k.here(), [
            tree.TupleGet(U8, k.here(), k.load(t), 0), tree.TupleGet(BOOL, k.here(), k.load(t), 1),
            tree.TupleGet(STR, k.here(), k.load(t), 2)]))])
    program = build(k.module(f, g), mode=mode)
    assert program.call(f, 2) == 500
    n, flag, text = program.call(g)
    assert (n, flag, ctypes.string_at(*text)) == (5, True, b"hey")


# ---- bits, enums, endians, conversions

def test_bit_fields(mode):
    ty = k.bits("Ctrl", U32, en=(BOOL, 0, 1), mode=(types.int_type(3), 1, 3),
                high=(U16, 16, 16))
    c, v = k.local("c", ty), k.param("v", U32)
    f = k.function("f", [v], U32, [
        k.declare(c, k.convert("raw", k.load(v), ty)),
        k.assign(k.field(c, "mode"), k.const(5, types.int_type(3))),
        k.assign(k.field(c, "en"), k.unary("not", k.load(k.field(c, "en")))),
        k.aug(k.field(c, "high"), "add", k.const(1, U16), wrap=True),
        k.ret(k.convert("raw", k.load(c), U32))])
    g = k.function("g", [v], U32, [
        k.ret(k.convert("widen", tree.BitsGet(types.int_type(3), k.here(), k.convert(
            "raw", k.load(v), ty), ty.fields["mode"]), U32))])
    h = k.function("h", [v], U32, [k.ret(k.convert("raw", tree.BitsWith(
        ty, k.here(), k.convert("raw", k.load(v), ty), {"high": k.const(0xabcd, U16)}), U32))])
    program = build(k.module(f, g, h), mode=mode)
    assert program.call(f, 0xffff0003) == 0x0000000a
    assert program.call(g, 0xffff000b) == 5
    assert program.call(h, 0x12345678) == 0xabcd5678


def test_enum_members(mode):
    dense = k.enum("Dense", U8, A=1, B=2, C=3)
    sparse = k.enum("Sparse", U8, A=1, B=9)
    flags = k.enum("Flags", U8, flags=True, R=1, W=4)
    n = k.param("n", U32)
    for ty, good, bad in ((dense, (1, 3), (0, 4, 300)), (sparse, (1, 9), (2, 8, 257)),
                          (flags, (0, 5), (2, 8, 256))):
        f = k.function("f", [n], U8, [k.ret(k.convert("raw", k.convert(
            "enum", k.load(n), ty), U8))])
        program = build(k.module(f), mode=mode)
        assert [program.call(f, v) for v in good] == list(good)
        for value in bad:
            with pytest.raises(CheckFailed) as failed:
                program.call(f, value)
            assert (failed.value.kind, failed.value.a) == (Trap.NOT_A_MEMBER, value)


def test_endians(mode):
    be, le = types.endian(32, True), types.endian(32, False)
    s = k.struct("Wire", a=be, b=le)
    n, out = k.param("n", U32), k.param("out", types.ptr(s))
    place = k.deref(k.load(out))
    f = k.function("f", [n, out], U32, [
        k.assign(k.field(place, "a"), k.convert("endian", k.load(n), be)),
        k.assign(k.field(place, "b"), k.convert("endian", k.load(n), le)),
        k.ret(k.convert("endian", k.load(k.field(place, "a")), U32))])
    g = k.function("g", [], U32, [k.ret(k.convert("endian", k.const(0x01020304, be), U32))])
    program = build(k.module(f, g), mode=mode)
    buffer = ctypes.create_string_buffer(8)
    assert program.call(f, 0x01020304, buffer) == 0x01020304
    assert buffer.raw == bytes([1, 2, 3, 4, 4, 3, 2, 1])
    assert program.call(g) == 0x01020304


def test_pointers(mode):
    node = k.struct("Node", value=U32)
    nullable = types.ptr(node, True)
    p = k.param("p", nullable)
    f = k.function("f", [p], U32, [k.ret(k.load(k.field(k.deref(
        k.convert("unwrap", k.load(p), types.ptr(node))), "value")))])
    is_null = k.function("is_null", [p], BOOL, [
        k.ret(k.compare("eq", k.load(p), k.const(0, nullable)))])
    addr = k.function("addr", [p], U64, [k.ret(k.convert("ptr_int", k.load(p), U64))])
    many = types.mptr(U32)
    m, i = k.param("m", many), k.param("i", I64)
    at = k.function("at", [m, i], U32, [k.ret(k.load(tree.IndexPlace(
        U32, k.here(), k.load(m), k.load(i), True)))])
    back = k.function("back", [k.param("n", U64)], nullable, [])
    back.body = [k.ret(k.convert("int_ptr", k.load(back.params[0]), nullable))]
    program = build(k.module(f, is_null, addr, at, back), mode=mode)
    data = (ctypes.c_uint32 * 3)(7, 8, 9)
    assert program.call(f, data) == 7
    assert (program.call(is_null, None), program.call(is_null, data)) == (True, False)
    assert program.call(addr, data) == ctypes.addressof(data) == program.call(
        back, ctypes.addressof(data))
    assert program.call(at, ctypes.addressof(data) + 4, -1) == 7
    with pytest.raises(CheckFailed) as failed:
        program.call(f, None)
    assert failed.value.kind is Trap.NULL


def test_packed_struct_and_base(mode):
    ty = types.StructType("Packed", "demo", 1, packed=True)
    ty.finish([types.Field("a", U8, 1), types.Field("b", U64, 1), types.Field("c", U16, 1)])
    p = k.param("p", types.ptr(ty))
    f = k.function("f", [p], U64, [
        k.aug(k.field(k.deref(k.load(p)), "b"), "add", k.const(1)),
        k.ret(k.load(k.field(k.deref(k.load(p)), "b")))])
    buffer = ctypes.create_string_buffer(struct.pack("<BQH", 1, 41, 3), 11)
    assert run(mode, f, buffer) == 42
    assert buffer.raw == struct.pack("<BQH", 1, 42, 3)


# ---- functions, globals, control

def test_function_values(mode):
    a = k.param("a", U32)
    sig = types.fn((U32,), U32)
    twice = k.function("twice", [a], U32, [k.ret(k.add(k.load(a), k.load(a)))])
    ops = k.struct("Ops", run=sig)
    table = k.global_("table", ops, {"run": tree.SymbolRef("demo.twice")}, constant=True)
    n = k.param("n", U32)
    f = k.function("f", [n], U32, [k.ret(tree.CallIndirect(
        U32, k.here(), k.load(k.field(table, "run")), sig, [k.load(n)], False))])
    g = k.function("g", [n], BOOL, [k.ret(k.compare(
        "eq", tree.FnRef(sig, k.here(), twice), k.load(k.field(table, "run"))))])
    program = build(k.module(twice, f, g, globals=[table]), mode=mode)
    assert program.call(f, 21) == 42
    assert program.call(g, 1) is True


def test_globals(mode):
    s = k.struct("S", a=U8, b=types.array(U16, 3), name=STR, next=types.ptr(U8, True))
    g = k.global_("g", s, {"a": 1, "b": [2, 3, 4], "name": b"hello"})
    words = k.global_("words", types.array(STR, 2), [b"ab", b"cde"], constant=True)
    i = k.param("i", U64)
    f = k.function("f", [i], U16, [
        k.aug(k.index(k.field(g, "b"), k.load(i)), "add", k.const(1, U16)),
        k.ret(k.load(k.index(k.field(g, "b"), k.load(i))))])
    name = k.function("name", [], STR, [k.ret(k.load(k.field(g, "name")))])
    size = k.function("size", [i], U64, [k.ret(k.length(k.load(k.index(words, k.load(i)))))])
    program = build(k.module(f, name, size, globals=[g, words]), mode=mode)
    assert [program.call(f, n) for n in (0, 1, 2, 2)] == [3, 4, 5, 6]
    assert ctypes.string_at(*program.call(name)) == b"hello"
    assert [program.call(size, n) for n in (0, 1)] == [2, 3]


def test_short_circuit_and_order(mode):
    log, n = k.global_("log", U32), k.param("n", BOOL)
    note = k.function("note", [n], BOOL, [
        k.assign(log, k.add(k.binary("mul", k.load(log), k.const(10, U32)), tree.IfExp(
            U32, k.here(), k.load(n), k.const(1, U32), k.const(2, U32)))),
        k.ret(k.load(n))])
    a, b = k.param("a", BOOL), k.param("b", BOOL)
    yes, no = lambda: k.call(note, k.load(a)), lambda: k.call(note, k.load(b))
    f = k.function("f", [a, b], BOOL, [
        k.assign(log, k.const(0, U32)), k.ret(k.logic("and", yes(), k.logic("or", no(), yes())))])
    g = k.function("g", [a, b], U32, [
        k.if_(k.logic("or", k.unary("not", yes()), no()), [k.ret(k.load(log))]),
        k.ret(k.const(0, U32))])
    read = k.function("read", [], U32, [k.ret(k.load(log))])
    program = build(k.module(note, f, g, read, globals=[log]), mode=mode)
    for args, result, calls in (((False, True), False, 2), ((True, True), True, 11),
                                ((True, False), True, 121)):
        assert (program.call(f, *args), program.call(read)) == (result, calls)
    assert program.call(g, True, False) == 0


def test_loops_break_continue_else(mode):
    n, i, s = k.param("n", U32), k.local("i", U32), k.local("s", U32)
    outer, block = tree.Label("outer"), tree.Label("block")
    f = k.function("f", [n], U32, [
        k.declare(i, k.const(0, U32)), k.declare(s, k.const(0, U32)),
        k.while_(k.compare("lt", k.load(i), k.load(n)), [
            k.if_(k.compare("eq", k.load(i), k.const(3, U32)), [k.cont(outer)]),
            k.if_(k.compare("eq", k.load(i), k.const(6, U32)), [k.brk(outer)]),
            tree.Block(k.here(), [
                k.if_(k.compare("eq", k.load(i), k.const(1, U32)), [k.brk(block)]),
                k.aug(s, "add", k.load(i))], block)],
            [k.aug(i, "add", k.const(1, U32))],
            [k.aug(s, "add", k.const(1000, U32))], outer),
        k.ret(k.load(s))])
    assert run(mode, f, 3) == 1002
    assert run(mode, f, 100) == 0 + 2 + 4 + 5


def test_switch_exhaustive(mode):
    ty = k.enum("E", U8, A=1, B=2)
    n = k.param("n", U8)
    f = k.function("f", [n], U32, [tree.Switch(k.here(), k.convert("raw", k.load(n), ty), [
        ([1], [k.ret(k.const(10, U32))]), ([2], [k.ret(k.const(20, U32))])], None)])
    assert (run(mode, f, 1), run(mode, f, 2)) == (10, 20)
    assert trap_of(mode, f, 3)[0] is Trap.UNREACHABLE


def test_seq_and_temp(mode):
    n, t = k.param("n", U32), k.local("t", U32)
    q = k.param("q", types.ptr(U32))
    read = k.function("read", [q], U32, [k.ret(k.load(k.deref(k.load(q))))])
    f = k.function("f", [n], U32, [k.ret(k.call(read, tree.AddrOf(
        types.ptr(U32), k.here(), tree.Temp(U32, k.here(), tree.Seq(
            U32, k.here(), [k.declare(t, k.load(n)), k.aug(t, "mul", k.const(3, U32))],
            k.load(t))))))])
    assert run(mode, f, 5, others=[read]) == 15


# ---- the machine

def test_atomics(mode):
    for ty in (U8, U32, U64, I32, BOOL, types.ptr(U8, True)):
        cell = k.struct("Cell", v=types.atomic(ty))
        p, v, w = (k.param(name, t) for name, t in
                   (("p", types.ptr(cell)), ("v", ty), ("w", ty)))
        where = k.field(k.deref(k.load(p)), "v")
        ops = ["load", "store", "swap", "cas", "cas_value"]
        if isinstance(ty, types.IntType):
            ops += ["add", "sub", "and", "or", "xor"]
        table = {}
        for op in ops:
            for order in ("relaxed", "acquire", "release", "acq_rel", "seq_cst"):
                args = {"load": [], "cas": [v, w], "cas_value": [v, w]}.get(op, [v])
                result = VOID if op == "store" else BOOL if op == "cas" else ty
                e = tree.AtomicOp(result, k.here(), op, where, [k.load(a) for a in args], order)
                table[op, order] = k.function(
                    f"{op}_{order}", [p, v, w], result,
                    [k.expr(e)] if result is VOID else [k.ret(e)])
        program = build(k.module(*table.values()), mode=mode)
        for (op, _), f in table.items():
            cell = ctypes.create_string_buffer((1).to_bytes(8, "little"), 8)
            got = program.call(f, cell, 1, 0)
            after = int.from_bytes(cell.raw[:ty.size], "little")
            assert got == (None if op == "store" else 1), (ty, op)
            assert after == {"load": 1, "store": 1, "swap": 1, "cas": 0, "cas_value": 0, "add": 2,
                             "sub": 0, "and": 1, "or": 1, "xor": 0}[op]


def test_mmio_and_volatile(mode):
    ctrl = k.bits("Ctrl", U32, en=(BOOL, 0, 1))
    regs = types.RegsType("Regs", "demo", 1)
    regs.registers = {
        "ID": types.Register("ID", U64, 0, "RO", 1), "CC": types.Register("CC", ctrl, 8, "RW", 1),
        "TX": types.Register("TX", U16, 16, "RW", 1, count=3, stride=8)}
    base, i = k.param("base", types.mmio(regs)), k.param("i", U64)
    write = lambda reg, index, value: k.expr(tree.MmioWrite(  # noqa: E731
        VOID, k.here(), k.load(base), regs.registers[reg], index, value))
    f = k.function("f", [base, i], U64, [
        write("CC", None, tree.StructLit(ctrl, k.here(), {"en": k.const(1, BOOL)})),
        write("TX", k.load(i), k.const(0x1234, U16)),
        k.expr(tree.Fence(VOID, k.here(), "seq_cst")),
        k.expr(tree.Fence(VOID, k.here(), "compiler")),
        k.ret(tree.MmioRead(U64, k.here(), k.load(base), regs.registers["ID"], None))])
    q = k.param("q", types.ptr(U32))
    g = k.function("g", [q], U32, [
        k.expr(tree.VolatileStore(VOID, k.here(), k.deref(k.load(q)), k.const(5, U32))),
        k.ret(tree.VolatileLoad(U32, k.here(), k.deref(k.load(q))))])
    program = build(k.module(f, g), mode=mode)
    device = ctypes.create_string_buffer(struct.pack("<Q", 0xabcdef) + bytes(40), 48)
    assert program.call(f, device, 2) == 0xabcdef
    assert device.raw[8:12] == b"\1\0\0\0"
    assert device.raw[32:34] == b"\x34\x12"
    with pytest.raises(CheckFailed):
        program.call(f, device, 3)
    assert program.call(g, ctypes.create_string_buffer(4)) == 5


def test_inline_asm(mode):
    a, b = k.param("a", U64), k.param("b", U64)
    f = k.function("f", [a, b], U64, [k.ret(tree.AsmExpr(
        U64, k.here(), "leaq ($1,$2), $0", "=r,r,r,~{dirflag},~{fpsr},~{flags}",
        [k.load(a), k.load(b)], False))])
    pair = types.tuple_of((U32, U32))
    g = k.function("g", [], pair, [k.ret(tree.AsmExpr(
        pair, k.here(), "movl $$1, $0\nmovl $$2, $1", "=r,=r", [], True))])
    program = build(k.module(f, g, asm=['.globl "x.y"\n"x.y": .quad 1']), mode=mode)
    assert program.call(f, 40, 2) == 42
    assert program.call(g) == (1, 2)


def test_memory_intrinsics(mode):
    many = types.mptr(U8)
    a, b, n = k.param("a", many), k.param("b", many), k.param("n", U64)
    three = lambda op, ty=VOID: k.intrinsic(op, ty, k.load(a), k.load(b), k.load(n))  # noqa: E731
    f = k.function("f", [a, b, n], I32, [
        k.expr(three("memmove")), k.expr(k.intrinsic("memset", VOID, k.load(a), k.const(7, U8),
                                                     k.const(2))),
        k.expr(k.intrinsic("pause", VOID)), k.ret(three("memcmp", I32))])
    x, y = ctypes.create_string_buffer(b"abcd"), ctypes.create_string_buffer(b"wxyz")
    assert run(mode, f, ctypes.addressof(x), ctypes.addressof(y), 4) < 0
    assert x.raw[:4] == b"\7\7yz"
    g = k.function("g", [], BOOL, [k.ret(k.compare("ne", k.intrinsic("frame_address", U64),
                                                   k.intrinsic("return_address", U64)))])
    assert run(mode, g) is True


# ---- messages

def test_assert_and_panic(mode):
    n, s = k.param("n", I32), k.param("s", STR)
    f = k.function("f", [n, s], VOID, [
        tree.Assert(k.here(), k.compare("gt", k.load(n), k.const(0, I32)), "n > 0",
                    [("n", k.load(n)), ("s", k.load(s))], [tree.FormatPiece(b"not positive")]),
        tree.Print(k.here(), "kprintf", [
            tree.FormatPiece(b"n is "), tree.FormatPiece(b"", k.load(n), 10 | 5 << 8 | 1 << 18),
            tree.FormatPiece(b" "), tree.FormatPiece(b"", k.load(s), 0)])])
    g = k.function("g", [n], types.NEVER, [tree.Print(k.here(), "panic", [
        tree.FormatPiece(b"lost "), tree.FormatPiece(b"", k.load(n), 16 | 1 << 17)])])
    program = build(k.module(f, g), mode=mode)
    program.call(f, 5, b"abc")
    assert program.output == ["n is     5 abc"]
    with pytest.raises(Panic) as failed:
        program.call(f, -2, b"xy")
    assert failed.value.message == "not positive (n = -2, s = xy)"
    assert (failed.value.kind, failed.value.text) == (Trap.ASSERT, "n > 0")
    with pytest.raises(Panic) as failed:
        program.call(g, 0xff)
    assert failed.value.message == "lost 0xff"
