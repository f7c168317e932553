# SPDX-License-Identifier: BSD-3-Clause
"""The simulator itself: it repeats, it finds what was planted, it says what it found."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.suite import scenarios
from toolchain import sim

PLANTED = sim.load(Path(__file__).resolve().parent / "planted" / "bugs.py")
UNORDERED = sim.load(Path(__file__).resolve().parent / "planted" / "unordered.py")
BUGS = {"lost_update": "_two", "lost_wakeup": "deadlock", "lock_order": "livelock",
        "never_set": "livelock"}


def caught(explore):
    with pytest.raises(sim.Failed) as found:
        explore()
    return found.value


@pytest.mark.parametrize(("name", "how"), [
    (name, how) for name in BUGS for how in ("random", "pct", "search", "reduced")
    if (name, how) != ("lost_wakeup", "reduced")])     # 10**6 schedules are not all of them
def test_a_planted_bug_is_found_and_found_again(name, how):
    scenario = PLANTED[name]
    explore = {"random": lambda: scenario.random(2000), "pct": lambda: scenario.pct(2000),
               "search": lambda: scenario.search(2),
               "reduced": lambda: scenario.search(1000, reduce=True)}[how]
    found = caught(explore)
    assert BUGS[name] in found.what
    again = caught(lambda: scenario.replay(found.seed))
    assert again.what == found.what
    assert again.story.steps == found.story.steps


def test_x1_a_seed_names_one_run():
    scenario = scenarios()["exclusive_many"]
    steps = [scenario.replay("random:0:0:20000:77").steps for _ in range(2)]
    scenario.random(500)                    # whatever ran meanwhile
    steps.append(scenario.replay("random:0:0:20000:77").steps)
    assert steps[0] == steps[1] == steps[2]
    assert steps[0] != scenario.replay("random:0:0:20000:78").steps


def test_x1_another_world_does_the_same():
    runs = [sim.load("tests/sim/scenarios/tokens.py")["exclusive"].replay("pct:2:30:20000:5").steps
            for _ in range(2)]
    assert runs[0] == runs[1]


def test_x4_a_spin_loop_ends_and_costs_few_steps():
    figures = PLANTED["waits_its_turn"].random(2000)
    assert figures.longest < 60
    assert PLANTED["waits_its_turn"].search(2).complete


def test_x9_what_is_a_cpus_own_is_guarded():
    found = caught(lambda: UNORDERED["own_unguarded"].random(1))
    assert "outside of a critical section" in found.what and "unordered.py:" in found.what


def test_x10_a_race_is_found_where_no_schedule_shows_it():
    scenario = UNORDERED["published_relaxed"]
    scenario.random(500)
    scenario.random(500, model="tso-")
    found = caught(lambda: scenario.random(1, model="race-"))
    assert "a race" in found.what and found.what.count("unordered.py:") == 2
    assert found.seed.startswith("race-random:")
    assert caught(lambda: scenario.replay(found.seed)).what.startswith("a race")
    UNORDERED["published"].random(500, model="race-")


def test_search_counts_every_schedule_once_and_fewer_when_reduced():
    scenario = scenarios()["exclusive"]
    by_bound = [scenario.search(bound) for bound in range(4)]
    assert all(found.complete for found in by_bound)
    counts = [found.schedules for found in by_bound]
    assert counts == sorted(counts) and counts[0] == 2
    full = PLANTED["only_reads"].search(1000, most=50_000)
    reduced = PLANTED["only_reads"].search(1000, reduce=True)
    assert reduced.complete
    assert reduced.schedules < full.schedules


def test_a_story_tells_places_and_who_waits():
    found = caught(lambda: PLANTED["lost_wakeup"].random(2000))
    text = str(found)
    assert "cpu 0 halts" in text and "sleeps on" in text and "flag" in text
    table = found.story.table()
    assert any("bugs.py" in row and "flag.store(1)" in row for row in table)
    assert any("cpu0" in row for row in table) and any("cpu1" in row for row in table)


def test_pct_is_fair_in_the_end():
    figures = scenarios()["masters_and_walker"].pct(500)
    assert figures.truncated == 0


@pytest.mark.parametrize("name", ["exclusive", "blocked_holder", "doorbell"])
def test_the_rate_is_not_absurd(name):
    """The target, 50,000 a second, is `make bench`'s to report: here only that nothing crawls."""
    assert scenarios()[name].random(5000).rate > 1000
