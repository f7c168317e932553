# SPDX-License-Identifier: BSD-3-Clause
"""Blocking, recursion and stack, over the whole program."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.diagnose import codes, diagnostics
from toolchain.diagnostics import Sink
from toolchain.frontend.effects import ModuleEffects, Program, Summary, strongly_connected

HEAD = """
from kpy import Fn, Final, NoBlock, Ptr, entry, forbids_blocking, may_block, no_block, recursive
from kpy import struct, u32

@may_block
def switch() -> None:
    pass

def sleep() -> None:
    switch()

@struct
class Spin:
    held: u32
    @forbids_blocking
    def __enter__(self) -> None:
        self.held = 1
    def __exit__(self) -> None:
        self.held = 0

spin: Spin
"""


def test_blocking_under_a_spinlock_shows_the_chain():
    found = diagnostics(HEAD + """
def work() -> None:
    with spin:
        sleep()
""")
    assert [d.code for d in found] == ["K0702"]
    notes = [text for text, _ in found[0].notes]
    assert notes == ["the lock is taken here", "`sleep` calls `switch`", "`switch` is @may_block"]


def test_blocking_after_the_lock_is_fine():
    assert codes(HEAD + """
def work() -> None:
    with spin:
        pass
    sleep()
""") == []


RAISING = """
from kpy import Array, Errno, Final, ThrowsFn, throws, u32

@throws
def _fails(n: u32) -> u32:
    raise Errno(n)

@throws
def _asked(n: u32) -> u32:
    return n

CHOICES: Final[Array[ThrowsFn[[u32], u32], 1]] = [_asked]
"""


@pytest.mark.parametrize(("body", "said"), [
    ("return n", True),
    ("return _fails(n)", False),
    ("return CHOICES[0](n)", False),                        # whoever may be in the table
    ("raise Errno(n)", False),
    ("return _g(n)", True),                                  # of _g as well: see below
    ("try:\n        raise Errno(n)\n    except Errno:\n        return n", True),
    ("try:\n        return n\n    except Errno as e:\n        raise", False),
])
def test_throws_for_nothing_is_said(body, said):
    source = RAISING + f"""
@throws
def _g(n: u32) -> u32:
    return {"_fails(n)" if "_g(n)" not in body else "n"}

@throws
def _f(n: u32) -> u32:
    {body}
"""
    wrong = [d.message for d in diagnostics(source) if d.code == "K0707"]
    assert ("`_f` is @throws, but nothing in it raises" in wrong) is said
    assert ("`_g` is @throws, but nothing in it raises" in wrong) is ("_g(n)" in body)
    assert not any("_asked" in message or "_fails" in message for message in wrong)


def test_blocking_through_an_operations_table_is_seen():
    source = HEAD + """
@struct
class Ops:
    read: Fn[[u32], None]

def slow(n: u32) -> None:
    sleep()

def fast(n: u32) -> None:
    pass

OPS: Final = Ops(read=TARGET)

@no_block
def callback(ops: Ptr[Ops]) -> None:
    ops.read(3)

def user() -> None:
    callback(OPS)
"""
    assert [c.split()[0] for c in codes(source.replace("TARGET", "slow"))] == ["K0701"]
    assert codes(source.replace("TARGET", "fast")) == []


def test_table_filled_at_run_time_is_seen():
    assert [c.split()[0] for c in codes(HEAD + """
@struct
class Ops:
    read: Fn[[u32], None]

def slow(n: u32) -> None:
    sleep()

def fill(ops: Ptr[Ops]) -> None:
    ops.read = slow

@no_block
def callback(ops: Ptr[Ops]) -> None:
    ops.read(3)
""")] == ["K0701"]


def test_no_block_parameter_takes_only_what_does_not_block():
    assert [c.split()[0] for c in codes(HEAD + """
def send(callback: NoBlock[Fn[[], None]]) -> None:
    callback()

def quick() -> None:
    pass

def user() -> None:
    send(quick)
    send(sleep)
""")] == ["K0703"]


def test_recursion_needs_a_bound():
    source = """
from kpy import recursive, u32

DECORATOR
def even(n: u32) -> bool:
    return True if n == 0 else odd(n - 1)

def odd(n: u32) -> bool:
    return False if n == 0 else even(n - 1)
"""
    assert codes(source.replace("DECORATOR", "")) == ["K0704 5:5"]
    assert codes(source.replace("DECORATOR", "@recursive(32)")) == []


def summary(symbol: str, calls: list[str], frame: int = 0, entry: int = 0, recursive: int = 0,
            ) -> Summary:
    spot = ("none.py", 1, 0, 1, 1)
    return Summary(symbol, symbol, spot, False, False, False, recursive, entry, "",
                   [(c, spot, None) for c in calls], [], [], [], frame)


def test_stack_is_the_deepest_chain_with_return_addresses():
    program = Program([ModuleEffects([
        summary("main", ["a", "b"], 108, entry=500), summary("a", ["c"], 58),
        summary("b", ["c"], 208), summary("c", [], 18)])], Sink())
    assert program.check_stack()["main"] == 108 + 208 + 18
    assert not program.sink.errors


def test_stack_that_does_not_fit_is_reported_with_its_chain():
    sink = Sink()
    Program([ModuleEffects([summary("main", ["deep"], 108, entry=128),
                            summary("deep", [], 308)])], sink).check_stack()
    assert [d.code for d in sink.diagnostics] == ["K0705"]
    assert [n for n, _ in sink.diagnostics[0].notes] == [
        "`main` uses 108 bytes", "`deep` uses 308 bytes"]


def test_bounded_recursion_counts_its_rounds():
    program = Program([ModuleEffects([summary("f", ["f", "leaf"], 48, recursive=10),
                                      summary("leaf", [], 16)])], Sink())
    assert program.check_stack()["f"] == 10 * 48 + 16


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefgh")),
                       min_size=1))
def test_components_are_the_mutually_reachable_sets(edges):
    graph = {n: [m for m in edges.get(n, []) if m in edges] for n in edges}

    def reach(start: str) -> set[str]:
        seen, todo = {start}, [start]
        while todo:
            for m in graph[todo.pop()]:
                if m not in seen:
                    seen.add(m)
                    todo.append(m)
        return seen

    reached = {n: reach(n) for n in graph}
    groups = strongly_connected(graph)
    assert sorted(n for g in groups for n in g) == sorted(graph)
    for group in groups:
        for n in group:
            assert set(group) == {m for m in reached[n] if n in reached[m]}
    order = {n: i for i, g in enumerate(groups) for n in g}
    assert all(order[m] <= order[n] for n in graph for m in reached[n])


def test_upcall_needs_exactly_one_implementation_when_the_program_is_whole(tmp_path):
    from toolchain.build import Builder  # noqa: PLC0415
    from toolchain.options import Options  # noqa: PLC0415
    low = tmp_path / "low.py"
    low.write_text("from kpy import upcall\n@upcall\ndef hook() -> None:\n    ...\n"
                   "def use() -> None:\n    hook()\n")
    sink = Sink()
    builder = Builder(Options(target="pc64"), [tmp_path], sink)
    builder.compile([low])
    builder.close()
    assert "K0222" in [d.code for d in sink.diagnostics]
