# SPDX-License-Identifier: BSD-3-Clause
"""The whole corpus bound as one module: what each program promises, asked through the bindings."""
from functools import cache

import pytest

from tests.toolchain import corpus
from toolchain import host

PROGRAMS = [p for p in corpus.programs() if not p.refused]


@cache
def bound():
    module = host.build([p.path for p in PROGRAMS], name="corpus")
    return module, module.snapshot()


def plain(value):
    """A bound result as the corpus writes it."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if hasattr(value, "count") and hasattr(value, "address"):       # an array or slice
        return bytes(value) if value.type.name == "u8" else [plain(item) for item in value]
    fields = getattr(type(value), "__kpy_type__", None)
    if fields is not None and fields.entry["kind"] == "struct":
        return {f[0]: plain(getattr(value, f[0])) for f in fields.entry["fields"]}
    return value


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.path.stem)
def test_program_keeps_its_promises(program):
    module, taken = bound()
    space = next(s for n, s in module.modules.items() if n.split(".")[-1] == program.path.stem)
    for promise in program.promises:
        if not promise.holds_in(True):
            continue
        module.restore(taken)
        call = getattr(space, promise.function)
        if promise.kind == "trap":
            with pytest.raises(host.Panic) as stopped:
                call(*promise.args)
            assert stopped.value.kind == promise.check
            shown = tuple(v % 2**64 for v in stopped.value.values)[:len(promise.values)]
            assert shown == promise.values[:len(shown)]
        elif promise.kind == "raises":
            with pytest.raises(host.KpyError) as raised:
                call(*promise.args)
            assert raised.value.code == promise.expected
        elif promise.kind == "prints":
            call(*promise.args)
            assert "".join(module.output) == promise.expected
        else:
            found, expected = plain(call(*promise.args)), promise.expected
            assert found == (expected.decode() if isinstance(found, str) else expected)
