# SPDX-License-Identifier: BSD-3-Clause
"""Tours that are checked against a trace: their form, their symbols, and how they are followed."""
from __future__ import annotations

import re

import pytest

from tests.harness import tour
from tests.harness.tour import Expected, Stop, Tour, TourError
from tests.toolchain.trace_events import conversation

CHECKED = ["token", "message", "read", "hammer2-lookup"]
EVENTS = re.compile(r"^    ([A-Z_]+) = 0x", re.MULTILINE)


@pytest.fixture(params=CHECKED)
def read(request):
    return Tour.read(tour.TOURS / f"{request.param}.md")


def test_tour_has_ten_to_twenty_stops_each_with_its_words(read):
    assert 10 <= len(read.stops) <= 20
    for stop in read.stops:
        words = "\n".join(line for line in stop.text if not line.startswith("**ktr**"))
        paragraph = words.strip().split("\n\n")[0].replace("\n", " ")
        sentences = re.findall(r"[.:!?](?= [A-Z`_]|$)", paragraph)
        assert 3 <= len(sentences) <= 5, (stop.number, len(sentences))


def test_every_symbol_of_a_tour_exists(read):
    missing = [stop.symbol for stop in read.stops if not tour.exists(stop.symbol)]
    assert not missing


def test_most_stops_can_be_watched(read):
    assert sum(bool(stop.events or stop.breaks) for stop in read.stops) >= len(read.stops) - 2


def test_events_of_a_tour_are_those_of_the_kernel(read):
    known = set(EVENTS.findall((tour.ROOT / "kernel" / "lwkt" / "ktr.py").read_text()))
    assert {want.event for stop in read.stops for want in stop.events} <= known


def made(*wanted: Expected) -> Tour:
    return Tour("test x", 2, [Stop(1, "title", "symbol", [], list(wanted))])


def test_events_are_found_in_order():
    found = tour.follow(made(
        Expected("MSG_SEND", 0, "ann", "port of bob", False),
        Expected("MSG_GET", 1, "bob", "port of bob", False),
        Expected("TOKEN_RELEASE", 0, "ann", "tok, alone by ann", False)), conversation().snapshot())
    assert [at for _, at in found] == sorted(at for _, at in found)


@pytest.mark.parametrize("wrong", [
    Expected("MSG_SEND", 1, "ann", "", False), Expected("MSG_SEND", 0, "bob", "", False),
    Expected("MSG_SEND", 0, "ann", "port of eve", False), Expected("ALLOC", 0, "ann", "", False)])
def test_event_that_does_not_happen_fails_the_tour(wrong):
    with pytest.raises(TourError, match="stop 1, symbol: .* there is no " + wrong.event):
        tour.follow(made(wrong), conversation().snapshot())


def test_order_matters_but_for_what_happens_meanwhile():
    early = Expected("MSG_SEND", 0, "ann", "", False)
    late = Expected("MSG_GET", 1, "bob", "", False)
    with pytest.raises(TourError):
        tour.follow(made(late, early), conversation().snapshot())
    tour.follow(made(late, Expected("MSG_SEND", 0, "ann", "", True)), conversation().snapshot())


def test_line_that_is_not_of_the_form_is_refused(tmp_path):
    file = tmp_path / "bad.md"
    file.write_text('    scripts/trace --cpus 2 "test x"\n## 1. T: `a.b`\n**ktr** `X` somewhere\n')
    with pytest.raises(TourError, match="stop 1: not of the form"):
        Tour.read(file)
