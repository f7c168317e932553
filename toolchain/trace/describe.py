# SPDX-License-Identifier: BSD-3-Clause
"""Events in words: for `scripts/trace --list`, and for the tours, whose stops name events.

Tests  tests/toolchain/test_trace_model.py, tests/qemu/test_tours.py
"""
from __future__ import annotations

from collections.abc import Iterator

from toolchain.trace.guest import Snapshot
from toolchain.trace.model import LAPSED, LOW, MODE_BITS, NS, short, thread_names
from toolchain.trace.rings import Event

EXCLUSIVE = 1               # token.EXCLUSIVE


class Describer:
    """Knows the names of a run; takes its events in order, for an address may be used again."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._names = thread_names(snapshot)
        self._made: dict[int, int] = {}
        self._disks: dict[int, str] = {}        # by request

    def thread(self, address: int) -> str:
        """The name of the thread that has this address now."""
        name = self._names.get((address, self._made.get(address, 0)))
        return name or f"{address:#x}"

    def detail(self, event: Event) -> str:
        """What the values of `event` say."""
        if event.name == "CREATE":
            self._made[event.a] = self._made.get(event.a, 0) + 1
        match event.name:
            case "SWITCH":
                return f"to {self.thread(event.a)}"
            case "PREEMPT":
                return f"by {self.thread(event.a)}"
            case "SCHEDULE" | "CREATE":
                return self.thread(event.a)
            case "EXIT" | "IDLE_HALT" | "IDLE_WAKE":
                return ""
            case "MIGRATE":
                return f"{self.thread(event.a)} to CPU {event.b}"
            case "TOKEN_GET" | "TOKEN_RELEASE":
                return self._token(event)
            case "TOKEN_WAIT" | "TOKEN_SPIN":
                return self._snapshot.tokens.get(event.a, "")
            case "TOKEN_DROP":
                return f"{event.a} tokens"
            case "TOKEN_REGAIN":
                return f"{event.a} tokens for {self.thread(event.b)}"
            case "IPI_SEND" | "IPI_RECEIVE":
                way = "to" if event.name == "IPI_SEND" else "from"
                function = self._snapshot.functions.get(event.b, f"{event.b:#x}")
                return f"{way} CPU {event.a & LOW}, {function}"
            case "SLEEP":
                return self._snapshot.texts.get(event.b, "")
            case "INTR" | "INTR_THREAD" | "LIVELOCK":
                return f"vector {event.a}"
            case "TIMER" | "DOORBELL":
                return "deferred" if event.b else ""
            case "BUF_MISS":
                return f"{event.b} bytes at {event.a:#x}"
            case "BUF_DONE":
                return f"at {event.a:#x}{_error(event.b)}"
            case "BIO_START":
                self._disks[event.a] = short(event.b)
                return short(event.b)
            case "BIO_DONE":
                return f"{self._disks.get(event.a, '')}{_error(event.b)}"
            case "NAME_MISS":
                return short(event.a)
            case "NAME_RESOLVED":
                return f"{short(event.a)}, {'a file' if event.b else 'nothing'}"
            case "XOP_BEGIN":
                what = self._snapshot.texts.get(event.a, "")
                return f"{what} of inode {event.b}" if event.b else what
            case "XOP_END":
                return _error(event.a).removeprefix(", ")
            case "CHAIN_LOAD" | "BLOCK_READ":
                return f"at {event.a:#x}, key {event.b:#x}"
        if event.name.startswith("MSG_"):
            owner = self._snapshot.ports.get(event.b)
            return f"port of {self.thread(owner)}" if owner is not None else f"port {event.b:#x}"
        return f"{event.a:#x} {event.b:#x}"

    def _token(self, event: Event) -> str:
        how = "alone" if event.b & EXCLUSIVE else "shared"
        lapsed = ", to be regained" if event.b & LAPSED else ""
        name = self._snapshot.tokens.get(event.a, "")
        return f"{name}, {how} by {self.thread(event.b & ~MODE_BITS)}{lapsed}"


def _error(number: int) -> str:
    return f", error {number}" if number else ""


def lines(snapshot: Snapshot) -> Iterator[str]:
    """Each event as a line: microseconds, CPU, the thread that ran, event, detail."""
    describer = Describer(snapshot)
    begin = snapshot.events[0].time if snapshot.events else 0
    yield "        µs  CPU  thread           event          "
    for event in snapshot.events:
        time = (event.time - begin) * NS / snapshot.hz / 1000
        detail = describer.detail(event)
        yield (f"{time:10.1f}  {event.cpu:>3}  {describer.thread(event.thread):<15}  "
               f"{event.name:<13}  {detail}").rstrip()
