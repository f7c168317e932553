# SPDX-License-Identifier: BSD-3-Clause
"""Instrumented host builds: hooks, schedule points, edge counters, faults; and none of it when
it was not asked for."""
from __future__ import annotations

import ctypes
import io

import pytest
from elftools.elf.elffile import ELFFile

from tests.toolchain import build as k
from tests.toolchain.run import build, compile_trees
from toolchain.backend.jit import Raised
from toolchain.frontend import tree, types
from toolchain.frontend.types import BOOL, U8, U16, U32, U64, VOID
from toolchain.lower import cfg, lower, verify
from toolchain.lower.instrument import ATOMIC_KINDS
from toolchain.options import Options

P, W, D = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
ATOMIC = (D, W, P, W, D, D, W)
KINDS = {number: name for name, number in ATOMIC_KINDS.items()}


def atomics():
    cell = k.struct("Cell", pad=U64, v=types.atomic(U32), flag=types.atomic(BOOL))
    p = k.param("p", types.ptr(cell))
    at = lambda name: k.field(k.deref(k.load(p)), name)  # noqa: E731
    op = lambda name, ty, field, *args: tree.AtomicOp(  # noqa: E731
        ty, k.here(), name, at(field), list(args), "acq_rel")
    add = k.function("add", [p], U32, [k.ret(op("add", U32, "v", k.const(5, U32)))])
    cas = k.function("cas", [p], BOOL, [
        k.ret(op("cas", BOOL, "v", k.const(1, U32), k.const(9, U32)))])
    swap = k.function("swap", [p], BOOL, [k.ret(op("swap", BOOL, "flag", k.const(1, BOOL)))])
    fence = k.function("fence", [], VOID, [
        k.expr(tree.Fence(VOID, k.here(), "seq_cst")), k.ret()])
    return [add, cas, swap, fence]


@pytest.mark.parametrize("mode", ["dev", "release"])
def test_atomic_hooks(mode):
    calls = []

    def atomic(kind, address, size, a, b, order):
        cell = ctypes.c_uint32 if size == 4 else ctypes.c_uint8
        old = cell.from_address(address).value if address else 0
        calls.append((KINDS[kind], size, a, b, order))
        if KINDS[kind] == "add":
            cell.from_address(address).value += a
        elif (KINDS[kind] == "cas" and old == a) or KINDS[kind] == "swap":
            cell.from_address(address).value = b if KINDS[kind] == "cas" else a
        return old
    fns = atomics()
    add, cas, swap, fence = fns
    program = build(k.module(*fns), mode=mode, hooks=True,
                    externs={"kpy.hook.atomic": (atomic, *ATOMIC)})
    cell = ctypes.create_string_buffer(bytes(8) + b"\1", 16)
    assert program.call(cas, cell) is True
    assert program.call(cas, cell) is False
    assert program.call(add, cell) == 9
    assert program.call(swap, cell) is False
    program.call(fence)
    assert cell.raw[8] == 14 and cell.raw[12] == 1
    assert calls == [("cas", 4, 1, 9, 3), ("cas", 4, 1, 9, 3), ("add", 4, 5, 0, 3),
                     ("swap", 1, 1, 0, 3), ("fence", 0, 0, 0, 4)]


def test_mmio_volatile_and_function_hooks():
    regs = types.RegsType("Regs", "demo", 1)
    regs.registers = {"A": types.Register("A", U16, 4, "RW", 1)}
    base, q = k.param("base", types.mmio(regs)), k.param("q", types.ptr(U8))
    clock = k.function("clock", [base], U64, [k.ret(k.const(1))], hook="clock")
    f = k.function("f", [base, q], U64, [
        k.expr(tree.MmioWrite(VOID, k.here(), k.load(base), regs.registers["A"], None,
                              k.const(7, U16))),
        k.expr(tree.VolatileStore(VOID, k.here(), k.deref(k.load(q)), k.const(3, U8))),
        k.ret(k.add(k.call(clock, k.load(base)), k.convert("widen", k.add(
            k.convert("widen", tree.VolatileLoad(U8, k.here(), k.deref(k.load(q))), U16),
            tree.MmioRead(U16, k.here(), k.load(base), regs.registers["A"], None)), U64)))])
    seen = []

    def note(word, result=None):
        def hook(*args):
            seen.append((word, *args))
            return result
        return hook
    program = build(k.module(clock, f), hooks=True, externs={
        "kpy.hook.mmio_read": (note("mmio_read", 40), D, P, W),
        "kpy.hook.mmio_write": (note("mmio_write"), None, P, W, D),
        "kpy.hook.volatile_load": (note("load", 2), D, P, W),
        "kpy.hook.volatile_store": (note("store"), None, P, W, D),
        "kpy.hook.clock.demo.clock": (note("clock", 1000), D, P)})
    assert program.call(f, 0x1000, 0x2000) == 1042
    assert seen == [("mmio_write", 0x1004, 2, 7), ("store", 0x2000, 1, 3), ("clock", 0x1000),
                    ("load", 0x2000, 1), ("mmio_read", 0x1004, 2)]


