# SPDX-License-Identifier: BSD-3-Clause
"""What only kernels have: per-CPU storage, interrupt and naked functions, sections, tables,
upcalls, shared copies; read back from the objects."""
from __future__ import annotations

import io

import pytest
from elftools.elf.elffile import ELFFile

from tests.toolchain import build as k
from tests.toolchain.run import build, compile_trees, pool
from toolchain.backend.llvm import tables_ir
from toolchain.backend.worker import Job
from toolchain.frontend import tree, types
from toolchain.frontend.types import U8, U16, U32, U64, VOID
from toolchain.lower.cfg import Trap
from toolchain.options import Options

KERNEL = Options(target="pc64")


def kernel(*modules, **more):
    results = compile_trees(list(modules), Options(target="pc64", **more),
                            want=("object", "asm"))
    assert all(r.failure is None for r in results), results
    return results[0]


def body_of(asm, name):
    """The instructions of one function."""
    quoted = f'"{name}"' if not name.replace(".", "").replace("_", "").isalnum() else name
    text = asm.split(f"\n{quoted}:", 1)[1]
    return [line.strip().split("#")[0].strip() for line in text.split(".Lfunc_end")[0].splitlines()
            if line.startswith("\t") and not line.strip().startswith(".")]


def symbols(data):
    table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
    return {s.name: s for s in table.iter_symbols()}


@pytest.mark.parametrize("mode", ["dev", "release"])
def test_percpu(mode):
    gd = k.struct("Gd", a=U64, b=types.array(U32, 4))
    count = k.global_("count", U64, 0, percpu=True)
    data = k.global_("gd", gd, None, percpu=True)
    i = k.param("i", U64)
    f = k.function("f", [i], U32, [
        k.aug(count, "add", k.const(1), wrap=True),
        k.ret(k.load(k.index(k.field(data, "b"), k.load(i))))])
    g = k.function("g", [], types.ptr(U64), [k.ret(k.addr(count))])
    h = k.function("h", [], VOID, [k.assign(data, tree.ZeroInit(gd, k.here())), k.ret()])
    result = kernel(k.module(f, g, h, globals=[count, data]), mode=mode)
    assert any("%gs:" in line and "count" in line for line in body_of(result.asm, "demo.f"))
    assert any("%gs:" in line and "gd" in line for line in body_of(result.asm, "demo.f"))
    assert any("%gs:kpy.percpu.base" in line for line in body_of(result.asm, "demo.g"))
    elf = ELFFile(io.BytesIO(result.object))
    assert elf.get_section_by_name(".percpu")["sh_size"] == 32
    host = build(k.module(f, g, globals=[count, data]), mode=mode)
    assert host.call(f, 1) == 0
    with pytest.raises(Exception, match="INDEX"):
        host.call(f, 4)


def test_no_sse_no_red_zone_no_got():
    n = k.param("n", types.ptr(types.array(U64, 64)))
    m = k.param("m", types.ptr(types.array(U64, 64)))
    word = k.global_("word", U64, 5)
    leaf = k.function("leaf", [n, m], U64, [
        k.assign(k.deref(k.load(n)), k.place(k.deref(k.load(m)))),
        k.aug(word, "add", k.const(1)), k.ret(k.load(word))])
    result = kernel(k.module(leaf, globals=[word]), mode="release")
    text = "\n".join(body_of(result.asm, "demo.leaf"))
    assert "xmm" not in text and "GOT" not in text
    elf = ELFFile(io.BytesIO(result.object))
    kinds = {r["r_info_type"] for s in elf.iter_sections() if s["sh_type"] == "SHT_RELA"
             and not s.name.startswith(".rela.debug") for r in s.iter_relocations()}
    assert kinds <= {1, 2, 4, 10, 11}       # 64, PC32, PLT32, 32, 32S


def test_arrays_are_aligned_as_in_c():
    """System V ABI for x86-64, 3.1.2; but rows of a section stay together."""
    record = k.struct("Record", id=U64, blocks=types.array(U64, 3))
    shapes = {"table": (types.array(record, 3), {}), "short": (types.array(U8, 15), {}),
              "bytes": (types.array(U8, 16), {}), "alone": (record, {}),
              "wide": (types.array(U8, 64), {"align": 64}),
              "row": (types.array(U64, 2), {"section": "rows"})}
    names = {name: k.global_(name, ty, None, **more) for name, (ty, more) in shapes.items()}
    assert {name: g.alignment for name, g in names.items()} == {
        "table": 16, "short": 1, "bytes": 16, "alone": 8, "wide": 64, "row": 8}
    assert k.global_("theirs", types.array(U64, 8), None, extern=True).alignment == 8
    result = kernel(k.module(globals=[names["short"], names["table"]]))
    assert int(symbols(result.object)["demo.table"]["st_value"]) % 16 == 0


