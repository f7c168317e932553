# SPDX-License-Identifier: BSD-3-Clause
"""Spinlocks and update counters, mutexes, lockmgr locks, serializers.

Covers    kernel/lwkt/spin.py S1 to S3, mutex.py U1 to U3, lockmgr.py V1 to V3, serialize.py E1
"""
from typing import Final

from kpy import Array, Atomic, Ptr, address_of, noinline, ref, u64, zeroed

from kernel.lib.errno import EBUSY, EDEADLK, ENOLCK, EWOULDBLOCK
from kernel.lwkt import globaldata, lockmgr, mutex, serialize, sleepq, spin
from kernel.lwkt.globaldata import gd
from tests.sim import world

UNSAFE: Final = True        # locks begin as zero: free

lock: spin.Spinlock
mtx: mutex.Mutex = zeroed(mutex.Mutex)
lk: lockmgr.Lock = zeroed(lockmgr.Lock)
serializer: serialize.Serializer = zeroed(serialize.Serializer)
link: mutex.MutexLink = zeroed(mutex.MutexLink)

count: u64 = 0              # protected by the lock at hand
left: u64 = 0               # always the same as `right`, but while it is changed
right: u64 = 0
inside: Atomic[u64]         # who is in: WRITER for one alone, else sharers
WRITER: Final[u64] = 100
granted: Atomic[u64]
aborted: Atomic[u64]
given_up: Atomic[u64]


def _alone() -> None:
    """Inside, and nobody else may be."""
    global count
    assert inside.add(WRITER) == 0, "not alone"
    count += 1
    inside.sub(WRITER)


def _together() -> None:
    """Inside, perhaps with other sharers."""
    assert inside.add(1) < WRITER, "a writer is in"
    before = count
    world.point()
    assert count == before
    inside.sub(1)


# --- Spinlocks ------------------------------------------------------------------------------


def _spin(times: u64) -> None:
    for _ in range(times):
        with lock:
            assert gd.spinlocks == 1 and globaldata.curthread().critcount > 0
            _alone()


def _spin_shared(times: u64) -> None:
    for _ in range(times):
        with lock.shared():
            _together()


def _spin_try(unused: u64) -> None:
    if spin.trylock(lock):
        _alone()
        spin.unlock(lock)
    else:
        given_up.add(1)


def spinlock() -> None:
    """Two CPUs, one spinlock."""
    world.thread(_spin, 2, 0)
    world.thread(_spin, 2, 1)
    world.check(_four)


def _four() -> None:
    assert count == 4
    _spin_free()


def _spin_free() -> None:
    assert lock.word.load() & ~spin.SHARED == 0


def spinlock_of_three() -> None:
    """Three CPUs, one of which only tries."""
    world.thread(_spin, 1, 0)
    world.thread(_spin, 1, 1)
    world.thread(_spin_try, 0, 2)
    world.check(_three_but)


def _three_but() -> None:
    assert count + given_up.load() == 3
    _spin_free()


def _share_and_try(times: u64) -> None:
    for _ in range(times):
        spin.lock_shared(lock)
        spin.unlock_shared(lock)
        if spin.trylock(lock):
            _alone()
            spin.unlock(lock)
        else:
            given_up.add(1)


def spinlock_tried_after_sharing() -> None:
    """The hint that sharers leave in the word lets one in who tries, and one only."""
    world.thread(_share_and_try, 2, 0)
    world.thread(_share_and_try, 2, 1)
    world.check(_tried_four)


def _tried_four() -> None:
    assert count + given_up.load() == 4
    _spin_free()


def spinlock_shared() -> None:
    """Two sharers and one who wants to be alone."""
    world.thread(_spin_shared, 2, 0)
    world.thread(_spin_shared, 1, 1)
    world.thread(_spin, 1, 2)
    world.check(_one)


def _one() -> None:
    assert count == 1
    _spin_free()


def spinlock_crowd() -> None:
    """Two of each kind."""
    world.thread(_spin_shared, 1, 0)
    world.thread(_spin_shared, 1, 1)
    world.thread(_spin, 1, 2)
    world.thread(_spin, 1, 3)
    world.check(_two)


def _two() -> None:
    assert count == 2
    _spin_free()


def _change(times: u64) -> None:
    global left, right
    for _ in range(times):
        spin.update_lock(lock)
        left += 1
        right += 1
        spin.update_unlock(lock)


