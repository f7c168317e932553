# SPDX-License-Identifier: BSD-3-Clause
"""Small scenarios under every schedule with so many preemptions, the number of schedules told."""
from __future__ import annotations

import pytest

from tests.sim.suite import NAMES, scenarios

MOST = 20_000               # schedules that one test may take
BOUNDS = range(4)


@pytest.mark.parametrize("name", NAMES)
def test_every_schedule(name, record_property, capsys):
    """As many preemptions as MOST allows, 3 at most."""
    scenario = scenarios()[name]
    told = []
    for bound in BOUNDS:
        found = scenario.search(bound, most=MOST)
        if not found.complete:
            break
        told.append(f"{bound}: {found.schedules}")
    # Where threads spin for one another there is no end of schedules: those are cut off.
    assert told or found.truncated
    record_property("schedules", ", ".join(told))
    with capsys.disabled():
        print(f"\n{name}: schedules by preemptions {', '.join(told)}", end="")
