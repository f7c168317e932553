# SPDX-License-Identifier: BSD-3-Clause
"""Constants and @comptime functions: ordinary Python, executed by CPython inside the compiler.

    TABLE: Final[Array[u32, 256]] = crc_table()      crc_table runs here; its list becomes data
    VNODE_OPS: Final = Vops(read=ufs_read, ...)      a struct constant with symbol addresses
    LIMIT: Final = 4 * PAGE_SIZE                     an exact integer; takes its context's type

Names in a constant resolve as in the rest of the module, lazily, so the order of declarations
does not matter; a constant that needs itself is reported.  Only whitelisted builtins exist, and
nothing starting with an underscore may be reached, so a source file cannot touch the host.

Tests     tests/toolchain/test_messages.py
"""
from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator
from typing import Any

from toolchain.diagnostics import Diagnostic
from toolchain.frontend import types as t
from toolchain.frontend.check import bounded, classes, functions, typeexpr, vocabulary
from toolchain.frontend.check.scope import Context, Scope, among, is_poisoned
from toolchain.frontend.modules import (
    POISONED,
    Alias,
    Class,
    Constant,
    FunctionDecl,
    ModuleDecl,
    Parameter,
    Variable,
    Vocabulary,
)
from toolchain.frontend.tree import ConstValue, Loc, SymbolRef

STEP_LIMIT = 5_000_000       # lines a constant may execute
_SAFE = ("abs", "all", "any", "bool", "bytes", "bytearray", "dict", "divmod", "enumerate",
         "filter", "frozenset", "int", "isinstance", "len", "list", "map", "max", "min", "ord",
         "chr", "range", "reversed", "set", "sorted", "str", "sum", "tuple", "zip", "ValueError",
         "AssertionError", "KeyError", "IndexError", "hex", "True", "False", "None", "round")
_BUILTINS = {name: getattr(__import__("builtins"), name) for name in _SAFE} | bounded.NAMES


class ConstError(Exception):
    """A constant could not be made; already reported if `message` is empty.

    `keyword`: of the call's arguments the one that is wrong.  `others`: what else is.
    """

    def __init__(self, message: str = "", help: str = "", code: str = "K0502", keyword: str = "",
                 ) -> None:
        super().__init__(message)
        self.help, self.code, self.keyword = help, code, keyword
        self.others: list[ConstError] = []


class Typed(int):
    """An integer that knows its kpy type."""

    ty: t.Type

    def __new__(cls, value: int, ty: t.Type) -> Typed:
        made = super().__new__(cls, value)
        made.ty = ty
        return made


class Flags(Typed):
    """A member, or several, of an `@flags` class: combined they keep their type."""

    def _combined(self, value: int) -> Any:
        return Flags(value & ((1 << self.ty.size * 8) - 1), self.ty)

    def __or__(self, other: int) -> Any:
        return self._combined(int(self) | int(other))

    def __and__(self, other: int) -> Any:
        return self._combined(int(self) & int(other))

    def __xor__(self, other: int) -> Any:
        return self._combined(int(self) ^ int(other))

    def __invert__(self) -> Any:
        return self._combined(~int(self))


def typed(value: int, ty: t.Type) -> Typed:
    """`value` as compile-time code sees it."""
    return Flags(value, ty) if isinstance(ty, t.EnumType) and ty.is_flags else Typed(value, ty)


class StructValue(dict):
    """A struct constant: field name to value.  `home`: the constant it is, where it has a name."""

    ty: t.StructType
    home: Any = None


class Symbol:
    """The address of a function or global."""

    def __init__(self, symbol: str, ty: t.Type, function: Any = None, global_: Any = None,
                 decl: Any = None) -> None:
        self.decl = decl
        self.symbol, self.ty, self.function, self.global_ = symbol, ty, function, global_
        self.name = symbol.rpartition(".")[2]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.decl is not None:
            self.decl.made = POISONED           # its body may be meant for the compiler
        raise ConstError(f"`{self.name}` runs in the kernel, not in the "
                         "compiler", "mark it @comptime, or set the variable in a function")


