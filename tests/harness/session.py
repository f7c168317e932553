# SPDX-License-Identifier: BSD-3-Clause
"""Tours that are sessions: what they type is typed, and what they print must come.

In an indented block `$ COMMAND` begins a command, `(gdb) COMMAND` is typed at it; other lines are
its output, standard error included.  `...` in a line stands for any part of one, alone on a line
for any lines.  Without that, lines follow one another.  A ```diff block is applied.

Tests  tests/sim/test_tour_races.py
"""
from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROMPT = "(gdb) "


class SessionError(AssertionError):
    """A command did not print what the tour says."""


@dataclass
class Command:
    """One command of a tour."""

    words: str
    typed: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)


@dataclass
class Patch:
    """A change that the tour makes."""

    file: str
    removed: list[str]
    added: list[str]


def read(path: Path) -> list[Command | Patch]:
    """What a tour does, in order."""
    out: list[Command | Patch] = []
    diff: list[str] | None = None
    inside = False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line == "```diff":
            diff = []
        elif diff is not None and line == "```":
            out.append(_patch(diff))
            diff = None
        elif diff is not None:
            diff.append(line)
        elif line.startswith("    $ "):
            out.append(Command(line[6:]))
            inside = True
        elif inside and line.startswith("    "):
            command = out[-1]
            assert isinstance(command, Command)
            if line.startswith(f"    {PROMPT}"):
                command.typed.append(line[4 + len(PROMPT):])
            else:
                command.output.append(line[4:])
        else:
            inside = False
    return out


def _patch(lines: list[str]) -> Patch:
    file = next(line[6:] for line in lines if line.startswith("+++ b/"))
    body = lines[lines.index("@@") + 1:]
    return Patch(file, [line[1:] for line in body if line[:1] in " -"],
                 [line[1:] for line in body if line[:1] in " +"])


def follow(tour: Path, tree: Path, timeout: float = 600) -> Iterator[Command]:
    """Do what the tour does in a copy of the source, and compare; gives each command that did as
    was said."""
    for step in read(tour):
        if isinstance(step, Patch):
            _apply(step, tree / step.file)
            continue
        done = subprocess.run(step.words, shell=True, cwd=tree, text=True, timeout=timeout,
                              input="".join(f"{line}\n" for line in step.typed),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        compare(step, done.stdout)
        yield step


def _apply(patch: Patch, file: Path) -> None:
    text, old = file.read_text(encoding="utf-8"), "\n".join(patch.removed)
    if text.count(old) != 1:
        raise SessionError(f"{file} does not have once what is to be changed:\n{old}")
    file.write_text(text.replace(old, "\n".join(patch.added)), encoding="utf-8")


def compare(command: Command, said: str) -> None:
    """SessionError if `said` is not what the tour shows."""
    lines = [_without_prompts(line).rstrip() for line in said.splitlines()]
    at, anywhere = 0, False
    for wanted in command.output:
        if wanted == "...":
            anywhere = True
            continue
        pattern = re.compile(".*".join(map(re.escape, wanted.rstrip().split("..."))))
        here = range(at, len(lines) if anywhere else min(at + 1, len(lines)))
        found = next((n for n in here if pattern.fullmatch(lines[n])), None)
        if found is None:
            raise SessionError(f"$ {command.words}\ndoes not print, after line {at},\n    {wanted}"
                               f"\nbut\n{said}")
        at, anywhere = found + 1, False


def _without_prompts(line: str) -> str:
    while line.startswith(PROMPT):
        line = line[len(PROMPT):]
    return line
