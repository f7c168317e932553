# SPDX-License-Identifier: BSD-3-Clause
"""Messages that no story shows: messages.md has a program and exactly what is said of it.

`python -m tests.toolchain.test_messages` writes what is said now, for review.
"""
from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.toolchain.diagnose import diagnostics, rendered
from toolchain import explain
from toolchain.diagnostics import Sink
from toolchain.frontend import check

FILE = Path(__file__).with_name("messages.md")
CASE = re.compile(r"^## (.*?)\n+```python\n(.*?)^```\n+```text\n(.*?)^```\n",
                  re.MULTILINE | re.DOTALL)
TEXT = FILE.read_text(encoding="utf-8")
HEAD = re.search(r"^```python\n(.*?)^```\n", TEXT, re.MULTILINE | re.DOTALL)[1]
CASES = {name: (source, said) for name, source, said in CASE.findall(TEXT)}


def said_of(source: str) -> str:
    """What the compiler says; the head comes last, so that lines count from the program."""
    return rendered(source + HEAD) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_the_message_is_exactly_this(name):
    source, expected = CASES[name]
    assert said_of(source) == expected


@pytest.mark.parametrize("name", CASES)
def test_one_mistake_gets_one_message(name):
    assert len(re.findall(r"^\w+\[K", CASES[name][1], re.MULTILINE)) == 1


def reporting() -> dict[str, list[range]]:
    """The lines of each call that reports a code, by file of the checker."""
    found: dict[str, list[range]] = {}
    for path in Path(check.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(
                    node.args[0], ast.Constant) and re.fullmatch(r"K0\d{3}", str(
                        node.args[0].value)):
                found.setdefault(str(path), []).append(range(node.lineno, node.end_lineno + 1))
    return found


def test_every_place_that_reports_is_shown_here_or_in_a_story(monkeypatch):
    places, shown = reporting(), set()
    report = Sink.report

    def noted(sink, diagnostic):
        frame = sys._getframe(1)
        while frame is not None:
            name = frame.f_code.co_filename
            shown.update((name, p) for p in places.get(name, ()) if frame.f_lineno in p)
            frame = frame.f_back
        report(sink, diagnostic)
    monkeypatch.setattr(Sink, "report", noted)
    for source in [s.wrong for s in explain.stories().values()] + [
            source + HEAD for source, _ in CASES.values()]:
        diagnostics(source)
    hidden = [(Path(name).name, p.start) for name, all_ in places.items() for p in all_
              if (name, p) not in shown]
    assert sorted(hidden) == []


def test_every_message_says_what_to_write_instead():
    said = [s.says for s in explain.stories().values()] + [said for _, said in CASES.values()]
    assert [text for text in said if text and "= help:" not in text] == []


def bless() -> None:
    """Write what is said of each program now."""
    FILE.write_text(CASE.sub(
        lambda m: f"## {m[1]}\n\n```python\n{m[2]}```\n\n```text\n{said_of(m[2])}```\n", TEXT),
        encoding="utf-8")


if __name__ == "__main__":
    bless()
