# SPDX-License-Identifier: BSD-3-Clause
"""Mutexes, lockmgr locks and serializers without waiting; with it under any schedule."""
from __future__ import annotations

import pytest

from tests.sim.suite import scenarios
from tests.unit.lwkt.fake import walk
from toolchain import host

EBUSY, EDEADLK = 16, 35


@pytest.fixture
def turns(two):
    """Two threads, and a function to let one of them run."""
    threads = [two.new_thread(0), two.new_thread(1)]

    def turn(number):
        return two.run(threads[number])
    turn(0)
    two.turn = turn
    return two


def test_u1_a_mutex_nests_and_shares(turns):
    m = turns.mod.Mutex()
    turns.mutex.lock(m)
    turns.mutex.lock(m)
    assert (m.exclusive, m.count) == (True, 2)
    turns.turn(1)
    assert not turns.mutex.try_lock(m)
    turns.turn(0)
    turns.mutex.unlock(m)
    turns.mutex.unlock(m)
    turns.mutex.lock_shared(m)
    turns.turn(1)
    turns.mutex.lock_shared(m)
    assert (m.exclusive, m.count) == (False, 2)
    assert not turns.mutex.try_upgrade(m)
    turns.mutex.unlock(m)
    turns.turn(0)
    assert turns.mutex.try_upgrade(m) and m.owner == turns.gd.curthread
    turns.mutex.downgrade(m)
    assert (m.exclusive, m.count) == (False, 1)


def test_u2_u3_a_queued_request_is_granted_by_the_unlock(turns):
    m, granted = turns.mod.Mutex(), []

    def call(link):
        granted.append(link.arg)
    links = [turns.mod.MutexLink(granted=call) for _ in range(3)]
    turns.mutex.lock(m)
    turns.turn(1)
    for number, link in enumerate(links):
        turns.mutex.lock_async(m, link, call, number)
    assert len(walk(m.waiters)) == 3 and granted == []
    assert turns.mutex.abort(m, links[1])
    assert not turns.mutex.abort(m, links[1])
    assert [int(link.state) for link in links] == [1, 3, 1]
    turns.turn(0)
    turns.mutex.unlock(m)
    assert granted == [0] and m.count == 1 and len(walk(m.waiters)) == 1
    turns.turn(1)
    turns.mutex.unlock(m)
    assert granted == [0, 2] and walk(m.waiters) == []
    assert not turns.mutex.abort(m, links[2])


def test_u1_only_the_owner_lets_go(turns):
    m = turns.mod.Mutex()
    turns.mutex.lock(m)
    turns.turn(1)
    with pytest.raises(host.Panic, match="owner lets go"):
        turns.mutex.unlock(m)


def test_v1_a_lock_recurses_only_if_it_may(turns):
    flag = turns.mod.LockFlag
    plain, recursive = turns.mod.Lock(), turns.mod.Lock(flags=flag.CANRECURSE)
    assert turns.lockmgr.exclusive(plain, 0) == 0
    assert turns.lockmgr.exclusive(plain, 0) == EDEADLK
    for _ in range(2):
        assert turns.lockmgr.exclusive(recursive, 0) == 0
    assert recursive.exclusive == 2 and turns.lockmgr.held(recursive)
    turns.turn(1)
    assert turns.lockmgr.exclusive(recursive, flag.NOWAIT) == EBUSY
    assert turns.lockmgr.shared(recursive, flag.NOWAIT) == EBUSY


def test_v2_v3_sharing_and_upgrading(turns):
    flag, lk = turns.mod.LockFlag, turns.mod.Lock()
    assert turns.lockmgr.shared(lk, 0) == 0
    turns.turn(1)
    assert turns.lockmgr.shared(lk, 0) == 0
    assert (lk.shared, lk.exclusive) == (2, 0)
    assert turns.lockmgr.upgrade(lk, flag.NOWAIT) == EBUSY
    assert (lk.shared, lk.upgrading) == (1, False)
    turns.turn(0)
    assert turns.lockmgr.upgrade(lk, 0) == 0
    assert (lk.shared, lk.exclusive) == (0, 1)
    turns.lockmgr.downgrade(lk)
    turns.lockmgr.release(lk)
    assert (lk.shared, lk.exclusive) == (0, 0)
    with pytest.raises(host.Panic, match="not held"):
        turns.lockmgr.release(lk)


def test_e1_e2_serializers(turns):
    s = turns.mod.Serializer()
    turns.serialize.enter(s)
    assert s.word == 0x8000_0000
    turns.turn(1)
    assert not turns.serialize.try_enter(s)
    with pytest.raises(host.Panic):
        turns.serialize.leave(s)
    turns.turn(0)
    turns.serialize.leave(s)
    assert s.word == 0 and turns.serialize.handler_enabled(s)
    turns.serialize.handler_disable(s)
    assert not turns.serialize.handler_enabled(s)
    turns.serialize.handler_enable(s)
    assert turns.serialize.handler_enabled(s)


@pytest.mark.parametrize("name", [
    "mutex_exclusive", "mutex_shared", "mutex_abort", "mutex_timed", "lockmgr_shared",
    "lockmgr_upgrade", "lockmgr_upgrade_and_wait", "lockmgr_cancel", "serializers"])
def test_under_any_schedule(name):
    assert scenarios()[name].random(2000).schedules == 2000
