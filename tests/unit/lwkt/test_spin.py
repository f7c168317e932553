# SPDX-License-Identifier: BSD-3-Clause
"""The spinlock's word by turns; waiting is in tests/sim."""
from __future__ import annotations

import pytest

from tests.sim.suite import scenarios

COUNT, WAITER, SHARED = 0xF_FFFF, 0x10_0000, 0x8000_0000


@pytest.fixture
def lock(two):
    return two.mod.Spinlock()


def test_s1_s3_one_exclusive_holder_in_a_section(two, lock):
    td = two.run(two.new_thread())
    two.spin.lock(lock)
    assert (lock.word, two.gd.spinlocks, td.critcount) == (1, 1, 1)
    assert two.spin.held(lock)
    two.on(1)
    two.run(two.new_thread(1))
    assert not two.spin.trylock(lock)
    assert (lock.word, two.gd.spinlocks, two.gd.curthread.critcount) == (1, 0, 0)
    two.run(td)
    two.spin.unlock(lock)
    assert (lock.word, two.gd.spinlocks, td.critcount) == (0, 0, 0)


def test_s1_sharers_are_counted_and_the_hint_stays(two, lock):
    two.run(two.new_thread())
    two.spin.lock_shared(lock)
    two.on(1)
    two.run(two.new_thread(1))
    two.spin.lock_shared(lock)
    assert lock.word == SHARED | 2
    assert not two.spin.trylock(lock)
    two.spin.unlock_shared(lock)
    two.on(0)
    two.spin.unlock_shared(lock)
    assert lock.word == SHARED
    assert two.spin.trylock(lock) and lock.word == 1
    two.spin.unlock(lock)


def test_update_counters(two, lock):
    two.run(two.new_thread())
    began = two.spin.update_begin(lock)
    assert two.spin.update_same(lock, began)
    two.spin.update_lock(lock)
    assert two.spin.update_begin(lock) % 2 == 1
    assert not two.spin.update_same(lock, two.spin.update_begin(lock))
    two.spin.update_unlock(lock)
    assert not two.spin.update_same(lock, began)
    assert two.spin.update_same(lock, two.spin.update_begin(lock))


@pytest.mark.parametrize("name", ["spinlock", "spinlock_shared", "spinlock_crowd",
                                  "update_counter"])
def test_s1_s2_under_any_schedule(name):
    assert scenarios()[name].random(2000).schedules == 2000
