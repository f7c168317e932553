# SPDX-License-Identifier: BSD-3-Clause
"""Small scenarios under every schedule with so many preemptions, the number of schedules told."""
from __future__ import annotations

import pytest

from tests.sim.suite import NAMES, scenarios

MOST = 20_000               # schedules that one test may take
STEPS = 5_000_000           # ... where they are long
BOUNDS = range(4)


@pytest.mark.parametrize("name", NAMES)
def test_every_schedule(name, record_property, capsys):
    """As many preemptions as MOST allows, 3 at most."""
    scenario = scenarios()[name]
    trial = scenario.search(0, most=MOST // 100)
    most = min(MOST, max(MOST // 50, STEPS * trial.schedules // trial.steps))
    told = []
    for bound in BOUNDS:
        found = scenario.search(bound, most=most)
        if not found.complete:
            break
        told.append(f"{bound}: {found.schedules}")
    # Where threads spin for one another, or timers tick, there is no end of schedules.
    assert told or found.truncated or found.schedules == most
    record_property("schedules", ", ".join(told))
    with capsys.disabled():
        print(f"\n{name}: schedules by preemptions {', '.join(told)}", end="")
