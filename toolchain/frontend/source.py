# SPDX-License-Identifier: BSD-3-Clause
"""Source files: bytes on disk to a Python syntax tree, or to a diagnostic.

What is refused here never reaches another pass: a file that is not UTF-8, not Python, or so
deeply nested that no later pass (all of them recursive) should be asked to follow.

Tests     tests/toolchain/test_bad_input.py
"""
from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path

from toolchain.diagnostics import Sink
from toolchain.frontend.tree import Loc

NESTING_LIMIT = 200      # levels of syntax tree; the deepest in a hand-written kernel is about 30
SIZE_LIMIT = 8 << 20     # bytes of one file
_SCOPE_ERRORS = ("duplicate argument", "prior to global declaration", "before global declaration",
                 "is parameter and global")
_HEAD = re.compile(rb"(?:async\s+def|def|class)\s+([^\s(:]+)")


class SourceFile:
    """One file.  `path` is as shown to people; `name` the module's dotted name."""

    def __init__(self, path: str, name: str, data: bytes) -> None:
        self.path, self.name, self.data = path, name, data
        self.text = data.decode("utf-8-sig", "replace")
        self.lines = self.text.splitlines()
        self._ascii = self.text.isascii()

    def __repr__(self) -> str:
        return f"SourceFile({self.path!r})"

    def line_text(self, line: int) -> str:
        """Line `line` (from 1) without its end; "" past the end."""
        return self.lines[line - 1] if 0 < line <= len(self.lines) else ""

    def column(self, line: int, byte_column: int) -> int:
        """The character column (from 0) of a byte column as `ast` counts it."""
        if self._ascii:
            return byte_column
        text = self.line_text(line)
        return len(text.encode("utf-8")[:byte_column].decode("utf-8", "replace"))

    def loc(self, node: ast.AST) -> Loc:
        """Where `node` stands; of a def or class its name alone."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return self._name_loc(node)
        return Loc(self, node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)

    def _name_loc(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Loc:
        """The name after `def` or `class`; the keyword where the name is on another line."""
        raw = self.line_text(node.lineno).encode("utf-8")[node.col_offset:]
        match = _HEAD.match(raw)
        start, end = match.span(1) if match else (0, len(raw))
        return Loc(self, node.lineno, node.col_offset + start, node.lineno, node.col_offset + end)

    def line_loc(self, line: int, start: int = 0, end: int | None = None) -> Loc:
        """Part of a line, from character columns."""
        text = self.line_text(line)
        first = len(text[:start].encode("utf-8"))
        last = len((text if end is None else text[:end]).encode("utf-8"))
        return Loc(self, line, first, line, max(last, first))

    def segment(self, loc: Loc) -> str:
        """The text of a place, on one line."""
        if loc.line == loc.end_line:
            raw = self.line_text(loc.line).encode("utf-8")
            return raw[loc.col:loc.end_col].decode("utf-8", "replace")
        first = self.line_text(loc.line).encode("utf-8")[loc.col:].decode("utf-8", "replace")
        middle = self.lines[loc.line:loc.end_line - 1]
        last = self.line_text(loc.end_line).encode("utf-8")[:loc.end_col]
        return " ".join(part.strip() for part in [first, *middle, last.decode("utf-8", "replace")])


def read(path: Path, shown: str, name: str, sink: Sink) -> SourceFile | None:
    """The file at `path`, or None after a diagnostic."""
    try:
        if path.is_dir():
            sink.error("K0003", None, f"`{shown}` is a directory, not a source file",
                       help="name a file in it")
            return None
        data = path.read_bytes()
    except OSError as error:
        sink.error("K0003", None, f"cannot read `{shown}`: {error.strerror or error}",
                   help="give the path of a .py file")
        return None
    source = SourceFile(shown, name, data)
    return source if _is_text(source, sink) else None


def parse(source: SourceFile, sink: Sink) -> ast.Module | None:
    """The syntax tree of `source`, or None after a diagnostic."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source.text, source.path)
            if not _shallow(tree, source, sink):
                return None
            _check_scopes(tree, source)
    except SyntaxError as error:
        _report_syntax(source, error, sink)
        return None
    except (RecursionError, MemoryError, ValueError) as error:
        sink.error("K0006", source.line_loc(1), "this file is nested too deeply to be read",
                   help="split the long expression or the deep nesting into named parts",
                   notes=((f"Python's parser says: {error or type(error).__name__}", None),))
        return None
    return tree


def _check_scopes(tree: ast.Module, source: SourceFile) -> None:
    """Raise what Python's own compiler says of names: only it looks at scopes.

    The rest of what it refuses (`break` outside a loop, `await`) the checker explains better.
    """
    try:
        compile(tree, source.path, "exec", dont_inherit=True)
    except SyntaxError as error:
        if any(text in error.msg for text in _SCOPE_ERRORS):
            raise


def _is_text(source: SourceFile, sink: Sink) -> bool:
    if len(source.data) > SIZE_LIMIT:
        sink.error("K0003", None, f"`{source.path}` has {len(source.data)} bytes; "
                   f"a source file has at most {SIZE_LIMIT}", help="split it into modules")
        return False
    try:
        source.data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = source.data.count(b"\n", 0, error.start) + 1
        column = error.start - (source.data.rfind(b"\n", 0, error.start) + 1)
        sink.error("K0002", Loc(source, line, column, line, column + 1),
                   f"this file is not UTF-8: byte 0x{source.data[error.start]:02x} "
                   f"at line {line}", help="save it as UTF-8")
        return False
    zero = source.data.find(b"\0")
    if zero >= 0:
        line = source.data.count(b"\n", 0, zero) + 1
        sink.error("K0002", source.line_loc(line), f"this file has a zero byte at line {line}",
                   help="a source file is text; is this the right file?")
        return False
    return True


