# SPDX-License-Identifier: BSD-3-Clause
"""What each pass makes of a function, as text: `kpyc dump --stage typed|cfg|ir|asm`.

    testq %rsi, %rsi          with the line of source that it was made of above it, in LLVM's text
                              and in instructions as in the graph:   # 7| for byte in data:

Tests     tests/toolchain/test_driver.py, tests/toolchain/test_tour_compile.py
"""
from __future__ import annotations

import linecache
import re
from collections.abc import Iterator
from pathlib import Path

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
    home = Path(module.source.path)
    return "\n\n".join(pick(whole, f.attrs.export or f.symbol, home) for f in functions)


class _Source:
    """The comments that say which line of source follows: once, where it changes.

    What was inlined from other files than `home` is told with the file's name.
    """

    def __init__(self, mark: str, home: Path) -> None:
        self.mark, self.home = mark, home
        self.last: tuple[Path, int] | None = None

    def line(self, path: Path, line: int) -> Iterator[str]:
        """The comment, if it is another line than before; line 0 is LLVM's own."""
        if line == 0 or (path, line) == self.last:
            return
        self.last = path, line
        where = "" if path == self.home else f"{path.name}:"
        yield f"    {self.mark} {where}{line}| {linecache.getline(str(path), line).strip()}"


def _ir_function(text: str, symbol: str, home: Path) -> str:
    """The definition of `symbol` in LLVM's text, its debug information as lines of source."""
    found = re.search(rf'^define [^\n]*@"?{re.escape(symbol)}"?\(.*?^}}', text,
                      re.MULTILINE | re.DOTALL)
    if found is None:
        return f"; {symbol} was inlined everywhere"
    metadata = dict(re.findall(r"^(!\d+) = (.*)$", text, re.MULTILINE))
    source, out = _Source(";", home), []
    for line in found.group(0).splitlines():
        if line.lstrip().startswith("#dbg_"):
            continue
        bare, _, mark = line.partition(", !dbg ")
        if mark:
            where = re.match(r"!DILocation\(line: (\d+)", metadata.get(mark.split(",")[0], ""))
            if where is not None:
                out += source.line(_file(mark.split(",")[0], metadata), int(where[1]))
            bare += mark[len(mark.split(",")[0]):]
        out.append(re.sub(r" !dbg !\d+ \{$", " {", bare))
    return "\n".join(out)


def _file(location: str, metadata: dict[str, str]) -> Path:
    """The file that a location lies in."""
    while (file := re.search(r"file: (!\d+)", metadata.get(location, ""))) is None:
        scope = re.search(r"scope: (!\d+)", metadata.get(location, ""))
        if scope is None:
            return Path()
        location = scope[1]
    name = re.match(r'!DIFile\(filename: "(.*?)", directory: "(.*?)"', metadata[file[1]])
    return Path(name[2], name[1]) if name is not None else Path()


def _asm_function(text: str, symbol: str, home: Path) -> str:
    """The instructions and labels of `symbol`, without the assembler's directives."""
    quoted = rf'"?{re.escape(symbol)}"?'
    found = re.search(rf"^{quoted}:(.*?)^\.Lfunc_end", text, re.MULTILINE | re.DOTALL)
    if found is None:
        return f"# {symbol} was inlined everywhere"
    files = {number: Path(folder, name) for number, folder, name in re.findall(
        r'^\s*\.file\s+(\d+) "(.*?)" "(.*?)"', text, re.MULTILINE)}
    source, lines = _Source("#", home), [f"{symbol}:"]
    for line in found.group(1).splitlines():
        bare = line.strip()
        place = re.match(r"\.loc\s+(\d+) (\d+)", bare)
        if place:
            lines += source.line(files.get(place[1], Path()), int(place[2]))
        elif bare and not bare.startswith((
                ".cfi", ".Ltmp", ".p2align", "#", ".loc", ".Lfunc", ".file")):
            lines.append(line.rstrip())
    return "\n".join(lines)
