# SPDX-License-Identifier: BSD-3-Clause
"""Mutants in the graph: asleep nothing changes, awake exactly one thing does."""
from __future__ import annotations

import ctypes

import pytest

from tests.toolchain import build as k
from tests.toolchain.run import build
from toolchain import driver
from toolchain.frontend import tree, types
from toolchain.frontend.types import BOOL, U32, VOID
from toolchain.lower import mutate
from toolchain.lower.lower import lower_module
from toolchain.lower.mutate import number_of
from toolchain.lower.verify import verify
from toolchain.options import Options

ATOMIC = (ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64,
          ctypes.c_uint64, ctypes.c_uint32)
IPIQ = "kernel/lwkt/ipiq.py"


def operations():
    cell = k.struct("Cell", v=types.atomic(U32), w=types.atomic(U32))
    p = k.param("p", types.ptr(cell))
    at = lambda name: k.field(k.deref(k.load(p)), name)  # noqa: E731
    op = lambda name, ty, field, order, *args: tree.AtomicOp(  # noqa: E731
        ty, k.here(), name, at(field), list(args), order)
    add = k.function("add", [p], U32, [k.ret(op("add", U32, "v", "acq_rel", k.const(5, U32)))])
    cas = k.function("cas", [p], BOOL, [
        k.ret(op("cas", BOOL, "v", "seq_cst", k.const(1, U32), k.const(9, U32)))])
    fence = k.function("fence", [], VOID, [
        k.expr(tree.Fence(VOID, k.here(), "seq_cst")), k.ret()])
    stores = k.function("stores", [p], VOID, [
        k.expr(op("store", VOID, "v", "relaxed", k.const(3, U32))),
        k.expr(op("store", VOID, "w", "seq_cst", k.const(4, U32))), k.ret()])
    return add, cas, fence, stores


class World:
    """The hooks: which mutant is awake, and what was done."""

    def __init__(self):
        self.awake, self.done = 0, []
        self.functions = operations()
        self.program = build(
            k.module(*self.functions), hooks=True, mutants=("demo",),
            externs={"kpy.hook.atomic": (self.atomic, *ATOMIC),
                     "kpy.hook.mutant": (self.mutant, ctypes.c_bool, ctypes.c_uint32)})

    def mutant(self, number):
        return number == self.awake

    def atomic(self, kind, address, size, a, b, order):
        self.done.append((kind, order))
        if not address:
            return 0
        cell = ctypes.c_uint32.from_address(address)
        old = cell.value
        cell.value = {0: old, 1: a, 3: old + a, 8: b if old == a else old}[kind]
        return old

    def run(self, which, name="", start=1):
        """(result, what was done, the first word afterwards) with that mutant awake."""
        self.awake, self.done = number_of(name) if name else 0, []
        cell = ctypes.create_string_buffer(bytes([start, 0, 0, 0, 0, 0, 0, 0]), 8)
        function = self.functions[which]
        result = self.program.call(function, *([cell] if function.params else []))
        return result, self.done, cell.raw[0]


@pytest.fixture(scope="module")
def world():
    return World()


def test_asleep_nothing_is_changed(world):
    assert world.run(0) == (1, [(3, 3)], 6)
    assert world.run(1) == (True, [(8, 4)], 9)
    assert world.run(1, start=2) == (False, [(8, 4)], 2)
    assert world.run(2)[1] == [(10, 4)]
    assert world.run(3)[1] == [(1, 0), (1, 4)]


def test_a_read_modify_write_is_split(world):
    assert world.run(0, "split-rmw demo.add #1") == (1, [(0, 1), (1, 2)], 6)
    assert world.run(1, "split-rmw demo.cas #1") == (True, [(0, 1), (1, 2)], 9)
    assert world.run(1, "split-rmw demo.cas #1", start=2) == (False, [(0, 1)], 2)


def test_a_comparison_is_not_made(world):
    assert world.run(1, "blind-cas demo.cas #1", start=2) == (True, [(1, 4)], 9)


def test_a_fence_and_an_order_are_dropped(world):
    assert world.run(2, "drop-fence demo.fence #1")[1] == []
    assert world.run(3, "weaken-order demo.stores #1")[1] == [(1, 0), (1, 2)]


def test_a_store_moves_behind_the_release(world):
    assert world.run(3, "move-store demo.stores #1")[1] == [(1, 4), (1, 0)]


def test_without_being_asked_for_there_are_none():
    graph = lower_module(k.module(*operations()), Options())
    assert graph.mutants == []
    graph = lower_module(k.module(*operations()), Options(mutants=("elsewhere.",)))
    assert graph.mutants == []


def test_the_graph_is_sound_afterwards_and_names_are_numbers():
    graph = lower_module(k.module(*operations()), Options(mutants=("demo",)))
    verify(graph)
    names = [mutant.name for mutant in graph.mutants]
    assert len(names) == 6 == len({number_of(name) for name in names})
    assert 0 not in map(number_of, names)


def test_what_is_named_in_the_pass_exists():
    """Calls are found by symbol: one that was renamed would be forgotten without a word."""
    modules, _ = driver.check_files([
        "kernel/lwkt/mutex.py", "kernel/lwkt/cpusync.py", "kernel/mem/setup.py",
        "kernel/fs/hammer2/vnops.py"])
    known = {f.symbol for module in modules for f in module.functions}
    wanted = {*mutate.PAIRS, *mutate.PAIRS.values(),
              *(symbol for symbols in mutate.FORGET.values() for symbol in symbols)}
    assert wanted <= known


def test_the_command_lists_and_shows(capsys):
    assert driver.main(["mutants", IPIQ]) == 0
    names = capsys.readouterr().out.splitlines()
    assert "drop-fence kernel.lwkt.ipiq.process #1" in names
    assert driver.main(["mutants", IPIQ, "--show", names[0]]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("--- ") and "ipiq.py" in shown[0] and shown[0].endswith("process")
    assert shown[1].startswith("-") and "fence" in shown[1] and shown[2].startswith("+")
    assert driver.main(["mutants", IPIQ, "--show", "drop-fence nowhere #1"]) == 1
