# SPDX-License-Identifier: BSD-3-Clause
"""Typed trees by hand: a small language for the tests of lowering and of the back end.

    x = param("x", U32)
    f = function("double", [x], U32, [ret(add(load(x), load(x)))])
    module(f)

Every node gets a line of its own in a made-up source, in order of construction.
"""
from __future__ import annotations

from toolchain.frontend import tree, types
from toolchain.frontend.types import BOOL, I32, U64, VOID, Type


class Source:
    """A stand-in for SourceFile: `line n` on every line."""

    def __init__(self, path: str = "demo.py", lines: list[str] | None = None) -> None:
        self.path = path
        self.lines = lines

    def line_text(self, n: int) -> str:
        if self.lines is None:
            return f"line {n}"
        return self.lines[n - 1] if 0 < n <= len(self.lines) else ""


SOURCE = Source()
_line = [0]


def here(line: int | None = None, source: Source | None = None) -> tree.Loc:
    if line is None:
        _line[0] += 1
        line = _line[0]
    return tree.Loc(source or SOURCE, line, 0, line, 6)


def param(name: str, ty: Type) -> tree.Var:
    return tree.Var(name, ty, "param", here())


def local(name: str, ty: Type) -> tree.Var:
    return tree.Var(name, ty, "local", here())


def function(name: str, params: list[tree.Var], result: Type, body: list[tree.Stmt] | None,
             throws: bool = False, module: str = "demo", **attrs: object) -> tree.Function:
    loc = body[0].loc if body else here()
    fn = tree.Function(f"{module}.{name}", name, module, params, result, throws,
                       tree.Attrs(**attrs), loc, body)
    fn.end_line = _line[0] + 1
    return fn


def module(*functions: tree.Function, globals: list[tree.Global] | None = None,
           externals: list[tree.Function] | None = None, name: str = "demo",
           asm: list[str] | None = None, types: list[Type] | None = None) -> tree.Module:
    m = tree.Module(name, SOURCE, True, list(functions), globals or [])
    m.externals = {f.symbol: f for f in externals or []}
    m.asm = [tree.AsmBlock(text, here()) for text in asm or []]
    m.types = types or []
    return m


def struct(name: str, /, **fields: Type) -> types.StructType:
    ty = types.StructType(name, "demo", _line[0] + 1)
    ty.finish([types.Field(n, t, here().line) for n, t in fields.items()])
    return ty


def bits(name: str, base: types.IntType, /, **fields: tuple[Type, int, int]) -> types.BitsType:
    ty = types.BitsType(name, "demo", _line[0] + 1, base)
    for n, (t, bit, width) in fields.items():
        ty.fields[n] = types.Field(n, t, here().line, 0, bit, width)
    ty.complete = True
    return ty


def enum(name: str, base: types.IntType, flags: bool = False, **members: int) -> types.EnumType:
    ty = types.EnumType(name, "demo", _line[0] + 1, base, flags)
    ty.members.update(members)
    return ty


# ---- places and values

def place(x: object) -> tree.Place:
    return tree.VarPlace(x.ty, here(), x) if isinstance(x, tree.Var) else \
        tree.GlobalPlace(x.ty, here(), x) if isinstance(x, tree.Global) else x


def const(value: int, ty: Type = U64) -> tree.Const:
    return tree.Const(ty, here(), int(value))


def load(x: object) -> tree.Load:
    p = place(x)
    return tree.Load(p.ty, p.loc, p)


def addr(x: object) -> tree.AddrOf:
    p = place(x)
    return tree.AddrOf(types.ptr(p.ty), p.loc, p)


def deref(pointer: tree.Expr) -> tree.Deref:
    return tree.Deref(pointer.ty.elem, here(), pointer)


def field(base: object, name: str) -> tree.FieldPlace:
    p = place(base)
    return tree.FieldPlace(p.ty.fields[name].ty, here(), p, p.ty.fields[name])


