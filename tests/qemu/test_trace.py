# SPDX-License-Identifier: BSD-3-Clause
"""A real run, traced: what the timeline promises holds of it; and scripts/trace as one uses it."""
from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from itertools import pairwise

import pytest

from tests.harness import Machine
from tests.harness.build import ROOT, suite_image
from toolchain.trace import guest, model
from toolchain.trace.model import State

USUAL = 0xDFE


@pytest.fixture(scope="module")
def snapshot():
    return guest.record(suite_image(), "test trace_workload", cpus=4)


@pytest.fixture(scope="module")
def timeline(snapshot):
    return model.build(snapshot)


def test_nothing_is_lost_or_torn(snapshot):
    assert all(loss.overwritten == 0 and loss.torn == 0 for loss in snapshot.losses.values())
    assert "ok trace_workload" in snapshot.console and len(snapshot.events) > 5000


def test_every_switch_leaves_the_thread_that_the_one_before_went_to(snapshot, timeline):
    on: dict[int, int] = {}
    leaving: dict[int, int] = {}        # a switch is noted before it is done: an interrupt may come
    for event in snapshot.events:
        if event.name in model.INTERRUPTS and event.thread == leaving.get(event.cpu):
            continue
        assert on.setdefault(event.cpu, event.thread) == event.thread
        leaving.pop(event.cpu, None)
        if event.name in ("SWITCH", "PREEMPT"):
            on[event.cpu], leaving[event.cpu] = event.a, event.thread
    assert timeline.switches_paired and set(on) == {0, 1, 2, 3}


def test_spans_of_cpus_and_threads_touch_and_do_not_overlap(timeline):
    for lane in timeline.cpus.values():
        assert all(a.end == b.start for a, b in pairwise(lane)) and lane[-1].end == timeline.end
    for thread in timeline.threads:
        if not thread.idle:
            assert all(a.end == b.start for a, b in pairwise(thread.spans))


def test_thread_runs_on_one_cpu_at_a_time(timeline):
    every = defaultdict(list)
    for lane in timeline.cpus.values():
        for span in lane:
            every[span.thread].append((span.start, span.end))
    for spans in every.values():
        assert all(a[1] <= b[0] for a, b in pairwise(sorted(spans)))


def test_token_held_alone_is_held_by_nobody_else(timeline):
    assert {token.name for token in timeline.tokens} == {"ledger", "index"}
    for token in timeline.tokens:
        alone = end = 0                     # until when it is held alone, and at all
        for hold in token.held:
            assert hold.start >= (alone if hold.shared else end), (token.name, hold)
            end = max(end, hold.end)
            alone = alone if hold.shared else max(alone, hold.end)
    waits = [wait for token in timeline.tokens for wait in token.waited]
    assert any(wait.end > wait.start for wait in waits)
    shared = [hold for token in timeline.tokens for hold in token.held if hold.shared]
    assert len(shared) > 100


def test_blocked_thread_holds_no_token(timeline):
    asleep = [(span.thread, span.start, span.end) for thread in timeline.threads
              for span in thread.spans if span.state in (State.SLEEPING, State.TOKENS)]
    held = defaultdict(list)
    for token in timeline.tokens:
        for hold in token.held:
            held[hold.thread].append((hold.start, hold.end))
    for thread, start, end in asleep:
        for begin, until in held[thread]:
            # Regained by the scheduler just before the switch: the last thing of the span.
            assert until <= start or begin >= start, (thread.name, start, end, begin, until)


def test_every_ipi_message_received_was_sent(snapshot, timeline):
    sent: dict[tuple[int, int], list[int]] = defaultdict(list)
    for event in snapshot.events:
        if event.name == "IPI_SEND":
            sent[event.cpu, event.a & 0xFFFFFFFF].append(event.a >> 32)
    before = 0                              # sent before the trace began
    for event in snapshot.events:
        source = event.a & 0xFFFFFFFF
        if event.name == "IPI_RECEIVE":
            slots, slot = sent[source, event.cpu], event.a >> 32
            assert not slots or slot < slots[0] or slot in slots
            before += slot not in slots
    assert timeline.unmatched["IPI_RECEIVE"] == before < 100
    for slots in sent.values():
        assert all(b == a + 1 for a, b in pairwise(slots))


def test_no_arrow_arrives_before_it_was_sent(timeline):
    assert {arrow.kind for arrow in timeline.arrows} == {"ipi", "message", "reply"}
    assert all(arrow.head.time >= arrow.tail.time for arrow in timeline.arrows)


def test_messages_are_answered(timeline):
    kinds = [arrow.kind for arrow in timeline.arrows]
    assert kinds.count("message") == kinds.count("reply") > 100
    assert timeline.messages[-1][1] == kinds.count("message")


def test_everything_has_a_name(snapshot, timeline):
    names = {thread.name for thread in timeline.threads}
    assert {"clerk 0", "clerk 3", "reader1", "server", "writer", "migrant", "main"} <= names
    assert not any(name.startswith("0x") for name in names)
    assert {"waitmsg", "waitport", "pause"} <= set(snapshot.texts.values())
    assert "msgport._thread_put_remote" in snapshot.functions.values()


def test_token_pairs_are_off_unless_asked_for():
    snapshot = guest.record(suite_image(), "test tokens_nest", cpus=2, mask=USUAL)
    names = {event.name for event in snapshot.events}
    assert "TOKEN_DROP" in names and not names & {"TOKEN_GET", "TOKEN_RELEASE"}


def test_script_writes_trace_and_picture_and_says_when_a_ring_wrapped(tmp_path):
    done = subprocess.run(
        [ROOT / "scripts" / "trace", "test trace_workload", "--cpus", "2", "--entries", "256",
         "--image", suite_image(), "--out", tmp_path], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "CPU 0: the ring wrapped, the first" in done.stdout
    assert (tmp_path / "trace.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "trace.perfetto-trace").read_bytes()) > 1000
    again = subprocess.run(
        [ROOT / "scripts" / "trace", "--again", "--list", "--out", tmp_path, "--from", "0",
         "--to", "50"], text=True, capture_output=True, check=False)
    assert again.returncode == 0 and "0 to 50 µs" in again.stdout
    listed = [line for line in again.stdout.splitlines() if "SWITCH" in line]
    assert 10 < len(listed) <= 512


def test_panic_is_traced_to_its_end():
    snapshot = guest.record(suite_image(), "test tokens_nest\npanic on purpose", cpus=2)
    assert guest.panicked(snapshot.console) and len(snapshot.events) > 10


def test_workload_that_does_not_end_is_reported():
    with pytest.raises(guest.GuestError, match=r"no end after 3 s\n  Damselfly"):
        guest.record(suite_image(), "test counts_are_exact\ntest counts_are_exact", timeout=3)


def test_rings_are_commanded_at_the_prompt():
    with Machine(suite_image(), cpus=2, append="ktr=100", timeout=120) as vm:
        vm.expect("damselfly> ")
        for command, answer in (("ktr mask 0xfff", "ktr mask M: bit n for class n"),
                                ("ktr 0 500", "sequence    time"), ("ktr off", ""),
                                ("ktr clear", ""), ("ktr 0", "sequence    time")):
            vm.send(f"{command}\r")
            if answer:
                vm.expect(answer)
            vm.expect("damselfly> ")
        listings = vm.console.text.split("sequence    time")[1:]
    rows = [len(re.findall(r"^\d+ ", text, re.MULTILINE)) for text in listings]
    assert 10 < rows[0] <= 64 and rows[1] == 0          # ktr=100 is rounded down to 64
