# SPDX-License-Identifier: BSD-3-Clause
"""Mutexes: blocking locks that are handed over directly.

Who waits brings a MutexLink, in a queue of the mutex; who lets go gives the mutex to the first of
them: nobody overtakes.  Waking and calling back happen after the spinlock is let go of: either may
send messages, and the receiver may be waiting for that spinlock.  A waiting link can be aborted,
and one can wait without a thread, by a function that is called when the mutex is granted.

Invariants
  U1  count 0: free.  EXCLUSIVE in the word: `owner` holds it `count` times.  Else `count` sharers.
  U2  A link is on the queue exactly while its state is QUEUED.
  U3  The mutex is never free while somebody is queued, outside the spinlock.
Locking   [s] `spin`   [o] the owner
Tests     tests/unit/lwkt/test_locks.py, tests/guest/locks.py
Source    DragonFly sys/kern/kern_mutex.c, sys/sys/mutex.h (design)
Limits    the original's word is lock-free on the uncontended path; here a spinlock guards it
"""
from typing import Final

from kpy import (
    Fn,
    Ptr,
    Str,
    address_of,
    enum,
    i32,
    kassert,
    may_block,
    struct,
    u32,
    u64,
    zeroed,
)

from kernel.lib import queue
from kernel.lib.errno import ENOLCK, EWOULDBLOCK
from kernel.lwkt import sleepq, spin
from kernel.lwkt.globaldata import curthread
from kernel.lwkt.thread import Thread

UNSAFE: Final = True     # its address is what is slept on


@enum(u32)
class LinkState:
    """Of one who waits."""
    IDLE = 0
    QUEUED = 1
    GRANTED = 2
    ABORTED = 3


@struct
class MutexLink:
    """One who waits; storage is the waiter's."""
    link: queue.Link["MutexLink"]           # [s]
    owner: Ptr[Thread] | None               # [I]
    state: LinkState                        # [s]
    exclusive: bool                         # [I]
    call: bool                              # [I] call `granted` instead of waking
    granted: Fn[[Ptr["MutexLink"]], None]   # [I]
    arg: u64                                # [I]


@struct
class Mutex:
    """Zero is a free one."""
    spin: spin.Spinlock
    exclusive: bool                         # [s]
    count: u32                              # [s] references held (U1)
    owner: Ptr[Thread] | None               # [s]
    waiters: queue.TailQueue[MutexLink, "link"]     # [s]
    name: Str                               # [I]

    def __enter__(self) -> None:
        lock(self)

    def __exit__(self) -> None:
        unlock(self)


def _nobody(link: Ptr[MutexLink]) -> None:
    pass


@may_block
def lock(m: Ptr[Mutex]) -> None:
    """Hold `m` alone; may be nested."""
    _wait_for(m, True, 0)


@may_block
def lock_shared(m: Ptr[Mutex]) -> None:
    """Hold `m` together with others."""
    _wait_for(m, False, 0)


@may_block
def lock_timed(m: Ptr[Mutex], ticks: u64) -> i32:
    """lock() that gives up after `ticks`: EWOULDBLOCK."""
    return _wait_for(m, True, ticks)


def try_lock(m: Ptr[Mutex]) -> bool:
    """Hold `m` alone if that is possible at once."""
    with m.spin:
        return _take(m, curthread(), True)


def unlock(m: Ptr[Mutex]) -> None:
    """Let go once; at the last the next in the queue has it."""
    granted: Ptr[MutexLink] | None = None
    waiters = False
    with m.spin:
        kassert(m.count != 0)
        kassert(not m.exclusive or m.owner is curthread(), "the owner lets go")
        m.count -= 1
        if m.count == 0:
            m.exclusive = False
            m.owner = None
            waiters = not m.waiters.empty()
            granted = _grant(m)
    _tell(m, waiters, granted)


def downgrade(m: Ptr[Mutex]) -> None:
    """From alone to together, without letting go."""
    granted: Ptr[MutexLink] | None = None
    waiters = False
    with m.spin:
        kassert(m.exclusive and m.count == 1 and m.owner is curthread())
        m.exclusive = False
        m.owner = None
        waiters = True
        granted = _grant(m)
    _tell(m, waiters, granted)


