# SPDX-License-Identifier: BSD-3-Clause
"""What a name means: through the scope of a function's generic parameters, the module, imports.

    lwkt.gettoken       module `kernel.lwkt` -> its name `gettoken` -> (re-exported) token.gettoken
    T                   the type a generic instance was made with

Tests     tests/toolchain/test_bad_input.py
"""
from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from toolchain.diagnostics import Diagnostic, Sink
from toolchain.frontend.modules import (
    POISONED,
    Class,
    Decl,
    Import,
    ModuleDecl,
    Program,
    Vocabulary,
)
from toolchain.frontend.tree import Function, Loc

ERRNO = "kernel.lib.errno"

Meaning: TypeAlias = "Decl | ModuleDecl | None"


@dataclass(slots=True, eq=False)
class Scope:
    """Where a piece of source stands: its module, and what its generic parameters are now.

    `env` maps a parameter's name to a Type (TypeVar), int (ConstVar) or str (FieldVar); `trail`
    tells how an instance came about, innermost first.
    """

    module: ModuleDecl
    env: dict[str, Any] = field(default_factory=dict)
    trail: tuple[tuple[str, Loc], ...] = ()
    locals: dict[str, Any] = field(default_factory=dict)     # of the function it is the scope of

    def loc(self, node: ast.AST) -> Loc:
        return self.module.source.loc(node)


@dataclass(slots=True, eq=False)
class Pending:
    """A function whose body is to be checked."""

    function: Function
    node: ast.FunctionDef
    scope: Scope


