# SPDX-License-Identifier: BSD-3-Clause
"""The invariants C1..C6 of cfg.py, checked: the tests run this after every pass.

    while.body:                        demo.total, block while.body: %7 is used before it is
      %8: u64 = add %7, %7             assigned on some path (C2)

A violation is a bug of the compiler, so it is an exception and not a diagnostic.
Tests     tests/toolchain/test_lower_verify.py
"""
from __future__ import annotations

from toolchain.lower import cfg


class InvalidError(Exception):
    """A control-flow graph that breaks an invariant."""


def verify(module: cfg.Module) -> None:
    for function in module.functions:
        verify_function(function)


def verify_function(function: cfg.Function) -> None:
    blocks = set(map(id, function.blocks))
    reached = {id(block) for block in reachable(function.blocks[0])}
    slots = set(map(id, function.slots))
    for block in function.blocks:
        where = f"{function.symbol}, block {block.name}"
        if not block.ended:
            raise InvalidError(f"{where}: no terminator (C1)")
        if id(block) not in reached:
            raise InvalidError(f"{where}: not reachable (C1)")
        for ins in block.code[:-1]:
            if isinstance(ins, cfg.TERMINATORS):
                raise InvalidError(f"{where}: {type(ins).__name__} is not last (C1)")
        for successor in block.successors():
            if id(successor) not in blocks:
                raise InvalidError(f"{where}: goes to {successor.name}, which is not listed (C1)")
        for ins in block.code:
            for operand in cfg.uses(ins):
                if isinstance(operand, cfg.Slot) and id(operand) not in slots \
                        and operand.number >= 0:
                    raise InvalidError(f"{where}: {operand} is not a slot of the function (C2)")
            for reg in cfg.defs(ins):
                if reg.ty.is_aggregate:
                    raise InvalidError(f"{where}: {reg} holds an aggregate (C6)")
    read = {operand.number for block in function.blocks for ins in block.code
            for operand in cfg.uses(ins) if isinstance(operand, cfg.Reg)}
    for block in function.blocks:
        for ins in block.code:
            if isinstance(ins, cfg.Call) and ins.code is not None \
                    and ins.code.number not in read:
                raise InvalidError(f"{function.symbol}: the code of {ins.callee} is dropped (C3)")
    _verify_registers(function)


def reachable(entry: cfg.Block) -> list[cfg.Block]:
    """The blocks that can be reached from `entry`, each once, in depth-first order."""
    seen: set[int] = {id(entry)}
    order, stack = [], [entry]
    while stack:
        block = stack.pop()
        order.append(block)
        for successor in reversed(block.successors()):
            if id(successor) not in seen:
                seen.add(id(successor))
                stack.append(successor)
    return order


def _verify_registers(function: cfg.Function) -> None:
    """C2: assigned once, and before use on every path (a forward must-analysis)."""
    made: dict[int, set[int]] = {}
    assigned: set[int] = set()
    for block in function.blocks:
        mine = made[id(block)] = set()
        for ins in block.code:
            for reg in cfg.defs(ins):
                if reg.number in assigned:
                    raise InvalidError(f"{function.symbol}: {reg} is assigned twice (C2)")
                assigned.add(reg.number)
                mine.add(reg.number)
    order = reachable(function.blocks[0])
    before: dict[int, set[int] | None] = {id(block): None for block in order}
    before[id(order[0])] = set()
    work = [order[0]]
    while work:
        block = work.pop()
        after = (before[id(block)] or set()) | made[id(block)]
        for successor in block.successors():
            known = before[id(successor)]
            merged = set(after) if known is None else known & after
            if known is None or merged != known:
                before[id(successor)] = merged
                work.append(successor)
    for block in order:
        have = set(before[id(block)] or ())
        for ins in block.code:
            for operand in cfg.uses(ins):
                if isinstance(operand, cfg.Reg) and operand.number not in have:
                    raise InvalidError(f"{function.symbol}, block {block.name}: {operand} is used "
                                  "before it is assigned on some path (C2)")
            have.update(reg.number for reg in cfg.defs(ins))