def _look(times: u64) -> None:
    for _ in range(times):
        began = spin.update_begin(lock)
        seen_left = left  # races: update_same() tells
        seen_right = right  # races: update_same() tells
        if spin.update_same(lock, began):
            assert seen_left == seen_right, "torn, but said to be of one piece"
        else:
            given_up.add(1)


def update_counter() -> None:
    """A reader without a lock knows when what it read was changed meanwhile."""
    world.thread(_change, 2, 0)
    world.thread(_look, 2, 1)
    world.check(_changed)


def update_counter_of_two() -> None:
    """Two who change."""
    world.thread(_change, 1, 0)
    world.thread(_change, 1, 1)
    world.thread(_look, 2, 2)
    world.check(_changed)


def _changed() -> None:
    assert left == 2 and right == 2 and lock.update.load() == 4


# --- Mutexes --------------------------------------------------------------------------------


def _mutex(times: u64) -> None:
    for _ in range(times):
        with mtx:
            _alone()


def _mutex_shared(times: u64) -> None:
    for _ in range(times):
        mutex.lock_shared(mtx)
        _together()
        mutex.unlock(mtx)


def mutex_exclusive() -> None:
    """Two CPUs, three threads, one mutex."""
    world.thread(_mutex, 1, 0)
    world.thread(_mutex, 1, 0)
    world.thread(_mutex, 1, 1)
    world.check(_mutex_three)


def _mutex_three() -> None:
    assert count == 3
    _mutex_free()


def _mutex_free() -> None:
    assert mtx.count == 0 and mtx.owner is None and mtx.waiters.empty()


def mutex_shared() -> None:
    """Sharers and one alone."""
    world.thread(_mutex_shared, 1, 0)
    world.thread(_mutex_shared, 1, 1)
    world.thread(_mutex, 1, 2)
    world.check(_mutex_one)


def _mutex_one() -> None:
    assert count == 1
    _mutex_free()


def _granted(at: Ptr[mutex.MutexLink]) -> None:
    granted.add(1)


def _mutex_async(unused: u64) -> None:
    """Asks, then thinks better of it, or has it by then."""
    mutex.lock_async(mtx, link, _granted, 0)
    world.point()
    if mutex.abort(mtx, link):
        aborted.add(1)
    else:
        while granted.load() == 0:
            world.wait()
        _alone()
        mutex.unlock(mtx)


def mutex_abort() -> None:
    """An asynchronous request is aborted while it is granted: one of the two happens."""
    world.thread(_mutex, 1, 0)
    world.thread(_mutex_async, 0, 1)
    world.check(_granted_or_aborted)


def _granted_or_aborted() -> None:
    assert granted.load() + aborted.load() == 1 and count == 1 + granted.load()
    _mutex_free()


def _mutex_timed(unused: u64) -> None:
    error = mutex.lock_timed(mtx, 1)
    if error == 0:
        _alone()
        mutex.unlock(mtx)
    else:
        assert error == EWOULDBLOCK
        given_up.add(1)


def mutex_timed() -> None:
    """The time of a waiter is over just when it is granted."""
    world.clocks(hasty=4)
    world.thread(_mutex, 1, 0)
    world.thread(_mutex_timed, 0, 1)
    world.check(_timed)


def _mutex_long(unused: u64) -> None:
    mutex.lock(mtx)
    _alone()
    for _ in range(20):
        world.point()
    mutex.unlock(mtx)


def mutex_timed_and_granted() -> None:
    """The holder lets go when the time of a waiter is over, before that has given up."""
    world.clocks(hasty=30)
    world.thread(_mutex_long, 1, 0)
    world.thread(_mutex_timed, 0, 1)
    world.check(_timed)


def _timed() -> None:
    assert count + given_up.load() == 2
    _mutex_free()


def _try_alone(unused: u64) -> None:
    """Takes what it can have at once, and waits for the rest as a sharer."""
    if mutex.try_lock(mtx):
        _alone()
        mutex.downgrade(mtx)
    else:
        mutex.lock_shared(mtx)
    _together()
    if mutex.try_upgrade(mtx):
        _alone()
    mutex.unlock(mtx)
    granted.add(1)


