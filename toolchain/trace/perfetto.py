# SPDX-License-Identifier: BSD-3-Clause
"""A timeline as a Perfetto trace: TrackEvent packets, for https://ui.perfetto.dev.

    CPUs      a track each: the thread that runs; instants for interrupts and IPI messages
    Threads   a track each: its states; instants for messages
    Tokens    a track each: who holds it alone; below, a track for each thread that shares or waits
    Counters  run queue lengths, messages sent

IPI messages, and messages between threads with their replies, are flows: arrows from the instant
of sending to that of receiving.

Invariants
  F1  Slices of a track end in the reverse of the order in which they begin: here, none nest.
  F2  A flow has exactly two ends.
Tests   tests/toolchain/test_trace_perfetto.py
Source  Perfetto documentation, "Writing TrackEvent Protos Synthetically"; the packet definitions
        are those of the package `perfetto`
"""
from __future__ import annotations

from collections.abc import Iterable

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
    Trace,
    TracePacket,
    TrackDescriptor,
    TrackEvent,
)

from toolchain.trace.model import Arrow, State, Thread, Timeline

SEQUENCE = 1


def encode(timeline: Timeline) -> bytes:
    """The bytes of the trace file."""
    return _Writer(timeline).run().SerializeToString()


def label(state: State, what: str, cpu: int) -> str:
    """What a thread's slice is called."""
    match state:
        case State.RUNNING:
            return f"running on CPU {cpu}"
        case State.SPINNING:
            return f"spins for {what}"
        case State.TOKENS:
            return f"waits for token {what}"
        case State.SLEEPING:
            return f"sleeps: {what}" if what else "sleeps"
        case State.PREEMPTED:
            return f"preempted by {what}"
        case _:
            return f"{state.value} {what}".strip()


