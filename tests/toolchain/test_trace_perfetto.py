# SPDX-License-Identifier: BSD-3-Clause
"""The trace file: read back with the published definitions, and its bytes without them."""
from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from tests.toolchain.trace_events import ANN, Run, conversation
from toolchain.trace import model, perfetto

PACKET, TIMESTAMP, SEQUENCE, EVENT, DESCRIPTOR = 1, 8, 10, 11, 60      # field numbers


@pytest.fixture(scope="module")
def data():
    return perfetto.encode(model.build(conversation().snapshot()))


@pytest.fixture(scope="module")
def trace(data):
    return Trace.FromString(data)


def tracks(trace: Trace) -> dict[str, int]:
    """Track numbers by path, such as CPUs/CPU 0."""
    found = {p.track_descriptor.uuid: p.track_descriptor for p in trace.packet
             if p.HasField("track_descriptor")}

    def path(uuid: int) -> str:
        above = found[uuid].parent_uuid
        return (path(above) + "/" if above else "") + found[uuid].name

    return {path(uuid): uuid for uuid in found}


def slices(trace: Trace, track: int) -> list[tuple[str, int, int]]:
    """(name, start, end) of a track; a slice that does not end fails."""
    out, opened = [], None
    for packet in trace.packet:
        event = packet.track_event
        if not packet.HasField("track_event") or event.track_uuid != track:
            continue
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            assert opened is None
            opened = (event.name, packet.timestamp)
        elif event.type == TrackEvent.TYPE_SLICE_END:
            out.append((*opened, packet.timestamp))
            opened = None
    assert opened is None
    return out


def test_there_is_a_track_for_each_cpu_thread_and_token(trace):
    paths = tracks(trace)
    assert {"CPUs/CPU 0", "CPUs/CPU 1", "Threads/ann", "Threads/bob", "Tokens/tok",
            "Tokens/tok/tok: bob", "Counters/run queue of CPU 1",
            "Counters/messages sent"} <= set(paths)
    assert len(paths) == len(set(paths.values()))


def test_slices_are_those_of_the_timeline(trace):
    paths = tracks(trace)
    assert slices(trace, paths["CPUs/CPU 1"]) == [
        ("idle", 0, 7000), ("bob", 7000, 26000), ("idle", 26000, 30000)]
    assert slices(trace, paths["Tokens/tok"]) == [
        ("ann", 1000, 13000), ("bob", 15000, 20000), ("ann", 21000, 24000)]
    assert slices(trace, paths["Tokens/tok/tok: bob"]) == [("waits", 9000, 15000)]
    assert [name for name, _, _ in slices(trace, paths["Threads/ann"])] == [
        "running on CPU 0", "sleeps: why", "waits for token tok", "running on CPU 0"]


def test_every_event_is_on_a_described_track_and_every_slice_ends(trace):
    known = set(tracks(trace).values())
    kinds: dict[int, Counter[int]] = defaultdict(Counter)
    for packet in trace.packet:
        assert packet.trusted_packet_sequence_id == perfetto.SEQUENCE
        if packet.HasField("track_event"):
            assert packet.track_event.track_uuid in known
            kinds[packet.track_event.track_uuid][packet.track_event.type] += 1
    for kind in kinds.values():
        assert kind[TrackEvent.TYPE_SLICE_BEGIN] == kind[TrackEvent.TYPE_SLICE_END]


def test_a_flow_has_two_ends_on_the_tracks_of_sender_and_receiver(trace):
    paths = {uuid: path for path, uuid in tracks(trace).items()}
    begins, ends = {}, {}
    for packet in trace.packet:
        event = packet.track_event
        for flow in event.flow_ids:
            begins[flow] = (paths[event.track_uuid], event.name)
        for flow in event.terminating_flow_ids:
            ends[flow] = (paths[event.track_uuid], event.name)
    assert [(begins[flow], ends[flow]) for flow in sorted(begins)] == [
        (("CPUs/CPU 0", "IPI to CPU 1: sched._schedule_remote"),
         ("CPUs/CPU 1", "IPI: sched._schedule_remote")),
        (("Threads/ann", "message to bob"), ("Threads/bob", "message from ann")),
        (("Threads/bob", "reply to ann"), ("Threads/ann", "reply from bob"))]
    assert set(begins) == set(ends)


def test_counters_have_the_lengths_of_the_run_queue(trace):
    track = tracks(trace)["Counters/run queue of CPU 1"]
    assert [(p.timestamp, p.track_event.counter_value) for p in trace.packet
            if p.track_event.track_uuid == track and p.HasField("track_event")] == [
        (6000, 1), (7000, 1), (26000, 0)]


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of a protobuf message, by the wire format alone."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        match key & 7:
            case 0:
                yield key >> 3, varint()
            case 1:
                at += 8
                yield key >> 3, data[at - 8:at]
            case 2:
                length = varint()
                at += length
                yield key >> 3, data[at - length:at]
            case kind:
                raise AssertionError(f"wire type {kind}")


def test_bytes_are_packets_by_the_numbers_that_perfetto_publishes(data, trace):
    packets = [dict(fields(value)) for number, value in fields(data)]
    assert {number for number, _ in fields(data)} == {PACKET}
    assert len(packets) == len(trace.packet)
    for packet, known in zip(packets, trace.packet, strict=True):
        assert packet[SEQUENCE] == perfetto.SEQUENCE and packet[TIMESTAMP] == known.timestamp
        assert (EVENT in packet) == known.HasField("track_event")
        assert (DESCRIPTOR in packet) == known.HasField("track_descriptor")


def test_requests_that_overlap_are_on_tracks_of_their_own():
    run, disk = Run(), int.from_bytes(b"nvme0", "little")
    for time, name, request, more in [(0, "BIO_START", 1, disk), (1, "BIO_START", 2, disk),
                                      (2, "BIO_DONE", 1, 5), (3, "BIO_START", 3, disk),
                                      (4, "BIO_DONE", 2, 0), (5, "BIO_DONE", 3, 0)]:
        run(time, 0, ANN, name, request, more)
    trace = Trace.FromString(perfetto.encode(model.build(run.snapshot())))
    paths = tracks(trace)
    assert slices(trace, paths["Disks/nvme0/nvme0 0"]) == [
        ("for ann, error 5", 0, 2000), ("for ann", 3000, 5000)]
    assert slices(trace, paths["Disks/nvme0/nvme0 1"]) == [("for ann", 1000, 4000)]
