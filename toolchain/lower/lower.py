# SPDX-License-Identifier: BSD-3-Clause
"""Lowering a module: every function with a body, to blocks.

    Module demo: Function total(...)      cfg.Module: Function demo.total, slots, blocks

Before: the typed tree (T1..T5 of tree.py).  After: C1..C6 of cfg.py.  Inline functions and
instances of generics of other modules are lowered here as well, as copies.
Tests     tests/toolchain/test_lower_*.py
"""
from __future__ import annotations

from toolchain.frontend import tree, types
from toolchain.lower import (  # noqa: F401  (each registers what it lowers)
    aggregate,
    cfg,
    expression,
    message,
    place,
    statement,
)
from toolchain.lower.build import Builder
from toolchain.lower.cleanup import finish_exits, is_void
from toolchain.lower.instrument import instrument
from toolchain.lower.mutate import mutate
from toolchain.lower.verify import reachable
from toolchain.options import Options


def lower_module(module: tree.Module, options: Options) -> cfg.Module:
    """The control-flow graph of a checked module."""
    functions, externs = [], []
    for function in module.functions:
        if function.body is None:
            externs.append(function)
        else:
            linkage = "copy" if function.is_instance else (
                "shared" if function.attrs.inline else "strong")
            functions.append(lower_function(function, options, linkage))
    here = {function.symbol for function in module.functions}
    for function in module.externals.values():
        if function.symbol in here:
            continue
        if function.body is None or not (function.attrs.inline or function.is_instance):
            externs.append(function)
        else:
            functions.append(lower_function(function, options, "copy"))
    result = cfg.Module(module, functions, externs)
    if options.mutants:
        mutate(result, options)
    if options.instrumented:
        instrument(result, options)
    return result


def lower_function(function: tree.Function, options: Options,
                   linkage: str = "strong") -> cfg.Function:
    """One function; its unreachable blocks are dropped."""
    b = Builder(function, options)
    for number, param in enumerate(function.params):
        b.slot(param).param = number
    body_start = function.body[0].loc if function.body else function.loc
    b.goto(body_start)
    b.run(function.body or [])
    if function.end_line:
        b.goto(tree.Loc(function.loc.source, function.end_line, 0, function.end_line, 0))
    if not b.ended:
        _fall_off(b)
    finish_exits(b)
    blocks = b.blocks
    for block in blocks:
        if not block.ended:             # dead: nothing jumps here, or it never goes on
            block.code.append(cfg.Unreachable(b.at))
    kept = {id(block) for block in reachable(blocks[0])}
    blocks = [block for block in blocks if id(block) in kept]
    for number, block in enumerate(blocks):
        block.number = number
    for slot in b.slots:
        if slot.var is not None and slot.scope is not None and not slot.name.startswith("."):
            slot.scope.used = True
    return cfg.Function(function, b.slots, blocks, b.root, linkage)


def _fall_off(b: Builder) -> None:
    """The end of the body: an empty return where one is possible."""
    if is_void(b.function.result) and b.function.result.name != "Never":
        zero = cfg.Imm(types.I32, 0) if b.throws else None
        b.emit(cfg.Return(b.at, None, zero))
    else:
        b.unreachable()
