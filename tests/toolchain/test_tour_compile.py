# SPDX-License-Identifier: BSD-3-Clause
"""docs/tours/compile.md: its commands print what it says, its symbols exist.

`python -m tests.toolchain.test_tour_compile` writes what they print now, for review.
"""
from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOUR = ROOT / "docs" / "tours" / "compile.md"
BLOCK = re.compile(r"^```console\n\$ (.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def prepare(folder: Path) -> None:
    """The program of the tour, and `kpyc` and `python3` that are ours."""
    program = PROGRAM.search(TOUR.read_text(encoding="utf-8"))
    assert program is not None
    (folder / "count.py").write_text(program[1], encoding="utf-8")
    tools = folder / "tools"
    tools.mkdir()
    for name, arguments in (("kpyc", "-m toolchain"), ("python3", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (tools / name).chmod(0o755)


def output(command: str, folder: Path) -> str:
    """What `command` prints, without what differs between machines."""
    path = f"{folder / 'tools'}:{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command, shell=True, cwd=folder, text=True, timeout=120, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "DEBUGINFOD_URLS": ""})
    lines = [line.rstrip() for line in done.stdout.splitlines()
             if not line.startswith(("warning: Error disabling address space", "[Inferior"))]
    return "\n".join(lines).strip("\n") + "\n" * bool(lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("tour")
    prepare(made)
    output("kpyc build --quiet --target user -o count.elf count.py", made)
    return made


BLOCKS = BLOCK.findall(TOUR.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("command", "expected"), BLOCKS, ids=[c.split(";")[0] for c, _ in BLOCKS])
def test_a_stop_shows_what_the_tour_says(command, expected, folder):
    if shutil.which(command.split()[0]) is None and command.startswith("gdb"):
        pytest.fail("gdb is not installed: run scripts/setup")
    assert output(command, folder) == expected, (
        "if this is meant: python -m tests.toolchain.test_tour_compile, and review the tour")


def test_every_symbol_of_the_tour_exists():
    names = re.findall(r"`(toolchain\.[\w.]+)`", TOUR.read_text(encoding="utf-8"))
    assert len(names) >= 9
    for name in names:
        head, _, last = name.rpartition(".")
        if importlib.util.find_spec(head) is None or not hasattr(
                importlib.import_module(head), last):
            importlib.import_module(name)


def bless() -> None:
    """Write what each command prints into the tour."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        text = TOUR.read_text(encoding="utf-8")
        TOUR.write_text(BLOCK.sub(
            lambda m: f"```console\n$ {m[1]}\n{output(m[1], folder)}```", text), encoding="utf-8")


if __name__ == "__main__":
    bless()
