# SPDX-License-Identifier: BSD-3-Clause
"""The longer story of each diagnostic, for `kpyc explain CODE`.

One file a code, K0308.md: a title, the story, and where one file can show it, a program that is
refused, what the compiler says of it, and the program as it should be.  The linker's are in
link/stories.py, those of host bindings in host/stories.py.

    # a value has another type than is wanted     -> `title`
    kpy converts a value only where ...           -> `text`
    ## Wrong, ## Says, ## Right                   -> `wrong`, `says`, `right`, or ""

Invariants
  X1  Every code that is reported has a story, and every story's code is reported.
  X2  `says` is exactly what the compiler says of `wrong`, and it says nothing of `right`.
Tests     tests/toolchain/test_explain.py
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from toolchain.host import stories as host_stories
from toolchain.link import stories as link_stories

FOLDER = Path(__file__).parent
_PARTS = re.compile(r"^## (Wrong|Says|Right)\n+```\w+\n(.*?)^```\n*", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Story:
    """What there is to say of one code."""

    title: str
    text: str
    wrong: str = ""
    says: str = ""
    right: str = ""


@cache
def stories() -> dict[str, Story]:
    """Every story, by code."""
    found = {code: Story(title, text.strip()) for code, (title, text)
             in {**link_stories.STORIES, **host_stories.STORIES}.items()}
    found |= {path.stem: read(path) for path in FOLDER.glob("K*.md")}
    return dict(sorted(found.items()))


def read(path: Path) -> Story:
    """The story in one file."""
    head, _, rest = path.read_text(encoding="utf-8").partition("\n")
    parts = {name.lower(): body for name, body in _PARTS.findall(rest)}
    return Story(head.removeprefix("# "), _PARTS.sub("", rest).strip(), **parts)


def story(code: str) -> str | None:
    """The text for one code in any case, or for "all" a list of them; None where there is none."""
    if code.lower() == "all":
        return "\n".join(f"{c}  {s.title}" for c, s in stories().items())
    code = _spelled(code)
    found = stories().get(code)
    if found is None:
        return None
    parts = [f"{code}: {found.title}", found.text]
    for heading, body in (("Wrong:", found.wrong), ("What kpyc says:", found.says),
                          ("Right:", found.right)):
        if body:
            parts.append(f"{heading}\n\n" + _indented(body))
    return "\n\n".join(parts)


def nearest(code: str) -> str:
    """The code most like `code`, or ""."""
    digits = re.sub(r"\D", "", code)
    for length in range(len(digits), 1, -1):
        family = [c for c in stories() if c.startswith(f"K{digits[:length]}")]
        if family:
            wanted = int(digits.ljust(4, "0")[:4])
            return min(family, key=lambda c: abs(int(c[1:]) - wanted))
    return ""


def _spelled(code: str) -> str:
    """`308`, `k308`, `error[K0308]` as K0308."""
    digits = re.sub(r"\D", "", code)
    return f"K{digits:>04}" if digits else code.upper()


def _indented(body: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in body.rstrip("\n").splitlines())
