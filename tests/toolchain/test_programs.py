# SPDX-License-Identifier: BSD-3-Clause
"""The corpus (corpus.py has its protocol) under the oracle and compiled, in dev and release."""
from functools import cache

import pytest

from tests.toolchain import corpus
from toolchain.oracle import KpyError, Machine, Trap

check_files = pytest.importorskip("toolchain.driver").check_files
compiled = pytest.importorskip("tests.toolchain.compiled")

PROGRAMS = {program.path.stem: program for program in corpus.programs()}
ACCEPTED = [name for name, program in PROGRAMS.items() if not program.refused]
REFUSED = [name for name, program in PROGRAMS.items() if program.refused]
MODES = {"oracle": True, "oracle-release": False, "dev": True, "release": False}


@cache
def checked(name):
    return check_files([PROGRAMS[name].path])


@cache
def built(mode):
    modules = {name: checked(name)[0] for name in ACCEPTED}
    return compiled.compile_programs({name: m for name, m in modules.items() if m}, mode)


def machine(name, mode):
    modules, diagnostics = checked(name)
    wrong = [d.render() for d in diagnostics if d.severity == "error"]
    assert not wrong, "\n".join(wrong)
    if mode.startswith("oracle"):
        return Machine(modules, MODES[mode])
    program = built(mode)[name]
    if isinstance(program, Exception):
        raise program
    return program


def promises():
    return [pytest.param(mode, name, promise, id=f"{mode}-{name}-{promise.line}")
            for mode in MODES for name in ACCEPTED for promise in PROGRAMS[name].promises
            if promise.holds_in(MODES[mode])]


@pytest.mark.parametrize(("mode", "name", "promise"), promises())
def test_program_keeps_its_promise(mode, name, promise):
    program = machine(name, mode)
    main = checked(name)[0][-1].name
    symbol = f"{main}.{promise.function}"
    if promise.kind == "trap":
        with pytest.raises(Trap) as trap:
            program.call(symbol, *promise.args)
        check_trap(trap.value, promise, PROGRAMS[name].path.read_text().splitlines())
    elif promise.kind == "raises":
        with pytest.raises(KpyError) as raised:
            program.call(symbol, *promise.args)
        assert raised.value.code == promise.expected
    elif promise.kind == "prints":
        program.call(symbol, *promise.args)
        assert program.printed == promise.expected
    else:
        assert program.call(symbol, *promise.args) == promise.expected


def check_trap(trap, promise, lines):
    assert trap.kind == promise.check
    assert (trap.a, trap.b)[:len(promise.values)] == promise.values
    if promise.expected is not None:
        assert trap.message == promise.expected
    if promise.place:
        assert promise.place in lines[trap.line - 1]
        assert lines[trap.line - 1][trap.column - 1:].startswith(promise.place)


@pytest.mark.parametrize("name", REFUSED)
def test_program_is_refused(name):
    _, diagnostics = checked(name)
    found = sorted((d.code, d.loc.source.segment(d.loc)) for d in diagnostics)
    assert found == sorted((p.code, p.place) for p in PROGRAMS[name].promises)
