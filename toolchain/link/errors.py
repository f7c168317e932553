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

# What to do about a code wherever the place that reports it knows no better.
WAYS_OUT = {
    "K0904": "compile it anew, for a static image",
    "K0905": "delete it and build it again",
    "K0909": "make it smaller: `kpyc symbols IMAGE` shows what is large",
    "K0910": "is the path right, and is there room?",
    "K0911": "define it in a module or in assembly, or remove what refers to it",
    "K0912": 'give code and data sections of their own, with flags "ax" and "aw" in assembly',
    "K0913": "build it again; if it comes back, this is a defect of kpyc: please report it",
    "K0915": "define the entry as a function, in a section that is executed",
    "K0916": "the header stands in boot/entry.py; it must come first in the image",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where it is seen, and what to write instead."""

    code: str
    message: str
    place: str = ""
    notes: tuple[str, ...] = ()
    help: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "help", self.help or WAYS_OUT.get(self.code, ""))

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
                self.problems.append(Problem(code, text, help="mend these first"))
        raise LinkError(self.problems)