class _Writer:
    """Builds the packets; a track's number is given when it is first described."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.trace = Trace()
        self.tracks = 0
        self.flows = 0

    def run(self) -> Trace:
        first = self._packet(0)
        first.sequence_flags = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
        cpus = self._cpus()
        threads = self._threads()
        self._tokens()
        self._disks()
        self._counters()
        for arrow in self.timeline.arrows:
            if arrow.kind == "ipi":
                self._flow(arrow, cpus[arrow.tail.cpu], cpus[arrow.head.cpu],
                           f"IPI to CPU {arrow.head.cpu}: {arrow.what}", f"IPI: {arrow.what}")
            else:
                verb = "message to" if arrow.kind == "message" else "reply to"
                self._flow(arrow, threads[arrow.tail.thread], threads[arrow.head.thread],
                           f"{verb} {arrow.what}", f"{arrow.kind} from {arrow.tail.thread.name}")
        return self.trace

    def _cpus(self) -> dict[int, int]:
        root = self._track("CPUs", explicit=True)
        tracks = {}
        for cpu, spans in sorted(self.timeline.cpus.items()):
            track = tracks[cpu] = self._track(f"CPU {cpu}", root, rank=cpu)
            for span in spans:
                self._slice(track, span.start, span.end, span.thread.name,
                            "idle" if span.thread.idle else "running")
            for point in (*self.timeline.interrupts, *self.timeline.marks):
                if point.cpu == cpu:
                    self._instant(track, point.time, point.what, "interrupt")
            halted = self._track(f"CPU {cpu} halted", root, rank=cpu)
            for start, end in self.timeline.halts[cpu]:
                self._slice(halted, start, end, "halted", "idle")
        return tracks

    def _threads(self) -> dict[Thread, int]:
        root = self._track("Threads", explicit=True)
        tracks = {}
        for rank, thread in enumerate(self.timeline.threads):
            where = f", CPU {thread.spans[0].cpu}" if thread.idle and thread.spans else ""
            track = tracks[thread] = self._track(thread.name + where, root, rank)
            for span in thread.spans:
                self._slice(track, span.start, span.end,
                            label(span.state, span.what, span.cpu), span.state.value)
        return tracks

    def _tokens(self) -> None:
        root = self._track("Tokens", explicit=True)
        for rank, token in enumerate(self.timeline.tokens):
            track = self._track(token.name, root, rank, explicit=True)
            each: dict[Thread, list[tuple[int, int, str]]] = {}
            for hold in token.held:
                if hold.shared:
                    each.setdefault(hold.thread, []).append((hold.start, hold.end, "shares it"))
                else:
                    self._slice(track, hold.start, hold.end, hold.thread.name, "held")
            for wait in token.waited:
                each.setdefault(wait.thread, []).append((wait.start, wait.end, "waits"))
            for below, (thread, spans) in enumerate(each.items()):
                own = self._track(f"{token.name}: {thread.name}", track, below)
                for start, end, what in sorted(spans):
                    self._slice(own, start, end, what, what)

    def _disks(self) -> None:
        """A track a disk; below it, so that requests do not overlap, as many as were under way."""
        root = self._track("Disks", explicit=True)
        requests = sorted(self.timeline.requests, key=lambda request: request.start)
        for rank, disk in enumerate(dict.fromkeys(request.disk for request in requests)):
            top = self._track(disk, root, rank, explicit=True)
            lanes: list[tuple[int, int]] = []           # track, and until when it is in use
            for request in (request for request in requests if request.disk == disk):
                at = next((n for n, lane in enumerate(lanes) if lane[1] <= request.start), None)
                if at is None:
                    at = len(lanes)
                    lanes.append((self._track(f"{disk} {at}", top, at), 0))
                lanes[at] = lanes[at][0], request.end
                failed = f", error {request.error}" if request.error else ""
                self._slice(lanes[at][0], request.start, request.end,
                            f"for {request.thread.name}{failed}", "request")

    def _counters(self) -> None:
        root = self._track("Counters", explicit=True)
        for cpu, values in sorted(self.timeline.queues.items()):
            self._count(self._track(f"run queue of CPU {cpu}", root, cpu, unit="threads"), values)
        sent = self._track("messages sent", root, len(self.timeline.queues), unit="messages")
        self._count(sent, self.timeline.messages)

    # ---- packets ----

    def _packet(self, time: int) -> TracePacket:
        packet = self.trace.packet.add()
        packet.timestamp = time
        packet.trusted_packet_sequence_id = SEQUENCE
        return packet

    def _track(self, name: str, parent: int = 0, rank: int = 0, *, explicit: bool = False,
               unit: str = "") -> int:
        """A new track; with `explicit` those below it are shown in order of `rank`."""
        self.tracks += 1
        track = self._packet(0).track_descriptor
        track.uuid, track.name, track.sibling_order_rank = self.tracks, name, rank
        if parent:
            track.parent_uuid = parent
        if explicit:
            track.child_ordering = TrackDescriptor.ChildTracksOrdering.EXPLICIT
        if unit:
            track.counter.unit_name = unit
        return self.tracks

    def _event(self, track: int, time: int, kind: int) -> TrackEvent:
        event = self._packet(time).track_event
        event.track_uuid, event.type = track, kind
        return event

    def _slice(self, track: int, start: int, end: int, name: str, category: str) -> None:
        event = self._event(track, start, TrackEvent.TYPE_SLICE_BEGIN)
        event.name = name
        event.categories.append(category)
        self._event(track, end, TrackEvent.TYPE_SLICE_END)

    def _instant(self, track: int, time: int, name: str, category: str) -> TrackEvent:
        event = self._event(track, time, TrackEvent.TYPE_INSTANT)
        event.name = name
        event.categories.append(category)
        return event

    def _flow(self, arrow: Arrow, source: int, target: int, sent: str, received: str) -> None:
        self.flows += 1                                         # F2
        tail = self._instant(source, arrow.tail.time, sent, arrow.kind)
        tail.flow_ids.append(self.flows)
        head = self._instant(target, arrow.head.time, received, arrow.kind)
        head.terminating_flow_ids.append(self.flows)

    def _count(self, track: int, values: Iterable[tuple[int, int]]) -> None:
        for time, value in values:
            self._event(track, time, TrackEvent.TYPE_COUNTER).counter_value = value