def index(base: object, i: tree.Expr, unchecked: bool = False) -> tree.IndexPlace:
    b = place(base) if isinstance(base, tree.Var | tree.Global) and base.ty.is_aggregate else \
        load(base) if isinstance(base, tree.Var | tree.Global) else base
    return tree.IndexPlace(b.ty.elem, here(), b, i, unchecked)


def binary(op: str, left: tree.Expr, right: tree.Expr, wrap: bool = False) -> tree.Binary:
    return tree.Binary(left.ty, here(), op, left, right, wrap)


def add(left: tree.Expr, right: tree.Expr, wrap: bool = False) -> tree.Binary:
    return binary("add", left, right, wrap)


def compare(op: str, left: tree.Expr, right: tree.Expr) -> tree.Compare:
    return tree.Compare(BOOL, here(), op, left, right)


def logic(op: str, left: tree.Expr, right: tree.Expr) -> tree.Logic:
    return tree.Logic(BOOL, here(), op, left, right)


def unary(op: str, operand: tree.Expr, wrap: bool = False) -> tree.Unary:
    return tree.Unary(operand.ty, here(), op, operand, wrap)


def convert(kind: str, operand: tree.Expr, ty: Type) -> tree.Convert:
    return tree.Convert(ty, here(), kind, operand)


def call(f: tree.Function, *args: tree.Expr) -> tree.Call:
    return tree.Call(f.result, here(), f, list(args), f.throws)


def intrinsic(op: str, ty: Type, *args: tree.Expr) -> tree.Intrinsic:
    return tree.Intrinsic(ty, here(), op, list(args))


def length(operand: tree.Expr) -> tree.Len:
    return tree.Len(U64, here(), operand)


# ---- statements

def declare(var: tree.Var, init: tree.Expr | None = None) -> tree.Declare:
    return tree.Declare(here(), var, init)


def assign(x: object, value: tree.Expr) -> tree.Assign:
    return tree.Assign(here(), place(x), value)


def aug(x: object, op: str, value: tree.Expr, wrap: bool = False) -> tree.AugAssign:
    return tree.AugAssign(here(), place(x), op, value, wrap)


def expr(e: tree.Expr) -> tree.ExprStmt:
    return tree.ExprStmt(e.loc, e)


def if_(cond: tree.Expr, then: list[tree.Stmt], other: list[tree.Stmt] | None = None) -> tree.If:
    return tree.If(cond.loc, cond, then, other or [])


def while_(cond: tree.Expr, body: list[tree.Stmt], step: list[tree.Stmt] | None = None,
           other: list[tree.Stmt] | None = None, label: tree.Label | None = None) -> tree.While:
    return tree.While(cond.loc, cond, body, step or [], other or [], label or tree.Label())


def ret(value: tree.Expr | None = None) -> tree.Return:
    return tree.Return(value.loc if value else here(), value)


def raise_(code: int) -> tree.Raise:
    return tree.Raise(here(), const(code, I32))


def try_(body: list[tree.Stmt], code: tree.Var | None = None,
         handler: list[tree.Stmt] | None = None, other: list[tree.Stmt] | None = None,
         final: list[tree.Stmt] | None = None) -> tree.Try:
    return tree.Try(here(), body, code, handler, other or [], final or [])


def with_(enter: list[tree.Stmt], body: list[tree.Stmt], leave: list[tree.Stmt]) -> tree.With:
    return tree.With(here(), None, enter, body, leave)


def brk(label: tree.Label) -> tree.Break:
    return tree.Break(here(), label)


def cont(label: tree.Label) -> tree.Continue:
    return tree.Continue(here(), label)


def global_(name: str, ty: Type, init: object = None, **more: object) -> tree.Global:
    return tree.Global(f"demo.{name}", name, ty, init, more.pop("constant", False), here(),
                       **more)


NOTHING = VOID