class _Proxy:
    """A class, module or type as constants see it."""

    __slots__ = ("_attr", "_call")

    def __init__(self, attr: Any = None, call: Any = None) -> None:
        self._attr, self._call = attr, call

    def __getattr__(self, name: str) -> Any:
        if self._attr is None or name.startswith("_"):
            raise ConstError(f"no attribute `{name}` in a constant")
        return self._attr(name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._call is None:
            raise ConstError("this cannot be called in a constant")
        return self._call(*args, **kwargs)

    def __getitem__(self, item: Any) -> Any:
        return self


class _Names(dict):
    """The global namespace of a constant: resolves what is asked for."""

    def __init__(self, cx: Context, scope: Scope, extra: dict[str, Any]) -> None:
        super().__init__(extra)
        self["__builtins__"] = _BUILTINS
        self.cx, self.scope = cx, scope

    def __missing__(self, name: str) -> Any:
        if name in self.scope.env:
            value = self.scope.env[name]
            return type_proxy(self.cx, self.scope, value) if isinstance(value, t.Type) else value
        if name in _BUILTINS and name not in self.scope.module.names:
            return _BUILTINS[name]
        meaning = self.cx.lookup(self.scope.module, name)
        if meaning is None:
            raise KeyError(name)
        return _python(self.cx, self.scope, meaning)


def size(cx: Context, scope: Scope, node: ast.expr) -> int | None:
    """A compile-time integer >= 0: a length, an offset, a bit number."""
    value = integer(cx, scope, node)
    if value is not None and not 0 <= value < 1 << 48:
        cx.error("K0501", scope, node, f"{value} is not a size", help="a size is 0 or more")
        return None
    return value


def integer(cx: Context, scope: Scope, node: ast.expr, extra: dict[str, Any] | None = None,
            excused: Collection[str] = ()) -> int | None:
    """A compile-time integer, or None after a report."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    value = python_value(cx, scope, node, extra, excused)
    if value is FAILED:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        decl = cx.resolve(scope, node)
        if not isinstance(decl, Constant) or cx.first("no integer", decl):
            cx.error("K0501", scope, node, "this is not a compile-time integer",
                     "" if isinstance(node, ast.Constant) else f"it is {_shown(value)}",
                     notes=(("declared", decl.loc),) if isinstance(decl, Constant) else (),
                     help="a number, a Final constant, sizeof(T) or a @comptime call is")
        return None
    return int(value)


FAILED = object()


def python_value(cx: Context, scope: Scope, node: ast.expr, extra: dict[str, Any] | None = None,
                 excused: Collection[str] = ()) -> Any:
    """`node` executed by CPython; FAILED after a report.

    `extra`: names it may use besides.  `excused`: names that were reported where they are declared.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if not _harmless(cx, scope, node) or not _known(cx, scope, node, extra or {}, excused):
        return FAILED
    try:
        tree = bounded.bound(ast.Expression(node))
        code = compile(tree, scope.module.source.path, "eval", dont_inherit=True)
        return _limited(eval, code, _Names(cx, scope, extra or {}))
    except ConstError as failed:
        for part in (failed, *failed.others):
            if str(part):
                _report(cx, scope, node, failed, part.code, str(part),
                        part.help or "a constant is made when compiling: of literals, other "
                        "constants and @comptime functions", part.keyword)
    except bounded.TooLargeError as error:
        _report(cx, scope, node, error, "K0503", *error.args)
    except KeyError as error:
        _report(cx, scope, node, error, "K0502", f"this constant fails: KeyError {error}",
                "the key is not in the dict: test with `in` first")
    except RecursionError as error:
        _report(cx, scope, node, error, "K0502", "this constant recurses without end",
                "give the recursion a case that ends it")
    except Exception as error:
        _report(cx, scope, node, error, "K0502",
                f"this constant fails: {type(error).__name__}: {error}",
                "constants and @comptime functions are run by Python when compiling")
    return FAILED


def _report(cx: Context, scope: Scope, node: ast.expr, error: Exception, code: str, message: str,
            help: str, keyword: str = "") -> None:
    """Report what `error` says at the part of the constant, or of a function, that raised it.

    What a function raises on purpose is about its arguments: that stands where the constant does.
    """
    named = next((part for part in ast.walk(node) if keyword and isinstance(part, ast.keyword)
                  and part.arg == keyword), None)
    loc = _raised_at(scope, error) or scope.loc(node)
    if named is not None:
        cx.error(code, scope, named, message, help=help)
    elif node.lineno <= loc.line <= (node.end_lineno or node.lineno):
        cx.report(Diagnostic(code, message, loc, help=help))
    elif isinstance(error, AssertionError) or scope.module.source.segment(loc).startswith("raise"):
        cx.error(code, scope, node, message, help=help, notes=(("raised", loc),))
    else:
        cx.report(Diagnostic(code, message, loc, notes=[("needed for the constant",
                                                         scope.loc(node))], help=help))


def _raised_at(scope: Scope, error: Exception) -> Loc | None:
    """The innermost place in this file where `error` was on its way."""
    trace, found = error.__traceback__, None
    source = scope.module.source
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename == source.path:
            line, end_line, col, end_col = list(code.co_positions())[trace.tb_lasti // 2]
            if None not in (line, end_line, col, end_col) and (line, col) != (end_line, end_col):
                found = Loc(source, line, col, end_line, end_col)          # type: ignore[arg-type]
        trace = trace.tb_next
    return found


def _known(cx: Context, scope: Scope, node: ast.AST, extra: Collection[str],
           excused: Collection[str] = ()) -> bool:
    """Whether all names of constant code mean something; those that nothing declares are reported.
    """
    local = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)
             and not isinstance(part.ctx, ast.Load)}
    local |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    local |= {part.name for part in ast.walk(node)
              if isinstance(part, ast.ExceptHandler | ast.FunctionDef) and part.name}
    known = True
    for part in ast.walk(node):
        if not isinstance(part, ast.Name) or part.id in local or part.id in extra or (
                part.id in scope.env) or (
                part.id in _BUILTINS and part.id not in scope.module.names):
            continue
        if part.id in excused or is_poisoned(scope.module.names.get(part.id)):
            known = False
        elif cx.lookup(scope.module, part.id) is None:
            cx.unknown(scope, part, part.id, (*local, *extra))
            known = False
    return known


