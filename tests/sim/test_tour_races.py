# SPDX-License-Identifier: BSD-3-Clause
"""docs/tours/races.md: each command prints what the tour shows, in a copy of the source that the
tour's change is made to."""
from __future__ import annotations

import re
import shutil

import pytest

from tests.harness import session, tour
from tests.harness.session import Command, Patch

RACES = tour.TOURS / "races.md"
FOLDERS = ("boot", "kernel", "toolchain", "scripts", "tests/sim", "tests/guest")


@pytest.fixture
def tree(tmp_path):
    """The source, to be changed; what was built of it is kept in common."""
    for folder in FOLDERS:
        shutil.copytree(tour.ROOT / folder, tmp_path / folder,
                        ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "build").mkdir()
    for name in ("cache", "host"):
        (tour.ROOT / "build" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "build" / name).symlink_to(tour.ROOT / "build" / name)
    (tmp_path / ".venv").symlink_to(tour.ROOT / ".venv")
    return tmp_path


def test_every_command_prints_what_the_tour_shows(tree):
    done = list(session.follow(RACES, tree))
    assert len(done) >= 6
    assert (tree / "build" / "replay" / "trace.png").is_file()


def test_the_tour_has_its_form():
    stops = [tour.STOP.match(line) for line in RACES.read_text().splitlines()]
    found = [stop for stop in stops if stop]
    assert [int(stop[1]) for stop in found] == list(range(1, len(found) + 1))
    assert not [stop[3] for stop in found if not tour.exists(stop[3])]


def test_its_change_is_one_of_the_planted_bug():
    steps = session.read(RACES)
    patch, = (step for step in steps if isinstance(step, Patch))
    assert patch.file == "tests/sim/planted/bugs.py" and len(patch.added) == 6
    assert sum(isinstance(step, Command) for step in steps) == 6


@pytest.mark.parametrize(("shown", "said", "holds"), [
    (["a", "b"], "a\nb\nc\n", True), (["b"], "a\nb\n", False), (["...", "b"], "a\nb\n", True),
    (["a", "...", "c"], "a\nb\nc", True), (["a...z"], "a to z", True), (["a"], "a to z", False),
    (["x"], "(gdb) (gdb) x\n", True), (["a", "c"], "a\nb\nc", False)])
def test_lines_are_compared(shown, said, holds):
    command = Command("x", [], shown)
    if holds:
        session.compare(command, said)
        return
    with pytest.raises(session.SessionError, match=re.escape("$ x")):
        session.compare(command, said)
