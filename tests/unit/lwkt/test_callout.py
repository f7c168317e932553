# SPDX-License-Identifier: BSD-3-Clause
"""The wheel of callouts; what blocks, and other CPUs, are in tests/sim."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sim.suite import scenarios
from tests.unit.lwkt.fake import walk
from toolchain import host

WHEEL = 512


def tick(core):
    """A hardclock, and what softclock does after it."""
    core.callout.hardclock()
    wheel = core.gd.wheel
    assert wheel.softticks <= wheel.curticks
    core.crit.crit_enter()
    while wheel.softticks != wheel.curticks:
        wheel.softticks += 1
        core.callout._call_due(wheel)
    core.crit.crit_exit()


def test_o1_o2_each_is_called_at_its_tick_once(one):
    taken = one.mod.snapshot()

    @given(st.lists(st.integers(0, 1200), max_size=15))
    def check(delays):
        one.mod.restore(taken)
        one.on(0)
        seen, kept = [], []

        def called(c):
            seen.append((c.arg, one.gd.wheel.softticks))
            assert not c.active and one.gd.wheel.running == c
        for number, delay in enumerate(delays):
            c = one.mod.Callout(func=called, gd=one.find(0))
            kept.append(c)
            one.callout.init(c)
            one.callout.reset(c, delay, called, number)
            bucket = walk(one.gd.wheel.buckets[max(delay, 1) % WHEEL])
            assert c in bucket and c.active
        for _ in range(1300 if delays else 0):
            tick(one)
        assert sorted(seen) == [(n, max(d, 1)) for n, d in enumerate(delays)]
        assert [t for _, t in seen] == sorted(t for _, t in seen)
        assert one.gd.wheel.running is None
    check()


@pytest.mark.parametrize("ticks", [1, 2, 5])
def test_o2_ticks_while_one_is_called_pass_over_no_other(one, ticks):
    """Three are due at a tick, and while the first is called the clock goes on."""
    seen, kept = [], []

    def called(c):
        seen.append(c.arg)
        if c.arg == 0:
            for _ in range(ticks):
                one.callout.hardclock()
    for number in range(3):
        c = one.mod.Callout(func=called, gd=one.find(0))
        kept.append(c)
        one.callout.init(c)
        one.callout.reset(c, 1, called, number)
    tick(one)
    assert seen == [0, 1, 2]
    assert one.gd.wheel.softticks == one.gd.wheel.curticks == 1 + ticks


def test_reset_replaces(one):
    seen = []

    def called(c):
        seen.append(one.gd.wheel.softticks)
    c = one.mod.Callout(func=called, gd=one.find(0))
    one.callout.init(c)
    one.callout.reset(c, 2, called, 0)
    one.callout.reset(c, 5, called, 0)
    for _ in range(10):
        tick(one)
    assert seen == [5]


def test_the_function_may_set_it_again(one):
    seen = []

    def called(c):
        seen.append(one.gd.wheel.softticks)
        if len(seen) < 3:
            one.callout.reset(c, 2, called, 0)
    c = one.mod.Callout(func=called, gd=one.find(0))
    one.callout.init(c)
    one.callout.reset(c, 1, called, 0)
    for _ in range(10):
        tick(one)
    assert seen == [1, 3, 5]


def test_o3_stop_takes_it_back_and_says_whether_it_was_set(one):
    seen = []

    def called(c):
        seen.append(1)
    one.run(one.new_thread())
    c = one.mod.Callout(func=called, gd=one.find(0))
    one.callout.init(c)
    assert not one.callout.stop(c)
    one.callout.reset(c, 2, called, 0)
    assert one.callout.stop(c)
    for _ in range(5):
        tick(one)
    assert seen == []


def test_o1_not_reset_from_another_cpu_while_it_is_set(two):
    def called(c):
        pass
    c = two.mod.Callout(func=called, gd=two.find(0))
    two.callout.init(c)
    two.callout.reset(c, 5, called, 0)
    two.on(1)
    with pytest.raises(host.Panic, match="another CPU"):
        two.callout.reset(c, 5, called, 0)


def test_o2_an_idle_wheel_needs_no_thread(one):
    for _ in range(5):
        one.callout.hardclock()
    assert one.gd.wheel.softticks == one.gd.wheel.curticks == 5


@pytest.mark.parametrize("name", ["stop_elsewhere", "stop_here"])
def test_o3_under_any_schedule(name):
    assert scenarios()[name].random(2000).schedules == 2000
