# SPDX-License-Identifier: BSD-3-Clause
"""The seeds that showed a bug of the nucleus, and the neighbourhood of each."""
from __future__ import annotations

import pytest

from tests.sim.found import FOUND
from tests.sim.suite import scenarios


@pytest.mark.parametrize(("name", "seed"), [found[:2] for found in FOUND])
def test_a_found_bug_stays_away(name, seed):
    scenario = scenarios()[name]
    scenario.replay(seed)
    scenario.random(20_000, seed=int(seed.rpartition(":")[2]))
    scenario.pct(20_000, depth=3)
