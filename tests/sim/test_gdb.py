# SPDX-License-Identifier: BSD-3-Clause
"""scripts/replay --gdb: the simulator's CPUs in gdb, at the step that was asked for."""
from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.sim.test_core import PLANTED, caught
from toolchain import sim


@pytest.fixture(scope="module")
def story():
    return caught(lambda: PLANTED["lost_wakeup"].replay(found_seed())).story


def found_seed():
    """A seed that fails, of the code as it is."""
    return caught(lambda: PLANTED["lost_wakeup"].random(2000)).seed


def gdb(*words, commands=()):
    """What gdb says: what is printed for each command begins a line with `(gdb) `."""
    assert shutil.which("gdb"), "gdb is not installed; scripts/setup installs it"
    done = subprocess.run(
        [sim.ROOT / "scripts" / "replay", "lost_wakeup", *words, "--gdb"], text=True, timeout=300,
        input="\n".join(["set width 0", "set style enabled off", *commands]),
        capture_output=True, check=False, cwd=sim.ROOT)
    return done.stdout


def vcpus(said):
    """(mark, CPU, state, file:line) of each line that `vcpus` printed."""
    return re.findall(r"([* ]) (\d)  (\w+), interrupts o\w+,.* at \w[\w.]* (\S+:\d+)", said)


def test_it_stops_at_the_last_step(story):
    last = len(story.steps) - 1
    said = gdb(story.seed, commands=["vcpus"])
    assert f"step {last}: CPU {story.steps[-1].cpu}, " in said
    assert re.search(r"^seed \S+: deadlock$", said, re.M)
    seen = vcpus(said)
    assert [cpu for _, cpu, _, _ in seen] == ["0", "1"]
    assert [int(cpu) for mark, cpu, _, _ in seen if mark == "*"] == [story.steps[-1].cpu]
    assert "halts" in [state for _, _, state, _ in seen]


def test_any_step_and_the_stack_of_any_cpu(story):
    at = next(n for n, step in enumerate(story.steps) if "flag.store(1)" in step.source)
    said = gdb(story.seed, "--step", str(at), commands=[
        "vcpus", "bt", "echo other\\n", "vcpu 0", "bt", "echo back\\n", "vcpu", "bt",
        "echo threads\\n", "lwkt threads", "vcpu 7"])
    assert f"step {at}: CPU 1, " in said and "bugs.py" in said
    before, rest = said.split("other\n")
    other, rest = rest.split("back\n")
    again, threads = rest.split("threads\n")
    frames = [re.findall(r"^(?:\(gdb\) )?#\d+ .* in (\S+) .*at (\S+):\d+$", part, re.M)
              for part in (before, other, again)]
    assert frames[0][-1][0] == frames[2][-1][0] == "thread_trampoline"
    assert frames[0] == frames[2] != frames[1]
    assert ("_wake", "tests/sim/planted/bugs.py") in frames[0]
    assert all(file.endswith(".py") for part in frames for _, file in part)
    assert frames[1][-1][0] in ("thread_trampoline", "_cpu")
    assert len(re.findall(r"0x[0-9a-f]{16}", threads)) == 4
    assert "there is no CPU `7`" not in said            # an error, so not on standard output


def test_one_step_after_the_other(story):
    said = gdb(story.seed, "--step", "2", commands=["vstep", "vstep 3", "continue"])
    stops = re.findall(r"step (\d+): CPU (\d), ", said)
    assert stops == [(str(n), str(story.steps[n].cpu)) for n in (2, 3, 6)]


def test_a_step_that_is_not_there_is_refused():
    done = subprocess.run([sim.ROOT / "scripts" / "replay", "lost_wakeup", found_seed(),
                           "--stop", "100000"], text=True, capture_output=True, check=False)
    assert done.returncode == 2 and "has no step 100000" in done.stderr
    done = subprocess.run([sim.ROOT / "scripts" / "replay", "lost_wakeup", "--gdb"], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 2 and "needs a seed" in done.stderr
