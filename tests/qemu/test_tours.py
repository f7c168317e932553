# SPDX-License-Identifier: BSD-3-Clause
"""docs/tours/token.md and message.md: the kernel does what they say, and gdb knows their names."""
from __future__ import annotations

import pytest

from tests.harness import Gdb, tour
from tests.harness.build import suite_image
from toolchain.trace import guest


@pytest.mark.parametrize("name", ["token", "message"])
def test_the_kernel_does_what_the_tour_says(name):
    read = tour.Tour.read(tour.TOURS / f"{name}.md")
    snapshot = guest.record(suite_image(), read.workload, cpus=read.cpus)
    found = tour.follow(read, snapshot)
    assert len(found) >= len(read.stops)


@pytest.mark.parametrize("name", ["token", "message"])
def test_gdb_knows_the_functions_of_the_tour(name):
    stops = tour.Tour.read(tour.TOURS / f"{name}.md").stops
    wanted = [function for stop in stops for function in stop.breaks]
    said = Gdb(suite_image("-O", "0")).batch(*[f"break {function}" for function in wanted])
    assert said.count("Breakpoint ") >= len(wanted) > 5
    assert "not defined" not in said