def test_faults_raise_or_return_null():
    n = k.param("n", U64)
    alloc = k.function("alloc", [n], U64, [k.ret(k.add(k.load(n), k.const(1)))], throws=True,
                       fault_site="alloc")
    nullable = types.ptr(U8, True)
    find = k.function("find", [n], nullable, [
        k.ret(k.convert("int_ptr", k.load(n), nullable))], fault_site="io")
    m, e = k.param("m", U64), k.local("e", types.I32)
    f = k.function("f", [m], U64, [
        k.ret(k.add(k.call(alloc, k.load(m)), k.call(alloc, k.load(m))))], throws=True)
    g = k.function("g", [m], U64, [k.try_([k.ret(k.call(f, k.load(m)))], e, [
        k.ret(k.convert("checked", k.load(e), U64))])])
    h = k.function("h", [m], nullable, [k.ret(k.call(find, k.load(m)))])
    fail, seen = set(), []

    def fault(site):
        seen.append(site)
        return site in fail
    program = build(k.module(alloc, find, f, g, h), faults=True,
                    externs={"kpy.hook.fault": (fault, ctypes.c_bool, W)})
    assert program.call(f, 10) == 22
    assert len(set(seen)) == 2
    fail.add(seen[1])
    with pytest.raises(Raised) as raised:
        program.call(f, 10)
    assert raised.value.code == 12
    assert program.call(g, 10) == 12
    seen.clear()
    assert program.call(h, 64) == 64
    fail.add(seen[0])
    assert program.call(h, 64) == 0


def test_yields_and_edges():
    g, n = k.global_("g", U32), k.param("n", U32)
    f = k.function("f", [n], VOID, [
        k.if_(k.compare("gt", k.load(n), k.const(2, U32)), [k.assign(g, k.load(n))]), k.ret()])
    seen = []
    program = build(k.module(f, globals=[g]), yields=True, edges=True,
                    externs={"kpy.hook.yield": (lambda *a: seen.append(a[0]), None, W, P, W)})
    program.call(f, 1)
    assert seen == []
    program.call(f, 3)
    assert len(seen) == 1
    options = Options(yields=True, edges=True)
    elf = ELFFile(io.BytesIO(compile_trees([k.module(f, globals=[g])], options)[0].object))
    assert elf.get_section_by_name("kpy_edges")["sh_size"] == 3 * 8
    assert elf.get_section_by_name("kpy_edge_sites")["sh_size"] == 3 * 8
    table = elf.get_section_by_name("kpy_sites")
    assert table["sh_size"] == 16
    assert int.from_bytes(table.data()[:8], "little") == seen[0]


def test_off_leaves_no_trace(monkeypatch):
    """A kernel object is the same bytes whether its functions may be hooked and fail or not."""
    def kernel(hook, fault_site):
        k._line[0] = 1000
        n = k.param("n", U64)
        clock = k.function("clock", [n], U64, [k.ret(k.load(n))], hook=hook, noinline=True)
        alloc = k.function("alloc", [n], U64, [k.ret(k.call(clock, k.load(n)))], throws=True,
                           fault_site=fault_site)
        m = k.param("m", U64)
        f = k.function("f", [m], U64, [k.ret(k.call(alloc, k.load(m)))], throws=True)
        return k.module(clock, alloc, f, *atomics())

    monkeypatch.setattr(lower, "instrument", None)             # not even called
    for mode in ("dev", "release"):
        options = Options(target="pc64", mode=mode)
        plain, marked = (compile_trees([kernel(*words)], options)[0].object
                         for words in (("", ""), ("clock", "alloc")))
        assert plain == marked
        assert b"kpy.hook" not in plain


def test_pauses_come_before_atomics_and_at_the_edges_of_critical_sections():
    n = k.param("n", U64)
    enter = k.function("enter", [], VOID, [k.ret()], hook="crit_enter")
    plain = k.function("plain", [n], U64, [k.ret(k.load(n))], hook="clock")
    m = k.param("m", U64)
    caller = k.function("caller", [m], U64, [
        k.expr(k.call(enter)), k.ret(k.call(plain, k.load(m)))])
    graph = lower.lower_module(k.module(enter, plain, caller, *atomics()), Options(pauses=True))
    for function in graph.functions:
        for block in function.blocks:
            for before, ins in zip([None, *block.code], block.code, strict=False):
                wanted = isinstance(ins, cfg.Atomic | cfg.Fence) or (
                    isinstance(ins, cfg.Call) and ins.function.attrs.hook == "crit_enter")
                paused = isinstance(before, cfg.Runtime) and before.symbol == "kpy.hook.schedule"
                assert wanted == paused
    verify.verify(graph)
