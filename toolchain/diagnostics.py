# SPDX-License-Identifier: BSD-3-Clause
"""One shape for every error: code, place, what was found, what to write instead.

    error[K0308]: cannot add `u32` and `Str`
      --> sched.py:2:14
       |
     2 |     x: u32 = n + s
       |              ^^^^^ left is `u32`, right is `Str`
       = note: `s` is declared at sched.py:1:14
       = help: print both with kprintf(f"{n}{s}")

Passes report to a Sink and go on, so that one run shows all errors of a file; what is already
reported gets the POISON type and is not reported again.

Invariants
  D1  Every code reported has a story in `explain/`, and a test with its text and place.
  D2  `ast` counts columns in UTF-8 bytes; what is shown counts characters.
Tests     tests/toolchain/test_diagnostics.py
"""
from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolchain.frontend.tree import Loc

ERROR_LIMIT = 100    # more than this many errors of one run are counted, not shown
WIDTH = 120          # characters of a source line that are shown


@dataclass(slots=True)
class Diagnostic:
    """One finding.  `label` stands behind the carets; `notes` are (text, place or None)."""

    code: str
    message: str
    loc: Loc | None = None
    label: str = ""
    notes: list[tuple[str, Loc | None]] = field(default_factory=list)
    help: str = ""
    severity: str = "error"

    def render(self, colour: bool = False) -> str:
        """The text a person reads."""
        red, blue, bold, off = (
            ("\033[1;31m", "\033[1;34m", "\033[1m", "\033[0m") if colour else ("",) * 4)
        if self.severity == "warning" and colour:
            red = "\033[1;33m"
        lines = [f"{red}{self.severity}[{self.code}]{off}{bold}: {self.message}{off}"]
        gutter = 1
        if self.loc is not None:
            gutter = max(1, len(str(self.loc.line)))
            lines += _excerpt(self.loc, self.label, gutter, (red, blue, off))
        pad = " " * gutter
        for text, loc in self.notes:
            where = f" at {place(loc)}" if loc is not None else ""
            lines.append(f"{pad} {blue}={off} note: {text}{where}")
        if self.help:
            lines.append(f"{pad} {blue}={off} help: {self.help}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The object an editor reads: lines and columns from 1, columns in characters."""
        return {
            "code": self.code, "severity": self.severity, "message": self.message,
            "label": self.label, "range": _range(self.loc),
            "notes": [{"message": text, "range": _range(loc)} for text, loc in self.notes],
            "help": self.help,
        }


class Sink:
    """Where passes report.  `errors` counts errors; equal reports at one place count once."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.errors = 0
        self._seen: set[tuple[Any, ...]] = set()

    def report(self, diagnostic: Diagnostic) -> None:
        key = (diagnostic.code, diagnostic.message, diagnostic.loc)
        if key in self._seen:
            return
        self._seen.add(key)
        self.diagnostics.append(diagnostic)
        self.errors += diagnostic.severity == "error"

    def error(self, code: str, loc: Loc | None, message: str, label: str = "", *,
              help: str = "", notes: tuple[tuple[str, Loc | None], ...] = ()) -> None:
        """Report an error; the pass goes on."""
        self.report(Diagnostic(code, message, loc, label, list(notes), help))

    def warning(self, code: str, loc: Loc | None, message: str, label: str = "", *,
                help: str = "", notes: tuple[tuple[str, Loc | None], ...] = ()) -> None:
        """Report something that compiles but is likely meant otherwise."""
        self.report(Diagnostic(code, message, loc, label, list(notes), help, "warning"))

    def sorted(self) -> list[Diagnostic]:
        """All of them by file, line and column; those without a place first."""
        return sorted(self.diagnostics, key=_sort_key)

    def render(self, colour: bool = False) -> str:
        """All of them as text, with a closing count."""
        shown = self.sorted()
        parts = [d.render(colour) for d in shown[:ERROR_LIMIT]]
        if len(shown) > ERROR_LIMIT:
            parts.append(f"... and {len(shown) - ERROR_LIMIT} more")
        if self.errors:
            parts.append(f"{self.errors} error{'s' * (self.errors != 1)}; "
                         f"`kpyc explain {shown[0].code}` tells more")
        return "\n\n".join(parts)

    def to_json(self) -> str:
        """All of them, one JSON object a line."""
        return "\n".join(json.dumps(d.as_json(), ensure_ascii=False) for d in self.sorted())


def place(loc: Loc) -> str:
    """`file:line:column`, the column in characters from 1."""
    return f"{loc.source.path}:{loc.line}:{loc.source.column(loc.line, loc.col) + 1}"


def _sort_key(diagnostic: Diagnostic) -> tuple[Any, ...]:
    loc = diagnostic.loc
    return (loc.source.path, loc.line, loc.col) if loc is not None else ("", 0, 0)


def _excerpt(loc: Loc, label: str, gutter: int, colours: tuple[str, str, str]) -> list[str]:
    """The arrow line, the source line and its carets."""
    red, blue, off = colours
    text = loc.source.line_text(loc.line)
    start = loc.source.column(loc.line, loc.col)
    end = loc.source.column(loc.line, loc.end_col) if loc.end_line == loc.line else len(text)
    if len(text) > WIDTH:                      # show the part around the carets
        first = max(0, min(start - WIDTH // 3, len(text) - WIDTH))
        text, start, end = text[first:first + WIDTH], start - first, end - first
        text = ("..." if first else "") + text[3 * bool(first):]
        end = min(end, len(text))
    text = "".join(c if c == "\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    before = "".join(c if c == "\t" else " " for c in text[:start])
    carets = "^" * max(1, end - start)
    pad = " " * gutter
    more = " ..." if loc.end_line != loc.line else ""
    return [
        f"{pad}{blue}-->{off} {place(loc)}",
        f"{pad} {blue}|{off}",
        f"{loc.line:>{gutter}} {blue}|{off} {text}",
        f"{pad} {blue}|{off} {before}{red}{carets}{off}{more}{' ' + label if label else ''}",
    ]


def _range(loc: Loc | None) -> dict[str, Any] | None:
    if loc is None:
        return None
    return {
        "file": loc.source.path,
        "start": {"line": loc.line, "column": loc.source.column(loc.line, loc.col) + 1},
        "end": {"line": loc.end_line, "column": loc.source.column(loc.end_line, loc.end_col) + 1},
    }
