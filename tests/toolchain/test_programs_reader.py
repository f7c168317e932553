# SPDX-License-Identifier: BSD-3-Clause
"""Programs of a few hundred lines, written by someone who had read only docs/kpy.md."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolchain.test_driver import kpyc
from toolchain.driver import check_files

FOLDER = Path(__file__).parent / "programs_reader"
CALLS = {("runqueue", "schedule", "20"): "66493541118362649",
         ("lru", "script", "100"): "19",
         ("uart", "control_after_open", "9600"): "786555"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda p: p.stem)
def test_is_accepted(path):
    _, diagnostics = check_files([path])
    assert [d.render() for d in diagnostics if d.severity == "error"] == []


@pytest.mark.parametrize("mode", [[], ["--release"]], ids=["dev", "release"])
@pytest.mark.parametrize("call", CALLS, ids=lambda c: c[0])
def test_gives_the_result_worked_out_by_hand(call, mode):
    name, function, argument = call
    done = kpyc("run", *mode, FOLDER / f"{name}.py", function, argument)
    assert done.stdout.splitlines()[-1] == CALLS[call], done.stderr
