# SPDX-License-Identifier: BSD-3-Clause
"""The oracle on typed trees built by hand: it must be right before anything is compared to it."""
import pytest

from toolchain.frontend import tree as t
from toolchain.frontend import types as ty
from toolchain.oracle import KpyError, Machine, OutOfFuelError, Trap


class Source:
    """As much of a source file as a trap needs."""

    def column(self, line, byte_column):
        return byte_column

    def segment(self, loc):
        return f"line {loc.line}"


SOURCE = Source()


def at(line=1):
    return t.Loc(SOURCE, line, 2, line, 4)


def var(name, of, kind="local"):
    return t.Var(name, of, kind, at())


def get(v):
    return t.Load(v.ty, at(), t.VarPlace(v.ty, at(), v))


def put(v, value):
    return t.Assign(at(), t.VarPlace(v.ty, at(), v), value)


def num(value, of=ty.U32):
    return t.Const(of, at(), value)


def add(a, b, wrap=False, op="add", line=1):
    return t.Binary(a.ty, at(line), op, a, b, wrap)


def function(name, params, result, body, throws=False):
    return t.Function(f"hand.{name}", name, "hand", params, result, throws, t.Attrs(), at(), body)


def machine(*functions, checks=True, globals_=(), **options):
    module = t.Module("hand", SOURCE, False, list(functions), list(globals_))
    return Machine([module], checks, **options)


def call(arg, function_, **options):
    return machine(function_, **options).call(function_.symbol, *arg)


def add_one(of, wrap=False, op="add", other=1):
    x = var("x", of, "param")
    return function("f", [x], of,
                    [t.Return(at(), add(get(x), num(other, of), wrap, op, line=7))])


@pytest.mark.parametrize("of", [ty.U8, ty.U16, ty.U32, ty.U64, ty.I8, ty.I16, ty.I32, ty.I64])
def test_add_traps_in_dev_and_wraps_in_release_and_where_asked(of):
    f = add_one(of)
    assert call([of.maximum - 1], f) == of.maximum
    with pytest.raises(Trap) as trap:
        call([of.maximum], f)
    assert (trap.value.kind, trap.value.a, trap.value.b) == ("OVERFLOW", of.maximum, 1)
    assert (trap.value.line, trap.value.column) == (7, 3)
    assert call([of.maximum], f, checks=False) == of.minimum
    assert call([of.maximum], add_one(of, wrap=True)) == of.minimum


@pytest.mark.parametrize(("a", "b", "quotient", "rest"), [
    (7, 2, 3, 1), (-7, 2, -4, 1), (7, -2, -4, -1), (-7, -2, 3, -1), (-128, 1, -128, 0)])
def test_division_floors(a, b, quotient, rest):
    assert call([a], add_one(ty.I8, op="floordiv", other=b)) == quotient
    assert call([a], add_one(ty.I8, op="mod", other=b)) == rest


def test_smallest_divided_by_minus_one():
    with pytest.raises(Trap, match="OVERFLOW"):
        call([-128], add_one(ty.I8, op="floordiv", other=-1))
    assert call([-128], add_one(ty.I8, op="floordiv", other=-1), checks=False) == -128
    assert call([-128], add_one(ty.I8, op="mod", other=-1)) == 0


@pytest.mark.parametrize("checks", [True, False])
def test_zero_divisor_traps_always(checks):
    with pytest.raises(Trap, match="ZERO_DIVISOR"):
        call([3], add_one(ty.U8, op="mod", other=0), checks=checks)


def test_shift_that_loses_bits():
    f = add_one(ty.U8, op="shl", other=4)
    assert call([0x0F], f) == 0xF0
    with pytest.raises(Trap, match="SHIFT"):
        call([0x1F], f)
    assert call([0x1F], f, checks=False) == 0xF0
    assert call([0x1F], add_one(ty.U8, op="shl", other=200), checks=False) == 0
    assert call([-5], add_one(ty.I8, op="shr", other=200)) == -1


