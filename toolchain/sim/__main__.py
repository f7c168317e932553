# SPDX-License-Identifier: BSD-3-Clause
"""scripts/replay SCENARIO SEED: that run as a table, a column a CPU, a row a step.

Ends with 1 if the run fails, as it did when the seed was found.  Without a seed: explores.
"""
from __future__ import annotations

import argparse
import sys

from toolchain import sim

RUNS = 100_000


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="scripts/replay", description=__doc__.splitlines()[0])
    parser.add_argument("scenario", nargs="?", help="a function of tests/sim/scenarios")
    parser.add_argument("seed", nargs="?", help="as a failure names it; none: explore")
    flags = parser.parse_args()
    folder = sim.ROOT / "tests" / "sim"
    found = sim.load(*sorted(folder.glob("scenarios/*.py")), *sorted(folder.glob("planted/*.py")))
    if flags.scenario not in found.names:
        print("scenarios:", " ".join(sorted(found.names)))
        return 2
    scenario = found[flags.scenario]
    try:
        if flags.seed is None:
            for figures in (scenario.random(RUNS), scenario.pct(RUNS)):
                print(f"{figures.schedules} schedules, {figures.rate:.0f} a second, "
                      f"{figures.steps / figures.schedules:.0f} steps each, nothing found")
        else:
            print("\n".join(scenario.replay(flags.seed).table()))
    except sim.Failed as failed:
        print("\n".join([*failed.story.table(), *failed.story.state]))
        print(f"seed {failed.seed}: {failed.what}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
