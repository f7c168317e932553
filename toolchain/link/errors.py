# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong in a link, each with a number, a place and a way out.

A link collects every problem it can before it gives up, so that one run shows them all.

Invariants
  E1  A problem's code is a key of CODES.
  E2  Bad input, whatever its bytes, ends in LinkError: never in another exception.
Tests  tests/toolchain/test_link_errors.py, tests/toolchain/test_link_hostile.py
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

CODES = {
    "K0901": "A name is used, and no object defines it.",
    "K0902": "A name has two strong definitions.  Exactly one object may define it.",
    "K0903": "A relocation's value does not fit the field it is to be written to.",
    "K0904": "An object asks for a relocation this linker does not do.",
    "K0905": "A file is no x86-64 ELF object, or is damaged.",
    "K0906": "A section that is to be loaded has no place in the layout.",
    "K0907": "The entry symbol is not defined.",
    "K0908": "An object uses a feature of ELF that has no meaning in a static image.",
    "K0909": "The image does not fit: an address or a size is out of the layout's range.",
    "K0910": "A file cannot be read or written.",
    "K0911": "The finished image refers to a symbol it does not define.",
    "K0912": "A segment of the finished image is both writable and executable.",
    "K0913": "Sections of the finished image overlap, or lie outside their segment.",
    "K0914": "A function of the finished image has no debug information.",
    "K0915": "The finished image's entry point is not in executable memory.",
    "K0916": "The finished image has no usable multiboot header in its first 8 KiB.",
}


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
