# SPDX-License-Identifier: BSD-3-Clause
"""The lock-free parts with store buffers (x86-TSO): what holds, and what needs its fence."""
from __future__ import annotations

import pytest

from tests.sim.suite import scenarios
from toolchain import sim

RUNS = 10_000
HOLDS = [
    "store_buffering", "message_passing", "own_stores", "exclusive", "exclusive_many", "shared",
    "writer_waits", "any_order", "blocked_holder", "one_way", "both_ways", "doorbell", "full",
    "nested", "waited_for", "passive", "two_masters", "standstill", "spinlock", "spinlock_shared",
    "spinlock_crowd", "update_counter", "update_counter_of_two", "remote_schedule", "migration",
    "chase", "giveaway", "one_sleeper", "wake_one", "synchronous", "spin_port", "serializers",
    "mutex_exclusive"]


@pytest.mark.parametrize("name", HOLDS)
def test_it_holds_with_store_buffers(name):
    scenario = scenarios()[name]
    scenario.random(RUNS, model="tso-")
    scenario.pct(RUNS // 2, model="tso-")


@pytest.mark.parametrize("name", ["store_buffering", "doorbell"])
def test_the_fence_is_needed(name):
    """Without full fences the same scenario fails, and without store buffers it does not show."""
    with pytest.raises(sim.Failed) as found:
        scenarios()[name].random(200_000, model="unfenced-")
    assert found.value.seed.startswith("unfenced-random:")
    with pytest.raises(sim.Failed):
        scenarios()[name].replay(found.value.seed)
    scenarios()[name].random(RUNS)
