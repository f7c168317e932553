# SPDX-License-Identifier: BSD-3-Clause
"""One function through every stage: loop, branch, call, checked add, index, with and try."""
from __future__ import annotations

import ctypes

import pytest

from tests.toolchain import build as k
from tests.toolchain.run import build
from toolchain.backend.jit import CheckFailed, Raised
from toolchain.frontend.types import I32, U32, U64, slice_of


def total_module():
    xs, s, i = k.param("xs", slice_of(U32)), k.local("s", U32), k.local("i", U64)
    f = k.function("total", [xs], U32, [
        k.declare(s, k.const(0, U32)), k.declare(i, k.const(0)),
        k.while_(k.compare("lt", k.load(i), k.length(k.load(xs))),
               [k.if_(k.compare("ne", k.load(k.index(xs, k.load(i))), k.const(7, U32)),
                    [k.aug(s, "add", k.load(k.index(xs, k.load(i))))])],
               [k.aug(i, "add", k.const(1), wrap=True)]),
        k.ret(k.load(s))])
    n = k.param("n", U32)
    depth = k.global_("depth", U32)
    g = k.function("guarded", [n], U32, [
        k.with_([k.aug(depth, "add", k.const(1, U32))],
              [k.if_(k.compare("eq", k.load(n), k.const(1, U32)), [k.raise_(5)]),
               k.if_(k.compare("eq", k.load(n), k.const(2, U32)), [k.ret(k.const(22, U32))])],
              [k.aug(depth, "sub", k.const(1, U32))]),
        k.ret(k.load(depth))], throws=True)
    h = k.function("depth_now", [], U32, [k.ret(k.load(depth))])
    m, e = k.param("m", U32), k.local("e", I32)
    t = k.function("tried", [m], U32, [
        k.try_([k.ret(k.call(g, k.load(m)))], e, [k.ret(k.const(99, U32))])])
    return k.module(f, g, h, t, globals=[depth]), f, g, h, t


@pytest.mark.parametrize("mode", ["dev", "release"])
@pytest.mark.parametrize("compiler", ["cc", None])
def test_thin_line(mode, compiler):
    m, f, g, h, t = total_module()
    program = build(m, mode=mode, compiler=compiler)
    data = b"".join(n.to_bytes(4, "little") for n in (1, 2, 7, 40))
    buffer = ctypes.create_string_buffer(data)
    assert program.call(f, (ctypes.addressof(buffer), 4)) == 43
    assert program.call(g, 0) == 0
    with pytest.raises(Raised) as caught:
        program.call(g, 1)
    assert caught.value.code == 5
    assert program.call(g, 2) == 22
    assert program.call(h) == 0
    assert [program.call(t, n) for n in (0, 1, 2)] == [0, 99, 22]
    big = ctypes.create_string_buffer(b"\xff" * 8)
    if mode == "dev":
        with pytest.raises(CheckFailed) as failed:
            program.call(f, (ctypes.addressof(big), 2))
        assert (failed.value.kind.name, failed.value.a) == ("OVERFLOW", 2**32 - 1)
    else:
        assert program.call(f, (ctypes.addressof(big), 2)) == 2**32 - 2