class Context:
    """One compilation: all modules, what was made of their declarations, and the work queue."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.sink: Sink = program.sink
        self.pending: list[Pending] = []
        self.bodies: dict[str, Pending] = {}       # every function seen, by symbol
        self.instances: dict[Any, Any] = {}        # (declaration, arguments) -> what was made
        self.comptime: dict[str, Any] = {}         # module name -> namespace of its @comptime code
        self.said: set[tuple[str, Loc]] = set()    # codes and places, for what instances repeat
        self.mentioned: set[tuple[Any, ...]] = set()   # what first() was asked about

    def error(self, code: str, scope: Scope, node: ast.AST, message: str, label: str = "", *,
              help: str = "", notes: tuple[tuple[str, Loc | None], ...] = ()) -> None:
        """Report at `node`, with how the generic instance came about; once for all instances."""
        loc = scope.loc(node)
        if scope.trail and (code, loc) in self.said:
            return
        trail = tuple((f"required by `{what}`", where) for what, where in scope.trail[:3])
        self.report(Diagnostic(code, message, loc, label, [*notes, *trail], help))

    def first(self, *mistake: Any) -> bool:
        """Whether a mistake is met for the first time: one that many places would show."""
        known = mistake in self.mentioned
        self.mentioned.add(mistake)
        return not known

    @contextmanager
    def aside(self) -> Iterator[Sink]:
        """What is reported meanwhile goes to the Sink given, and is not taken as said."""
        saved = self.sink, self.said, self.mentioned
        self.sink, self.said, self.mentioned = Sink(), set(), set(self.mentioned)
        try:
            yield self.sink
        finally:
            self.sink, self.said, self.mentioned = saved

    def report(self, diagnostic: Diagnostic) -> None:
        """Pass a diagnostic on."""
        if diagnostic.loc is not None:
            self.said.add((diagnostic.code, diagnostic.loc))
        self.sink.report(diagnostic)

    def lookup(self, module: ModuleDecl, name: str) -> Meaning:
        """What `name` means in `module`, imports followed; None where it is not declared."""
        decl = module.names.get(name)
        return self._follow(decl, 0) if isinstance(decl, Import) else decl

    def member(self, module: ModuleDecl, name: str) -> Meaning:
        """`module.name`: a name it declares or re-exports, else a module of that package."""
        decl = module.names.get(name)
        if isinstance(decl, Vocabulary):
            return None
        if isinstance(decl, Import):
            return self._follow(decl, 0)
        return decl or self.program.load(f"{module.name}.{name}")

    def _follow(self, decl: Import, depth: int) -> Meaning:
        if decl.attr is None:
            return self.program.load(decl.target)
        home = self.program.load(decl.target)
        inner = home.names.get(decl.attr) if home is not None else None
        if isinstance(inner, Import) and inner is not decl and depth < 32:
            return self._follow(inner, depth + 1)
        if inner is not None and not isinstance(inner, Import | Vocabulary):
            return inner
        return self.program.load(f"{decl.target}.{decl.attr}")

    def resolve(self, scope: Scope, node: ast.expr) -> Meaning:
        """The meaning of `name` or `module.name.name`; None (no report) where it has none."""
        if isinstance(node, ast.Name):
            return self.lookup(scope.module, node.id)
        if isinstance(node, ast.Attribute):
            base = self.resolve(scope, node.value)
            if isinstance(base, ModuleDecl):
                return self.member(base, node.attr)
        return None

    def unknown(self, scope: Scope, node: ast.AST, name: str, extra: tuple[str, ...] = (),
                hint: str = "") -> None:
        """Report that `name` is not declared, with the nearest name there is."""
        imported = scope.module.names.get(name)
        if isinstance(imported, Import):
            if self.program.find(imported.target) is not None:
                home = self.program.load(imported.target)
                if home is not None:       # else: that module's own diagnostics say it
                    names = tuple(home.names)
                    self.error("K0203", scope, imported.node,
                               f"`{imported.target}` has no name `{imported.attr}`",
                               help=among(imported.attr or "", names) if names or not
                               home.is_package else "it is a package of modules, and has none "
                               "of that name")
            return
        if name in scope.locals:
            self.error("K0501", scope, node, f"`{name}` is known at run time only",
                       "a constant is needed here",
                       help=f"a constant is declared in the module: `{name.upper()}: Final = ...`",
                       notes=_local_notes(scope.locals[name]))
            return
        known = (*extra, *scope.env, *scope.module.names)
        instead = known_elsewhere(name)
        mended = "" if hint else instead if instead.startswith("write `from kpy") else (
            self._errno(name) or _as_parameter(name))
        hint = hint or instead or _as_method(scope.module, name) or nearest(name, tuple(
            k for k in known if k[:1].isupper() or not name[:1].isupper()))
        if not mended and not hint:         # what mends all places at once is said once
            mended = "declare it in this module, or import it"
        where = 0 if mended else item_of(scope.module, node)
        declared = ("unknown", scope.module.name, name, 0) in self.mentioned
        if not declared and self.first("unknown", scope.module.name, name, where):
            self.error("K0202", scope, node, f"`{name}` is not declared",
                       "not found in this scope", help=mended or hint)

    def _errno(self, name: str) -> str:
        """Where an error number comes from; "" if `name` is none."""
        home = self.program.load(ERRNO) if re.fullmatch("E[A-Z0-9]+", name) and (
            self.program.find(ERRNO)) else None
        return f"write `from {ERRNO} import {name}`" if home and name in home.names else ""


def item_of(module: ModuleDecl, node: ast.AST) -> int:
    """The line where the function or module-level statement begins that `node` stands in."""
    for statement in module.tree.body:
        if statement.lineno <= node.lineno <= (statement.end_lineno or 0):   # type: ignore
            inner = statement.body if isinstance(statement, ast.ClassDef) else []
            return next((item.lineno for item in inner if isinstance(item, ast.FunctionDef)
                         and item.lineno <= node.lineno <= (item.end_lineno or 0)),  # type: ignore
                        statement.lineno)
    return 0


def _as_parameter(name: str) -> str:
    """How a type variable is declared, if the name looks like one."""
    return f"write `{name} = TypeVar(\"{name}\")` in the module" if re.fullmatch(
        "[EKRSTUV]", name) else ""


def _as_method(module: ModuleDecl, name: str) -> str:
    """How to call what is a method of a class of the module; "" where none has the name."""
    for decl in module.names.values():
        if isinstance(decl, Class) and any(
                isinstance(item, ast.FunctionDef) and item.name == name for item in decl.node.body):
            return f"`{name}` is a method of `{decl.name}`: `x.{name}(...)`"
    return ""


def _local_notes(var: Any) -> tuple[tuple[str, Loc | None], ...]:
    loc = getattr(var, "loc", None)
    return (("the variable is declared", loc),) if loc is not None else ()


def closest(name: str, known: Iterable[str]) -> str:
    """The name that `name` may be a slip of, or ""."""
    close = difflib.get_close_matches(name, list(known), 1, 0.65)
    return close[0] if close else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean ...?`, or ""."""
    close = closest(name, known)
    return f"did you mean `{close}`?" if close else ""


def among(name: str, known: tuple[str, ...]) -> str:
    """The nearest of the names that something has, or all of them if they are few."""
    if not known:
        return "it has none"
    shown = ", ".join(known[:8]) + (" ..." if len(known) > 8 else "")
    return nearest(name, known) or f"it has {shown}"


