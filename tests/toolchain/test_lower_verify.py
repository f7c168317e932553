# SPDX-License-Identifier: BSD-3-Clause
"""The verifier refuses each broken invariant; lowering covers every node; dumps are readable."""
from __future__ import annotations

import pytest

from tests.toolchain import build as k
from toolchain.frontend import tree, types
from toolchain.frontend.types import BOOL, I32, U32, VOID
from toolchain.lower import cfg
from toolchain.lower.build import FILLS, PLACES, STATEMENTS, VALUES
from toolchain.lower.lower import lower_module
from toolchain.lower.verify import InvalidError, verify_function
from toolchain.options import Options


def subclasses(base, module=tree):
    """The classes below `base` that `module` has: @dataclass(slots=True) leaves others behind."""
    for cls in vars(module).values():
        if isinstance(cls, type) and issubclass(cls, base) and cls is not base:
            yield cls


def test_every_node_is_lowered():
    assert set(subclasses(tree.Stmt)) == set(STATEMENTS)
    places = set(subclasses(tree.Place))
    assert places == set(PLACES)
    missing = set(subclasses(tree.Expr)) - set(VALUES) - set(FILLS) - {tree.Place}
    assert missing == set()


def test_every_instruction_has_text():
    kinds = set(subclasses(cfg.Ins, cfg))
    assert kinds == set(cfg._TEXT)


def graph():
    n = k.param("n", U32)
    f = k.function("f", [n], U32, [
        k.if_(k.compare("gt", k.load(n), k.const(2, U32)), [k.ret(k.const(1, U32))]),
        k.ret(k.load(n))])
    return lower_module(k.module(f), Options()).functions[0]


def broken(change, pattern):
    function = graph()
    change(function)
    with pytest.raises(InvalidError, match=pattern):
        verify_function(function)


def test_verifier():
    verify_function(graph())
    at = graph().blocks[0].code[0].at
    reg = cfg.Reg(99, U32)
    array = types.array(U32, 4)

    def insert(ins):
        return lambda f: f.blocks[0].code.insert(0, ins)
    broken(lambda f: f.blocks[0].code.pop(), "no terminator")
    broken(lambda f: f.blocks.append(cfg.Block("x", code=[cfg.Unreachable(at)])), "not reachable")
    broken(insert(cfg.Unreachable(at)), "not last")
    broken(lambda f: f.blocks.pop(), "not listed")
    broken(insert(cfg.Store(at, cfg.Mem(cfg.Slot("y", U32), 0, 4), cfg.Imm(U32, 1))), "not a slot")
    broken(insert(cfg.Unary(at, cfg.Reg(98, U32), "inv", reg)), "used before")
    broken(insert(cfg.Load(at, cfg.Reg(0, U32), cfg.Mem(cfg.Imm(U32, 0), 0, 4))), "assigned twice")
    broken(insert(cfg.Load(at, cfg.Reg(97, array), cfg.Mem(cfg.Imm(U32, 0), 0, 4))), "aggregate")
    broken(insert(cfg.Call(at, None, cfg.Reg(96, I32), cfg.Sym("g", VOID),
                           types.fn((), VOID, True), [])), "is dropped")


def test_a_value_made_on_one_path_only():
    function = graph()
    at = function.blocks[0].code[0].at
    made = cfg.Reg(99, BOOL)
    function.blocks[1].code.insert(0, cfg.Compare(at, made, "eq", cfg.Imm(U32, 1),
                                                  cfg.Imm(U32, 1)))
    function.blocks[1].code[-1] = cfg.Jump(at, function.blocks[2])
    function.blocks[2].code.insert(0, cfg.Unary(at, cfg.Reg(98, BOOL), "not", made))
    with pytest.raises(InvalidError, match="on some path"):
        verify_function(function)


def test_dump():
    source = k.Source("demo.py", ["def f(n: u32) -> u32:", "    return n + 1"])
    n = tree.Var("n", U32, "param", k.here(1, source))
    value = k.add(k.load(n), k.const(1, U32))
    for node in (value, value.left, value.left.place, value.right):
        node.loc = k.here(2, source)
    f = k.function("f", [n], U32, [tree.Return(k.here(2, source), value)])
    text = cfg.dump(lower_module(k.module(f), Options()), "f")
    assert text == """\
function demo.f(n: u32) -> u32
    slots n: u32
  entry:
    # 2| return n + 1
    %0: u32 = load n
    %1: u32 = add %0, 1 or trap overflow
    return %1
"""
