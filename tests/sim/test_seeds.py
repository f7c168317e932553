# SPDX-License-Identifier: BSD-3-Clause
"""The seeds that showed a bug of the nucleus, and the neighbourhood of each."""
from __future__ import annotations

import pytest

from tests.sim.found import FOUND
from tests.sim.suite import affordable, scenarios


@pytest.mark.parametrize(("name", "seed"), [found[:2] for found in FOUND])
def test_a_found_bug_stays_away(name, seed):
    scenario = scenarios()[name]
    scenario.replay(seed)
    model, runs = seed[:seed.rfind("-") + 1], affordable(name, 20_000, 2_000_000)
    scenario.random(runs, seed=int(seed.rpartition(":")[2]), model=model)
    scenario.pct(runs, depth=3, model=model)