_WIDTHS = frozenset({"u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"})
_ELSEWHERE = {
    "int": "choose a width: u8 u16 u32 u64 i8 i16 i32 i64 (`from kpy import u32`)",
    "float": "the kernel has no floating point; scale to an integer",
    "str": "text is `Str`, bytes are `Slice[u8]` (`from kpy import Str`)",
    "bytes": "bytes are `Slice[u8]` (`from kpy import Slice, u8`)",
    "auto": "give each member its number",
    "round": "integers are whole: `(a + b // 2) // b` rounds",
    "float32": "the kernel has no floating point; scale to an integer",
    "hex": "print it so: kprintf(f\"{n:#x}\")", "oct": "print it so: kprintf(f\"{n:#o}\")",
    "bin": "print it so: kprintf(f\"{n:#b}\")", "repr": "print the value itself",
    "format": "print it so: kprintf(f\"{n:>8}\")",
    "chr": "a character is a u8; print it so: kprintf(f\"{c:c}\")",
    "divmod": "write `a // b` and `a % b`", "pow": "multiply, or shift: `1 << n`",
    "hash": "hash the bytes: kernel/lib/xxhash.py",
    "iter": "loop with `for`", "next": "loop with `for`",
    "exit": "a kernel does not exit; `panic(...)` stops it", "quit": "use `panic(...)`",
    "callable": "types are known at compile time", "vars": "fields are known at compile time",
    "dir": "fields are known at compile time", "setattr": "fields are known at compile time",
    "hasattr": "fields are known at compile time", "locals": "use a debugger: gdb knows them",
    "globals": "name the variable", "bytearray": "use `Array[u8, N]`",
    "memoryview": "use `Slice[u8]`", "complex": "the kernel has no floating point",
    "Pointer": "write `Ptr[T]`", "pointer": "write `Ptr[T]`", "POINTER": "write `Ptr[T]`",
    "List": "use `Array[T, N]` for storage, `Slice[T]` for a parameter",
    "Sequence": "use `Slice[T]`", "Iterable": "use `Slice[T]`",
    "Dict": "use an Array, a radix or red-black tree of kernel/lib",
    "Set": "use a bitmap, an Array or a tree of kernel/lib",
    "Tuple": "write `tuple[A, B]`", "Optional": "write `Ptr[T] | None`; only a Ptr has a null",
    "Callable": "write `Fn[[A, B], R]`", "Any": "every type is known; a generic function takes a "
    "TypeVar", "Literal": "use an @enum", "NamedTuple": "use a @struct",
    "Enum": "write `@enum(u8)` above the class", "dataclass": "write @struct",
    "NotImplementedError": "errors are `raise Errno(code)` in a @throws function",
    "char": "a character is a u8", "byte": "a byte is a u8", "void": "nothing is `None`",
    "long": "choose a width: i64 or u64", "double": "the kernel has no floating point",
    "NULL": "write `None`", "null": "write `None`", "true": "write `True`",
    "false": "write `False`",
    "list": "use `Array[T, N]` or an intrusive list of kernel/lib/queue.py; nothing grows by "
            "itself here",
    "dict": "use an Array, a radix or red-black tree of kernel/lib; nothing grows by itself here",
    "set": "use a bitmap, an Array or a tree of kernel/lib; nothing grows by itself here",
    "print": "use kprintf(f\"...\") (`from kpy import kprintf`)",
    "isinstance": "use `match` on a Union; other types are known at compile time",
    "getattr": "fields are known at compile time; in a generic use field(p, F)",
    "open": "there are no Python files here; see kernel/vfs",
    "input": "see the console of kernel/platform",
    "object": "every type is declared: write a @struct",
    "Exception": "errors are `raise Errno(code)` in a @throws function",
    "ValueError": "errors are `raise Errno(EINVAL)` in a @throws function",
    "id": "use address_of(p) in an unsafe module",
    "type": "types are known at compile time; write the type's name",
    "eval": "there is no interpreter in the kernel; @comptime functions run in the compiler",
    "exec": "there is no interpreter in the kernel; @comptime functions run in the compiler",
    "sorted": "sort in place, with kernel/lib",
    "sum": "write the loop; a sum may overflow, and the type says where",
    "any": "write the loop", "all": "write the loop",
    "map": "write the loop", "filter": "write the loop",
    "super": "a struct's base fields and methods are its own: self.name",
}


def known_elsewhere(name: str) -> str:
    """What to write instead of a name that Python or C has; "" where nothing is known."""
    from toolchain.frontend.check import vocabulary  # noqa: PLC0415  cycle
    if re.fullmatch(r"[ui](int)?\d+(_t)?", name) and name not in _WIDTHS:
        return "the widths are u8 u16 u32 u64 i8 i16 i32 i64 (`from kpy import u32`)"
    if name in vocabulary.NAMES:
        return f"write `from kpy import {name}`"
    return _ELSEWHERE.get(name, "")


def is_poisoned(decl: Any) -> bool:
    """Whether `decl` was already reported as wrong."""
    return getattr(decl, "made", None) is POISONED
