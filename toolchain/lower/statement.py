# SPDX-License-Identifier: BSD-3-Clause
"""Statements: control flow, made of branches.

    while n != 0:                         while:
        n -= 1                              %0: u32 = load n
                                            %1: bool = ne %0, 0
                                            branch %1, while.body, while.end
                                          while.body:
                                            ...
                                            jump while

A statement leaves the current block open, or ended if control cannot get past it.
Tests     tests/toolchain/test_lower_values.py
"""
from __future__ import annotations

from toolchain.frontend import tree, types
from toolchain.lower import aggregate, cfg
from toolchain.lower.build import Builder, CleanUp, Handler, Target, slot_mem, statements
from toolchain.lower.cleanup import (
    close,
    guarded,
    is_void,
    leave,
    raise_code,
    return_target,
)
from toolchain.lower.expression import binary, condition
from toolchain.lower.place import load, store


@statements(tree.Declare)
def _declare(b: Builder, s: tree.Declare) -> None:
    slot = b.slot(s.var)
    mem = slot_mem(slot)
    ty = s.var.ty
    if s.init is None:
        if ty.is_aggregate:
            aggregate.zero(b, mem, ty.size)
        elif isinstance(ty, types.SliceType | types.TupleType):
            b.store(mem, cfg.ZeroValue(ty))
        else:
            b.store(mem, cfg.Imm(ty, 0))
    elif ty.is_aggregate and aggregate.mentions(s.init, s.var):
        aggregate.assign(b, tree.VarPlace(ty, s.loc, s.var), s.init)
    else:
        b.fill(s.init, mem)


@statements(tree.Assign)
def _assign(b: Builder, s: tree.Assign) -> None:
    if s.value.ty.is_aggregate:
        aggregate.assign(b, s.place, s.value)
        return
    value = b.value(s.value)
    store(b, b.place(s.place), value)


@statements(tree.AugAssign)
def _aug_assign(b: Builder, s: tree.AugAssign) -> None:
    mem = b.place(s.place)
    before = load(b, mem, s.place.ty)
    store(b, mem, binary(b, s.op, before, b.value(s.value), s.place.ty, s.wrap))


@statements(tree.ExprStmt)
def _expr(b: Builder, s: tree.ExprStmt) -> None:
    if s.expr.ty.is_aggregate:
        b.fill(s.expr, slot_mem(b.temp("unused", s.expr.ty)))
    else:
        b.value(s.expr)


@statements(tree.If)
def _if(b: Builder, s: tree.If) -> None:
    if isinstance(s.cond, tree.Const):
        b.nested(s.then if s.cond.value else s.other)
        return
    then, after = b.new_block("if.then"), b.new_block("if.end")
    other = b.new_block("if.else") if s.other else after
    condition(b, s.cond, then, other)
    b.start(then)
    b.nested(s.then)
    b.jump(after)
    if s.other:
        b.start(other)
        b.nested(s.other)
        b.jump(after)
    b.start(after)


@statements(tree.While)
def _while(b: Builder, s: tree.While) -> None:
    head, body, after = b.new_block("while"), b.new_block("while.body"), b.new_block("while.end")
    step = b.new_block("while.step") if s.step else head
    other = b.new_block("while.else") if s.other else after
    depth = len(b.scopes)
    b.labels[id(s.label)] = (Target("break", depth, after), Target("continue", depth, step))
    b.jump(head)
    b.start(head)
    condition(b, s.cond, body, other)
    b.start(body)
    b.nested(s.body)
    b.jump(step)
    if s.step:
        b.start(step)
        b.run(s.step)
        b.jump(head)
    if s.other:
        b.start(other)
        b.nested(s.other)
        b.jump(after)
    b.start(after)


@statements(tree.Block)
def _block(b: Builder, s: tree.Block) -> None:
    after = b.new_block("block.end")
    b.labels[id(s.label)] = (Target("break", len(b.scopes), after), None)
    b.nested(s.body)
    b.jump(after)
    b.start(after)


@statements(tree.Break)
def _break(b: Builder, s: tree.Break) -> None:
    leave(b, b.labels[id(s.label)][0])


@statements(tree.Continue)
def _continue(b: Builder, s: tree.Continue) -> None:
    leave(b, b.labels[id(s.label)][1])


@statements(tree.Return)
def _return(b: Builder, s: tree.Return) -> None:
    result = b.function.result
    value: cfg.Operand | None = None
    if s.value is not None:
        if result.is_aggregate:
            _fill_result(b, s.value)
        else:
            value = b.value(s.value)
    if b.ended:
        return
    if any(isinstance(scope, CleanUp) for scope in b.scopes):
        target = return_target(b)
        if value is not None and target.slot is not None:
            b.store_slot(target.slot, value)
        leave(b, target)
        return
    if is_void(result):
        value = None
    b.emit(cfg.Return(b.at, value, cfg.Imm(types.I32, 0) if b.throws else None))


def _fill_result(b: Builder, value: tree.Expr) -> None:
    """Make an aggregate result where the caller wants it; inside a clean-up, only once it
    succeeds."""
    if b.result_slot is None:
        b.result_slot = cfg.Slot(".sret", b.function.result, number=-1)
    b.fill(value, slot_mem(b.result_slot))


@statements(tree.Raise)
def _raise(b: Builder, s: tree.Raise) -> None:
    raise_code(b, b.value(s.code))


@statements(tree.With)
def _with(b: Builder, s: tree.With) -> None:
    if s.manager is not None:
        b.run([s.manager])
    b.run(s.enter)
    if b.ended:
        return
    scope = CleanUp(s.leave, b.at, "with")
    guarded(b, scope, s.body)
    close(b, scope)


@statements(tree.Try)
def _try(b: Builder, s: tree.Try) -> None:
    scope = CleanUp(s.final, b.at, "finally")
    if s.final:
        b.scopes.append(scope)
    if s.handler is None:
        b.nested(s.body)
        b.nested(s.other) if not b.ended else None
    else:
        _handled(b, s)
    if s.final:
        b.scopes.pop()
        close(b, scope)


def _handled(b: Builder, s: tree.Try) -> None:
    after = b.new_block("try.end")
    slot = b.slot(s.code_var) if s.code_var is not None else b.temp("code", types.I32)
    handler = b.new_block("except")
    guarded(b, Handler(Target("error", len(b.scopes) + 1, handler, slot)), s.body)
    if not b.ended:
        b.nested(s.other)
    b.jump(after)
    b.start(handler)
    b.nested(s.handler or [])
    b.jump(after)
    b.start(after)


@statements(tree.Switch)
def _switch(b: Builder, s: tree.Switch) -> None:
    value = b.value(s.subject)
    after = b.new_block("match.end")
    arms = [(numbers, b.new_block("case"), body) for numbers, body in s.cases]
    default = b.new_block("case.other")
    b.emit(cfg.Switch(b.at, value, [(n, block) for numbers, block, _ in arms for n in numbers],
                      default))
    for _, block, body in arms:
        b.start(block)
        b.nested(body)
        b.jump(after)
    b.start(default)
    if s.default is None:
        b.emit(cfg.Check(b.at, "unreachable", [], cfg.Trap.UNREACHABLE))
        b.unreachable()
    else:
        b.nested(s.default)
        b.jump(after)
    b.start(after)
