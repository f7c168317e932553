# SPDX-License-Identifier: BSD-3-Clause
"""python -m tests.sim.hunt [WORD...]: look for a scenario that kills each mutant, for mutants.py.

Prints a line of the table for each that is killed, the cheapest killer found, and the names of
those that survive.  With words: only mutants whose names contain one of them.
"""
from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable
from typing import Any

from tests.sim import mutants
from tests.sim.suite import NAMES
from toolchain.lower.mutate import number_of

POLICIES = ("race-random", "race-pct", "random", "pct", "tso-random")
ROUNDS = (40, 1000, 10_000)
SECONDS = 4                    # for one mutant


def attempt(name: str, places: Iterable[str], policies: Iterable[str], rounds: Iterable[int],
            scenarios: dict[str, Any], seconds: int = 120) -> list[Any] | None:
    """[scenario, policy, schedules] of a killer, found by a child, as a mutant may do harm."""
    for place in places:
        scenarios[place].steps()            # booted here, once, not in each child
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        for runs in rounds:
            for place in places:
                for policy in policies:
                    after = scenarios[place].killed_after(number_of(name), policy, runs)
                    if after is not None:
                        os.write(writing, json.dumps([place, policy, after]).encode())
                        os._exit(0)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


def main(words: list[str]) -> None:
    """The command."""
    names = [name for name in mutants.names() if not words or any(w in name for w in words)]
    scenarios = mutants.scenarios()
    met = {name: scenarios[name].comes_by(map(number_of, names)) for name in NAMES}
    for name in NAMES:
        scenarios[name].steps()
    for name in names:
        places = sorted((place for place in NAMES if number_of(name) in met[place]),
                        key=lambda place: scenarios[place].length)
        found = attempt(name, places, POLICIES, ROUNDS, scenarios, SECONDS)
        print(f'    "{name}": {tuple(found)!r},' if found else
              f"# {name} {'survives' if places else 'is met by nobody'}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
