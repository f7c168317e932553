# SPDX-License-Identifier: BSD-3-Clause
"""The LLVM module between compiled kpy and Python: one stub for each function Python answers.

    define i8 @hw_inb(i16 zeroext %p0)      args[0] = p0; kpy.host.up(4, args, result)
                                            return result[0]

kpy.host.up(index, args, result) calls the dispatcher of the native runtime; if that says that a
Python exception is on its way it does not return but goes to the runtime's unwind point, which is
the innermost call from Python.  So nothing is skipped but compiled kpy code.

For every function type there are also SLOTS stubs that stand for Python callables, and
kpy.host.icall.N(args, result), which calls the function whose address follows the arguments.
Tests     tests/toolchain/test_host_calls.py
"""
from __future__ import annotations

from toolchain.backend import abi
from toolchain.backend.abi import at, int_of, memory, register
from toolchain.backend.target import TARGETS
from toolchain.frontend import types
from toolchain.frontend.types import Type

SLOTS = 32               # Python callables alive at once, for each function type

_ASM = """
.text
.hidden "kpy.host.up"
.globl "kpy.host.up"
.type "kpy.host.up", @function
"kpy.host.up":
  push %rbp
  mov %rsp, %rbp
  mov "kpy.host.context"(%rip), %rcx
  call *"kpy.host.dispatch"(%rip)
  pop %rbp
  bt $40, %rax
  jc 1f
  ret
1:
  jmp *"kpy.host.unwind"(%rip)
.section kpy_host_slots, "aw"
.balign 8
.globl "kpy.host.dispatch"
"kpy.host.dispatch": .quad 0
.globl "kpy.host.unwind"
"kpy.host.unwind": .quad 0
.globl "kpy.host.context"
"kpy.host.context": .quad 0
.section .note.GNU-stack, "", @progbits
"""


def stubs_ir(ups: list[tuple[str, tuple[Type, ...], Type, bool]],
             fns: dict[int, types.FnType], unknown: dict[str, int]) -> str:
    """IR text.  `ups`: (symbol, parameters, result, throws) in the order of their numbers; `fns`:
    function types by number; `unknown`: symbols to define as zeroed storage, and their sizes."""
    host = TARGETS["host"]
    out = [f'target datalayout = "{host.layout}"', f'target triple = "{host.triple}"']
    out += ['module asm "' + line.replace("\\", "\\5C").replace('"', "\\22") + '"'
            for line in _ASM.splitlines() if line]
    out.append("declare i64 @kpy.host.up(i64, ptr, ptr)")
    for number, (symbol, params, result, throws) in enumerate(ups):
        out += _up(symbol, number, params, result, throws)
    for number, signature in fns.items():
        for slot in range(SLOTS):
            out += _up(f"kpy.host.fn.{number}.{slot}", -(number * SLOTS + slot) - 1,
                       signature.params, signature.result, signature.throws)
        out += _indirect(number, signature)
    out += [f"{at(symbol)} = global [{max(size, 8)} x i8] zeroinitializer, align 16"
            for symbol, size in unknown.items()]
    return "\n".join(out) + "\n"


def _up(symbol: str, number: int, params: tuple[Type, ...], ret: Type, throws: bool) -> list[str]:
    """A function that packs its arguments, asks Python, and unpacks the result."""
    texts = abi.params(params, ret, throws)
    names = [f"%p{i}" for i in range(len(params))]
    if ret.is_aggregate:
        names.insert(0, "%sret")
    head = ", ".join(f"{t} {n}" for t, n in zip(texts, names, strict=True))
    cells = sum(types.round_up(p.size, 8) for p in params)
    out = [f"define {abi.result_text(ret, throws)} {at(symbol)}({head}) {{",
           f"  %args = alloca [{max(cells, 8)} x i8], align 8",
           f"  %cell = alloca [{max(ret.size, 8)} x i8], align 16"]
    offset = 0
    for i, ty in enumerate(params):
        value, text = f"%p{i}", register(ty)
        if memory(ty) != text:
            word = "sext" if int_of(ty).signed else "zext"
            out.append(f"  %m{i} = {word} {text} {value} to {memory(ty)}")
            value = f"%m{i}"
        out.append(f"  %a{i} = getelementptr i8, ptr %args, i64 {offset}")
        out.append(f"  store {memory(ty)} {value}, ptr %a{i}, align 8")
        offset += types.round_up(ty.size, 8)
    target = "%sret" if ret.is_aggregate else "%cell"
    out.append(f"  %code64 = call i64 @kpy.host.up(i64 {number}, ptr %args, ptr {target})")
    out += [*_finish(ret, throws), "}"]
    return out


def _finish(ret: Type, throws: bool) -> list[str]:
    out = []
    plain = abi.result(ret, throws)
    if throws:
        out.append("  %code = trunc i64 %code64 to i32")
        if plain == "i32":
            return [*out, "  ret i32 %code"]
    elif plain == "void":
        return ["  unreachable" if ret is types.NEVER else "  ret void"]
    out.append(f"  %raw = load {memory(ret)}, ptr %cell, align 8")
    if throws:
        return [*out, f"  %half = insertvalue {plain} poison, {memory(ret)} %raw, 0",
                f"  %both = insertvalue {plain} %half, i32 %code, 1", f"  ret {plain} %both"]
    if memory(ret) != register(ret):
        return [*out, f"  %value = trunc {memory(ret)} %raw to {register(ret)}",
                f"  ret {register(ret)} %value"]
    return [*out, f"  ret {plain} %raw"]


def _indirect(number: int, signature: types.FnType) -> list[str]:
    """kpy.host.icall.N: as the compiler's kpy.call wrappers, for a function value."""
    ret, throws = signature.result, signature.throws
    out = [f"define i32 @kpy.host.icall.{number}(ptr %args, ptr %result) {{"]
    args = [f"{abi.storage(ret, throws)} %result"] if ret.is_aggregate else []
    offset = 0
    for i, ty in enumerate(signature.params):
        out.append(f"  %a{i} = getelementptr i8, ptr %args, i64 {offset}")
        out.append(f"  %m{i} = load {memory(ty)}, ptr %a{i}, align 8")
        value = f"%m{i}"
        if memory(ty) != register(ty):
            out.append(f"  %v{i} = trunc {memory(ty)} {value} to {register(ty)}")
            value = f"%v{i}"
        args.append(f"{register(ty)}{abi.extension(ty)} {value}")
        offset += types.round_up(ty.size, 8)
    out += [f"  %where = getelementptr i8, ptr %args, i64 {offset}",
            "  %target = load ptr, ptr %where, align 8"]
    plain = abi.result(ret, throws)
    call = f"call {abi.result_text(ret, throws)} %target({', '.join(args)})"
    if plain == "void":
        return [*out, f"  {call}", "  ret i32 0", "}"]
    out.append(f"  %r = {call}")
    if throws and plain == "i32":
        return [*out, "  ret i32 %r", "}"]
    value, code = "%r", "0"
    if throws:
        out += [f"  %value = extractvalue {plain} %r, 0",
                f"  %code = extractvalue {plain} %r, 1"]
        value, code = "%value", "%code"
    elif memory(ret) != register(ret):
        word = "sext" if int_of(ret).signed else "zext"
        out.append(f"  %value = {word} {plain} %r to {memory(ret)}")
        value = "%value"
    return [*out, f"  store {memory(ret)} {value}, ptr %result, align 1", f"  ret i32 {code}", "}"]
