# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong in a link, each with a number, a place and a way out.

A link collects every problem it can before it gives up, so that one run shows them all.

Invariants
  E1  A problem's code has a story in stories.py.
  E2  Bad input, whatever its bytes, ends in LinkError: never in another exception.
Tests  tests/toolchain/test_link_errors.py, tests/toolchain/test_link_hostile.py
"""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where it is seen, and what to write instead."""

    code: str
    message: str
    place: str = ""
    notes: tuple[str, ...] = ()
    help: str = ""

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.message}"]
        if self.place:
            lines.append(f"  --> {self.place}")
        lines += [f"   = note: {note}" for note in self.notes]
        if self.help:
            lines.append(f"   = help: {self.help}")
        return "\n".join(lines)


class LinkError(Exception):
    """The link failed; `problems` says why, in the order found."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass
class Collector:
    """Gathers problems, at most `limit` of a code, and raises them together."""

    limit: int = 20
    problems: list[Problem] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, problem: Problem) -> None:
        count = self._counts[problem.code] = self._counts.get(problem.code, 0) + 1
        if count <= self.limit:
            self.problems.append(problem)

    def raise_if_any(self) -> None:
        """LinkError if anything was added; says how many were left out."""
        if not self.problems:
            return
        for code, count in self._counts.items():
            if count > self.limit:
                text = f"{count - self.limit} more like these are not shown"
                self.problems.append(Problem(code, text))
        raise LinkError(self.problems)