def mutex_tried() -> None:
    """From alone to together and back, while others want the same."""
    world.thread(_try_alone, 0, 0)
    world.thread(_try_alone, 0, 1)
    world.thread(_mutex_shared, 1, 2)
    world.check(_all_tried)


def _all_tried() -> None:
    assert granted.load() == 2
    _mutex_free()


def _share_held(unused: u64) -> None:
    """Shares it, asks to be alone, takes that back: who queued behind may come in."""
    mutex.lock_shared(mtx)
    mutex.lock_async(mtx, link, _granted, 0)
    inside.add(1)
    assert mutex.abort(mtx, link)
    while inside.load() != 2:
        world.wait()
    mutex.unlock(mtx)


def _share_too(unused: u64) -> None:
    while inside.load() == 0:
        world.wait()
    mutex.lock_shared(mtx)
    inside.add(1)
    mutex.unlock(mtx)


def mutex_abort_shared() -> None:
    """A request to be alone is aborted: sharers behind it need not wait for the others."""
    world.thread(_share_held, 0, 0)
    world.thread(_share_too, 0, 1)
    world.check(_mutex_free)


def _share_at_once(unused: u64) -> None:
    """Stays until the other is in as well."""
    while granted.load() == 0:
        world.wait()
    mutex.lock_shared(mtx)
    inside.add(1)
    while inside.load() % WRITER < 2:
        world.wait()
    mutex.unlock(mtx)


def mutex_sharers_together() -> None:
    """Sharers that waited for one alone come in together."""
    world.thread(_mutex_quietly, 0, 0)
    world.thread(_share_at_once, 0, 1)
    world.thread(_share_at_once, 0, 2)
    world.check(_mutex_free)


def _mutex_quietly(unused: u64) -> None:
    with mtx:
        granted.store(1)
        world.point()


def _mutex_and_scribble(unused: u64) -> None:
    """The link of who waited is gone at once, its stack used for something else."""
    mutex.lock(mtx)
    _scribble()
    mutex.unlock(mtx)


@noinline
def _scribble() -> None:
    used: Array[u64, 64]
    for i in range(len(used)):
        used[i] = 0xDEAD_BEEF_DEAD_BEEF
    given_up.add(used[count % 64] & 1)


def mutex_stack() -> None:
    """A waiter that was granted leaves its stack frame while others still look at the queue."""
    world.thread(_mutex_and_scribble, 0, 0)
    world.thread(_mutex_and_scribble, 0, 1)
    world.thread(_mutex_and_scribble, 0, 1)
    world.check(_mutex_free)


# --- lockmgr --------------------------------------------------------------------------------


def _lock_alone(times: u64) -> None:
    for _ in range(times):
        assert lockmgr.exclusive(lk, lockmgr.NO_FLAGS) == 0
        _alone()
        lockmgr.release(lk)


def _lock_shared(times: u64) -> None:
    for _ in range(times):
        assert lockmgr.shared(lk, lockmgr.NO_FLAGS) == 0
        _together()
        lockmgr.release(lk)


def _lock_upgrade(unused: u64) -> None:
    assert lockmgr.shared(lk, lockmgr.NO_FLAGS) == 0
    _together()
    error = lockmgr.upgrade(lk, lockmgr.NO_FLAGS)
    if error == 0:
        _alone()
        lockmgr.downgrade(lk)
        _together()
        lockmgr.release(lk)
    else:
        assert error == EBUSY
        given_up.add(1)


def lockmgr_shared() -> None:
    """Two sharers, one alone."""
    world.thread(_lock_shared, 1, 0)
    world.thread(_lock_shared, 1, 1)
    world.thread(_lock_alone, 1, 2)
    world.check(_lock_one)


def _lock_one() -> None:
    assert count == 1
    _lock_free()


def _lock_free() -> None:
    assert lk.exclusive == 0 and lk.shared == 0 and lk.want_exclusive == 0 and not lk.upgrading


def lockmgr_upgrade() -> None:
    """Two sharers want to be alone: one is, the other loses its lock and is told."""
    world.thread(_lock_upgrade, 0, 0)
    world.thread(_lock_upgrade, 0, 1)
    world.check(_upgraded)


def lockmgr_upgrade_and_wait() -> None:
    """The same, with one who waits to be alone and one who shares."""
    world.thread(_lock_upgrade, 0, 0)
    world.thread(_lock_alone, 1, 1)
    world.thread(_lock_shared, 1, 2)
    world.check(_upgraded_two)


