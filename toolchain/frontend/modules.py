# SPDX-License-Identifier: BSD-3-Clause
"""Modules: which file a dotted name is, what it declares at its top level, and who imports whom.

Reading a module only collects its names; what a name means is resolved when someone asks, so the
files of one package may refer to each other.

    from kernel.lwkt import thread      names["thread"] = Import("kernel.lwkt.thread", None)
    MAX: Final = 32                     names["MAX"]    = Constant
    @struct class Token: ...            names["Token"]  = Class
    def get(t: Ptr[Token]) -> None: ... names["get"]    = FunctionDecl

Invariants
  M1  A name is declared once in a module; the second is reported with the place of the first.
  M2  Packages import each other in one direction only; a cycle inside one package is fine.
Tests     tests/toolchain/test_bad_input.py
"""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolchain.diagnostics import Sink
from toolchain.frontend import source as src
from toolchain.frontend.source import SourceFile
from toolchain.frontend.tree import Loc

VOCABULARY = "kpy"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True, eq=False)
class Decl:
    """A name declared at module level, and whatever was made of it."""

    name: str
    module: ModuleDecl
    node: Any                      # the ast node
    made: Any = None               # the Type, Function, Global or constant; None until asked for
    busy: bool = False             # being made right now: asking again is a cycle

    @property
    def loc(self) -> Loc:
        """Where the name is declared."""
        node = self.node
        if isinstance(node, ast.AnnAssign):
            node = node.target
        elif isinstance(node, ast.Assign):
            node = node.targets[0]
        return self.module.source.loc(node)


class Vocabulary(Decl):
    """A name of `kpy` itself."""


@dataclass(slots=True, eq=False)
class Import(Decl):
    """`import target` or `from target import attr`."""

    target: str = ""
    attr: str | None = None


class Constant(Decl):
    """`NAME: Final = value`."""


class Variable(Decl):
    """`name: T = value`: a global."""


class Alias(Decl):
    """`Name = Union[A, B]`: another spelling of a type."""


class Parameter(Decl):
    """`T = TypeVar("T")`, ConstVar or FieldVar."""


class Class(Decl):
    """A class statement.  `extending`: its bases are being resolved, which it may not be one of."""

    extending: bool = False


class FunctionDecl(Decl):
    """A def statement.  `owner` is the Class it is a method of."""

    owner: Class | None = None


@dataclass(slots=True, eq=False)
class ModuleDecl:
    """A module as read: its top-level names, and statements that declare none."""

    name: str
    source: SourceFile
    tree: ast.Module
    is_package: bool
    names: dict[str, Decl] = field(default_factory=dict)
    starred: list[tuple[str, ast.stmt]] = field(default_factory=list)   # of `import *`
    doubled: list[Decl] = field(default_factory=list)     # declared twice: meant by no name
    asserts: list[ast.Call] = field(default_factory=list)
    asm: list[ast.Call] = field(default_factory=list)
    unsafe: bool = False

    @property
    def package(self) -> str:
        return self.name if self.is_package else self.name.rpartition(".")[0]


