# SPDX-License-Identifier: BSD-3-Clause
"""Spinlocks, update counters, mutexes, the lock manager, serializers."""
from typing import Final

from kpy import Atomic, address_of, kprintf, ref, table, u32, u64, zeroed

from kernel.lib.errno import EBUSY, EDEADLK, ENOLCK, EWOULDBLOCK
from kernel.lwkt import lockmgr, mutex, sched, serialize, sleepq, spin
from tests.guest import support

UNSAFE: Final = True        # locks begin as zeroed storage

ROUNDS: Final = 100_000

guard: spin.Spinlock
mtx: mutex.Mutex = zeroed(mutex.Mutex)
lk: lockmgr.Lock = zeroed(lockmgr.Lock)
srl: serialize.Serializer
count: u64 = 0
low: u64 = 0
high: u64 = 0
torn: Atomic[u64]
retries: Atomic[u64]
inside: Atomic[u32]
most: Atomic[u32]
result: Atomic[u32]


def _spin_add(rounds: u64) -> None:
    global count
    for _ in range(rounds):
        with guard:
            count += 1
    support.done()


def _spin_read(rounds: u64) -> None:
    for _ in range(rounds):
        with guard.shared():
            inside.add(1)
            first = count
            if count != first:
                torn.add(1)
            inside.sub(1)
    support.done()


@table("guest_test", 60)
def spinlocks_count_exactly() -> None:
    """Writers and readers of every CPU."""
    global count
    count = 0
    torn.store(0)
    for cpu in range(support.cpus()):
        support.spawn(_spin_add, ROUNDS, cpu)
        support.spawn(_spin_read, ROUNDS, cpu)
    support.join()
    assert count == u64(ROUNDS) * support.cpus() and torn.load() == 0
    assert guard.word.load() & ~spin.SHARED == 0
    kprintf(f"{count} increments\n")


def _update(rounds: u64) -> None:
    global low, high
    for i in range(rounds):
        spin.update_lock(guard)
        low += 1
        high += 1
        spin.update_unlock(guard)
    result.store(1)
    support.done()


def _look(unused: u64) -> None:
    while result.load_relaxed() == 0:
        began = spin.update_begin(guard)
        a = low
        b = high
        if spin.update_same(guard, began):
            if a != b:
                torn.add(1)
        else:
            retries.add(1)
        sched.yield_()
    support.done()


@table("guest_test", 61)
def update_counters_tell_torn_reads() -> None:
    """Readers without a lock never take a half-made change for a whole one."""
    global low, high
    low = 0
    high = 0
    torn.store(0)
    result.store(0)
    retries.store(0)
    support.spawn(_update, ROUNDS, 0)
    for cpu in range(support.cpus()):
        support.spawn(_look, 0, cpu)
    support.join()
    assert torn.load() == 0 and low == ROUNDS
    kprintf(f"{ROUNDS} changes, {retries.load()} reads tried again\n")


def _mutex_add(rounds: u64) -> None:
    global count
    for i in range(rounds):
        with mtx:
            before = count
            if i % 64 == 0:
                sched.yield_()          # a mutex is kept over a switch
            count = before + 1
    support.done()


