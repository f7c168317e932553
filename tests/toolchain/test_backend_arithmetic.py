# SPDX-License-Identifier: BSD-3-Clause
"""Every integer operation on every width, against Python's exact integers."""
from __future__ import annotations

import itertools

import pytest

from tests.toolchain import build as k
from tests.toolchain.run import build
from toolchain.backend.jit import CheckFailed
from toolchain.frontend import types
from toolchain.frontend.types import BOOL, U8, U64
from toolchain.lower.cfg import Trap

INTS = [types.int_type(bits, signed) for bits in (8, 16, 32, 64) for signed in (False, True)]
OPS = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b, "mod": lambda a, b: a % b,
    "and": lambda a, b: a & b, "or": lambda a, b: a | b, "xor": lambda a, b: a ^ b,
}
COMPARE = {"eq": int.__eq__, "ne": int.__ne__, "lt": int.__lt__, "le": int.__le__,
           "gt": int.__gt__, "ge": int.__ge__}


def edges(ty):
    values = {ty.minimum, ty.minimum + 1, ty.maximum, ty.maximum - 1, 0, 1, 2, 3, 7, 100}
    if ty.signed:
        values |= {-1, -2, -3, -7, -100}
    return sorted(values)


def expected(op, ty, a, b, checks):
    """The result, or the trap."""
    if op in ("floordiv", "mod") and b == 0:
        return Trap.ZERO_DIVISOR
    exact = OPS[op](a, b)
    if ty.holds(exact):
        return exact
    return Trap.OVERFLOW if checks else ty.wrap(exact)


def outcome(program, function, *args):
    try:
        return program.call(function, *args)
    except CheckFailed as failed:
        return failed.kind


@pytest.fixture(scope="module", params=["dev", "release"])
def arithmetic(request):
    table = {}
    for ty in INTS:
        for op in OPS:
            for wrap in (False, True):
                a, b = k.param("a", ty), k.param("b", ty)
                table[op, ty, wrap] = k.function(f"{op}_{ty}_{wrap}", [a, b], ty, [
                    k.ret(k.binary(op, k.load(a), k.load(b), wrap))])
        for op in COMPARE:
            a, b = k.param("a", ty), k.param("b", ty)
            table[op, ty] = k.function(f"{op}_{ty}", [a, b], BOOL, [
                k.ret(k.compare(op, k.load(a), k.load(b)))])
        for op in ("neg", "inv"):
            a = k.param("a", ty)
            table[op, ty] = k.function(f"{op}_{ty}", [a], ty, [k.ret(k.unary(op, k.load(a)))])
        for op, count in itertools.product(("shl", "shr"), (U8, U64)):
            a, b = k.param("a", ty), k.param("b", count)
            table[op, ty, count] = k.function(f"{op}_{ty}_{count}", [a, b], ty, [
                k.ret(k.binary(op, k.load(a), k.load(b)))])
        for target in INTS:
            for kind in ("checked", "trunc"):
                a = k.param("a", ty)
                table[kind, ty, target] = k.function(f"{kind}_{ty}_{target}", [a], target, [
                    k.ret(k.convert(kind, k.load(a), target))])
    return request.param, build(k.module(*table.values()), mode=request.param), table


def test_binary(arithmetic):
    mode, program, table = arithmetic
    for ty, op, wrap in itertools.product(INTS, OPS, (False, True)):
        for a, b in itertools.product(edges(ty), repeat=2):
            want = expected(op, ty, a, b, mode == "dev" and not wrap)
            assert outcome(program, table[op, ty, wrap], a, b) == want, (op, ty, wrap, a, b)


def test_compare_and_unary(arithmetic):
    mode, program, table = arithmetic
    for ty in INTS:
        for (op, compute), a, b in itertools.product(COMPARE.items(), edges(ty), edges(ty)):
            assert program.call(table[op, ty], a, b) is compute(a, b), (op, ty, a, b)
        for a in edges(ty):
            assert program.call(table["inv", ty], a) == ty.wrap(~a)
            want = -a if ty.holds(-a) else Trap.OVERFLOW if mode == "dev" else ty.wrap(-a)
            assert outcome(program, table["neg", ty], a) == want, (ty, a)


def test_shifts(arithmetic):
    mode, program, table = arithmetic
    for ty, count in itertools.product(INTS, (U8, U64)):
        for a, n in itertools.product(edges(ty), (0, 1, 3, 7, 8, 15, 16, 31, 32, 63, 64, 255)):
            exact = a << n
            want = exact if ty.holds(exact) else Trap.SHIFT if mode == "dev" else (
                ty.wrap(exact) if n < ty.bits else 0)
            assert outcome(program, table["shl", ty, count], a, n) == want, (ty, a, n)
            assert program.call(table["shr", ty, count], a, n) == a >> n, (ty, a, n)


