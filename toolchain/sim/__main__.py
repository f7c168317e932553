# SPDX-License-Identifier: BSD-3-Clause
"""scripts/replay SCENARIO SEED: that run as a table, a column a CPU, a row a step.

Also as a Perfetto trace and a picture, in build/replay.  Ends with 1 if the run fails, as it did
when the seed was found.  Without a seed: explores, and tells what it found in the same way.

With --gdb the simulator runs under gdb, and stops at the last step, or at --step N: toolchain/gdb/
simulator.py has the commands for its CPUs.

Tests     tests/sim/test_story.py, tests/sim/test_gdb.py
"""
from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from toolchain import sim
from toolchain.sim.story import Story

RUNS = 100_000
LAST = "last"
OUT = sim.ROOT / "build" / "replay"
GDB = sim.ROOT / "toolchain" / "gdb"


def main() -> int:
    """The command."""
    flags = _parser().parse_args()
    if flags.gdb:
        return _under_gdb(flags)
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
            return 0
        story = scenario.replay(flags.seed)
        status = 0
    except sim.Failed as failed:
        story, status = failed.story, 1
    if flags.stop is not None:
        return _stop(scenario, story, flags.stop)
    print("\n".join(story.table()))
    if status:
        print("\n".join(story.state))
        print(f"seed {story.seed}: {story.what}")
    _write(story, flags)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/replay", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("scenario", nargs="?", help="a function of tests/sim/scenarios")
    add("seed", nargs="?", help="as a failure names it; none: explore")
    add("--from", dest="start", type=int, metavar="STEP", help="where the picture begins")
    add("--to", dest="end", type=int, metavar="STEP", help="where the picture ends")
    add("--out", type=Path, default=OUT, metavar="FOLDER",
        help="where to write them (build/replay)")
    add("--gdb", action="store_true", help="gdb on the simulator, stopped at the last step")
    add("--step", default=LAST, metavar="STEP",
        help="with --gdb: stopped at this step of the table, a number or a part of its line")
    add("--stop", metavar="STEP", help=argparse.SUPPRESS)       # what --gdb starts
    return parser


def _write(story: Story, flags: argparse.Namespace) -> None:
    """Trace and picture; say where they are."""
    from toolchain.sim import timeline  # noqa: PLC0415  (matplotlib takes its time)
    trace, png = (os.path.relpath(file) for file in timeline.write(
        story, f"{flags.scenario}, {story.seed}: {story.what}", flags.out, flags.start, flags.end))
    print(f"  {trace}  open it at https://ui.perfetto.dev; it stays on your machine")
    print(f"  {png}  another part: --from STEP --to STEP")


def _under_gdb(flags: argparse.Namespace) -> int:
    """Become gdb, with this program in it."""
    if flags.seed is None:
        print("replay: --gdb needs a seed; without --gdb one is looked for", file=sys.stderr)
        return 2
    os.execvp("gdb", ["gdb", "-q", "-x", str(GDB / "helpers.py"), "-x", str(GDB / "simulator.py"),
                      "-ex", "run", "--args", sys.executable, "-m", "toolchain.sim",
                      flags.scenario, flags.seed, f"--stop={flags.step}"])


def _stop(scenario: sim.Scenario, story: Story, step: str) -> int:
    """The run once more, coming by sim_stopped() at a step."""
    last = len(story.steps) - 1
    if step == LAST:
        found = last
    elif step.isdigit():
        found = int(step)
    else:
        found = next((n for n, row in enumerate(story.table()) if step in row), last + 1)
    if found > last:
        print(f"replay: the run has no step {step}; its last is {last}", file=sys.stderr)
        return 2
    scenario.world.stop_at(found + 1)
    print(f"seed {story.seed}: {story.what}", flush=True)
    try:
        scenario.replay(story.seed)
    except sim.Failed:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