def test_slice_aliases_what_the_caller_passed():
    xs, total, i = var("xs", ty.slice_of(ty.U16), "param"), var("s", ty.U16), var("i", ty.U64)
    element = t.IndexPlace(ty.U16, at(), get(xs), get(i))
    f = function("f", [xs], ty.U16, [
        t.Declare(at(), total, None), t.Declare(at(), i, num(0, ty.U64)),
        t.While(at(), t.Compare(ty.BOOL, at(), "lt", get(i), t.Len(ty.U64, at(), get(xs))), [
            put(total, add(get(total), t.Load(ty.U16, at(), element))),
            t.AugAssign(at(), element, "mul", num(2, ty.U16)),
        ], [t.AugAssign(at(), t.VarPlace(ty.U64, at(), i), "add", num(1, ty.U64), True)], [],
            t.Label()),
        t.Return(at(), get(total))])
    numbers = [1, 2, 300]
    assert call([numbers], f) == 303
    assert numbers == [2, 4, 600]


@pytest.mark.parametrize(("index", "ok"), [(0, True), (3, True), (4, False), (2**63, False)])
def test_index_is_checked(index, ok):
    xs, i = var("xs", ty.slice_of(ty.U8), "param"), var("i", ty.U64, "param")
    f = function("f", [xs, i], ty.U8, [t.Return(at(), t.Load(ty.U8, at(), t.IndexPlace(
        ty.U8, at(), get(xs), get(i))))])
    if ok:
        assert call([b"abcd", index], f, checks=False) == b"abcd"[index]
    else:
        with pytest.raises(Trap, match=f"INDEX\\({index}, 4\\)"):
            call([b"abcd", index], f, checks=False)


def test_pointer_to_a_field_of_a_local_reaches_the_field():
    point = ty.StructType("Point", "hand", 1)
    point.finish([ty.Field("x", ty.U8, 1), ty.Field("y", ty.U32, 2)])
    p, q = var("p", point), var("q", ty.ptr(ty.U32))
    y = t.FieldPlace(ty.U32, at(), t.VarPlace(point, at(), p), point.fields["y"])
    f = function("f", [], ty.U32, [
        t.Declare(at(), p, t.StructLit(point, at(), {"x": num(1, ty.U8), "y": num(5)})),
        t.Declare(at(), q, t.AddrOf(q.ty, at(), y)),
        t.AugAssign(at(), t.Deref(ty.U32, at(), get(q)), "add", num(2)),
        t.Return(at(), t.Load(ty.U32, at(), y))])
    assert call([], f) == 7


def test_scalar_keeps_its_value_when_its_address_is_taken_later():
    x, p = var("x", ty.I16), var("p", ty.ptr(ty.I16))
    f = function("f", [], ty.I16, [
        t.Declare(at(), x, num(-3, ty.I16)),
        t.Declare(at(), p, t.AddrOf(p.ty, at(), t.VarPlace(ty.I16, at(), x))),
        t.AugAssign(at(), t.Deref(ty.I16, at(), get(p)), "mul", num(2, ty.I16)),
        t.Return(at(), get(x))])
    assert call([], f) == -6


def trace(n):
    """log = log * 10 + n, on the global log."""
    place = t.GlobalPlace(ty.U32, at(), LOG)
    return t.Assign(at(), place, add(add(t.Load(ty.U32, at(), place), num(10), op="mul"), num(n)))


LOG = t.Global("hand.log", "log", ty.U32, None, False, at())