def _report_syntax(source: SourceFile, error: SyntaxError, sink: Sink) -> None:
    line = min(max(error.lineno or 1, 1), max(len(source.lines), 1))
    start = max((error.offset or 1) - 1, 0)
    end = error.end_offset - 1 if error.end_lineno == line and error.end_offset else start + 1
    text = error.msg
    if "nested" in text:
        sink.error("K0006", source.line_loc(line, start, max(end, start + 1)),
                   f"nested too deeply: {text}",
                   help="split the expression into named parts")
        return
    sink.error("K0001", source.line_loc(line, start, max(end, start + 1)),
               f"this is not Python: {text}",
               help=_syntax_help(source, line, text))


# (what Python says, the line, what to write); the first of which both are found
_FOREIGN = tuple((re.compile(said), re.compile(line), hint) for said, line, hint in (
    ("", r"\belse if\b", "write `elif`"),
    ("", r"^\s*def \w+\[", "write `T = TypeVar(\"T\")` in the module, and `def f(a: T) -> T:`"),
    ("", r"^\s*class \w+\[", "write `T = TypeVar(\"T\")` in the module, and "
     "`class P(Generic[T]):`"),
    ("", r"\{\s*$|; *\}", "a block begins with `:`, and its lines are indented"),
    ("", "&&", "write `and`"), ("", r"\|\|", "write `or`"),
    ("", r"\+\+", "write `n += 1`"), ("", r"\b--|--\s*$", "write `n -= 1`"),
    ("", r"->.*,", "a result of several values is `-> tuple[A, B]`"),
    ("invalid syntax", r"\w->\w", "a pointer is followed with a dot: `p.x`"),
    ("invalid syntax", r"(^|[\s(])!\w", "write `not x`"),
    ("invalid syntax", r"\?.*:", "write `a if condition else b`"),
    ("invalid syntax", r"\w\s?\*+\s?[,)=]", "a pointer is `Ptr[T]`, one that may be null "
     "`Ptr[T] | None`"),
    ("invalid syntax", r"^\s*switch\b", "write `match n:`, with `case 1:` and `case _:`"),
    ("invalid syntax", r"\([ui](8|16|32|64)\)\s*\w", "a conversion is a call: `u32(n)` traps if "
     "it does not fit, `trunc(u32, n)` keeps the low bits"),
    ("invalid syntax", r"(return|if|while|\().*[-+*/|&^]=", "`n += 1` stands on a line of its own"),
    ("invalid syntax|Missing parentheses", r"\bprint ", "write kprintf(f\"...\")"),
    ("instead of '='", "", "compare with `==`"),
    ("invalid syntax", r"^\s*(assert|return|if|while)\b[^=]*[^=!<>]=[^=]", "compare with `==`"),
    ("is parameter and global", "", "rename the parameter: it hides the module's variable"),
    ("after 'case'", "", "each case has a block; several values are `case 1 | 2:`"),
    ("expected an indented block", "", "indent what belongs to it by four spaces; `pass` does "
     "nothing"),
    ("tabs and spaces|unindent", "", "indent with spaces, four for each level"),
    ("expected ':'", "", "`if`, `while`, `for`, `def`, `class` and their like end in `:`"),
    ("was never closed", "", "write the closing bracket where the expression ends"),
    ("unterminated", "", "close it with the quote it began with; text of several lines stands in "
     "three quotes"),
    ("duplicate argument", "", "give each parameter a name of its own"),
    ("follows default argument", "", "parameters with a default come last"),
    ("follows keyword argument", "", "arguments with a name come last"),
    ("levels of indentation", "", "make the inner part a function of its own"),
    ("Exceeds the limit", "", "the largest integers are 64 bits wide; is a digit mistyped?"),
))


def _syntax_help(source: SourceFile, line: int, said: str) -> str:
    text, before = source.line_text(line), source.line_text(line - 1) if line > 1 else ""
    if before.lstrip().startswith("@") and re.match(r"\s*\w+\s*[:=]", text):
        return "a variable has no decorators; its type tells: `n: PerCpu[u32]`, `n: Atomic[u32]`"
    for saying, foreign, hint in _FOREIGN:
        if saying.search(said) and foreign.search(text):
            return hint
    return "kpy files are Python 3.11 files; `python3 -m py_compile FILE` says the same"


def _shallow(tree: ast.Module, source: SourceFile, sink: Sink) -> bool:
    """Refuse trees deeper than NESTING_LIMIT, whatever made them deep."""
    level: list[ast.AST] = [tree]
    for _ in range(NESTING_LIMIT):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    node = next((n for n in level if hasattr(n, "lineno")), None)
    loc = source.loc(node) if node is not None else source.line_loc(1)
    sink.error("K0006", loc, f"nested more than {NESTING_LIMIT} levels deep",
               "this is as deep as kpyc follows",
               help="give parts of it names: a long `a + b + c ...` is one level a term")
    return False
