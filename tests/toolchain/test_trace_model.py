# SPDX-License-Identifier: BSD-3-Clause
"""Made-up events to a timeline: states, tokens, arrows, and what the trace does not say."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.toolchain.trace_events import (
    ANN,
    BOB,
    EVE,
    EXCLUSIVE,
    IDLE,
    LAPSED,
    SHARED,
    TOKEN,
    Run,
    conversation,
)
from toolchain.trace import describe, guest, model
from toolchain.trace.model import State, Timeline

ROOT = Path(__file__).resolve().parents[2]


def build(run: Run) -> Timeline:
    return model.build(run.snapshot())


def states(timeline: Timeline, name: str) -> list[tuple]:
    """(state, start and end in microseconds, what) of a thread."""
    thread = next(thread for thread in timeline.threads if thread.name == name)
    return [(s.state, s.start // 1000, s.end // 1000, s.what) for s in thread.spans]


def test_states_of_threads_follow_each_other():
    timeline = build(conversation())
    assert states(timeline, "bob") == [
        (State.READY, 6, 7, ""), (State.RUNNING, 7, 9, ""), (State.SPINNING, 9, 15, "tok"),
        (State.RUNNING, 15, 26, "")]
    assert states(timeline, "ann") == [
        (State.RUNNING, 0, 14, ""), (State.SLEEPING, 14, 19, "why"),
        (State.TOKENS, 19, 22, "tok"), (State.RUNNING, 22, 30, "")]


def test_lane_of_a_cpu_has_no_gap_and_no_overlap():
    timeline = build(conversation())
    assert timeline.switches_paired
    lane = [(s.thread.name, s.start // 1000, s.end // 1000) for s in timeline.cpus[1]]
    assert lane == [("idle", 0, 7), ("bob", 7, 26), ("idle", 26, 30)]
    assert timeline.halts[1] == [(0, 4000)]


def test_token_is_held_by_one_after_the_other_and_waited_for():
    token, = build(conversation()).tokens
    assert [(h.thread.name, h.start // 1000, h.end // 1000, h.shared, h.lapsed)
            for h in token.held] == [("ann", 1, 13, False, True), ("bob", 15, 20, False, False),
                                     ("ann", 21, 24, False, False)]
    assert [(w.thread.name, w.start // 1000, w.end // 1000) for w in token.waited] == [
        ("bob", 9, 15), ("ann", 19, 21)]


def test_nested_references_are_one_hold():
    run = Run()
    run.get(1, 0, ANN)
    run.get(2, 0, ANN, mode=2)
    run.get(3, 0, ANN, SHARED)
    for time, mode in ((4, SHARED), (5, 2), (6, EXCLUSIVE)):
        run.release(time, 0, ANN, mode)
    hold, = build(run).tokens[0].held
    assert (hold.start, hold.end, hold.shared) == (0, 5000, False)


def test_sharers_overlap():
    run = Run()
    run.get(1, 0, ANN, SHARED)
    run.get(2, 1, BOB, SHARED)
    run.release(4, 1, BOB, SHARED)
    run.release(5, 0, ANN, SHARED)
    held = build(run).tokens[0].held
    assert [(h.thread.name, h.shared) for h in held] == [("ann", True), ("bob", True)]
    assert held[0].end > held[1].start


def test_arrows_join_what_was_sent_with_what_arrived():
    timeline = build(conversation())
    assert [(a.kind, a.what, a.tail.time // 1000, a.tail.cpu, a.head.time // 1000, a.head.cpu)
            for a in timeline.arrows] == [
        ("ipi", "sched._schedule_remote", 3, 0, 5, 1), ("message", "bob", 2, 0, 8, 1),
        ("reply", "ann", 18, 1, 23, 0)]
    assert not timeline.unmatched


def test_ipi_messages_are_told_apart_by_their_slots():
    run = Run()
    run(0, 0, ANN, "IPI_SEND", 1 | 4 << 32, 88)
    run(1, 0, ANN, "IPI_SEND", 1 | 5 << 32, 88)
    run(2, 1, BOB, "IPI_RECEIVE", 0 | 3 << 32, 88)      # sent before the trace began
    run(3, 1, BOB, "IPI_RECEIVE", 0 | 4 << 32, 88)
    run(4, 1, BOB, "IPI_RECEIVE", 0 | 5 << 32, 88)
    timeline = build(run)
    assert [(a.tail.time // 1000, a.head.time // 1000) for a in timeline.arrows] == [(0, 3), (1, 4)]
    assert timeline.unmatched == {"IPI_RECEIVE": 1}


def test_preempted_thread_is_gone_back_to():
    run = Run()
    run(0, 0, ANN, "INTR", 150, 0)
    run(1, 0, ANN, "SCHEDULE", EVE, 2)
    run(2, 0, ANN, "PREEMPT", EVE, ANN)
    run(3, 0, EVE, "SLEEP", 0, 77)
    run(4, 0, EVE, "SWITCH", ANN, 12)
    run(5, 0, ANN, "MARK")
    timeline = build(run)
    assert states(timeline, "ann")[1] == (State.PREEMPTED, 2, 4, "eve")
    assert states(timeline, "eve")[-1] == (State.SLEEPING, 4, 5, "why")
    assert [p.what for p in timeline.interrupts] == ["vector 150"] and timeline.switches_paired


def test_thread_that_migrates_arrives_on_another_cpu():
    run = Run()
    run(0, 0, ANN, "SWITCH", IDLE[0])
    run(1, 0, IDLE[0], "MIGRATE", ANN, 1)
    run(2, 1, IDLE[1], "SCHEDULE", ANN, 1)
    run(3, 1, IDLE[1], "SWITCH", ANN)
    run(9, 1, ANN, "MARK")
    timeline = build(run)
    assert states(timeline, "ann")[1:3] == [(State.MIGRATING, 1, 2, "to CPU 1"),
                                            (State.READY, 2, 3, "")]
    assert timeline.cpus[1][-1].thread.name == "ann"


def test_address_that_is_used_again_is_another_thread():
    run = Run()
    run(0, 0, ANN, "CREATE", BOB, int.from_bytes(b"robert's", "little"))
    run(1, 0, ANN, "SWITCH", BOB)
    run(2, 0, BOB, "EXIT", BOB, int.from_bytes(b"robert's", "little"))
    run(3, 0, BOB, "SWITCH", ANN)
    run(4, 0, ANN, "CREATE", BOB, int.from_bytes(b"bob", "little"))
    run(5, 0, ANN, "SWITCH", BOB)
    run(6, 0, BOB, "MARK")
    names = [span.thread.name for span in build(run).cpus[0]]
    assert names == ["ann", "robert's", "ann", "bob"]


def test_what_the_trace_does_not_say_is_not_made_up():
    run = Run()
    run.release(1, 0, ANN)                              # got before the trace began
    run(2, 0, ANN, "MSG_GET", 0x900, ANN)
    timeline = build(run)
    assert not timeline.arrows and not timeline.tokens
    assert timeline.unmatched == {"TOKEN_RELEASE": 1, "MSG_GET": 1}


def test_lost_switch_is_noticed_and_passed_over():
    run = Run()
    run(0, 0, ANN, "SWITCH", BOB)
    run(1, 0, EVE, "MARK")
    timeline = build(run)
    assert not timeline.switches_paired
    assert [span.thread.name for span in timeline.cpus[0]] == ["bob"]


def test_interrupt_between_the_note_of_a_switch_and_the_switch_changes_nothing():
    run = Run()
    run(0, 0, ANN, "SWITCH", BOB)
    run(1, 0, ANN, "DOORBELL", 0, 1)
    run(2, 0, BOB, "MARK")
    timeline = build(run)
    assert timeline.switches_paired and [p.what for p in timeline.interrupts] == [
        "doorbell, deferred"]
    assert [span.thread.name for span in timeline.cpus[0]] == ["bob"]


def test_requests_of_disks_are_from_their_start_to_their_end():
    disk = int.from_bytes(b"nvme0", "little")
    run = Run()
    run(0, 0, ANN, "BIO_START", 0x700, disk)
    run(1, 0, ANN, "BIO_START", 0x740, disk)
    run(2, 0, BOB, "BIO_DONE", 0x780)           # began before the trace did
    run(3, 0, BOB, "BIO_DONE", 0x740, 5)
    run(4, 0, BOB, "BIO_DONE", 0x700)
    run(5, 0, BOB, "BIO_START", 0x700, disk)    # does not end in it
    timeline = build(run)
    assert [(r.start, r.end, r.disk, r.thread.name, r.error) for r in timeline.requests] == [
        (1000, 3000, "nvme0", "ann", 5), (0, 4000, "nvme0", "ann", 0)]
    assert timeline.unmatched["BIO_DONE"] == 1


def test_events_of_files_in_words():
    disk, name = (int.from_bytes(text, "little") for text in (b"nvme0", b"blue-tai"))
    run = Run()
    for event, a, b in [("BUF_MISS", 0x10000, 4096), ("BUF_DONE", 0x10000, 5),
                        ("BIO_START", 0x700, disk), ("BIO_DONE", 0x700, 0), ("NAME_MISS", name, 1),
                        ("NAME_RESOLVED", name, 0), ("NAME_RESOLVED", name, 9),
                        ("XOP_BEGIN", 77, 1024), ("XOP_BEGIN", 77, 0), ("XOP_END", 2, 0),
                        ("XOP_END", 0, 0), ("CHAIN_LOAD", 0x180200C, 0x400)]:
        run(0, 0, ANN, event, a, b)
    snapshot = run.snapshot()
    describer = describe.Describer(snapshot)
    assert [describer.detail(event) for event in snapshot.events] == [
        "4096 bytes at 0x10000", "at 0x10000, error 5", "nvme0", "nvme0", "blue-tai",
        "blue-tai, nothing", "blue-tai, a file", "why of inode 1024", "why", "error 2", "",
        "at 0x180200c, key 0x400"]


def test_no_events_are_an_empty_timeline():
    assert build(Run()) == Timeline()


def test_events_in_words():
    said = list(describe.lines(conversation().snapshot()))
    assert any(line.endswith("TOKEN_GET      tok, alone by ann") for line in said)
    assert any(line.endswith("TOKEN_RELEASE  tok, alone by ann, to be regained") for line in said)
    assert any(line.endswith("IPI_SEND       to CPU 1, sched._schedule_remote") for line in said)
    assert any(line.endswith("MSG_SEND       port of bob") for line in said)
    assert len(said) == len(conversation().events) + 1


@pytest.mark.parametrize(("file", "name", "value"), [
    ("ktr", "LAPSED", model.LAPSED), ("ktr", "EVERY", guest.EVERY),
    ("ktr", "TEXT_SHIFT", guest.TEXT_SHIFT), ("token", "SHARED_STEP", model.SHARED),
    ("token", "EXCLUSIVE", describe.EXCLUSIVE)])
def test_numbers_are_those_of_the_kernel(file, name, value):
    text = (ROOT / "kernel" / "lwkt" / f"{file}.py").read_text()
    assert int(re.search(rf"^{name}: Final.*= (\w+)", text, re.MULTILINE)[1], 0) == value
    assert LAPSED == model.LAPSED and TOKEN & model.MODE_BITS == 0
