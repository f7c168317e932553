# SPDX-License-Identifier: BSD-3-Clause
"""Every scenario under schedules by chance and by PCT to depth 3.

RUNS says how many: what one test spends is seconds at most, and `make test-all` looks longer.
"""
from __future__ import annotations

import pytest

from tests.sim.suite import NAMES, scenarios

RUNS = 6_000
LONG = 1_000_000


def test_there_are_scenarios():
    assert len(NAMES) >= 30
    assert set(NAMES) == set(scenarios().names)
    for name in NAMES:
        assert scenarios()[name].doc, f"{name} does not say what it is about"


@pytest.mark.parametrize("name", NAMES)
def test_by_chance(name):
    figures = scenarios()[name].random(RUNS)
    assert figures.schedules == RUNS


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_by_pct(name, depth):
    figures = scenarios()[name].pct(RUNS // 2, depth)
    assert figures.schedules == RUNS // 2


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_for_long(name):
    scenario = scenarios()[name]
    scenario.random(LONG, seed=10 * RUNS)
    for depth in (3, 4, 5):
        scenario.pct(LONG // 2, depth, seed=10 * RUNS)
