# SPDX-License-Identifier: BSD-3-Clause
"""The corpus of kpy programs: tests/toolchain/programs/*.py, and what each docstring promises.

    # run: fib(10) == 55                                    in every mode
    # release: add(200, 100) == 44                          only where overflow wraps
    # trap: add(200, 100) OVERFLOW 200 100 at `a + b`       kind, perhaps values, place
    # trap: give(2) PANIC "no 2 here"                       kind and message
    # checked: halved(7) ASSERT                             a trap only where overflow is checked
    # raises: outer(0) 22                                   an Errno leaves the function
    # prints: hello() "hello\n"                             what kprintf wrote
    # error: K0308 at `n + s`                               the compiler refuses the program

Arguments are Python literals.  OVERFLOW and SHIFT traps are those of builds that check overflow;
every other line but `release` holds in all modes.
"""
from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).resolve().parent / "programs"
CHECKED_ONLY = {"OVERFLOW", "SHIFT"}


@dataclass(frozen=True)
class Promise:
    """One line of a program's docstring.  `line` is its number, for the name of the test."""

    kind: str                        # run release trap raises prints error
    line: int
    function: str = ""
    args: tuple[Any, ...] = ()
    expected: Any = None             # value, code or text
    check: str = ""                  # trap: a name of kpy.rt.Check
    values: tuple[int, ...] = ()     # trap: a and b, as far as given
    place: str = ""                  # trap and error: source text of the place
    code: str = ""                   # error: K0308
    checked: bool = False            # of a trap: only in builds that check overflow

    def holds_in(self, overflow_checks: bool) -> bool:
        if self.kind == "release":
            return not overflow_checks
        return overflow_checks or not (self.checked or self.check in CHECKED_ONLY)


@dataclass(frozen=True)
class Program:
    """One file of the corpus."""

    path: Path
    promises: tuple[Promise, ...]

    @property
    def refused(self) -> bool:
        return any(promise.kind == "error" for promise in self.promises)


def programs() -> list[Program]:
    return [read(path) for path in sorted(PROGRAMS.glob("*.py"))]


def read(path: Path) -> Program:
    promises = []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        hit = re.match(r"# (run|release|trap|checked|raises|prints|error): (.*)$", text)
        if hit:
            promises.append(parse(hit[1], hit[2], number))
    assert promises, f"{path.name} promises nothing"
    return Program(path, tuple(promises))


def parse(kind: str, text: str, line: int) -> Promise:
    if kind == "error":
        hit = re.fullmatch(r"(K\d{4}) at `(.*)`", text)
        assert hit, text
        return Promise(kind, line, code=hit[1], place=hit[2])
    if kind in {"run", "release"}:
        compare = ast.parse(text, mode="eval").body
        assert isinstance(compare, ast.Compare), text
        name, args = call(compare.left)
        return Promise(kind, line, name, args, value(compare.comparators[0]))
    head, rest = split_call(text)
    name, args = call(ast.parse(head, mode="eval").body)
    if kind in {"raises", "prints"}:
        return Promise(kind, line, name, args, ast.literal_eval(rest))
    hit = re.fullmatch(r'([A-Z_]+)((?: \d+)*)(?: (".*"))?(?: at `(.*)`)?', rest)
    assert hit, text
    return Promise("trap", line, name, args, hit[3] and ast.literal_eval(hit[3]), check=hit[1],
                   values=tuple(map(int, hit[2].split())), place=hit[4] or "",
                   checked=kind == "checked")


def split_call(text: str) -> tuple[str, str]:
    """`f(1, b")") REST` to the call and REST: the shortest prefix that is a whole call."""
    for hit in re.finditer(r"\) ", text):
        head = text[:hit.start() + 1]
        try:
            ast.parse(head, mode="eval")
        except SyntaxError:
            continue
        return head, text[hit.end():]
    raise AssertionError(text)


def call(node: ast.expr) -> tuple[str, tuple[Any, ...]]:
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return node.func.id, tuple(value(arg) for arg in node.args)


def value(node: ast.expr) -> Any:
    """A literal, or arithmetic on literals."""
    return eval(compile(ast.Expression(node), "promise", "eval"), {"__builtins__": {}})