@table("guest_test", 62)
def mutexes_exclude_and_hand_over() -> None:
    """Exact counts though the holder switches; sharing, upgrade, time-out, abort."""
    global count
    count = 0
    mtx.name = "mutex"
    for i in range(2 * support.cpus()):
        support.spawn(_mutex_add, ROUNDS // 10, u32(i) % support.cpus())
    support.join()
    assert count == u64(2 * support.cpus()) * (ROUNDS // 10)
    mutex.lock_shared(mtx)
    mutex.lock_shared(mtx)
    assert not mutex.try_lock(mtx) and not mutex.try_upgrade(mtx)
    mutex.unlock(mtx)
    assert mutex.try_upgrade(mtx)
    mutex.lock(mtx)
    mutex.unlock(mtx)
    mutex.downgrade(mtx)
    result.store(0)
    support.spawn(_timed, 0, 0)
    support.join()
    assert result.load() == u32(EWOULDBLOCK)
    mutex.unlock(mtx)
    assert mtx.count == 0
    kprintf(f"{count} increments\n")


def _timed(unused: u64) -> None:
    result.store(u32(mutex.lock_timed(mtx, 3)))
    support.done()


def _lock_add(rounds: u64) -> None:
    global count
    for i in range(rounds):
        if i % 3 == 0:
            lockmgr.shared(lk, lockmgr.NO_FLAGS)
            now = inside.add(1) + 1
            if now > most.load_relaxed():
                most.store(now)
            if i % 9 == 0:
                sched.yield_()
            inside.sub(1)
            if i % 2 == 0 and lockmgr.upgrade(lk, lockmgr.NO_FLAGS) == 0:
                if inside.load() != 0:
                    torn.add(1)
                lockmgr.release(lk)
            elif i % 2 != 0:
                lockmgr.release(lk)
        else:
            lockmgr.exclusive(lk, lockmgr.NO_FLAGS)
            if inside.load() != 0:
                torn.add(1)
            count += 1
            lockmgr.release(lk)
    support.done()


def _cancelable(unused: u64) -> None:
    result.store(u32(lockmgr.exclusive(lk, lockmgr.LockFlag.CANCELABLE)))
    support.done()


@table("guest_test", 63)
def lockmgr_shares_upgrades_and_cancels() -> None:
    """Shared, exclusive and upgrades at random; NOWAIT, recursion, cancelled waiters."""
    global count
    count = 0
    torn.store(0)
    inside.store(0)
    lk.name = "lockmgr"
    for i in range(2 * support.cpus()):
        support.spawn(_lock_add, ROUNDS // 20, u32(i) % support.cpus())
    support.join()
    assert torn.load() == 0
    assert lk.exclusive == 0 and lk.shared == 0 and lk.want_exclusive == 0
    lockmgr.exclusive(lk, lockmgr.NO_FLAGS)
    assert lockmgr.exclusive(lk, lockmgr.NO_FLAGS) == EDEADLK
    result.store(0)
    support.spawn(_cancelable, 0, 0)
    support.pause_ticks(3)
    lockmgr.cancel_beg(lk)
    support.join()
    assert result.load() == u32(ENOLCK)
    lockmgr.cancel_end(lk)
    lockmgr.downgrade(lk)
    assert lockmgr.exclusive(lk, lockmgr.LockFlag.NOWAIT) == EBUSY
    lockmgr.release(lk)
    kprintf(f"{count} exclusive holds\n")


def _serialize_add(rounds: u64) -> None:
    global count
    for i in range(rounds):
        with srl:
            before = count
            if i % 64 == 0:
                sched.yield_()
            count = before + 1
    support.done()


@table("guest_test", 64)
def serializers_exclude() -> None:
    """Exact counts though the holder switches."""
    global count
    count = 0
    srl.name = "serial"
    for i in range(2 * support.cpus()):
        support.spawn(_serialize_add, ROUNDS // 10, u32(i) % support.cpus())
    support.join()
    assert count == u64(2 * support.cpus()) * (ROUNDS // 10)
    assert srl.word.load() == 0
    kprintf(f"{count} increments\n")


def _sleeper_under(which: u64) -> None:
    """Wait for count to reach 1 under each kind of lock, let go of while asleep."""
    if which == 0:
        mutex.lock(mtx)
        while count == 0:
            mutex.mtxsleep(u64(address_of(ref(count))), mtx, sleepq.NO_FLAGS, "mtxsleep", 0)
        mutex.unlock(mtx)
    elif which == 1:
        lockmgr.exclusive(lk, lockmgr.NO_FLAGS)
        while count == 0:
            lockmgr.lksleep(u64(address_of(ref(count))), lk, sleepq.NO_FLAGS, "lksleep", 0)
        lockmgr.release(lk)
    else:
        serialize.enter(srl)
        while count == 0:
            serialize.zsleep(u64(address_of(ref(count))), srl, sleepq.NO_FLAGS, "zsleep", 0)
        serialize.leave(srl)
    support.done()


@table("guest_test", 65)
def sleeping_lets_go_of_the_lock() -> None:
    """mtxsleep, lksleep and zsleep: the lock is free meanwhile, and no wakeup is lost."""
    global count
    for round in range(300):
        for which in range(3):
            count = 0
            support.spawn(_sleeper_under, which, support.cpus() - 1)
            if round % 3 == 0:
                support.pause_ticks(1)
            if which == 0:
                with mtx:
                    count = 1
                    sleepq.wakeup(u64(address_of(ref(count))))
            elif which == 1:
                with lk:
                    count = 1
                    sleepq.wakeup(u64(address_of(ref(count))))
            else:
                with srl:
                    count = 1
                    sleepq.wakeup(u64(address_of(ref(count))))
            support.join()
    kprintf("300 sleeps under each kind of lock\n")