def test_conversions(arithmetic):
    _, program, table = arithmetic
    for source, target in itertools.product(INTS, repeat=2):
        for a in edges(source):
            assert program.call(table["trunc", source, target], a) == target.wrap(a)
            want = a if target.holds(a) else Trap.CONVERSION
            assert outcome(program, table["checked", source, target], a) == want


@pytest.mark.parametrize("mode", ["dev", "release"])
def test_constant_divisors_and_shifts(mode):
    table = {}
    for ty in INTS:
        constants = [c for c in (1, 2, 3, 7, 8, 100, -1, -2, -8, -3) if ty.holds(c)]
        for op, c in itertools.product(("floordiv", "mod"), constants):
            a = k.param("a", ty)
            table[op, ty, c] = k.function(f"{op}_{ty}_{c}", [a], ty, [
                k.ret(k.binary(op, k.load(a), k.const(c, ty)))])
        for op, c in itertools.product(("shl", "shr"), (0, 1, 7, 8, 63, 64, 200)):
            a = k.param("a", ty)
            table[op, ty, c] = k.function(f"{op}_{ty}_{c}", [a], ty, [
                k.ret(k.binary(op, k.load(a), k.const(c, U8)))])
    program = build(k.module(*table.values()), mode=mode)
    for (op, ty, c), function in table.items():
        for a in edges(ty):
            if op in OPS:
                want = expected(op, ty, a, c, mode == "dev")
            elif op == "shr":
                want = a >> c
            else:
                want = a << c if ty.holds(a << c) else Trap.SHIFT if mode == "dev" else (
                    ty.wrap(a << c) if c < ty.bits else 0)
            assert outcome(program, function, a) == want, (op, ty, c, a)


def test_zero_divisor_constant_traps():
    a = k.param("a", U64)
    f = k.function("f", [a], U64, [k.ret(k.binary("floordiv", k.load(a), k.const(0)))])
    program = build(k.module(f), mode="release")
    with pytest.raises(CheckFailed) as failed:
        program.call(f, 9)
    assert (failed.value.kind, failed.value.a) == (Trap.ZERO_DIVISOR, 9)


INTRINSICS = {
    "popcount": lambda ty, a: (a & (2**ty.bits - 1)).bit_count(),
    "ctz": lambda ty, a: next((i for i in range(ty.bits) if a >> i & 1), ty.bits),
    "clz": lambda ty, a: ty.bits - (a & (2**ty.bits - 1)).bit_length(),
    "bswap": lambda ty, a: ty.wrap(int.from_bytes(
        (a & (2**ty.bits - 1)).to_bytes(ty.size, "big"), "little")),
}


def test_intrinsics():
    table = {}
    for ty in INTS:
        for op in INTRINSICS:
            a = k.param("a", ty)
            table[op, ty] = k.function(f"{op}_{ty}", [a], ty, [
                k.ret(k.intrinsic(op, ty, k.load(a)))])
        for op in ("min", "max", "mulhi", "rotl", "rotr"):
            a, b = k.param("a", ty), k.param("b", ty)
            table[op, ty] = k.function(f"{op}_{ty}", [a, b], ty, [
                k.ret(k.intrinsic(op, ty, k.load(a), k.load(b)))])
        for op in ("add_carry", "sub_borrow", "mul_overflow"):
            a, b = k.param("a", ty), k.param("b", ty)
            pair = types.tuple_of((ty, BOOL))
            table[op, ty] = k.function(f"{op}_{ty}", [a, b], pair, [
                k.ret(k.intrinsic(op, pair, k.load(a), k.load(b)))])
    program = build(k.module(*table.values()))
    exact = {"add_carry": "add", "sub_borrow": "sub", "mul_overflow": "mul"}
    for (op, ty), function in table.items():
        for a in edges(ty):
            if op in INTRINSICS:
                assert program.call(function, a) == INTRINSICS[op](ty, a), (op, ty, a)
                continue
            for b in edges(ty):
                got = program.call(function, a, b)
                mask = 2**ty.bits - 1
                if op in exact:
                    value = OPS[exact[op]](a, b)
                    assert got == (ty.wrap(value), not ty.holds(value))
                elif op in ("min", "max"):
                    assert got == (min if op == "min" else max)(a, b)
                elif op == "mulhi":
                    assert got == ty.wrap((a * b) >> ty.bits)
                else:
                    n = (b if op == "rotl" else -b) % ty.bits
                    bits = a & mask
                    assert got == ty.wrap(bits << n | bits >> (ty.bits - n)), (op, ty, a, b)
