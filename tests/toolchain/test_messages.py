# SPDX-License-Identifier: BSD-3-Clause
"""Messages that no story shows: messages.md has a program and exactly what is said of it.

`python -m tests.toolchain.test_messages` writes what is said now, for review.
"""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.toolchain.diagnose import rendered

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


def bless() -> None:
    """Write what is said of each program now."""
    FILE.write_text(CASE.sub(
        lambda m: f"## {m[1]}\n\n```python\n{m[2]}```\n\n```text\n{said_of(m[2])}```\n", TEXT),
        encoding="utf-8")


if __name__ == "__main__":
    bless()
