# SPDX-License-Identifier: BSD-3-Clause
"""Tours of docs/tours that name events: the kernel does what they say, gdb knows their names."""
from __future__ import annotations

import pytest

from tests.harness import Gdb, tour
from tests.harness.build import suite_image
from toolchain.trace import guest, model

NAMES = ["token", "message", "read", "hammer2-lookup"]
ATTEMPTS = 3        # where the host decides when a disk answers, or a CPU goes on
QUIET = {"read": [("0x1", "EXIT")], "hammer2-lookup": [("0x1", "0x2"), ("0x3", "0x4")]}
SLOW = {"BUF_MISS", "BIO_START", "NAME_MISS", "XOP_BEGIN", "CHAIN_LOAD", "MSG_SEND", "SLEEP"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Of each tour: itself, a run that it describes, and where in that its events are."""
    known = {}

    def run(name: str) -> tuple[tour.Tour, guest.Snapshot, list]:
        if name not in known:
            known[name] = _run(name, tmp_path_factory.mktemp(name))
        return known[name]

    return run


def _run(name, folder):
    read = tour.Tour.read(tour.TOURS / f"{name}.md")
    drives = read.drives(folder)
    for left in reversed(range(ATTEMPTS)):
        snapshot = guest.record(suite_image(), read.workload, cpus=read.cpus, disks=drives)
        try:
            return read, snapshot, tour.follow(read, snapshot)
        except tour.TourError:
            if left == 0:
                raise
    raise AssertionError


@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_does_what_the_tour_says(name, runs):
    read, _, found = runs(name)
    assert len(found) >= len(read.stops)


@pytest.mark.parametrize("name", QUIET)
def test_what_is_in_memory_is_found_without_doing_anything_slow(name, runs):
    _, snapshot, found = runs(name)
    places = {want.detail if want.event == "MARK" else want.event: at for want, at in found}
    for first, last in QUIET[name]:
        between = snapshot.events[places[first]:places[last]]
        assert not SLOW & {event.name for event in between}


@pytest.mark.parametrize("name", ["read", "hammer2-lookup"])
def test_each_disk_request_of_the_tour_has_a_span(name, runs):
    _, snapshot, _ = runs(name)
    requests = model.build(snapshot).requests
    started = [event for event in snapshot.events if event.name == "BIO_START"]
    assert len(requests) == len(started) > 2
    assert all(r.disk == "nvme0" and r.error == 0 and r.start < r.end for r in requests)


@pytest.mark.parametrize("name", NAMES)
def test_gdb_knows_the_functions_of_the_tour(name):
    stops = tour.Tour.read(tour.TOURS / f"{name}.md").stops
    wanted = [function for stop in stops for function in stop.breaks]
    said = Gdb(suite_image("-O", "0")).batch(*[f"break {function}" for function in wanted])
    assert said.count("Breakpoint ") >= len(wanted) > 5
    assert "not defined" not in said
