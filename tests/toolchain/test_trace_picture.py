# SPDX-License-Identifier: BSD-3-Clause
"""The picture: which part is shown, and that it can be drawn whatever there is."""
from __future__ import annotations

import struct

import pytest

from tests.toolchain.trace_events import ANN, BOB, IDLE, Run, conversation
from toolchain.trace import model, picture


def size(path) -> tuple[int, int]:
    """Width and height of a PNG, from its header."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


def lonely(until: int) -> Run:
    """CPU 0 idles, and talks to CPU 1 once, at 50,000 µs."""
    run = Run()
    run(0, 0, IDLE[0], "IDLE_HALT")
    run(0, 1, IDLE[1], "IDLE_HALT")
    run(50_000, 0, IDLE[0], "SWITCH", ANN)
    run(50_010, 0, ANN, "MSG_SEND", 0x900, BOB)
    run(50_020, 1, IDLE[1], "SWITCH", BOB)
    run(50_030, 1, BOB, "MSG_GET", 0x900, BOB)
    run(50_040, 0, ANN, "SWITCH", IDLE[0])
    run(50_050, 1, BOB, "SWITCH", IDLE[1])
    run(until, 0, IDLE[0], "MARK")
    return run


def test_window_is_where_something_happens():
    timeline = model.build(lonely(200_000).snapshot())
    start, end = picture.window(timeline)
    assert start <= 50_010_000 and end >= 50_030_000 and end - start <= 1_000_000


def test_short_run_without_gaps_is_shown_whole():
    timeline = model.build(conversation().snapshot())
    assert picture.window(timeline) == (0, timeline.end)


@pytest.mark.parametrize("run", [conversation(), lonely(60_000), Run()],
                         ids=["conversation", "lonely", "empty"])
def test_picture_is_as_wide_as_a_slide(run, tmp_path):
    to = tmp_path / "trace.png"
    picture.draw(model.build(run.snapshot()), to, "a title")
    width, height = size(to)
    assert width == picture.INCHES[0] * picture.DPI
    assert 300 < height <= picture.INCHES[1] * picture.DPI


def test_part_can_be_chosen(tmp_path):
    timeline = model.build(conversation().snapshot())
    assert picture.draw(timeline, tmp_path / "a.png", "", 2000, 9000) == (2000, 9000)
