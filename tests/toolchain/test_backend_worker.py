# SPDX-License-Identifier: BSD-3-Clause
"""Workers: results in order, stack sizes, and every way LLVM can fail."""
from __future__ import annotations

import os

import pytest

from tests.toolchain import build as k
from tests.toolchain.run import compile_trees
from toolchain.backend.asm import probes
from toolchain.backend.llvm import emit_module
from toolchain.backend.worker import Job, Pool, frame_sizes
from toolchain.frontend import tree
from toolchain.frontend.types import U64, VOID
from toolchain.lower.lower import lower_module
from toolchain.options import Options

HEAD = ('target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-'
        'n8:16:32:64-S128"\ntarget triple = "x86_64-unknown-none-elf"\n')


@pytest.fixture(scope="module")
def pool():
    with Pool(2) as made:
        yield made


def ir(name):
    return f'''{HEAD}
define void @{name}() noredzone "warn-stack-size"="0" "frame-pointer"="all" {{
  %a = alloca [100 x i8]
  call void asm sideeffect "", "r"(ptr %a)
  ret void
}}
'''


def test_results_in_order_with_frames(pool):
    seen = []
    jobs = [Job(f"m{i}", [ir(f"f{i}")], "pc64", 1) for i in range(8)]
    results = pool.compile(jobs, seen.append)
    assert [r.name for r in results] == [f"m{i}" for i in range(8)]
    assert sorted(r.name for r in seen) == sorted(r.name for r in results)
    for i, result in enumerate(results):
        assert result.object[:4] == b"\x7fELF" and result.failure is None
        assert result.frames == {f"f{i}": result.frames[f"f{i}"]}
        assert 100 < result.frames[f"f{i}"] < 200
    again = pool.compile(jobs)
    assert [r.object for r in again] == [r.object for r in results]


def test_frame_sizes_of_any_name():
    log = ("warning: <unknown>:0:0: stack frame size (120) exceeds limit (0) in function "
           "'a.f[u32, 3]'\nsomething else\n")
    assert frame_sizes(log) == ({"a.f[u32, 3]": 128}, "something else")


def test_wrong_ir_and_duplicate_symbols(pool):
    bad, twice, good = pool.compile([
        Job("bad", ["define i32 @f() { ret i64 0 }"], "pc64", 1),
        Job("twice", [ir("f"), ir("f")], "pc64", 1, keep=frozenset()),
        Job("good", [ir("f")], "pc64", 1)])
    assert bad.failure.kind == "ir" and "ret i64" in bad.failure.message
    assert twice.failure.kind == "link" and "f" in twice.failure.message
    assert good.failure is None


def _asm_module(*templates, blocks=()):
    body = [k.expr(tree.AsmExpr(VOID, k.here(), text, "~{memory}", [], True))
            for text in templates]
    return k.module(k.function("f", [], VOID, [*body, k.ret()]), asm=list(blocks))


def test_bad_inline_asm_names_its_place(pool):
    module = _asm_module("nop", "frobnicate %rax", "hlt")
    result = compile_trees([module], Options(target="pc64"))[0]
    assert result.failure.kind == "asm"
    assert "frobnicate" in result.failure.message
    assert result.failure.probe.text == "frobnicate %rax"
    statement = module.functions[0].body[1]
    assert (result.failure.probe.path, result.failure.probe.line) == (
        "demo.py", statement.loc.line)
    assert compile_trees([_asm_module("nop")], Options(target="pc64"))[0].failure is None


def test_bad_file_level_asm(pool):
    module = _asm_module("nop", blocks=["nop", "bogus_insn %eax"])
    result = compile_trees([module], Options(target="pc64"))[0]
    assert result.failure.kind == "asm" and result.failure.probe.text == "bogus_insn %eax"


def test_bad_constraint(pool):
    e = tree.AsmExpr(U64, k.here(), "nop", "={nosuch}", [], True)
    module = k.module(k.function("f", [], U64, [k.ret(e)]))
    result = compile_trees([module], Options(target="pc64"))[0]
    assert result.failure is not None and result.failure.kind == "asm"
    assert result.failure.probe.text == "nop"


def test_dead_and_hanging_workers_are_replaced(monkeypatch):
    with Pool(1, timeout=60) as one:
        assert one.compile([Job("a", [ir("f")], "pc64", 1)])[0].failure is None
        first = one.idle[0]
        os.kill(first.process.pid, 9)
        first.process.wait()
        lost = one.compile([Job("b", [ir("f")], "pc64", 1)])[0]
        assert lost.failure.kind == "crash"
        assert one.compile([Job("c", [ir("f")], "pc64", 1)])[0].failure is None
        os.kill(one.idle[0].process.pid, 19)                   # SIGSTOP: it hangs
        one.timeout = 0.5
        slow = one.compile([Job("d", [ir("f")], "pc64", 1)])[0]
        assert slow.failure.kind == "timeout"
        one.timeout = 60
        assert one.compile([Job("e", [ir("f")], "pc64", 1)])[0].failure is None


def test_release_internalises_and_inlines(pool):
    n = k.param("n", U64)
    helper = k.function("helper", [n], U64, [k.ret(k.add(k.load(n), k.const(1)))], module="lib")
    m = k.param("m", U64)
    main = k.function("main", [m], U64, [k.ret(k.call(helper, k.load(m)))])
    options = Options(target="pc64", mode="release")
    texts = [emit_module(lower_module(module, options), options) for module in (
        k.module(helper, name="lib"), k.module(main, externals=[helper]))]
    result = pool.compile([Job("all", texts, "pc64", 2, keep=frozenset({"demo.main"}),
                               want=("object", "asm", "ir", "bitcode"))])[0]
    assert result.failure is None
    assert "lib.helper" not in result.asm.split(".section")[0]
    assert set(result.frames) == {"demo.main"}
    assert result.bitcode[:2] == b"BC" and "define" in result.ir


def test_probes_are_distinct():
    graph = lower_module(_asm_module("nop", "nop", "hlt"), Options(target="pc64"))
    assert [p.text for p in probes(graph, "pc64")] == ["nop", "hlt"]
