# SPDX-License-Identifier: BSD-3-Clause
"""Schedules by seed inside the booted kernel: they find what is planted, they repeat, and under
them tokens and messages hold."""
from __future__ import annotations

import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.build import ROOT, schedules_image
from toolchain.image import explore

FEW = "rounds=320"
HOLD = ["tokens_nest", "blocking_holder_lets_go", "writer_is_not_starved",
        "sharers_overlap_writers_do_not", "counts_are_exact", "messages_cross_cpus",
        "asynchronous_messages_come_back", "forwarded_messages_are_answered_by_another",
        "aborted_messages_are_answered_early", "several_threads_wait_at_a_spin_port",
        "serialize_ports_work_under_their_serializer"]


def counted(found):
    """What racy_count said: its count, what it should be, and the clock."""
    return tuple(map(int, re.search(r"(\d+) of (\d+) at tick (\d+)", found.said).groups()))


def test_without_pauses_the_race_does_not_show():
    found = explore.run(schedules_image(), "racy_count", None)
    assert found.status == 0, found.said
    count, wanted, _ = counted(found)
    assert count == wanted == 8000


def test_a_seed_shows_it_and_does_the_same_each_time():
    def run(seed):
        return explore.run(schedules_image(), "racy_count", seed)

    schedules_image()
    with ThreadPoolExecutor(3) as pool:         # more than there are processors: a busy host
        found = list(pool.map(run, [7, 7, 7, 8]))
    assert all("increments were lost" in one.said for one in found)
    assert found[0].said == found[1].said == found[2].said
    first, other = counted(found[0]), counted(found[3])
    assert first[0] < first[1] and first[2] != other[2]


def test_the_first_seed_that_fails_is_named_and_runs_again(capfd):
    status = explore.main(["racy_count", "--image", str(schedules_image()), "--seeds", "3",
                           "--first", "40", "--jobs", "1"])
    said = capfd.readouterr().out
    assert status == 1 and "racy_count fails with schedule=40 (status 70), after 0 that" in said
    again = shlex.split(said.rpartition("again:\n")[2])
    done = subprocess.run(again, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 70 and "increments were lost" in done.stderr
    assert done.stdout.splitlines()[0] == said.splitlines()[0]


@pytest.mark.parametrize("name", HOLD)
def test_tokens_and_messages_hold(name):
    for found in explore.runs(schedules_image(), name, range(1, 7, 3), append=FEW):
        assert found.status == 0, found.said


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", HOLD)
def test_tokens_and_messages_hold_under_more(name):
    for found in explore.runs(schedules_image(), name, range(100, 160), append=FEW):
        assert found.status == 0, found.said


@pytest.mark.long
def test_64_cpus_repeat():
    found = [explore.run(schedules_image(), "racy_count", 3, cpus=64, timeout=300,
                         append="rounds=64") for _ in range(2)]
    assert found[0].said == found[1].said and "at tick" in found[0].said
