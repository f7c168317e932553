# SPDX-License-Identifier: BSD-3-Clause
"""Timers at interrupt level, on a clock that the test moves."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.lwkt.fake import HZ, walk
from toolchain import host


@pytest.fixture
def timer(two):
    """Makes timers that note (name, time) when they are called."""
    two.seen = []
    two.kept = []

    def make(name):
        made = two.mod.Systimer()

        def called(t):
            assert two.gd.curthread.critcount > 0 and two.gd.intr_nesting_level > 0
            two.seen.append((name, two.now))
        two.kept += [made, called]
        return made, called
    return make


def test_i1_i2_sorted_and_armed_for_the_first(two, timer):
    taken = two.mod.snapshot()

    @given(st.lists(st.integers(1, 1000), min_size=1, max_size=20))
    def check(times):
        two.mod.restore(taken)
        two.on(0)
        two.seen.clear()
        two.now = 0
        two.cpus[0].deadline = None
        for name, ticks in enumerate(times):
            made, called = timer(name)
            two.systimer.add_oneshot(made, two.find(0), called, 0, ticks)
            queue = [t.time for t in walk(two.gd.timers.queue)]
            assert queue == sorted(queue)
            assert two.cpus[0].deadline == queue[0]
        two.pass_time(2000)
        assert two.seen == sorted(enumerate(times), key=lambda pair: pair[1])
        assert walk(two.gd.timers.queue) == []
    check()


def test_periodic_timers_of_one_frequency_fire_together(two, timer):
    two.now = 1234
    for name in ("a", "b"):
        made, called = timer(name)
        two.systimer.add_periodic(made, two.find(0), called, 0, 100, 0)
        two.now += 777
    two.pass_time(HZ // 10)
    times = sorted({t for _, t in two.seen})
    assert times == [10_000 * n for n in range(1, len(times) + 1)]
    assert [name for name, _ in two.seen] == ["a", "b"] * len(times)


@pytest.mark.parametrize(("queued", "calls"), [(False, 1), (True, 5)])
def test_one_that_is_late_skips_periods_or_runs_for_each(two, timer, queued, calls):
    made, called = timer("p")
    flag = two.mod.TimerFlag.QUEUED if queued else 0
    two.systimer.add_periodic(made, two.find(0), called, 0, 100, flag)
    two.now = 55_000                        # the interrupt was late
    two.cpus[0].deadline = None
    two.interrupted(two.intr.timer_expired, two.mod.Frame())
    assert len(two.seen) == calls
    two.seen.clear()
    two.pass_time(10_000)
    assert [t for _, t in two.seen] == [60_000]


def test_a_timer_of_another_cpu_travels_there(two, timer):
    made, called = timer("far")
    two.systimer.add_oneshot(made, two.find(1), called, 0, 50)
    assert two.cpus[1].deadline is None
    two.hear(1)
    two.pass_time(100)
    assert two.seen == [("far", 50)] and two.cpus[0].deadline is None


def test_i1_only_the_owner_deletes(two, timer):
    made, called = timer("gone")
    two.systimer.add_oneshot(made, two.find(0), called, 0, 50)
    two.on(1)
    with pytest.raises(host.Panic, match="only the owner"):
        two.systimer.delete(made)
    two.on(0)
    two.systimer.delete(made)
    two.systimer.delete(made)
    two.pass_time(100)
    assert two.seen == []


def test_i3_run_is_not_entered_from_a_timer_function(two, timer):
    late, called_late = timer("late")
    made = two.mod.Systimer()

    def outer(t):
        two.seen.append(("begin", two.now))
        two.now += 100
        two.systimer.run()                  # `late` is due by now
        two.seen.append(("end", two.now))
    two.kept.append(outer)
    two.systimer.add_oneshot(made, two.find(0), outer, 0, 10)
    two.systimer.add_oneshot(late, two.find(0), called_late, 0, 50)
    two.pass_time(20)
    assert [name for name, _ in two.seen] == ["begin", "end", "late"]


def test_a_periodic_timer_may_delete_itself(two):
    made, seen = two.mod.Systimer(), []

    def once(t):
        seen.append(two.now)
        two.systimer.delete(t)
    two.systimer.add_periodic(made, two.find(0), once, 0, 100, 0)
    two.pass_time(HZ)
    assert seen == [10_000]