def _limited(run: Any, *args: Any) -> Any:
    """Run with a bound on executed lines, so that a constant cannot hang the compiler."""
    steps = 0

    def count(frame: Any, event: str, arg: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps > STEP_LIMIT:
            raise ConstError(f"this constant runs for more than {STEP_LIMIT} lines",
                         "does its loop end?")
        return count

    before = sys.gettrace()
    sys.settrace(count if before is None else before)
    try:
        return run(*args)
    except MemoryError:
        raise ConstError("this constant needs more memory than there is",
                         "is a count mistyped?") from None
    finally:
        sys.settrace(before)


def _harmless(cx: Context, scope: Scope, node: ast.AST) -> bool:
    for part in ast.walk(node):
        name = part.attr if isinstance(part, ast.Attribute) else (
            part.id if isinstance(part, ast.Name) else "")
        if name.startswith("__"):
            cx.error("K0503", scope, part if hasattr(part, "lineno") else node,
                     f"`{name}` cannot be used in a constant",
                     help="write the value itself, or compute it in a @comptime function")
            return False
        if isinstance(part, ast.Import | ast.ImportFrom | ast.Await | ast.Yield):
            cx.error("K0503", scope, part, "@comptime code cannot do this",
                     help="it computes constants: no imports, no input or output")
            return False
    return True


# ---- declarations as Python values --------------------------------------------------------------

def constant(cx: Context, decl: Constant) -> tuple[t.Type, ConstValue] | None:
    """(type, value) of a Final; the type is LITERAL where it takes its context's."""
    if decl.made is POISONED:
        return None
    if decl.made is None:
        scope = Scope(decl.module)
        if decl.busy:
            cx.error("K0204", scope, decl.node, f"constant `{decl.name}` is defined by itself",
                     help="give one of the constants in the circle a value of its own")
            decl.made = POISONED
            return None
        decl.busy = True
        made = _make_constant(cx, scope, decl)
        decl.busy = False
        if decl.made is not POISONED:
            decl.made = made if made is not None else POISONED
        if decl.made is POISONED:
            return None
    return decl.made


def _make_constant(cx: Context, scope: Scope, decl: Constant) -> tuple[t.Type, Any] | None:
    node: ast.AnnAssign = decl.node
    if node.value is None:
        cx.error("K0504", scope, node, f"constant `{decl.name}` has no value",
                 help=f"write `{decl.name}: Final = ...`; a variable has no Final: `{decl.name}: "
                 "u32`")
        return None
    declared: t.Type | None = None
    if isinstance(node.annotation, ast.Subscript):
        declared = typeexpr.resolve(cx, scope, node.annotation.slice)
        if declared is t.POISON:
            return None
        classes.complete(cx, declared, scope, node)
    value = python_value(cx, scope, node.value)
    if value is FAILED:
        return None
    ty = declared or infer(value)
    if isinstance(value, float | complex) and ty is None:
        cx.error("K0107", scope, node.value, "floating point is not kpy",
                 help="scale to an integer, for example thousandths")
        return None
    if isinstance(value, dict | set) and ty is None:
        cx.error("K0505", scope, node.value, f"a constant cannot be a {type(value).__name__}",
                 help="use an Array: `Final[Array[u32, 4]]`; @comptime functions may use it inside")
        return None
    if value is None and ty is None:
        cx.error("K0505", scope, node.value, "`None` needs its type",
                 help=f"for example `{decl.name}: Final[Ptr[T] | None] = None`")
        return None
    if ty is None:
        cx.error("K0505", scope, node.value,
                 f"a {type(value).__name__} needs its type: `{decl.name}: Final[...]`",
                 help=f"for example `Final[Array[u32, {max(len(value), 1)}]]`" if isinstance(
                     value, list) else "say its type in the brackets of Final[...]")
        return None
    return converted(cx, scope, node.value, value, ty)


def converted(cx: Context, scope: Scope, node: ast.AST, value: Any, ty: t.Type,
              ) -> tuple[t.Type, ConstValue] | None:
    """(ty, constant data) of a Python value, or None after a report."""
    wrong = list(_misfits(node, value, ty))
    for part, want, failed in wrong:
        cx.error("K0505", scope, part, str(failed),
                 help=failed.help or f"give a value that is a `{want.name}`")
    return None if wrong else (ty, to_data(value, ty))


def _misfits(node: ast.AST, value: Any, ty: t.Type,
             ) -> Iterator[tuple[ast.AST, t.Type, ConstError]]:
    """(where, what is wanted, what is wrong) for each part of a constant that is not a `ty`."""
    parts = list(_parts(node, value, ty))
    for part in parts:
        yield from _misfits(*part)
    if not parts:
        try:
            to_data(value, ty)
        except ConstError as failed:
            yield node, ty, failed


def _parts(node: ast.AST, value: Any, ty: t.Type) -> Iterator[tuple[ast.AST, Any, t.Type]]:
    """(node, value, type wanted) of the items of a list and of the arguments of a struct."""
    if isinstance(node, ast.List | ast.Tuple) and isinstance(value, list | tuple) and (
            len(value) == len(node.elts) == getattr(ty, "count", len(value))) and isinstance(
                ty, t.ArrayType | t.SliceType):
        for item, part in zip(node.elts, value, strict=True):
            yield item, part, ty.elem
    elif isinstance(node, ast.Call) and isinstance(value, StructValue) and value.ty is ty and (
            ast.unparse(node.func).rpartition(".")[2] == ty.name):
        named = [*zip(value, node.args, strict=False), *((k.arg, k.value) for k in node.keywords)]
        for name, item in named:
            if name in value:
                yield item, value[name], ty.fields[name].ty        # type: ignore[attr-defined]


def infer(value: Any) -> t.Type | None:
    """The type of a Python value that says enough."""
    if isinstance(value, Typed | StructValue | Symbol):
        return value.ty
    if isinstance(value, bool):
        return t.BOOL
    if isinstance(value, int):
        return t.LITERAL
    if isinstance(value, str):
        return t.STR
    if isinstance(value, bytes | bytearray):
        return t.slice_of(t.U8)
    return None


def to_data(value: Any, ty: t.Type) -> ConstValue:
    """`value` as constant data of type `ty`; raises ConstError with what does not fit."""
    if ty is t.POISON:
        return 0
    if isinstance(value, Symbol) and value.global_ is not None and value.global_.ty is ty:
        raise ConstError(f"`{value.global_.name}` is a variable: its value is known at run time "
                         "only", f"make a constant of it, `{value.global_.name}: Final = ...`, or "
                         "set this variable in a function")
    if ty is t.LITERAL or ty is t.BOOL:
        if ty is t.BOOL and not isinstance(value, bool):
            raise ConstError(f"{value!r} is not a bool", "write True or False")
        return int(value)
    if isinstance(ty, t.IntType | t.NewtypeType | t.EndianType | t.BitsType | t.EnumType):
        return _integer_data(value, ty)
    if isinstance(ty, t.ArrayType):
        return _array_data(value, ty)
    if isinstance(ty, t.SliceType):
        return _slice_data(value, ty)
    if isinstance(ty, t.StructType):
        if not isinstance(value, StructValue) or value.ty is not ty:
            raise ConstError(f"{_shown(value)} is not a `{ty.name}`", f"write `{ty.name}(...)`")
        return {n: to_data(v, ty.fields[n].ty) for n, v in value.items()}
    if isinstance(ty, t.UnionType) and isinstance(value, StructValue) and (
            value.ty in ty.variants):
        return (ty.variants.index(value.ty), to_data(value, value.ty))
    if isinstance(ty, t.TupleType) and isinstance(value, tuple) and len(value) == len(ty.items):
        return tuple(to_data(v, item) for v, item in zip(value, ty.items, strict=True))
    if isinstance(ty, t.AtomicType):
        return to_data(value, ty.elem)
    if isinstance(ty, t.FnType) and isinstance(value, Symbol):
        if not t.lossless(value.ty, ty):
            raise ConstError(f"{_shown(value)} is a `{value.ty.name}`, not a `{ty.name}`",
                             "name a function with those parameters and that result")
        return SymbolRef(value.symbol, target=value.function)
    if isinstance(ty, t.PtrType):
        if value is None and ty.nullable:
            return 0
        if isinstance(value, Symbol):
            return SymbolRef(value.symbol, target=value.global_)
        if isinstance(value, StructValue) and value.home is not None and value.ty is ty.elem:
            return SymbolRef(value.home.symbol, target=value.home)
    if isinstance(ty, t.MPtrType | t.UserPtrType | t.MmioType) and isinstance(value, int):
        return int(value)
    raise ConstError(f"{_shown(value)} is not a `{ty.name}`")


def _integer_data(value: Any, ty: Any) -> int:
    base = ty if isinstance(ty, t.IntType) else ty.base
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConstError(f"{_shown(value)} is not a `{ty.name}`")
    if isinstance(value, Typed) and value.ty is not ty and not isinstance(value.ty, t.IntType):
        raise ConstError(f"a `{value.ty.name}` is not a `{ty.name}`",
                         "take its number first: `bits_of(x)`")
    if isinstance(ty, t.EnumType) and not isinstance(value, Typed):
        raise ConstError(f"{value} is not a member of `{ty.name}`", f"write `{ty.name}.NAME`")
    if not base.holds(value):
        raise ConstError(f"{value} does not fit `{ty.name}` ({base.minimum} to {base.maximum})",
                         "use a smaller value or a wider type")
    return int(value)


def _array_data(value: Any, ty: t.ArrayType) -> ConstValue:
    if isinstance(value, str) and ty.elem is t.U8:
        value = _encoded(value)
    if isinstance(value, bytes | bytearray) and ty.elem is t.U8:
        if len(value) > ty.count:
            raise ConstError(f"{len(value)} bytes do not fit `{ty.name}`",
                             f"use an `Array[u8, {len(value)}]`, or shorter bytes")
        return bytes(value).ljust(ty.count, b"\0")
    if not isinstance(value, list | tuple | range):
        raise ConstError(f"{_shown(value)} is not an `{ty.name}`", "write a list: `[1, 2, 3]`")
    if len(value) != ty.count:
        raise ConstError(f"{len(value)} items are not an `{ty.name}`", f"give all {ty.count}")
    items = [to_data(v, ty.elem) for v in value]
    return bytes(items) if ty.elem is t.U8 else items


def _slice_data(value: Any, ty: t.SliceType) -> ConstValue:
    if isinstance(value, str):
        if ty is not t.STR:
            raise ConstError(f"text is a `Str`, not a `{ty.name}`", "bytes are written b\"...\"")
        return _encoded(value)
    if isinstance(value, bytes | bytearray) and ty.elem is t.U8:
        return bytes(value)
    if isinstance(value, list | tuple):
        items = [to_data(v, ty.elem) for v in value]
        return bytes(items) if ty.elem is t.U8 else items
    raise ConstError(f"{_shown(value)} is not a `{ty.name}`")


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise ConstError("this text has half of a surrogate pair: it is not UTF-8",
                         "write the character itself, or bytes: b\"...\"") from None


def _shown(value: Any) -> str:
    if isinstance(value, StructValue):
        return f"a `{value.ty.name}`"
    if isinstance(value, Symbol):
        return f"`{(value.function or value.global_ or value).name}`"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _python(cx: Context, scope: Scope, meaning: Any) -> Any:
    """A declaration as the Python value constants see."""
    if is_poisoned(meaning):
        raise ConstError
    if isinstance(meaning, Constant):
        found = constant(cx, meaning)
        if found is None:
            raise ConstError
        value = from_data(*found)
        if isinstance(value, StructValue):
            value.home = functions.constant_global(cx, meaning, *found)
        return value
    if isinstance(meaning, ModuleDecl):
        def member(name: str) -> Any:
            inner = cx.member(meaning, name)
            if inner is None:
                raise ConstError(f"`{meaning.name}` has no name `{name}`")
            return _python(cx, scope, inner)
        return _Proxy(attr=member)
    if isinstance(meaning, Class):
        if classes.generic_parameters(cx, meaning):
            raise ConstError(f"`{meaning.name}` is generic; name its instance with an alias")
        return type_proxy(cx, scope, classes.declared(cx, meaning))
    if isinstance(meaning, Alias):
        return type_proxy(cx, scope, typeexpr._alias(cx, meaning))
    if isinstance(meaning, FunctionDecl):
        return _function(cx, meaning)
    if isinstance(meaning, Variable):
        made = functions.variable(cx, meaning)
        if made is None:
            raise ConstError
        return Symbol(made.symbol, t.ptr(made.ty), global_=made)
    if isinstance(meaning, Vocabulary):
        return _vocabulary(cx, scope, meaning.made)
    if isinstance(meaning, Parameter):
        raise ConstError(f"type variable `{meaning.name}` has no meaning here")
    raise ConstError("this cannot be used in a constant")


def from_data(ty: t.Type, data: ConstValue) -> Any:
    """Constant data as a Python value again."""
    if ty is t.LITERAL:
        return data
    if ty is t.BOOL:
        return bool(data)
    if isinstance(data, int) and not isinstance(ty, t.PtrType):
        return typed(data, ty)
    if ty is t.STR:
        return data.decode("utf-8")
    if isinstance(ty, t.StructType):
        made = StructValue({n: from_data(ty.fields[n].ty, v) for n, v in data.items()})
        made.ty = ty
        return made
    if isinstance(ty, t.ArrayType | t.SliceType):
        return data if isinstance(data, bytes) else [from_data(ty.elem, v) for v in data]
    if isinstance(ty, t.TupleType):
        return tuple(from_data(i, v) for i, v in zip(ty.items, data, strict=True))
    if isinstance(data, SymbolRef):
        return Symbol(data.symbol, ty)
    return data


def _function(cx: Context, decl: FunctionDecl) -> Any:
    scope = Scope(decl.module)
    names = [n for n, _, _ in classes.decorators(cx, scope, decl.node)]
    bare = not any(a.annotation for a in decl.node.args.args) and decl.node.returns is None
    if "comptime" not in names and bare and decl.made is None and "" not in names:
        return Symbol(decl.name, t.POISON, decl=decl)
    if "comptime" not in names:
        made = functions.declared(cx, decl)
        if made is None or functions.is_wrong(made):
            raise ConstError
        return Symbol(made.symbol, functions.type_of(made), function=made, decl=decl)
    made = comptime(cx, decl)
    if made is None:
        raise ConstError
    return made


def comptime(cx: Context, decl: FunctionDecl) -> Any:
    """A @comptime function as CPython runs it; None after a report."""
    scope, key = Scope(decl.module), (decl.module.name, decl.name)
    if key not in cx.comptime:
        if not all(_harmless(cx, scope, s) for s in decl.node.body) or not _known(
                cx, scope, ast.FunctionDef(decl.name, decl.node.args, decl.node.body, [], None),
                ()):
            cx.comptime[key] = None
            return None
        body = [bounded.bound(s) for s in decl.node.body]
        bare = ast.FunctionDef(decl.name, _bare_arguments(decl.node.args), body, [], None)
        ast.copy_location(bare, decl.node)
        ast.fix_missing_locations(bare)
        space = _Names(cx, scope, {})
        exec(compile(ast.Module([bare], []), decl.module.source.path, "exec", dont_inherit=True),
             space)
        cx.comptime[key] = dict.__getitem__(space, decl.name)
    return cx.comptime[key]


def _bare_arguments(args: ast.arguments) -> ast.arguments:
    plain = [ast.copy_location(ast.arg(a.arg), a) for a in args.args]
    return ast.arguments([], plain, None, [], [], None, args.defaults)


def type_proxy(cx: Context, scope: Scope, ty: t.Type) -> Any:
    """A type as constants see it: called to make a value, dotted for a member."""
    if ty is t.POISON:
        raise ConstError
    if isinstance(ty, t.EnumType):
        def member(name: str) -> Any:
            if ty.excuses(name):
                raise ConstError
            if name not in ty.members:
                raise ConstError(f"`{ty.name}` has no member `{name}`",
                                 among(name, tuple(ty.members)))
            return typed(ty.members[name], ty)
        return _TypeProxy(ty, attr=member, call=lambda v=0: typed(int(v), ty))
    if isinstance(ty, t.StructType):
        def build(*items: Any, **fields: Any) -> StructValue:
            classes.complete(cx, ty, scope, scope.module.tree)
            if "*" in ty.wrong or (items and ty.wrong):
                raise ConstError
            if len(items) > len(ty.fields):
                raise ConstError(f"`{ty.name}` has {len(ty.fields)} "
                                 f"field{'s' * (len(ty.fields) != 1)}, not {len(items)}",
                                 among("", tuple(ty.fields)))
            given = dict(zip(ty.fields, items, strict=False))
            for name in given.keys() & fields:
                raise ConstError(f"field `{name}` is given twice", "leave one of them out")
            fields = {**given, **fields}
            strange = [name for name in fields if name not in ty.fields or ty.excuses(name)]
            _raise_all(ConstError("" if ty.excuses(name) or not cx.first(
                "no such member", ty, name, 0) else f"`{ty.name}` has no field `{name}`",
                among(name, tuple(ty.fields)), keyword=name) for name in strange)
            null = [name for name, field in ty.fields.items()
                    if name not in fields and t.without_zero(field.ty) is not None]
            if null:
                raise ConstError(*classes.begins_as_null(ty, null), code="K0314")
            made = StructValue(fields)
            made.ty = ty
            return made
        return _TypeProxy(ty, call=build)
    if isinstance(ty, t.BitsType):
        def pack(**fields: Any) -> Typed:
            value = 0
            for name, part in fields.items():
                field = ty.fields.get(name)
                if ty.excuses(name):
                    raise ConstError
                if field is None:
                    raise ConstError(f"`{ty.name}` has no field `{name}`",
                                     among(name, tuple(ty.fields)))
                if not 0 <= int(part) < 1 << field.width:
                    raise ConstError(f"{int(part)} does not fit the {field.width} bits of "
                                     f"`{name}`", "use a smaller value")
                value |= int(part) << field.bit
            return Typed(value, ty)
        return _TypeProxy(ty, call=pack)
    if isinstance(ty, t.IntType | t.NewtypeType | t.EndianType):
        def number(value: int = 0) -> Typed:
            return Typed(to_data(int(value), ty), ty)
        return _TypeProxy(ty, call=number)
    return _TypeProxy(ty)


def _raise_all(errors: Iterator[ConstError]) -> None:
    found = list(errors)
    if found:
        found[0].others = found[1:]
        raise found[0]


class _TypeProxy(_Proxy):
    """A type, for sizeof() and friends."""

    __slots__ = ("ty",)

    def __init__(self, ty: t.Type, attr: Any = None, call: Any = None) -> None:
        super().__init__(attr, call)
        self.ty = ty


def _vocabulary(cx: Context, scope: Scope, name: str) -> Any:
    plain = vocabulary.PLAIN_TYPES.get(name)
    if plain is not None:
        return type_proxy(cx, scope, plain)
    made = {
        "sizeof": lambda p: _layout(cx, scope, p).size,
        "alignof": lambda p: _layout(cx, scope, p).align,
        "offsetof": lambda p, f: _offset(_layout(cx, scope, p), f),
        "trunc": lambda p, v: Typed(p.ty.wrap(int(v)), p.ty),
        "bits_of": int, "ref": lambda v: v, "wrapping": lambda v: v,
        "popcount": lambda v: int(v).bit_count(),
        "static_assert": None,
    }.get(name)
    if made is None:
        raise ConstError(f"`{name}` cannot be used in a constant")
    return made


def _layout(cx: Context, scope: Scope, proxy: Any) -> t.Type:
    if not isinstance(proxy, _TypeProxy):
        raise ConstError("this is not a type")
    classes.complete(cx, proxy.ty, scope, scope.module.tree)
    if t.is_broken(proxy.ty):
        raise ConstError
    return proxy.ty


def _offset(ty: t.Type, name: str) -> int:
    if not isinstance(ty, t.StructType) or name not in ty.fields:
        raise ConstError(f"`{ty.name}` has no field `{name}`")
    return ty.fields[name].offset