@pytest.mark.parametrize(("code", "log", "error"), [(0, 1247, 0), (5, 13477, 0), (6, 1347, 6)])
def test_every_way_out_runs_finally(code, log, error):
    """raise in the body goes to the handler, a raise in the handler leaves; finally runs once."""
    c, e = var("c", ty.I32, "param"), var("e", ty.I32)
    f = function("f", [c], ty.VOID, [t.Try(
        at(), [trace(1), t.If(at(), t.Compare(ty.BOOL, at(), "ne", get(c), num(0, ty.I32)),
                              [t.Raise(at(), get(c))], []), trace(2)],
        e, [trace(3), t.If(at(), t.Compare(ty.BOOL, at(), "eq", get(e), num(6, ty.I32)),
                           [trace(4), t.Raise(at(), get(e))], []), trace(4), trace(7)],
        [trace(4)], [trace(7)])], throws=True)
    log_ = function("log_", [], ty.U32, [
        t.Return(at(), t.Load(ty.U32, at(), t.GlobalPlace(ty.U32, at(), LOG)))])
    m = machine(f, log_, globals_=[LOG])
    if error:
        with pytest.raises(KpyError) as raised:
            m.call("hand.f", code)
        assert raised.value.code == error
    else:
        m.call("hand.f", code)
    assert m.call("hand.log_") == log


@pytest.mark.parametrize("leave", ["fall", "return", "break", "raise"])
def test_with_leaves_on_every_way_out(leave):
    label = t.Label()
    out = {"fall": [], "return": [t.Return(at(), None)], "break": [t.Break(at(), label)],
           "raise": [t.Raise(at(), num(9, ty.I32))]}[leave]
    f = function("f", [], ty.VOID, [t.Block(at(), [
        t.With(at(), None, [trace(1)], [trace(2), *out], [trace(3)])], label)], throws=True)
    m = machine(f, globals_=[LOG])
    if leave == "raise":
        with pytest.raises(KpyError):
            m.call("hand.f")
    else:
        m.call("hand.f")
    assert m.memory.load(m.address_of_symbol("hand.log"), ty.U32) == 123


def test_trap_runs_no_clean_up():
    f = function("f", [], ty.VOID, [t.With(at(), None, [trace(1)], [
        t.ExprStmt(at(), add(num(1), num(0), op="mod"))], [trace(3)])])
    m = machine(f, globals_=[LOG])
    with pytest.raises(Trap):
        m.call("hand.f")
    assert m.memory.load(m.address_of_symbol("hand.log"), ty.U32) == 1


def test_switch_without_default_traps_on_a_value_no_case_has():
    x = var("x", ty.U32, "param")
    f = function("f", [x], ty.U32, [t.Switch(
        at(), get(x), [([1, 2], [t.Return(at(), num(10))]), ([3], [t.Return(at(), num(30))])],
        None)])
    assert call([2], f) == 10
    assert call([3], f) == 30
    with pytest.raises(Trap, match="UNREACHABLE"):
        call([4], f)


def test_bits_are_read_and_written_in_place():
    ctl = ty.BitsType("Ctl", "hand", 1, ty.U16)
    ctl.fields["lo"] = ty.Field("lo", ty.int_type(3), 1, bit=0, width=3)
    ctl.fields["hi"] = ty.Field("hi", ty.int_type(5), 2, bit=4, width=5)
    c = var("c", ctl, "param")
    hi = t.FieldPlace(ty.int_type(5), at(), t.VarPlace(ctl, at(), c), ctl.fields["hi"])
    f = function("f", [c], ctl, [
        t.AugAssign(at(), hi, "add", num(1, ty.int_type(5))),
        t.Return(at(), t.BitsWith(ctl, at(), get(c), {"lo": num(2, ty.int_type(3))}))])
    assert call([0xFE0F], f) == 0xFE1A
    with pytest.raises(Trap, match="OVERFLOW"):
        call([0x01F0], f)


def test_print_pieces():
    x = var("x", ty.I8, "param")
    f = function("f", [x], ty.VOID, [t.Print(at(), "kprintf", [
        t.FormatPiece(b"x="), t.FormatPiece(b"", get(x)),
        t.FormatPiece(b" ", None), t.FormatPiece(b"", get(x), 1 << 24 | 1 << 17 | 16)])])
    m = machine(f)
    m.call("hand.f", -2)
    assert m.printed == "x=-2 0xfe"


def test_endless_loop_runs_out_of_fuel():
    f = function("f", [], ty.VOID, [t.While(at(), num(1, ty.BOOL), [], [], [], t.Label())])
    with pytest.raises(OutOfFuelError):
        call([], f, fuel=1000)
