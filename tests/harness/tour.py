# SPDX-License-Identifier: BSD-3-Clause
"""Tours of docs/tours that are checked against a trace: docs/tours/README.md has their form.

Invariants
  U1  An event is looked for after that of the stop before it, and so on: in order of time.
  U2  One that happens `meanwhile` is looked for after what came before on its CPU only, and the
      next one is not held to come after it.
Tests  tests/toolchain/test_tour_form.py, tests/qemu/test_tours.py
"""
from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from toolchain.image.qemu import Drive
from toolchain.trace.describe import Describer
from toolchain.trace.guest import Snapshot

ROOT = Path(__file__).resolve().parents[2]
TOURS = ROOT / "docs" / "tours"
STOP = re.compile(r"^## (\d+)\. (.+): `([\w.]+)`$")
RUN = re.compile(r"^    (scripts/trace .*)$")
MAKE = re.compile(r"^    (kpyc image build .*)$")
BREAK = re.compile(r"`break ([\w.]+)`")
EVENT = re.compile(r"^\*\*ktr\*\* `(\w+)` on CPU (\d+) in `([^`]+)`(?:: ([^;]*?))?(; meanwhile)?$")


class TourError(AssertionError):
    """The tour is not in its form, or the kernel does not do what it says."""


@dataclass(frozen=True)
class Expected:
    """An event that a stop names; `detail` is the beginning of what describe says of it."""

    event: str
    cpu: int
    thread: str
    detail: str
    meanwhile: bool

    def __str__(self) -> str:
        return f"{self.event} on CPU {self.cpu} in {self.thread}: {self.detail}".rstrip(": ")


@dataclass
class Stop:
    """One stop: a title, a symbol of the source, what the trace shows, what to break on."""

    number: int
    title: str
    symbol: str
    text: list[str] = field(default_factory=list)
    events: list[Expected] = field(default_factory=list)

    @property
    def breaks(self) -> list[str]:
        return BREAK.findall("\n".join(self.text))


@dataclass
class Tour:
    """A tour's file, taken apart."""

    workload: str
    cpus: int
    stops: list[Stop]
    disks: list[str] = field(default_factory=list)      # as scripts/trace has them
    make: list[str] = field(default_factory=list)       # the words that make the disk

    @staticmethod
    def read(path: Path) -> Tour:
        """TourError where the file is not in the form of a tour."""
        command, make, stops = "", "", []
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := STOP.match(line):
                stops.append(Stop(int(found[1]), found[2], found[3]))
            elif found := RUN.match(line):
                command = command or found[1]
            elif found := MAKE.match(line):
                make = make or found[1]
            elif stops:
                stops[-1].text.append(line)
                _add_event(path, stops[-1], line)
        if not command or [stop.number for stop in stops] != list(range(1, len(stops) + 1)):
            raise TourError(f"{path.name}: no `scripts/trace` line, or stops not numbered from 1")
        words = shlex.split(command)
        cpus = int(words[words.index("--cpus") + 1]) if "--cpus" in words else 4
        disks = [words[at + 1] for at, word in enumerate(words) if word == "--disk"]
        return Tour(next(word for word in words if word.startswith("test ")), cpus, stops, disks,
                    shlex.split(make))

    def drives(self, folder: Path) -> list[Drive]:
        """Its disks, made in `folder` as it says, each of them by the same command."""
        drives = []
        for text in self.disks:
            drive = Drive.parse(text)
            file = folder / drive.file.name
            words = [str(file) if word == str(drive.file) else word for word in self.make[1:]]
            subprocess.run([sys.executable, "-m", "toolchain", *words, "-q"], cwd=ROOT, check=True)
            drives.append(Drive(drive.bus, file, drive.serial))
        return drives


def _add_event(path: Path, stop: Stop, line: str) -> None:
    if line.startswith("**ktr**"):
        found = EVENT.match(line)
        if found is None:
            raise TourError(f"{path.name}, stop {stop.number}: not of the form: {line}")
        stop.events.append(Expected(found[1], int(found[2]), found[3], found[4] or "",
                                    found[5] is not None))


def follow(tour: Tour, snapshot: Snapshot) -> list[tuple[Expected, int]]:
    """Where in the events each expected one is (U1, U2); TourError names the first that is not."""
    describer = Describer(snapshot)
    seen = [(event, describer.detail(event), describer.thread(event.thread))
            for event in snapshot.events]
    after, after_on = -1, defaultdict(lambda: -1)
    found = []
    for stop in tour.stops:
        for want in stop.events:
            start = max(after_on[want.cpu], -1 if want.meanwhile else after) + 1
            at = next((at for at in range(start, len(seen)) if _is(want, *seen[at])), None)
            if at is None:
                raise TourError(f"stop {stop.number}, {stop.symbol}: after event {start - 1} there "
                                f"is no {want}")
            after_on[want.cpu] = at
            after = after if want.meanwhile else at
            found.append((want, at))
    return found


def _is(want: Expected, event: object, detail: str, thread: str) -> bool:
    return ((event.name, event.cpu, thread) == (want.event, want.cpu, want.thread)
            and detail.startswith(want.detail))


def exists(symbol: str) -> bool:
    """Whether our source has `symbol`: a module, and a name or a class and a name in it."""
    parts = symbol.split(".")
    for length in range(len(parts) - 1, 0, -1):
        place = ROOT.joinpath(*parts[:length])
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return _defines(ast.parse(file.read_text(encoding="utf-8")).body, parts[length:])
    return False


def _defines(body: list[ast.stmt], names: list[str]) -> bool:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) if name == names[0]:
                return len(names) == 1 or _defines(node.body, names[1:])
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                if names == [name]:
                    return True
    return False