def _upgraded() -> None:
    assert count + given_up.load() == 2
    _lock_free()


def _upgraded_two() -> None:
    assert count == 2
    _lock_free()


def _lock_cancel(unused: u64) -> None:
    assert lockmgr.exclusive(lk, lockmgr.NO_FLAGS) == 0
    lockmgr.cancel_beg(lk)
    world.point()
    lockmgr.cancel_end(lk)
    lockmgr.release(lk)


def _lock_cancelable(unused: u64) -> None:
    error = lockmgr.exclusive(lk, lockmgr.LockFlag.CANCELABLE)
    if error == 0:
        _alone()
        lockmgr.release(lk)
    else:
        assert error == ENOLCK
        given_up.add(1)


def lockmgr_cancel() -> None:
    """A holder sends away those who wait and may be cancelled."""
    world.thread(_lock_cancel, 0, 0)
    world.thread(_lock_cancelable, 0, 1)
    world.thread(_lock_alone, 1, 2)
    world.check(_cancelled)


def _cancelled() -> None:
    assert count + given_up.load() == 2
    _lock_free()


def _lock_timed(unused: u64) -> None:
    """Waits a tick or two; what is under way then is given up."""
    error = lockmgr.exclusive(lk, lockmgr.LockFlag.TIMELOCK)
    if error == 0:
        _alone()
        lockmgr.release(lk)
    else:
        assert error == EWOULDBLOCK
        given_up.add(1)


def _lock_for_long(unused: u64) -> None:
    assert lockmgr.shared(lk, lockmgr.NO_FLAGS) == 0
    _together()
    for _ in range(3):
        sleepq.tsleep(u64(address_of(ref(given_up))), sleepq.NO_FLAGS, "long", 1)
    lockmgr.release(lk)


def _patience() -> None:
    lk.timo = 1


def lockmgr_timed() -> None:
    """One gives up waiting to be alone: a sharer that waited behind it comes in."""
    world.clocks()
    world.start_with(_patience)
    world.thread(_lock_for_long, 0, 0)
    world.thread(_lock_timed, 0, 1)
    world.thread(_lock_shared, 1, 2)
    world.check(_timed_out)


def _timed_out() -> None:
    assert count + given_up.load() == 1
    _lock_free()


def _recursing() -> None:
    lk.flags = lockmgr.LockFlag.CANRECURSE


def _lock_again(unused: u64) -> None:
    """The owner asks again, either way, and lets go as often."""
    assert lockmgr.exclusive(lk, lockmgr.NO_FLAGS) == 0
    assert lockmgr.exclusive(lk, lockmgr.NO_FLAGS) == 0
    assert lockmgr.shared(lk, lockmgr.NO_FLAGS) == 0
    lockmgr.release(lk)
    _alone()
    lockmgr.release(lk)
    assert lockmgr.held(lk)
    _alone()
    lockmgr.release(lk)
    assert not lockmgr.held(lk)


def lockmgr_recursive() -> None:
    """Two take a lock several times over."""
    world.start_with(_recursing)
    world.thread(_lock_again, 0, 0)
    world.thread(_lock_again, 0, 1)
    world.check(_four_alone)


def _four_alone() -> None:
    assert count == 4
    _lock_free()


def _lock_at_once(unused: u64) -> None:
    """What cannot be had at once is not waited for, or waited for in vain."""
    error = lockmgr.exclusive(lk, lockmgr.LockFlag.NOWAIT)
    if error == 0:
        assert lockmgr.exclusive(lk, lockmgr.NO_FLAGS) == EDEADLK
        _alone()
        lockmgr.downgrade(lk)
        _together()
        lockmgr.release(lk)
    else:
        assert error == EBUSY
        error = lockmgr.shared(lk, lockmgr.LockFlag.SLEEPFAIL)
        if error == 0:
            _together()
            lockmgr.release(lk)
        else:
            assert error == ENOLCK
    granted.add(1)


def lockmgr_at_once() -> None:
    """Two try, one waits; the one that has it lets the others share."""
    world.thread(_lock_at_once, 0, 0)
    world.thread(_lock_at_once, 0, 1)
    world.thread(_lock_shared, 1, 2)
    world.check(_lock_free)


