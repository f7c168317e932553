# SPDX-License-Identifier: BSD-3-Clause
"""Rings as bytes: what is wrapped, torn or cleared, and the order of what is left."""
from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from toolchain.trace.image import Struct
from toolchain.trace.rings import Event, Loss, Ring, decode, merge

ENTRY = Struct(48, {"time": 0, "thread": 8, "a": 16, "b": 24, "sequence": 32, "event": 40,
                    "depth": 42})
NAMES = {0x101: "SWITCH", 0x301: "IPI_SEND"}


def entry(time: int, sequence: int, number: int = 0x101, a: int = 0, b: int = 0) -> bytes:
    return struct.pack("<5Q2HI", time, 0x1000, a, b, sequence, number, 3, 0)


def ring(size: int, written: int, cleared: int = 0, torn: int = 0) -> Ring:
    """A ring after `written` entries; the one numbered `torn` is half written."""
    slots = [entry(0, 0)] * size
    for at in range(1, written + 1):
        slots[at & (size - 1)] = entry(100 * at, 0 if at == torn else at, a=at)
    return Ring(2, b"".join(slots), size, written, cleared)


def test_entries_come_in_the_order_in_which_they_were_written():
    events, loss = decode(ring(8, 5), ENTRY, NAMES)
    assert [event.a for event in events] == [1, 2, 3, 4, 5] and loss == Loss(0, 0)
    assert events[0] == Event(time=100, cpu=2, sequence=1, name="SWITCH", thread=0x1000, a=1, b=0,
                              depth=3)


def test_wrapped_ring_has_its_last_entries_and_says_how_many_are_lost():
    events, loss = decode(ring(8, 21), ENTRY, NAMES)
    assert [event.sequence for event in events] == list(range(14, 22))
    assert loss == Loss(overwritten=13)


def test_torn_entry_is_left_out():
    events, loss = decode(ring(8, 5, torn=5), ENTRY, NAMES)
    assert [event.sequence for event in events] == [1, 2, 3, 4] and loss == Loss(torn=1)


def test_entry_of_an_earlier_round_in_a_slot_being_taken_is_torn():
    old = ring(8, 12)
    events, loss = decode(Ring(2, old.data, 8, 13), ENTRY, NAMES)      # 13 taken, 5 still there
    assert [event.sequence for event in events] == list(range(6, 13)) and loss.torn == 1


def test_cleared_entries_are_neither_events_nor_lost():
    events, loss = decode(ring(8, 21, cleared=18), ENTRY, NAMES)
    assert [event.sequence for event in events] == [19, 20, 21] and loss == Loss(0, 0)


def test_event_that_the_image_does_not_name_keeps_its_number():
    data = b"".join([entry(0, 0), entry(1, 1, number=0x777)])
    events, _ = decode(Ring(0, data, 2, 1), ENTRY, NAMES)
    assert events[0].name == "0x0777"


@given(st.lists(st.lists(st.integers(0, 50), max_size=10), max_size=4))
def test_merged_by_time_and_of_one_cpu_by_sequence(times):
    each = [[Event(time, cpu, at, "MARK", 0, 0, 0) for at, time in enumerate(sorted(row))]
            for cpu, row in enumerate(times)]
    merged = merge(each)
    assert [event.time for event in merged] == sorted(time for row in times for time in row)
    for cpu, row in enumerate(each):
        assert [event for event in merged if event.cpu == cpu] == row