def try_upgrade(m: Ptr[Mutex]) -> bool:
    """From together to alone, if nobody else shares it."""
    with m.spin:
        if m.exclusive or m.count != 1:
            return False
        m.exclusive = True
        m.owner = curthread()
        return True


def lock_async(m: Ptr[Mutex], link: Ptr[MutexLink], granted: Fn[[Ptr[MutexLink]], None],
               arg: u64) -> None:
    """Have granted(link) called, with `m` held alone for this thread; perhaps at once."""
    link.owner = curthread()
    link.exclusive = True
    link.call = True
    link.granted = granted
    link.arg = arg
    now = False
    with m.spin:
        if m.waiters.empty() and _take(m, curthread(), True):
            link.state = LinkState.GRANTED
            now = True
        else:
            link.state = LinkState.QUEUED
            m.waiters.push_back(link)
    if now:
        granted(link)


def abort(m: Ptr[Mutex], link: Ptr[MutexLink]) -> bool:
    """Take one who waits out of the queue: its lock fails with ENOLCK.  False if it has it."""
    granted: Ptr[MutexLink] | None = None
    waiters = False
    with m.spin:
        if link.state != LinkState.QUEUED:
            return False
        m.waiters.remove(link)
        link.state = LinkState.ABORTED
        waiters = True
        granted = _grant(m)
    _tell(m, waiters, granted)
    return True


@may_block
def mtxsleep(ident: u64, m: Ptr[Mutex], how: sleepq.SleepFlag, wmesg: Str, timo: u64) -> i32:
    """tsleep() that lets go of a mutex held alone, without a gap in which a wakeup is lost."""
    sleepq.tsleep_interlock(ident, how)
    unlock(m)
    error = sleepq.tsleep(ident, how | sleepq.SleepFlag.PINTERLOCKED, wmesg, timo)
    lock(m)
    return error


def _take(m: Ptr[Mutex], td: Ptr[Thread], exclusive: bool) -> bool:
    """Under the spinlock: hold it if the present holders allow."""
    if m.count == 0:
        m.exclusive = exclusive
        m.owner = td if exclusive else None
    elif m.exclusive:
        if m.owner is not td:
            return False
    elif exclusive or not m.waiters.empty():
        return False
    m.count += 1
    return True


def _grant(m: Ptr[Mutex]) -> Ptr[MutexLink] | None:
    """U3: give it to whom the queue has first, and to the sharers right behind.

    Returns  the one whose function is to be called by _tell(), once the spinlock is free.
    """
    while (link := m.waiters.first) is not None:
        if m.count != 0 and (m.exclusive or link.exclusive):
            return None
        m.waiters.remove(link)
        m.exclusive = link.exclusive
        m.owner = link.owner if link.exclusive else None
        m.count += 1
        link.state = LinkState.GRANTED
        if link.call:
            return link
    return None


def _tell(m: Ptr[Mutex], waiters: bool, granted: Ptr[MutexLink] | None) -> None:
    """Let waiters look at their links; each finds its own grant there."""
    if granted is not None:
        granted.granted(granted)
    if waiters:
        sleepq.wakeup(u64(address_of(m)))


@may_block
def _wait_for(m: Ptr[Mutex], exclusive: bool, ticks: u64) -> i32:
    link: MutexLink = zeroed(MutexLink)
    with m.spin:
        td = curthread()
        if (m.waiters.empty() or m.owner is td) and _take(m, td, exclusive):
            return 0
        link.owner = td
        link.exclusive = exclusive
        link.granted = _nobody
        link.state = LinkState.QUEUED
        m.waiters.push_back(link)
    return _sleep(m, link, ticks)


@may_block
def _sleep(m: Ptr[Mutex], link: Ptr[MutexLink], ticks: u64) -> i32:
    while True:
        sleepq.tsleep_interlock(u64(address_of(m)))
        with m.spin:
            state = link.state
        if state != LinkState.QUEUED:
            sleepq.tsleep_remove()
            return ENOLCK if state == LinkState.ABORTED else 0
        late = sleepq.tsleep(u64(address_of(m)), sleepq.SleepFlag.PINTERLOCKED, m.name, ticks)
        if late != 0 and abort(m, link):
            return EWOULDBLOCK
