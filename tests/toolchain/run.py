# SPDX-License-Identifier: BSD-3-Clause
"""Compile typed trees made by hand and run them here, in dev and in release."""
from __future__ import annotations

from functools import cache
from typing import Any

from toolchain.backend import asm
from toolchain.backend.jit import Program, load
from toolchain.backend.llvm import emit_module
from toolchain.backend.worker import Job, Pool
from toolchain.frontend import tree
from toolchain.lower.lower import lower_module
from toolchain.lower.verify import verify
from toolchain.options import Options


@cache
def pool() -> Pool:
    return Pool()


def compile_trees(modules: list[tree.Module], options: Options, **job: Any) -> list[Any]:
    """The results of the workers: one a module in dev, one for all in release."""
    texts, probes = [], []
    for module in modules:
        graph = lower_module(module, options)
        verify(graph)
        texts.append(emit_module(graph, options))
        probes.append(asm.probes(graph, options.target))
    if options.mode == "release":
        keep = frozenset(name for m in modules for f in m.functions
                         for name in ("kpy.call." + f.symbol, f.symbol))
        jobs = [Job("all", texts, options.target, options.opt_level, keep=keep,
                    probes=[p for ps in probes for p in ps], **job)]
    else:
        jobs = [Job(m.name, [text], options.target, options.opt_level, probes=ps, **job)
                for m, text, ps in zip(modules, texts, probes, strict=True)]
    results = pool().compile(jobs)
    for result in results:
        if result.failure is not None and result.failure.kind in ("ir", "link"):
            raise AssertionError(result.failure.message + "\n" + "\n".join(texts))
    return results


def build(*modules: tree.Module, mode: str = "dev", externs: dict[str, Any] | None = None,
          compiler: str | None = "cc", **options: Any) -> Program:
    """The program these modules make."""
    settings = Options(target="host", mode=mode, host_wrappers=True, **options)
    results = compile_trees(list(modules), settings)
    return load([result.object for result in results], pool(), externs, compiler)
