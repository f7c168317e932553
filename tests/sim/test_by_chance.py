# SPDX-License-Identifier: BSD-3-Clause
"""Every scenario under schedules by chance and by PCT to depth 3.

RUNS and STEPS say how many: what one test spends is seconds at most, and `make test-all` looks
longer.
"""
from __future__ import annotations

import pytest

from tests.sim.suite import NAMES, affordable, scenarios

RUNS = 6_000
RACES = 400
STEPS = 2_000_000           # of one test, where schedules are long
LONG = 400_000              # schedules, in make test-all
LONG_STEPS = 30_000_000     # about so many, where schedules are long


def test_there_are_scenarios():
    assert len(NAMES) >= 30
    assert set(NAMES) == set(scenarios().names)
    for name in NAMES:
        assert scenarios()[name].doc, f"{name} does not say what it is about"


@pytest.mark.parametrize("name", NAMES)
def test_by_chance(name):
    runs = affordable(name, RUNS, STEPS)
    assert scenarios()[name].random(runs).schedules == runs


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_by_pct(name, depth):
    runs = affordable(name, RUNS // 2, STEPS // 2)
    assert scenarios()[name].pct(runs, depth).schedules == runs


@pytest.mark.parametrize("name", NAMES)
def test_no_two_accesses_race(name):
    """X10 of core.c; few schedules show it, as the order of what happened does not matter."""
    runs = affordable(name, RACES, STEPS // 10)
    scenarios()[name].random(runs, model="race-")
    scenarios()[name].pct(runs, model="race-")


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_for_long(name):
    scenario = scenarios()[name]
    runs = affordable(name, LONG, LONG_STEPS)
    scenario.random(runs, seed=10 * RUNS)
    for depth in (3, 4, 5):
        scenario.pct(runs // 2, depth, seed=10 * RUNS)
