# SPDX-License-Identifier: BSD-3-Clause
"""All scenarios, in one build for all tests of this folder."""
from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from toolchain import sim

FOLDER = Path(__file__).resolve().parent / "scenarios"
FILES = sorted(FOLDER.glob("*.py"))
NAMES = [name for path in FILES
         for name in re.findall(r"^def ([a-z]\w*)\(\) -> None:", path.read_text(), re.M)]


@cache
def scenarios() -> dict[str, sim.Scenario]:
    """By name; each is booted when it is first asked for."""
    return sim.load(*FILES)


def affordable(name: str, most: int, steps: int) -> int:
    """How many schedules: `most`, or fewer where they are long, to spend about so many steps."""
    return min(most, max(most // 10, steps // scenarios()[name].steps()))
