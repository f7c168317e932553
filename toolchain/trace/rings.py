# SPDX-License-Identifier: BSD-3-Clause
"""The trace rings of a stopped machine, as events in order of time.

    before   each CPU's ring as bytes, how many entries it was given, how many of them are unwanted
    after    [Event, ...] of all CPUs, by time; for each CPU how many were lost

Invariants
  R1  An entry whose sequence is not its place in the order is torn, and is left out.
  R2  Of one CPU, events with the same time keep the order in which they were written.
Tests   tests/toolchain/test_trace_rings.py
Source  kernel/lwkt/ktr.py
"""
from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from toolchain.trace.image import Struct

WORDS = ("time", "thread", "a", "b", "sequence")


@dataclass(frozen=True)
class Event:
    """One entry of a ring; `name` is the member of ktr.Event."""

    time: int           # ticks of the machine's clock
    cpu: int
    sequence: int
    name: str
    thread: int         # address of the thread that ran
    a: int
    b: int
    depth: int = 0      # of critical sections


@dataclass(frozen=True)
class Ring:
    """A CPU's ring as it lies in memory."""

    cpu: int
    data: bytes         # `size` entries
    size: int
    index: int          # entries written since boot
    cleared: int = 0    # of which these are not wanted


@dataclass(frozen=True)
class Loss:
    """What of a CPU's ring could not be had."""

    overwritten: int = 0
    torn: int = 0


def decode(ring: Ring, entry: Struct, names: Mapping[int, str]) -> tuple[list[Event], Loss]:
    """The events that `ring` still holds, in the order in which they were written."""
    oldest = max(ring.cleared, ring.index - ring.size)
    events, torn = [], 0
    for at in range(oldest + 1, ring.index + 1):
        base = (at & (ring.size - 1)) * entry.size
        words = {name: _word(ring.data, base + entry.offset[name]) for name in WORDS}
        number, depth = struct.unpack_from("<HH", ring.data, base + entry.offset["event"])
        if words["sequence"] != at:
            torn += 1
            continue
        events.append(Event(cpu=ring.cpu, name=names.get(number, f"{number:#06x}"),
                            depth=depth, **words))
    return events, Loss(oldest - ring.cleared, torn)


def merge(each: Iterable[list[Event]]) -> list[Event]:
    """The events of all CPUs, by time (R2)."""
    every = [event for events in each for event in events]
    return sorted(every, key=lambda event: (event.time, event.cpu, event.sequence))


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at:at + 8], "little")
