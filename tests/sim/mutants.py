# SPDX-License-Identifier: BSD-3-Clause
"""The mutants of the nucleus: who kills each, and why the others cannot be told from the original.

toolchain/lower/mutate.py makes them, `kpyc mutants kernel/lwkt/token.py --show NAME` shows what one
changes, and `python -m tests.sim.hunt WORD` looks for a scenario that kills it.
Tests     tests/sim/test_mutants.py
"""
from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.sim.suite import FILES
from toolchain import mutants, sim
from toolchain.diagnostics import Sink
from toolchain.driver import roots_of

ROOT = Path(__file__).resolve().parents[2]
MODULES = tuple(f"kernel.{name}" for name in (
    "lwkt.callout", "lwkt.cpumask", "lwkt.cpusync", "lwkt.crit", "lwkt.ipiq", "lwkt.msgport",
    "lwkt.mutex", "lwkt.sched", "lwkt.serialize", "lwkt.sleepq", "lwkt.spin", "lwkt.splz",
    "lwkt.token", "mem.kmalloc_obj", "mem.kva", "mem.objcache", "mem.page", "mem.slab"))


@cache
def names() -> list[str]:
    """Every mutant of the modules."""
    files = [ROOT / f"{name.replace('.', '/')}.py" for name in MODULES]
    return [mutant.name for mutant in mutants.found(files, roots_of(files), Sink(), MODULES)]


@cache
def scenarios() -> dict[str, sim.Scenario]:
    """The scenarios of a build that holds all mutants."""
    return sim.load(*FILES, mutants=MODULES)
