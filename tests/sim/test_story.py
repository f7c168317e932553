# SPDX-License-Identifier: BSD-3-Clause
"""What scripts/replay makes of a run: a timeline that says the same as the table."""
from __future__ import annotations

import subprocess

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

from tests.sim.suite import scenarios
from toolchain import sim
from toolchain.sim import timeline
from toolchain.trace import model

EVERY = [("shared", "pct:2:100:20000:5"), ("blocked_holder", "pct:2:100:20000:3"),
         ("synchronous", "random:0:0:20000:5"), ("migration", "random:0:0:20000:2"),
         ("preemption", "pct:2:100:20000:9"), ("mutex_timed", "random:0:0:20000:4")]


def told(name, seed):
    story = scenarios()[name].replay(seed)
    return story, model.build(timeline.snapshot(story))


def names(spans):
    return [span.thread.name for span in spans]


@pytest.mark.parametrize(("name", "seed"), EVERY)
def test_each_step_is_on_its_cpu_while_its_thread_runs(name, seed):
    story, seen = told(name, seed)
    assert seen.switches_paired
    assert [mark.cpu for mark in seen.marks[:-1]] == [step.cpu for step in story.steps]
    differs = sum(mark.thread.address != step.thread
                  for mark, step in zip(seen.marks[:-1], story.steps, strict=True))
    switches = sum(len(spans) for spans in seen.cpus.values())
    assert differs <= switches          # between the note of a switch and the switch
    assert seen.marks[-1].what == "done" and seen.end == len(story.steps) * timeline.STEP


@pytest.mark.parametrize(("name", "seed"), EVERY)
def test_keeping_what_the_kernel_tells_does_not_change_the_run(name, seed):
    world = scenarios()[name].world
    policy, *numbers = seed.split(":")
    depth, length, limit, number = map(int, numbers)
    world.explore(sim.POLICIES[policy], number, 1, depth, length, limit)
    steps = world.figure(5)
    scenarios()[name].replay(seed)
    assert world.figure(5) == steps


def test_who_has_a_token_who_shares_it_and_who_waits():
    _, seen = told("shared", "pct:2:100:20000:5")
    tok, = seen.tokens
    assert tok.name == "tok"
    assert sorted(names(hold for hold in tok.held if hold.shared)) == ["_read(1)", "_read(1) #2"]
    alone, = (hold for hold in tok.held if not hold.shared)
    assert alone.thread.name == "_write(1)"
    assert names(tok.waited) == ["_write(1)"]
    assert all(hold.end <= alone.start or hold.start >= alone.end
               for hold in tok.held if hold is not alone)


def test_who_sleeps_gives_its_token_back_and_regains_it():
    _, seen = told("blocked_holder", "pct:2:100:20000:3")
    tok, = seen.tokens
    held = names(tok.held)
    assert held.count("_hold_and_sleep(0)") == 2 and held.count("_take_and_wake(0)") == 1
    holder = next(t for t in seen.threads if t.name == "_hold_and_sleep(0)")
    assert any(span.state is model.State.SLEEPING for span in holder.spans)


def test_messages_and_ipis_are_arrows():
    _, seen = told("synchronous", "random:0:0:20000:5")
    kinds = {arrow.kind for arrow in seen.arrows}
    assert kinds == {"ipi", "message", "reply"}
    assert any(arrow.what == "msgport._thread_put_remote" for arrow in seen.arrows)
    assert all(arrow.tail.time < arrow.head.time for arrow in seen.arrows)
    assert not seen.unmatched


def test_replay_writes_the_trace_and_the_picture(tmp_path):
    done = subprocess.run([sim.ROOT / "scripts" / "replay", "lost_update",
                           "random:0:0:100000:2", "--out", tmp_path],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "count = 1" in done.stdout
    for file in (timeline.TRACE, timeline.PICTURE):
        assert file in done.stdout
    trace = Trace()
    trace.ParseFromString((tmp_path / timeline.TRACE).read_bytes())
    tracks = [packet.track_descriptor.name for packet in trace.packet]
    assert {"CPU 0", "CPU 1", "_add(0)"} <= set(tracks)
    said = [packet.track_event.name for packet in trace.packet]
    assert sum("count += 1" in name for name in said) == 4
    assert (tmp_path / timeline.PICTURE).read_bytes().startswith(b"\x89PNG")
