# SPDX-License-Identifier: BSD-3-Clause
"""Debug information, as pyelftools reads it and as gdb itself shows it."""
from __future__ import annotations

import io
import shutil
import subprocess

import pytest
from elftools.elf.elffile import ELFFile

from tests.toolchain import build as k
from tests.toolchain.run import compile_trees
from toolchain.frontend import tree, types
from toolchain.frontend.types import BOOL, STR, U8, U16, U32, U64, VOID
from toolchain.options import Options

LINES = """\
@struct
class Thread:
    next: Ptr[Thread] | None
    ctrl: Ctrl
    state: State
    prio: be16
    name: Array[u8, 8]
    refs: Atomic[u32]
    run: Fn[[u32], u64]
    label: Str

def wake(td: Ptr[Thread], xs: Slice[u32], level: u32) -> u64:
    total: u64 = 0
    i: u64 = 0
    while i < len(xs):
        x: u64 = xs[i]
        total += x
        i += 1
    td.ctrl.mode = 5
    pair: tuple[u8, bool] = (7, True)
    return finish_wake(total)

def finish_wake(total: u64) -> u64:
    return total + 1
""".splitlines()


def source():
    return k.Source("demo.py", LINES)


def at(line, col=4, end=20):
    return tree.Loc(SOURCE, line, col, line, end)


SOURCE = source()


def fixture():
    """The program in LINES as a tree, each node where the text has it."""
    thread = types.StructType("Thread", "demo", 2)
    ctrl = k.bits("Ctrl", U32, en=(BOOL, 0, 1), mode=(types.int_type(3), 1, 3),
                  cpu=(U16, 4, 12))
    state = k.enum("State", U8, IDLE=0, RUNNING=1)
    thread.finish([types.Field(name, ty, 3 + i) for i, (name, ty) in enumerate([
        ("next", types.ptr(thread, True)), ("ctrl", ctrl), ("state", state),
        ("prio", types.endian(16, True)), ("name", types.array(U8, 8)),
        ("refs", types.atomic(U32)), ("run", types.fn((U32,), U64)), ("label", STR)])])

    def put(node, line):
        """`node` and everything in it, at `line`."""
        stack = [node]
        while stack:
            item = stack.pop()
            if isinstance(item, list):
                stack.extend(item)
            elif isinstance(item, tree.Expr | tree.Stmt):
                item.loc = at(line)
                stack.extend(getattr(item, name) for cls in type(item).__mro__
                             for name in getattr(cls, "__slots__", ()))
        return node

    def var(name, ty, kind, line):
        return tree.Var(name, ty, kind, at(line))
    td, xs, level = (var("td", types.ptr(thread), "param", 12),
                     var("xs", types.slice_of(U32), "param", 12), var("level", U32, "param", 12))
    total, i, x = (var("total", U64, "local", 13), var("i", U64, "local", 14),
                   var("x", U64, "local", 16))
    pair = var("pair", types.tuple_of((U8, BOOL)), "local", 20)
    n = var("total", U64, "param", 23)
    finish = k.function("finish_wake", [n], U64, [
        put(k.ret(k.add(k.load(n), k.const(1))), 24)], noinline=True)
    finish.loc, finish.end_line = at(23, 0), 24
    loop = k.while_(k.compare("lt", k.load(i), k.length(k.load(xs))), [
        put(k.declare(x, k.convert("widen", k.load(k.index(xs, k.load(i))), U64)), 16),
        put(k.aug(total, "add", k.load(x)), 17), put(k.aug(i, "add", k.const(1)), 18)])
    put(loop.cond, 15)
    loop.loc = at(15)
    wake = k.function("wake", [td, xs, level], U64, [
        put(k.declare(total, k.const(0)), 13), put(k.declare(i, k.const(0)), 14), loop,
        put(k.assign(k.field(k.field(k.deref(k.load(td)), "ctrl"), "mode"),
                     k.const(5, types.int_type(3))), 19),
        put(k.declare(pair, tree.MakeTuple(pair.ty, k.here(), [
            k.const(7, U8), k.const(1, BOOL)])), 20),
        put(k.ret(k.call(finish, k.load(total))), 21)])
    wake.loc, wake.end_line = at(12, 0), 21
    boot = tree.Global("demo.boot_thread", "boot_thread", thread, {
        "state": 1, "name": b"boot", "label": b"first", "ctrl": {"cpu": 3},
        "prio": 0x0102}, False, at(1, 0))
    m = k.module(wake, finish, globals=[boot], types=[thread, ctrl, state])
    m.source = SOURCE
    return m, wake


def compiled(opt=1, target="host", **more):
    m, _ = fixture()
    options = Options(target=target, opt=opt, **more)
    return compile_trees([m], options)[0].object