def test_interrupt_naked_section_export():
    frame = k.struct("Frame", rip=U64, cs=U64, rflags=U64, rsp=U64, ss=U64)
    hits = k.global_("hits", U64)
    p, code = k.param("frame", types.ptr(frame)), k.param("code", U64)
    irq = k.function("irq", [p, code], VOID, [
        k.assign(hits, k.add(k.load(code), k.load(k.field(k.deref(k.load(p)), "rip")), True)),
        k.ret()], interrupt=True, section=".text.entry")
    plain = k.function("plain", [k.param("frame", types.ptr(frame))], VOID, [k.ret()],
                       interrupt=True)
    naked = k.function("stub", [k.param("x", U64)], VOID, [
        k.expr(tree.AsmExpr(VOID, k.here(), "pushq %rdi\npopq %rax\nretq", "~{memory}", [],
                            True))], naked=True, export="the.stub")
    result = kernel(k.module(irq, plain, naked, globals=[hits]))
    assert body_of(result.asm, "demo.irq")[-1] == "iretq"
    assert body_of(result.asm, "demo.plain")[-1] == "iretq"
    assert [line for line in body_of(result.asm, "the.stub") if line] == [
        "pushq\t%rdi", "popq\t%rax", "retq"]
    assert ".text.entry" in {s.name for s in ELFFile(io.BytesIO(result.object)).iter_sections()}


def test_file_level_asm_in_three_widths():
    text = """.section .boot,"ax"\n.code16\nstart16: ljmp $0, $start32\n.code32
start32: movl %cr0, %eax\n.code64\n.globl start64\nstart64: movq %cr3, %rax"""
    result = kernel(k.module(asm=[text]))
    assert "start64" in symbols(result.object)


def test_shared_copies_are_weak_and_merge():
    n = k.param("n", U64)
    twice = k.function("twice", [n], U64, [k.ret(k.add(k.load(n), k.load(n)))], module="lib",
                       inline=True)
    ring = k.function("push[u32]", [n], U64, [k.ret(k.load(n))], module="lib", noinline=True)
    ring.is_instance = True
    users = []
    for name in ("one", "two"):
        m = k.param("m", U64)
        users.append(k.function(name, [m], U64, [k.ret(k.call(ring, k.call(twice, k.load(m))))],
                                module=name))
    modules = [k.module(users[0], ring, externals=[twice], name="one"),
               k.module(users[1], externals=[twice, ring], name="two"),
               k.module(twice, name="lib")]
    for mode in ("dev", "release"):
        program = build(*modules, mode=mode)
        assert [program.call(u, 21) for u in users] == [42, 42]
    one = symbols(compile_trees(modules, KERNEL)[0].object)
    assert one["lib.push[u32]"]["st_info"]["bind"] == "STB_WEAK"
    assert "lib.twice" not in one                           # inlined everywhere


def test_upcall_alias():
    n = k.param("n", U64)
    upcall = k.function("trap", [n], U64, None, module="lwkt", upcall=True)
    ours = k.function("handle", [n], U64, [k.ret(k.add(k.load(n), k.const(1)))], module="pc64")
    m = k.param("m", U64)
    caller = k.function("enter", [m], U64, [k.ret(k.call(upcall, k.load(m)))], module="lwkt")
    platform = k.module(ours, name="pc64")
    platform.implements = {"lwkt.trap": ours}
    for mode in ("dev", "release"):
        program = build(k.module(caller, upcall, name="lwkt"), platform, mode=mode)
        assert program.call(caller, 1) == 2


def test_tables():
    entry = k.struct("TableEntry", key=U64, function=types.mptr(U8), name=types.STR,
                     data=types.array(U64, 4))
    entries = [tree.TableEntry("syscall", key, name, True, data, f"demo.{name}", k.here())
               for key, name, data in ((12, "brk", (1, 2)), (0, "read", ()), (3, "close", (9,)))]
    fns = [k.function(name, [], U64, [k.ret(k.const(n))])
           for name, n in (("brk", 1), ("read", 2), ("close", 3))]
    i = k.param("i", U64)
    table = tree.TableRef(types.slice_of(entry), k.here(), "syscall")
    key = k.function("key", [i], U64, [k.ret(k.load(k.field(k.index(table, k.load(i)), "key")))])
    count = k.function("count", [], U64, [k.ret(k.length(table))])
    run = k.function("run", [i], U64, [k.ret(tree.CallIndirect(
        U64, k.here(), k.convert("ptr", k.load(k.field(k.index(table, k.load(i)), "function")),
                                 types.fn((), U64)), types.fn((), U64), [], False))])
    objects = [r.object for r in compile_trees([k.module(*fns, key, count, run)], Options(
        host_wrappers=True))]
    text = tables_ir(entries, "host", ["empty"])
    tables = pool().compile([Job("tables", [text], "host", 0)])[0]
    assert tables.failure is None, tables.failure
    from toolchain.backend.jit import load  # noqa: PLC0415
    program = load([*objects, tables.object], pool())
    assert program.call(count) == 3
    assert [program.call(key, n) for n in range(3)] == [0, 3, 12]
    assert [program.call(run, n) for n in range(3)] == [2, 3, 1]
    with pytest.raises(Exception, match="INDEX"):
        program.call(key, 3)


def test_trap_numbers_are_the_runtime_s():
    source = open("toolchain/kpy/rt.py").read()  # noqa: SIM115
    for trap in Trap:
        assert f"{trap.name} = {trap.value} " in source


def test_debug_info_covers_every_function():
    n = k.param("n", U16)
    fns = [k.function(f"f{i}", [n], U16, [k.ret(k.add(k.load(n), k.const(i, U16)))])
           for i in range(3)]
    elf = ELFFile(io.BytesIO(kernel(k.module(*fns)).object))
    unit = next(elf.get_dwarf_info().iter_CUs())
    named = {d.attributes["DW_AT_name"].value.decode() for d in unit.iter_DIEs()
             if d.tag == "DW_TAG_subprogram" and "DW_AT_low_pc" in d.attributes}
    assert named == {"f0", "f1", "f2"}
