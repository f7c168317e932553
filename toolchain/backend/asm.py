# SPDX-License-Identifier: BSD-3-Clause
"""Inline and file-level assembly, and finding which of it does not assemble.

    asm("rdmsr", ...)                     call { i32, i32 } asm sideeffect "rdmsr",
                                              "={ax},={dx},{cx},..."(i32 %r1)

LLVM ends the process on text it cannot assemble.  So when a worker dies, the driver assembles
each distinct template by itself (`probes`), each in a process that may die, and the ones that do
are the ones to report.
Tests     tests/toolchain/test_backend_worker.py
"""
from __future__ import annotations

from dataclasses import dataclass

from toolchain.backend import abi
from toolchain.backend.target import TARGETS
from toolchain.frontend import tree, types
from toolchain.frontend.types import Type
from toolchain.lower import cfg


@dataclass(frozen=True, slots=True)
class Probe:
    """A module with nothing but one piece of assembly; where that was written."""

    ir: str
    text: str
    path: str
    line: int
    col: int
    end_line: int
    end_col: int


def module_asm(text: str) -> str:
    """File-level assembly as `module asm` lines."""
    return "\n".join(f'module asm "{abi.escape(line.encode())}"' for line in text.splitlines())


def result_types(ty: Type | None) -> tuple[str, str | None]:
    """(LLVM type an asm call returns, memory type if that differs from the register's)."""
    if ty is None:
        return "void", None
    if isinstance(ty, types.TupleType):
        return abi.register(ty), None
    text = abi.memory(ty)
    return text, None if text == abi.register(ty) else text


def call_text(ins: cfg.Asm, result: str, args: str) -> str:
    effect = " sideeffect" if ins.volatile else ""
    return (f'call {result} asm{effect} "{abi.escape(ins.template.encode())}", '
            f'"{abi.escape(ins.constraints.encode())}"({args})')


def probes(module: cfg.Module, target: str) -> list[Probe]:
    """One probe a distinct template, and one a file-level block."""
    found: dict[tuple[str, str], Probe] = {}
    machine = TARGETS[target]
    head = (f'target datalayout = "{machine.layout}"\ntarget triple = "{machine.triple}"\n')
    for block in module.source.asm:
        found[(block.text, "")] = _probe(head + module_asm(block.text) + "\n", block.text,
                                         block.loc)
    for function in module.functions:
        for block in function.blocks:
            for ins in block.code:
                if isinstance(ins, cfg.Asm) and (ins.template, ins.constraints) not in found:
                    found[(ins.template, ins.constraints)] = _probe(
                        head + _function(ins), ins.template, ins.at.loc)
    return list(found.values())


def _function(ins: cfg.Asm) -> str:
    tys = ["ptr" if isinstance(a, cfg.Slot | cfg.Sym | cfg.Data) else abi.register(a.ty)
           for a in ins.args]
    params = ", ".join(f"{ty} %p{i}" for i, ty in enumerate(tys))
    result, _ = result_types(ins.dest.ty if ins.dest is not None else None)
    call = call_text(ins, result, params)
    return (f"define void @probe({params}) nounwind {{\n"
            f"  {'' if result == 'void' else '%r = '}{call}\n  ret void\n}}\n")


def _probe(ir: str, text: str, loc: tree.Loc) -> Probe:
    return Probe(ir, text, loc.source.path, loc.line, loc.col, loc.end_line, loc.end_col)
