# SPDX-License-Identifier: BSD-3-Clause
"""The typed tree as text, for `kpyc dump --stage typed`: kpy with everything said.

    def double(x: u32) -> u32:            function demo.double(x: u32) -> u32
        return x * 2                          return (x *! 2'u32)'u32

A `'type` follows what it belongs to; `*!` traps on overflow where `*` wraps; conversions are
written out; names starting with a dot are the compiler's own.

Tests     tests/toolchain/test_tour_compile.py
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t

_OPS = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//", "mod": "%", "and": "&", "or": "|",
        "xor": "^", "shl": "<<", "shr": ">>", "eq": "==", "ne": "!=", "lt": "<", "le": "<=",
        "gt": ">", "ge": ">="}


def module(made: tree.Module, functions: Iterable[tree.Function]) -> str:
    """The text of these functions of `made`; with all of them, its types and globals too."""
    functions = list(functions)
    parts = []
    if len(functions) == len(made.functions):
        parts += [_type(ty) for ty in made.types]
        parts += [_global(g) for g in made.globals]
    parts += ["\n".join(_function(f)) for f in functions]
    return "\n\n".join(parts)


def _type(ty: t.Type) -> str:
    if isinstance(ty, t.EnumType):
        members = ", ".join(f"{n} = {v}" for n, v in ty.members.items())
        return f"{'flags' if ty.is_flags else 'enum'} {ty.symbol}: {ty.base} {{ {members} }}"
    if isinstance(ty, t.RegsType):
        rows = [f"    {r.offset:#06x}  {r.access:4}  {r.name}: {r.ty}"
                + (f"  x {r.count}, {r.stride:#x} apart" if r.count > 1 else "")
                for r in ty.registers.values()]
        return "\n".join([f"regs {ty.symbol}", *rows])
    if isinstance(ty, t.BitsType):
        rows = [f"    bits {f.bit + f.width - 1}:{f.bit}  {f.name}: {f.ty}"
                for f in ty.fields.values()]
        return "\n".join([f"bits {ty.symbol}: {ty.base}", *rows])
    if isinstance(ty, t.StructType):
        rows = [f"    {f.offset:4}  {f.name}: {f.ty}" for f in ty.fields.values()]
        return "\n".join([f"struct {ty.symbol}  # {ty.size} bytes, aligned to {ty.align}", *rows])
    return ty.name


def _global(g: tree.Global) -> str:
    kind = "constant" if g.constant else "percpu" if g.percpu else "global"
    text = "zero" if g.init is None else repr(g.init)
    return f"{kind} {g.symbol}: {g.ty} = {text if len(text) < 120 else text[:117] + '...'}"


def _function(f: tree.Function) -> Iterator[str]:
    params = ", ".join(f"{p.name}: {p.ty}" for p in f.params)
    yield f"function {f.symbol}({params}) -> {f.result}" + (" throws" if f.throws else "")
    if f.body is None:
        yield "    (defined elsewhere)"
        return
    yield from _block(f.body, 1)


def _block(body: list[tree.Stmt], depth: int) -> Iterator[str]:
    pad = "    " * depth
    if not body:
        yield f"{pad}pass"
    for item in body:
        yield from _statement(item, depth, pad)


def _statement(s: tree.Stmt, depth: int, pad: str) -> Iterator[str]:
    match s:
        case tree.Declare():
            init = f" = {expression(s.init)}" if s.init is not None else ""
            yield f"{pad}var {s.var.name}: {s.var.ty}{init}"
        case tree.Assign():
            yield f"{pad}{expression(s.place)} = {expression(s.value)}"
        case tree.AugAssign():
            yield (f"{pad}{expression(s.place)} {_OPS[s.op]}{'' if s.wrap else '!'}= "
                   f"{expression(s.value)}")
        case tree.ExprStmt():
            yield f"{pad}{expression(s.expr)}"
        case tree.If():
            yield f"{pad}if {expression(s.cond)}:"
            yield from _block(s.then, depth + 1)
            if s.other:
                yield f"{pad}else:"
                yield from _block(s.other, depth + 1)
        case tree.While():
            yield f"{pad}while {expression(s.cond)}:{_label(s.label)}"
            yield from _block(s.body, depth + 1)
            for part, name in ((s.step, "step"), (s.other, "else")):
                if part:
                    yield f"{pad}{name}:"
                    yield from _block(part, depth + 1)
        case tree.Block():
            yield f"{pad}block:{_label(s.label)}"
            yield from _block(s.body, depth + 1)
        case tree.Break() | tree.Continue():
            word = "break" if isinstance(s, tree.Break) else "continue"
            yield f"{pad}{word} {s.label.name}"
        case tree.Return():
            yield f"{pad}return" + (f" {expression(s.value)}" if s.value is not None else "")
        case tree.Raise():
            yield f"{pad}raise {expression(s.code)}"
        case tree.Try():
            yield from _try(s, depth, pad)
        case tree.With():
            yield from _with(s, depth, pad)
        case tree.Switch():
            yield f"{pad}switch {expression(s.subject)}:"
            for values, body in s.cases:
                yield f"{pad}  case {', '.join(map(str, values))}:"
                yield from _block(body, depth + 1)
            if s.default is not None:
                yield f"{pad}  otherwise:"
                yield from _block(s.default, depth + 1)
        case tree.Assert():
            yield f"{pad}assert {expression(s.cond)}"
        case tree.Print():
            yield f"{pad}{s.sink}({', '.join(_piece(p) for p in s.pieces)})"
        case _:
            yield f"{pad}{type(s).__name__}"


def _label(label: tree.Label) -> str:
    return f"  # {label.name}" if label.name else ""


def _try(s: tree.Try, depth: int, pad: str) -> Iterator[str]:
    yield f"{pad}try:"
    yield from _block(s.body, depth + 1)
    if s.handler is not None:
        yield f"{pad}catch {s.code_var.name if s.code_var else ''}:"
        yield from _block(s.handler, depth + 1)
    for part, name in ((s.other, "else"), (s.final, "finally")):
        if part:
            yield f"{pad}{name}:"
            yield from _block(part, depth + 1)


def _with(s: tree.With, depth: int, pad: str) -> Iterator[str]:
    yield f"{pad}with:"
    head = [s.manager] if s.manager is not None else []
    yield from _block([*head, *s.enter], depth + 1)
    yield f"{pad}do:"
    yield from _block(s.body, depth + 1)
    yield f"{pad}leaving:"
    yield from _block(s.leave, depth + 1)


def _piece(p: tree.FormatPiece) -> str:
    return repr(p.text)[1:] if p.value is None else f"{expression(p.value)} spec {p.spec:#x}"


def _many(items: Iterable[tree.Expr]) -> str:
    return ", ".join(expression(e) for e in items)


def _fields(fields: dict[str, tree.Expr]) -> str:
    return ", ".join(f"{n}={expression(e)}" for n, e in fields.items())


def expression(e: Any) -> str:
    """One expression."""
    match e:
        case tree.Const():
            if e.ty is t.BOOL:
                return "True" if e.value else "False"
            if isinstance(e.ty, t.EnumType) and not e.ty.is_flags:
                return next((f"{e.ty}.{n}" for n, v in e.ty.members.items() if v == e.value), "?")
            return "null" if isinstance(e.ty, t.PtrType) else f"{e.value}'{e.ty}"
        case tree.ConstData():
            return f"{e.value!r}'{e.ty}"
        case tree.FnRef():
            return f"&{e.function.symbol}"
        case tree.Load():
            return expression(e.place)
        case tree.AddrOf():
            return f"&{expression(e.place)}"
        case tree.Unary():
            sign = {"neg": "-" if e.wrap else "-!", "inv": "~", "not": "not "}[e.op]
            return f"{sign}{expression(e.operand)}"
        case tree.Binary():
            traps = "" if e.wrap or e.op in ("and", "or", "xor", "shr") else "!"
            return f"({expression(e.left)} {_OPS[e.op]}{traps} {expression(e.right)})'{e.ty}"
        case tree.Compare():
            return f"({expression(e.left)} {_OPS[e.op]} {expression(e.right)})"
        case tree.SliceEqual():
            op = "!=" if e.negate else "=="
            return f"bytes({expression(e.left)} {op} {expression(e.right)})"
        case tree.Logic():
            return f"({expression(e.left)} {e.op} {expression(e.right)})"
        case tree.IfExp():
            return f"({expression(e.then)} if {expression(e.cond)} else {expression(e.other)})"
        case tree.Convert():
            return f"{e.kind}<{e.ty}>({expression(e.operand)})"
        case tree.Call():
            return f"{e.function.symbol}({_many(e.args)}){'?' * e.throws}"
        case tree.CallIndirect():
            return f"({expression(e.callee)})({_many(e.args)}){'?' * e.throws}"
        case tree.VarPlace():
            return e.var.name
        case tree.GlobalPlace():
            return e.global_.symbol
        case tree.Deref():
            return f"*{expression(e.pointer)}"
        case tree.FieldPlace() if isinstance(e.base, tree.Deref):
            return f"{expression(e.base.pointer)}->{e.field.name}"
        case tree.FieldPlace():
            return f"{expression(e.base)}.{e.field.name}"
        case tree.IndexPlace():
            return f"{expression(e.base)}[{expression(e.index)}{'' if e.unchecked else '!'}]"
        case tree.UnionPayload():
            return f"{expression(e.base)}.as({e.ty})"
        case tree.UnionTag():
            return f"tag({expression(e.base)})"
        case tree.Temp():
            return f"temp({expression(e.value)})"
        case tree.StructLit():
            return f"{e.ty}({_fields(e.fields)})"
        case tree.UnionLit():
            return f"variant {e.tag} ({expression(e.payload)})"
        case tree.ArrayLit() | tree.MakeTuple():
            return f"[{_many(e.items)}]" if isinstance(e, tree.ArrayLit) else f"({_many(e.items)})"
        case tree.BitsWith():
            return f"{expression(e.operand)} with ({_fields(e.fields)})"
        case tree.BitsGet():
            return f"{expression(e.operand)}.{e.field.name}"
        case tree.TupleGet():
            return f"{expression(e.operand)}.{e.index}"
        case tree.SliceOf():
            low, high = (expression(x) if x is not None else "" for x in (e.lo, e.hi))
            return f"{expression(e.base)}[{low}:{high}!]"
        case tree.Seq():
            inner = "; ".join(line.strip() for line in _block(e.body, 0)) if e.body else ""
            return f"{{{inner}; {expression(e.value)}}}"
        case tree.AtomicOp():
            args = "".join(f"{expression(a)}, " for a in e.args)
            return f"{expression(e.place)}.{e.op}({args}{e.order})"
        case tree.MmioRead() | tree.MmioWrite():
            at = f"[{expression(e.index)}]" if e.index is not None else ""
            text = f"{expression(e.base)}::{e.register.name}{at}"
            return text if isinstance(e, tree.MmioRead) else f"{text} <- {expression(e.value)}"
        case tree.AsmExpr():
            text = "; ".join(line.strip() for line in e.template.strip().splitlines())
            return f"asm \"{text}\" ({_many(e.args)})'{e.ty}"
        case tree.Intrinsic():
            return f"{e.op}({_many(e.args)})"
        case tree.ZeroInit():
            return f"zero'{e.ty}"
    return _generic(e)


def _generic(e: tree.Expr) -> str:
    """A node with nothing special about it: its name and parts."""
    parts = []
    for name in type(e).__slots__:
        part = getattr(e, name)
        parts.append(expression(part) if isinstance(part, tree.Expr) else str(part))
    return f"{type(e).__name__}({', '.join(parts)})'{e.ty}"