class Program:
    """All modules read so far, found below `roots`.

    `binding` maps a module's name to the module it means (`kernel.machine` to a platform).
    """

    def __init__(self, roots: list[Path], sink: Sink, binding: dict[str, str] | None = None,
                 ) -> None:
        self.roots, self.sink, self.binding = roots, sink, binding or {}
        self.pinned: dict[str, Path] = {}
        self.modules: dict[str, ModuleDecl | None] = {}
        self.state: dict[Any, Any] = {}      # what the checker shares between modules

    def name_of(self, path: Path) -> str:
        """The module name of a file: its place below a root, else its stem."""
        resolved = Path(path).resolve()
        for root in self.roots:
            root = root.resolve()
            if resolved.is_relative_to(root):
                parts = resolved.relative_to(root).with_suffix("").parts
                return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        return Path(path).stem

    def pin(self, name: str, path: Path) -> None:
        """From now on `name` is the file at `path`."""
        self.pinned.setdefault(name, Path(path))

    def add_file(self, path: Path) -> ModuleDecl | None:
        """The module at `path`."""
        name = self.name_of(path)
        self.pin(name, path)
        return self.load(name)

    def load(self, name: str) -> ModuleDecl | None:
        """The module `name`, or None where there is none or it does not parse."""
        name = self.binding.get(name, name)
        if name not in self.modules:
            self.modules[name] = None
            found = self.find(name)
            if found is not None:
                self.modules[name] = self._read(name, found, found.name == "__init__.py")
        return self.modules[name]

    def find(self, name: str) -> Path | None:
        """The file of module `name`."""
        name = self.binding.get(name, name)
        if name in self.pinned:
            return self.pinned[name]
        parts = name.split(".")
        if parts[0] == VOCABULARY:
            base = ROOT / "toolchain" / "kpy"
            file = base.joinpath(*parts[1:]).with_suffix(".py") if len(parts) > 1 else None
            return file if file is not None and file.is_file() else None
        for root in self.roots:
            file = root.joinpath(*parts).with_suffix(".py")
            if file.is_file():
                return file
            package = root.joinpath(*parts, "__init__.py")
            if package.is_file():
                return package
        return None

    def _read(self, name: str, path: Path, is_package: bool) -> ModuleDecl | None:
        source = src.read(path, _shown(path), name, self.sink)
        tree = source and src.parse(source, self.sink)
        if source is None or tree is None:
            return None
        module = ModuleDecl(name, source, tree, is_package)
        _Collector(self, module).collect()
        return module

    def imports(self, module: ModuleDecl) -> Iterator[tuple[str, Import]]:
        """The modules that `module` names in imports."""
        for decl in module.names.values():
            if isinstance(decl, Import):
                target = decl.target
                if decl.attr is not None and self.find(f"{target}.{decl.attr}") is not None:
                    target = f"{target}.{decl.attr}"
                yield self.binding.get(target, target), decl

    def closure(self, start: list[ModuleDecl]) -> list[ModuleDecl]:
        """`start` and all they import, each after what it imports; reports cycles (M2)."""
        order: list[ModuleDecl] = []
        done: set[str] = set()
        path: list[str] = []

        def visit(module: ModuleDecl) -> None:
            path.append(module.name)
            for target, decl in self.imports(module):
                other = self.load(target)
                if other is None or target in done:
                    continue
                if target in path:
                    self._check_cycle(path[path.index(target):], decl)
                    continue
                visit(other)
            path.pop()
            done.add(module.name)
            order.append(module)

        for module in start:
            if module.name not in done:
                visit(module)
        return order

    def _check_cycle(self, names: list[str], decl: Import) -> None:
        packages = {self.modules[n].package for n in names}   # type: ignore[union-attr]
        if len(packages) == 1 and packages != {""}:
            return
        chain = " -> ".join([*names, names[0]])
        self.sink.error("K0005", decl.loc, f"import cycle: {chain}",
                        "this import closes the cycle",
                        help="let the lower module declare an @upcall that the higher one "
                             "@implements, or move what both need below them")