def test_dies():
    elf = ELFFile(io.BytesIO(compiled()))
    dwarf = elf.get_dwarf_info()
    unit = next(dwarf.iter_CUs())
    assert unit["version"] == 4
    dies = {}
    for die in unit.iter_DIEs():
        if "DW_AT_name" in die.attributes:
            dies.setdefault((die.tag, die.attributes["DW_AT_name"].value.decode()), die)
    thread = dies["DW_TAG_structure_type", "Thread"]
    members = {c.attributes["DW_AT_name"].value.decode():
               c.attributes["DW_AT_data_member_location"].value for c in thread.iter_children()}
    assert members == {"next": 0, "ctrl": 8, "state": 12, "prio": 14, "name": 16, "refs": 24,
                       "run": 32, "label": 40}
    for name in ("wake", "finish_wake"):
        die = dies["DW_TAG_subprogram", name]
        assert "DW_AT_linkage_name" not in die.attributes
    wake = dies["DW_TAG_subprogram", "wake"]
    params = [c.attributes["DW_AT_name"].value.decode() for c in wake.iter_children()
              if c.tag == "DW_TAG_formal_parameter"]
    assert params == ["td", "xs", "level"]
    assert ("DW_TAG_variable", "boot_thread") in dies
    assert ("DW_TAG_lexical_block" in [c.tag for c in wake.iter_children()])
    rows = {entry.state.line for entry in dwarf.line_program_for_CU(unit).get_entries()
            if entry.state is not None}
    assert {15, 16, 17, 19, 21, 24} <= rows


@pytest.fixture(scope="module", params=[0, 1])
def executable(request, tmp_path_factory):
    """A program whose main calls demo.wake(&boot_thread, {1, 2, 3}, 9)."""
    if shutil.which("gdb") is None or shutil.which("gcc") is None:
        pytest.fail("gdb or gcc is not installed: run scripts/setup")
    folder = tmp_path_factory.mktemp("dwarf")
    (folder / "demo.py").write_text("\n".join(LINES))
    (folder / "demo.o").write_bytes(compiled(request.param, directory=str(folder)))
    (folder / "main.c").write_text("""
struct xs { void *p; unsigned long n; };
extern char boot[] __asm__("demo.boot_thread");
unsigned long wake(void *, struct xs, unsigned) __asm__("demo.wake");
void check_failed(void) __asm__("kpy.rt.check_failed");
void check_failed(void) { __builtin_trap(); }
int main(void) {
    unsigned n[] = {1, 2, 3};
    struct xs xs = {n, 3};
    return wake(boot, xs, 9);
}
""")
    subprocess.run(["gcc", "-no-pie", "-o", "demo", "main.c", "demo.o"], cwd=folder, check=True)

    def gdb(*commands):
        args = [part for command in ("set confirm off", "set pagination off",
                                     "set debuginfod enabled off", *commands)
                for part in ("-ex", command)]
        done = subprocess.run(["gdb", "-nx", "-batch", *args, "./demo"], cwd=folder,
                              capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr
    return request.param, gdb


def test_gdb_shows_values(executable):
    opt, gdb = executable
    out = gdb("break demo.py:17", "run", "info args", "info locals", "p *td", "p td.name",
              "p xs.ptr[1]", "p xs", "bt", "p boot_thread.label")
    assert "wake (td=0x" in out and "demo.py:17" in out, out
    assert "total = 0" in out and "i = 0" in out, out
    if opt == 0:
        assert "x = 1" in out and "level = 9" in out and "optimized out" not in out, out
    assert "state = RUNNING" in out and 'cpu = 3' in out and "prio = 258" in out, out
    assert "len = 3" in out
    assert "#1 " in out and "main" in out
    assert "= 2" in out


def test_gdb_steps_and_finishes(executable):
    _, gdb = executable
    out = gdb("break wake", "run", "next", "next", "next", "break finish_wake", "continue",
              "info args", "bt", "finish")
    assert "total = 6" in out, out
    assert "Value returned is $1 = 7" in out, out
    assert out.count("#1 ") == 1 and "wake (" in out


def test_gdb_types(executable):
    _, gdb = executable
    out = gdb("ptype /o struct Thread", "ptype struct Ctrl", "whatis wake", "info scope wake",
              "info line finish_wake", "ptype boot_thread.run")
    assert "struct Thread *next;" in out, out
    assert "be16 prio" in out and "State state" in out
    assert "u32 mode : 3;" in out or "mode : 3;" in out
    assert "u8 name[8];" in out
    assert "Symbol total is" in out and "Symbol td is" in out, out
    assert "Line 23" in out or "Line 24" in out
    assert "u64 (*)(u32)" in out


def test_every_function_of_every_target_has_lines():
    for target in ("pc64", "user", "host"):
        elf = ELFFile(io.BytesIO(compiled(target=target)))
        assert elf.has_dwarf_info()


def test_inlined_file_and_generic_name():
    """Code of another file inside a function keeps that file; push[u32] keeps its name."""
    other = k.Source("other.py", ["", "", "    log(1)"])
    n = k.param("n", U64)
    note = k.function("note", [n], VOID, None)
    loc = tree.Loc(other, 3, 4, 3, 10)
    call = k.call(note, k.const(1))
    for node in (call, *call.args):
        node.loc = loc
    f = k.function("push[u32]", [], VOID, [tree.ExprStmt(loc, call), k.ret()])
    data = compile_trees([k.module(f, externals=[note])], Options())[0].object
    dwarf = ELFFile(io.BytesIO(data)).get_dwarf_info()
    unit = next(dwarf.iter_CUs())
    program = dwarf.line_program_for_CU(unit)
    files = [entry.name.decode() for entry in program["file_entry"]]
    lines = {(files[e.state.file - 1], e.state.line) for e in program.get_entries()
             if e.state is not None}
    assert ("other.py", 3) in lines
    names = [d.attributes["DW_AT_name"].value for d in unit.iter_DIEs()
             if d.tag == "DW_TAG_subprogram"]
    assert b"push[u32]" in names
