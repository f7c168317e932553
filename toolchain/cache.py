# SPDX-License-Identifier: BSD-3-Clause
"""What was compiled before: found again by the hash of all it depends on.

Two keys a module:
    interface   the source without the bodies of plain functions: what other modules can see
    object      compiler + options + own source + the interfaces of all modules it imports,
                however indirectly

So an edited body recompiles one module; an edited signature, struct, constant, generic or @inline
body recompiles those who import it.

Invariants
  C1  An entry is written beside and renamed: it is whole, or not there.
  C2  Nothing but the hashed inputs decides an object's bytes.
Tests     tests/toolchain/test_build.py
"""
from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import pickle
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from toolchain.frontend.modules import Import, ModuleDecl, Parameter

SIZE_LIMIT = 2 << 30     # bytes kept; the oldest entries go first


@dataclass(slots=True)
class Scan:
    """What is known of a source file without compiling it."""

    name: str
    imports: list[str]
    interface: str


@cache
def compiler_digest() -> str:
    """A hash of the compiler itself and of the libraries that decide its output."""
    made = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        made.update(str(path.relative_to(root)).encode())
        made.update(path.read_bytes())
    from importlib.metadata import version  # noqa: PLC0415  slow to import; only here
    made.update(version("llvmlite").encode())
    return made.hexdigest()


def interface_digest(module: ModuleDecl) -> str:
    """A hash of what importers of `module` may depend on."""
    variables = {n for n, d in module.names.items()
                 if isinstance(d, Parameter) or (isinstance(d, Import) and n.isupper())}
    hidden: set[int] = set()
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef):
            _hide(node, variables, hidden)
        elif isinstance(node, ast.ClassDef) and not any(
                isinstance(base, ast.Subscript) for base in node.bases):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    _hide(inner, variables, hidden)
    made = hashlib.sha256(module.source.path.encode())
    for number, line in enumerate(module.source.lines, 1):
        if number not in hidden:
            made.update(line.encode() + b"\n")
    return made.hexdigest()


def _hide(node: ast.FunctionDef, variables: set[str], hidden: set[int]) -> None:
    """Leave out the body, unless importers see it: inlined, generic, or run by the compiler."""
    names = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
    notes = [a.annotation for a in node.args.args] + [node.returns]
    generic = any(isinstance(part, ast.Name) and part.id in variables
                  for note in notes if note is not None for part in ast.walk(note))
    if not generic and not names & {"inline", "comptime"} and (
            node.body[0].lineno > node.lineno):
        hidden.update(range(node.body[0].lineno, (node.end_lineno or 0) + 1))


class Cache:
    """Entries below `folder`; with folder None nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, key: str) -> Any:
        """The entry of `key`, or None."""
        if self.folder is None:
            return None
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
            return pickle.loads(data)
        except Exception:           # damaged, or from another version: as if it were not there
            return None

    def put(self, key: str, value: Any) -> None:
        """Keep `value`; a full or read-only disk only means it is not kept."""
        if self.folder is None:
            return
        path = self._path(key)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
            os.replace(file.name, path)

    def trim(self) -> None:
        """Drop the oldest entries above SIZE_LIMIT."""
        if self.folder is None:
            return
        with contextlib.suppress(OSError):
            files = [(p.stat().st_mtime, p.stat().st_size, p) for p in self.folder.rglob("*")
                     if p.is_file()]
            total = sum(size for _, size, _ in files)
            for _, size, path in sorted(files, key=lambda f: f[0]):
                if total <= SIZE_LIMIT:
                    break
                path.unlink(missing_ok=True)
                total -= size

    def _path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / key[:2] / key[2:]


def digest(*parts: str) -> str:
    """One key from several."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
