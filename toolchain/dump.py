# SPDX-License-Identifier: BSD-3-Clause
"""What each pass makes of a function, as text: `kpyc dump --stage typed|cfg|ir|asm`.

Tests     tests/toolchain/test_tour_compile.py
"""
from __future__ import annotations

import re

from toolchain.backend import llvm
from toolchain.backend.worker import Job, Pool
from toolchain.frontend import show, tree
from toolchain.lower import cfg
from toolchain.lower.lower import lower_module
from toolchain.options import Options


def stage(name: str, module: tree.Module, function: str, options: Options, pool: Pool,
          ) -> str | None:
    """The text of one stage; of one function, where `function` is given.  None: not found."""
    functions = [f for f in module.functions if not function or function in (
        f.symbol, f.symbol.removeprefix(f.module + "."))]
    if not functions:
        return None
    if name == "typed":
        return show.module(module, functions)
    graph = lower_module(module, options)
    if name == "cfg":
        return "\n".join(cfg.dump_function(f) for f in graph.functions
                         if any(f.source is s for s in functions))
    wanted = "ir" if name == "ir" else "asm"
    text = llvm.emit_module(graph, options)
    job = Job(module.name, [text], options.target, options.opt_level, want=(wanted,))
    result = pool.compile([job])[0]
    if result.failure is not None:
        return result.failure.message
    whole = result.ir if name == "ir" else result.asm
    if not function:
        return whole
    pick = _ir_function if name == "ir" else _asm_function
    return "\n\n".join(pick(whole, f.attrs.export or f.symbol) for f in functions)


def _ir_function(text: str, symbol: str) -> str:
    """The definition of `symbol` in LLVM's text."""
    found = re.search(rf'^define [^\n]*@"?{re.escape(symbol)}"?\(.*?^}}', text,
                      re.MULTILINE | re.DOTALL)
    return found.group(0) if found else f"; {symbol} was inlined everywhere"


def _asm_function(text: str, symbol: str) -> str:
    """The instructions and labels of `symbol`, without the assembler's directives."""
    quoted = rf'"?{re.escape(symbol)}"?'
    found = re.search(rf"^{quoted}:(.*?)^\.Lfunc_end", text, re.MULTILINE | re.DOTALL)
    if found is None:
        return f"# {symbol} was inlined everywhere"
    lines = [f"{symbol}:"]
    for line in found.group(1).splitlines():
        bare = line.strip()
        place = re.match(r"\.loc\s+\d+ (\d+)", bare)
        if place:
            lines.append(f"    # line {place.group(1)}")
        elif bare and not bare.startswith((
                ".cfi", ".Ltmp", ".p2align", "#", ".loc", ".Lfunc", ".file")):
            lines.append(line.rstrip())
    return "\n".join(lines)
