# SPDX-License-Identifier: BSD-3-Clause
"""Generated programs mean the same to the oracle and compiled, in dev and in release.

Each example is a module of many functions (generate.py), each called with several arguments;
results, traps with their values and places, errors, output and what became of slices are
compared.  KPY_GENERATED=n in the environment asks for n modules instead of the few of `make test`.
"""
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.toolchain import generate
from toolchain.oracle import KpyError, Machine, OutOfFuelError, Trap

check_files = pytest.importorskip("toolchain.driver").check_files
compiled = pytest.importorskip("tests.toolchain.compiled")

MODULES = int(os.environ.get("KPY_GENERATED", "12"))
FUNCTIONS = 24           # a module, and
CALLS = 6                # of each, in two modes: 12 modules make 3456 cases
FUEL = 200_000
PATH = Path("build/test/generated")
MODES = {"dev": True, "release": False}


def outcome(machine, symbol, args):
    """What can be seen of a call."""
    args = tuple(list(arg) if isinstance(arg, list) else arg for arg in args)
    try:
        result = ("value", machine.call(symbol, *args))
    except Trap as trap:
        result = ("trap", trap.kind, trap.a, trap.b, trap.line, trap.column)
    except KpyError as error:
        result = ("raises", error.code)
    return result, args, machine.printed


def check(chunks, seeds):
    text, functions = generate.module(chunks)
    PATH.mkdir(parents=True, exist_ok=True)
    path = PATH / "generated.py"
    path.write_text(text)
    note(text)
    modules, diagnostics = check_files([path])
    assert not diagnostics, "\n".join(d.render() for d in diagnostics)
    programs = {mode: compiled.compile_programs({"generated": modules}, mode)["generated"]
                for mode in MODES}
    for mode, checks in MODES.items():
        if isinstance(programs[mode], Exception):
            raise programs[mode]
        for made in functions:
            for seed in seeds:
                args = generate.arguments(made, seed)
                symbol = f"{modules[-1].name}.{made.name}"
                try:
                    expected = outcome(Machine(modules, checks, fuel=FUEL), symbol, args)
                except OutOfFuelError:
                    continue
                found = outcome(programs[mode], symbol, args)
                assert found == expected, f"{mode}: {made.name}{args}"


@settings(max_examples=MODULES, deadline=None, database=None, derandomize=MODULES == 12,
          phases=(Phase.generate, Phase.shrink), report_multiple_bugs=False,
          suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(min_size=60, max_size=220), min_size=FUNCTIONS, max_size=FUNCTIONS),
       st.lists(st.binary(min_size=8, max_size=16), min_size=CALLS, max_size=CALLS))
def test_generated_programs_mean_the_same(chunks, seeds):
    check(chunks, seeds)


def test_a_generated_module_is_the_same_for_the_same_bytes():
    chunks = [bytes(range(n, n + 90)) for n in range(4)]
    assert generate.module(chunks) == generate.module(chunks)