def _shown(path: Path) -> str:
    """`path` as people see it: relative to where they are, where it is below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


class _Collector:
    """Turns the top-level statements of one module into its `names`."""

    def __init__(self, program: Program, module: ModuleDecl) -> None:
        self.program, self.module, self.sink = program, module, program.sink

    def collect(self) -> None:
        for node in self.module.tree.body:
            self._statement(node)

    def _statement(self, node: ast.stmt) -> None:
        module = self.module
        match node:
            case ast.FunctionDef():
                self._declare(FunctionDecl(node.name, module, node))
            case ast.ClassDef():
                self._declare(Class(node.name, module, node))
            case ast.Import():
                for alias in node.names:
                    self._import(alias, node)
            case ast.ImportFrom():
                self._import_from(node)
            case ast.AnnAssign(target=ast.Name(id=name)):
                self._annotated(name, node)
            case ast.Assign(targets=[ast.Name(id=name)]):
                self._plain(name, node)
            case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                pass
            case ast.Expr(value=ast.Call(func=ast.Name(id="asm")) as call):
                module.asm.append(call)
            case ast.Expr(value=ast.Call(func=ast.Name(id="static_assert")) as call):
                module.asserts.append(call)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                for inner in node.body:
                    self._statement(inner)
            case ast.AsyncFunctionDef():
                self.sink.error("K0101", module.source.loc(node), "`async def` is not kpy",
                                help="write a thread and a message port instead")
                self._poison(node.name, node)
            case _:
                self._refuse(node)

    def _refuse(self, node: ast.stmt) -> None:
        what = {ast.For: "a loop", ast.While: "a loop", ast.If: "an `if`", ast.Try: "a `try`",
                ast.With: "a `with`", ast.Expr: "an expression", ast.AugAssign: "an assignment",
                ast.Assign: "this assignment", ast.AnnAssign: "this assignment",
                ast.Assert: "an `assert`"}.get(type(node), f"`{type(node).__name__.lower()}`")
        main = isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
        self.sink.error(
            "K0102", self.module.source.loc(node), f"{what} cannot stand at module level",
            "nothing runs when a module is imported",
            help="a kernel has no main program: `kpyc run FILE FUNCTION` calls any function" if main
            else "declare here; put code in a function. Tables are made by @comptime functions, "
                 "compile-time conditions are checked by static_assert(cond, why)")

        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                self._poison(part.id, part)
            elif isinstance(part, ast.FunctionDef | ast.ClassDef):
                self._poison(part.name, part)
            elif isinstance(part, ast.alias):
                self._poison(part.asname or part.name, part)

    def _poison(self, name: str, node: ast.AST) -> None:
        """Declare what a statement that was reported would have."""
        self.module.names.setdefault(name, Constant(name, self.module, node, made=POISONED))

    def _declare(self, decl: Decl) -> None:
        first = self.module.names.get(decl.name)
        if first is not None:
            self.sink.error("K0201", decl.loc, f"`{decl.name}` is declared twice",
                            "second declaration",
                            notes=(("the first is", first.loc),),
                            help="rename one of them")
            if not _alike(first, decl):         # which of them is meant, nobody knows
                self.module.doubled += [d for d in (first, decl) if d.made is not POISONED]
                self.module.names[decl.name] = Constant(decl.name, self.module, first.node,
                                                        made=POISONED)
            return
        self.module.names[decl.name] = decl

    def _import(self, alias: ast.alias, node: ast.Import) -> None:
        if alias.asname is None and "." in alias.name:
            self.sink.error("K0103", self.module.source.loc(node),
                            f"`import {alias.name}` binds only its first part",
                            help=f"write `from {alias.name.rpartition('.')[0]} import "
                                 f"{alias.name.rpartition('.')[2]}`")
            return
        self._bind_import(alias.asname or alias.name, alias, alias.name, None)

    def _import_from(self, node: ast.ImportFrom) -> None:
        target = node.module or ""
        if target in ("__future__", "typing", "collections.abc"):
            return self._import_typing(node)
        if node.level and not self.module.package:
            self.sink.error("K0103", self.module.source.loc(node),
                            "a file outside packages has nothing to import relative to",
                            help="name the module: `from other import thing`")
            for alias in node.names:
                self._declare(Import(alias.asname or alias.name, self.module, alias, target=target,
                                     attr=alias.name))
            return None
        if node.level:
            parts = self.module.package.split(".")
            base = parts[:len(parts) - node.level + 1]
            target = ".".join([*base, target] if target else base)
        for alias in node.names:
            if alias.name == "*":
                self._import_star(node, target)
            elif target == VOCABULARY and self.program.find(f"{target}.{alias.name}") is None:
                self._declare(Vocabulary(alias.asname or alias.name, self.module, alias, alias.name)
                              )
            else:
                self._bind_import(alias.asname or alias.name, alias, target, alias.name)
        return None

    def _import_star(self, node: ast.ImportFrom, target: str) -> None:
        self.sink.error("K0103", self.module.source.loc(node),
                        "`import *` hides where a name comes from",
                        help=f"name what you use: `from {target} import a, b`")
        self.module.starred.append((target, node))

    def _import_typing(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self._import_star(node, node.module or "")
            if alias.name in ("Final", "TypeVar", "Generic", "Union", "TypeAlias"):
                self._declare(Vocabulary(alias.asname or alias.name, self.module, alias, alias.name)
                              )

    def _bind_import(self, name: str, node: ast.alias, target: str, attr: str | None) -> None:
        decl = Import(name, self.module, node, target=target, attr=attr)
        wanted = [target] if attr is None else [f"{target}.{attr}", target]
        if not any(self.program.find(w) is not None for w in wanted):
            self.sink.error("K0004", decl.loc, f"there is no module `{target}`",
                            help=_module_help(target, self.program))
        self._declare(decl)

    def _annotated(self, name: str, node: ast.AnnAssign) -> None:
        note = node.annotation
        head = note.value if isinstance(note, ast.Subscript) else note
        spelled = head.id if isinstance(head, ast.Name) else ""
        kind: type[Decl] = Variable
        if spelled == "Final":
            kind = Constant
            if name == "UNSAFE":        # what is no constant is reported
                self.module.unsafe = not isinstance(node.value, ast.Constant) or (
                    node.value.value is True)
        elif spelled == "TypeAlias":
            kind = Alias
        self._declare(kind(name, self.module, node))

    def _plain(self, name: str, node: ast.Assign) -> None:
        value = node.value
        if name == "__all__":           # for Python's tools: what a package re-exports
            return
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and (
                value.func.id in ("TypeVar", "ConstVar", "FieldVar")):
            self._declare(Parameter(name, self.module, node))
        elif isinstance(value, ast.Subscript | ast.BinOp) and _looks_like_type(value):
            self._declare(Alias(name, self.module, node))
        else:
            self.sink.error("K0104", self.module.source.loc(node.targets[0]),
                            f"module variable `{name}` needs a type",
                            help=f"write `{name}: Final = ...` for a constant, "
                                 f"`{name}: u32 = ...` for a variable")
            self._declare(Constant(name, self.module, node, made=POISONED))


POISONED = object()      # `made` of a declaration already reported


def _alike(first: Decl, second: Decl) -> bool:
    """Whether uses of a name cannot tell two declarations of it apart."""
    match first.node, second.node:
        case ast.FunctionDef() as one, ast.FunctionDef() as other:
            return [ast.dump(x) for x in (one.args, one.returns or one.args)] == [
                ast.dump(x) for x in (other.args, other.returns or other.args)]
        case ast.AnnAssign() as one, ast.AnnAssign() as other:
            return ast.dump(one.annotation) == ast.dump(other.annotation)
    return isinstance(first, Import | Vocabulary | Parameter) or isinstance(
        second, Import | Vocabulary | Parameter)


def _looks_like_type(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name | ast.Attribute)
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)


def _module_help(name: str, program: Program) -> str:
    head = name.split(".", maxsplit=1)[0]
    if name == VOCABULARY:
        return "the vocabulary is imported by name: `from kpy import u32, struct`"
    if head in ("os", "sys", "time", "math", "random", "struct", "re", "dataclasses", "enum",
                "collections", "itertools", "functools", "abc", "ctypes", "threading", "asyncio",
                "logging", "json", "pathlib", "subprocess", "datetime", "string", "io",
                "contextlib", "copy", "array", "queue", "socket", "numpy", "traceback", "heapq",
                "bisect", "operator", "typing_extensions", "argparse", "unittest", "pytest",
                "warnings", "hashlib", "zlib", "signal", "decimal", "fractions"):
        instead = {"dataclasses": ": a record is a class marked @struct",
                   "enum": ": an enum is a class marked @enum(u8)",
                   "abc": ": a table of Fn[...] fields takes the place of virtual methods",
                   "struct": ": @struct classes have the layout of C",
                   "ctypes": ": @struct classes have the layout of C"}.get(head, "")
        if instead:
            return f"`{head}` is CPython's{instead}"
        return (f"`{head}` is CPython's: a kernel has no interpreter to run it. "
                "What kpy offers is imported from `kpy`")
    where = ", ".join(str(_shown(root)) for root in program.roots)
    return f"modules are looked for below: {where}"


_LOCK = re.compile(r"#.*\[(\w)\]")


def lock_letter(source: SourceFile, line: int) -> str:
    """The protection letter of a field's comment `# [a] ...`, or ""."""
    found = _LOCK.search(source.line_text(line))
    return found.group(1) if found else ""
