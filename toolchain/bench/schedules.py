# SPDX-License-Identifier: BSD-3-Clause
"""How many schedules a second the simulator explores, on one core; the peer is our aim.

exclusive       two CPUs count under one token
blocked_holder  a token's holder sleeps and is woken: the scenario of about a hundred steps
"""
from __future__ import annotations

from toolchain import sim

AIM = 50_000
SCENARIOS = ("exclusive", "blocked_holder")
RUNS = 50_000
TURNS = 3
Row = dict[str, object]


def measure() -> list[Row]:
    """The best of some turns, by chance and by PCT."""
    found = sim.load("tests/sim/scenarios/tokens.py")
    rows: list[Row] = []
    for name in SCENARIOS:
        scenario = found[name]
        for policy, explore in (("random", scenario.random), ("pct", scenario.pct)):
            rate = max(explore(RUNS).rate for _ in range(TURNS))
            rows.append({"name": f"sim.{name}.{policy}", "value": round(rate),
                         "unit": "schedules/s", "peer": "aim", "peer_value": AIM,
                         "ratio": rate / AIM, "steps": scenario.steps()})
    return rows


def show(rows: list[Row]) -> None:
    for row in rows:
        print(f"{row['name']:<45}{row['value']:>9} a second, {row['steps']} steps each")
