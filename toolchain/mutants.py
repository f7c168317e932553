# SPDX-License-Identifier: BSD-3-Clause
"""The mutants of some files: which there are, and what one changes, as text.

    kpyc mutants kernel/lwkt/ipiq.py              drop-fence kernel.lwkt.ipiq.process #1
                                                  ...
    kpyc mutants kernel/lwkt/ipiq.py --show "drop-fence kernel.lwkt.ipiq.process #1"
                                                  --- kernel/lwkt/ipiq.py:221, process
                                                  -        fence("seq_cst")
                                                  +        # nothing

toolchain/lower/mutate.py puts them into the graph and says what the operators are.
Tests     tests/toolchain/test_lower_mutate.py
"""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolchain.build import Builder
from toolchain.diagnostics import Sink
from toolchain.lower import cfg
from toolchain.lower.lower import lower_module
from toolchain.options import Options

INSTEAD = {
    "drop-fence": "nothing",
    "weaken-order": "the same with order=\"release\"",
    "split-rmw": "a load, then a store: not one operation",
    "blind-cas": "a store without comparing, and True",
    "skip-recheck": "goes on as if it had looked",
    "no-lock": "nothing, nor what ends it in this function",
    "release-early": "the same, and at once what ends it",
    "move-store": "done after the release that follows",
}


def found(files: Iterable[Path], roots: list[Path], sink: Sink, packages: tuple[str, ...],
          ) -> list[cfg.Mutant]:
    """The mutants of the files and what they import, by name; those of `packages` only."""
    options = Options(mutants=packages)
    made: dict[str, cfg.Mutant] = {}
    for module in Builder(options, roots, sink).check(list(files)):
        if not sink.errors:
            for mutant in lower_module(module, options).mutants:
                made.setdefault(mutant.name, mutant)
    return [made[name] for name in sorted(made)]


def shown(mutant: cfg.Mutant) -> str:
    """What a mutant changes, as a difference of its source line."""
    operator, function, _ = mutant.name.split(" ")
    loc = mutant.at.loc
    line = loc.source.line_text(loc.line)
    indent = line[:len(line) - len(line.lstrip())]
    return "\n".join([
        f"--- {loc.source.path}:{loc.line}, {function.rpartition('.')[2]}", f"-{line.rstrip()}",
        f"+{indent}# {INSTEAD.get(operator, 'nothing')}"])