def _await_count(unused: u64) -> None:
    """Sleeps for what another does under the lock."""
    assert lockmgr.exclusive(lk, lockmgr.NO_FLAGS) == 0
    while count == 0:
        lockmgr.lksleep(u64(address_of(ref(granted))), lk, sleepq.NO_FLAGS, "count", 0)
    _alone()
    lockmgr.release(lk)


def _count_and_wake(unused: u64) -> None:
    with lk:
        _alone()
    sleepq.wakeup(u64(address_of(ref(granted))))


def lockmgr_sleep() -> None:
    """Who lets go to sleep loses no wakeup."""
    world.thread(_await_count, 0, 0)
    world.thread(_count_and_wake, 0, 1)
    world.check(_both_counted)


def _both_counted() -> None:
    assert count == 2
    _lock_free()


def _cancel_and_stay(unused: u64) -> None:
    """Keeps the lock until the other has given up."""
    assert lockmgr.exclusive(lk, lockmgr.NO_FLAGS) == 0
    granted.store(1)
    lockmgr.cancel_beg(lk)
    while given_up.load() == 0:
        world.wait()
    lockmgr.release(lk)


def _cancelled_at_once(unused: u64) -> None:
    while granted.load() == 0:
        world.wait()
    assert lockmgr.exclusive(lk, lockmgr.LockFlag.CANCELABLE) == ENOLCK
    given_up.add(1)


def lockmgr_cancel_held() -> None:
    """Who waits is sent away while the lock is held."""
    world.thread(_cancel_and_stay, 0, 0)
    world.thread(_cancelled_at_once, 0, 1)
    world.check(_lock_free)


def _downgrade_and_stay(unused: u64) -> None:
    """Shares it until the other shares it too."""
    assert lockmgr.exclusive(lk, lockmgr.NO_FLAGS) == 0
    granted.store(1)
    world.point()
    lockmgr.downgrade(lk)
    while given_up.load() == 0:
        world.wait()
    lockmgr.release(lk)


def _share_with_it(unused: u64) -> None:
    while granted.load() == 0:
        world.wait()
    assert lockmgr.shared(lk, lockmgr.NO_FLAGS) == 0
    given_up.add(1)
    lockmgr.release(lk)


def lockmgr_downgrade() -> None:
    """Who waits to share comes in when the owner goes on sharing."""
    world.thread(_downgrade_and_stay, 0, 0)
    world.thread(_share_with_it, 0, 1)
    world.check(_lock_free)


def _share_until_wanted(unused: u64) -> None:
    assert lockmgr.shared(lk, lockmgr.NO_FLAGS) == 0
    granted.store(1)
    while not _wanted():
        world.wait()
    granted.store(2)
    lockmgr.release(lk)


def _wanted() -> bool:
    with lk.spin:
        return lk.want_exclusive != 0


def _want_it(unused: u64) -> None:
    while granted.load() == 0:
        world.wait()
    _lock_alone(1)


def _share_afterwards(unused: u64) -> None:
    while granted.load() != 2:
        world.wait()
    assert lockmgr.shared(lk, lockmgr.NO_FLAGS) == 0
    assert count == 1, "it came in before one who waited to be alone"
    lockmgr.release(lk)


def lockmgr_in_turn() -> None:
    """A new sharer does not come in before one who waits to be alone."""
    world.thread(_share_until_wanted, 0, 0)
    world.thread(_want_it, 0, 1)
    world.thread(_share_afterwards, 0, 2)
    world.check(_lock_free)


# --- Serializers ----------------------------------------------------------------------------


def _serialize(times: u64) -> None:
    for _ in range(times):
        with serializer:
            _alone()


def serializers() -> None:
    """Three threads of two CPUs."""
    world.thread(_serialize, 1, 0)
    world.thread(_serialize, 1, 0)
    world.thread(_serialize, 1, 1)
    world.check(_serialized)


def _serialized() -> None:
    assert count == 3 and serializer.word.load() == 0


def _switch_handler(times: u64) -> None:
    for _ in range(times):
        serialize.handler_disable(serializer)
        serialize.handler_enable(serializer)


def serializer_handler() -> None:
    """The handler is switched off and on while others enter and leave."""
    world.thread(_serialize, 1, 0)
    world.thread(_switch_handler, 2, 1)
    world.thread(_serialize, 2, 2)
    world.check(_serialized)
