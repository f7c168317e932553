# SPDX-License-Identifier: BSD-3-Clause
"""The lock manager: blocking locks, shared or exclusive, that can be upgraded and cancelled.

A lock is not let go of when its holder blocks: mind the order in which you take several.
Exclusive requests go before new shared ones; a pending upgrade goes before all.

Invariants
  V1  `exclusive` > 0: `owner` holds it that many times (more than once with CANRECURSE only).
  V2  `shared` > 0 and `exclusive` == 0, but for none held at all.
  V3  At most one upgrade is pending; the upgrader still counts in `shared`.
Locking   [s] `spin`
Tests     tests/unit/lwkt/test_locks.py, tests/guest/locks.py
Source    DragonFly sys/kern/kern_lock.c, sys/sys/lock.h (design)
Limits    one spinlock guards the counts; the original packs them in one atomic word
"""
from typing import Final

from kpy import (
    Ptr,
    Str,
    address_of,
    cast,
    flags,
    i32,
    inline,
    kassert,
    may_block,
    struct,
    u32,
    u64,
)

from kernel.lib.errno import EBUSY, EDEADLK, ENOLCK, EWOULDBLOCK
from kernel.lwkt import sleepq, spin
from kernel.lwkt.globaldata import curthread
from kernel.lwkt.thread import Thread

UNSAFE: Final = True     # its address is what is slept on; SharedSide is the same storage


@flags(u32)
class LockFlag:
    """The numbers of the first are the requests'."""
    CANRECURSE = 0x1        # of the lock: its owner may take it again
    NOWAIT = 0x10           # of a request: EBUSY rather than wait
    SLEEPFAIL = 0x20        # ENOLCK once it has waited
    TIMELOCK = 0x40         # EWOULDBLOCK after the lock's `timo` ticks
    CANCELABLE = 0x80       # ENOLCK while the holder has cancelled waiters


NO_FLAGS: Final[LockFlag] = LockFlag(0)


@struct
class Lock:
    """Zero is a free one without CANRECURSE."""
    spin: spin.Spinlock
    exclusive: u32              # [s] V1
    shared: u32                 # [s] V2
    want_exclusive: u32         # [s] who waits to be exclusive
    upgrading: bool             # [s] V3
    cancelling: bool            # [s] cancel_beg() is in effect
    owner: Ptr[Thread] | None   # [s]
    flags: LockFlag             # [I]
    timo: u64                   # [I] ticks, for TIMELOCK
    name: Str                   # [I]

    def __enter__(self) -> None:
        exclusive(self, NO_FLAGS)

    def __exit__(self) -> None:
        release(self)

    @inline
    def sharing(self) -> Ptr["SharedSide"]:
        """What `with` takes together with other sharers."""
        return cast(Ptr[SharedSide], self)


@struct
class SharedSide:
    """A Lock as sharers take it."""
    lock: Lock

    def __enter__(self) -> None:
        shared(self.lock, NO_FLAGS)

    def __exit__(self) -> None:
        release(self.lock)


@may_block
def exclusive(lk: Ptr[Lock], how: LockFlag) -> i32:
    """Hold `lk` alone.  Returns 0, or an error that `how` allows; EDEADLK where the owner asks
    again and the lock does not recurse, or a sharer whom `upgrade` would serve."""
    td = curthread()
    waited = False
    spin.lock(lk.spin)
    if lk.owner is td:
        error: i32 = 0
        if LockFlag.CANRECURSE in lk.flags:
            lk.exclusive += 1
        else:
            error = EDEADLK
        spin.unlock(lk.spin)
        return error
    lk.want_exclusive += 1
    while lk.exclusive != 0 or lk.shared != 0:
        error = _wait(lk, how, waited)
        if error != 0:
            lk.want_exclusive -= 1
            return _give_up(lk, error)
        waited = True
    lk.want_exclusive -= 1
    lk.exclusive = 1
    lk.owner = td
    spin.unlock(lk.spin)
    return 0


@may_block
def shared(lk: Ptr[Lock], how: LockFlag) -> i32:
    """Hold `lk` together with others.  An owner that asks is given it exclusively again."""
    td = curthread()
    waited = False
    spin.lock(lk.spin)
    if lk.owner is td:
        lk.exclusive += 1
        spin.unlock(lk.spin)
        return 0
    while lk.exclusive != 0 or lk.upgrading or lk.want_exclusive != 0:
        error = _wait(lk, how, waited)
        if error != 0:
            spin.unlock(lk.spin)
            return error
        waited = True
    lk.shared += 1
    spin.unlock(lk.spin)
    return 0


@may_block
def upgrade(lk: Ptr[Lock], how: LockFlag) -> i32:
    """From shared to exclusive, before all who wait.

    Returns  0; EBUSY if somebody else upgrades: the shared lock is then gone, as in the original,
             for both would wait for the other.
    """
    spin.lock(lk.spin)
    kassert(lk.shared != 0)
    if lk.upgrading:
        lk.shared -= 1
        return _give_up(lk, EBUSY)
    lk.upgrading = True
    while lk.shared != 1:
        error = _wait(lk, how, False)
        if error != 0:
            lk.upgrading = False
            lk.shared -= 1
            return _give_up(lk, error)
    lk.upgrading = False
    lk.shared = 0
    lk.exclusive = 1
    lk.owner = curthread()
    spin.unlock(lk.spin)
    return 0


def downgrade(lk: Ptr[Lock]) -> None:
    """From exclusive to shared, without letting go."""
    with lk.spin:
        kassert(lk.owner is curthread() and lk.exclusive == 1)
        lk.exclusive = 0
        lk.owner = None
        lk.shared = 1
    sleepq.wakeup(u64(address_of(lk)))


def release(lk: Ptr[Lock]) -> None:
    """Let go once."""
    wake = False
    with lk.spin:
        if lk.exclusive != 0:
            kassert(lk.owner is curthread(), "the owner lets go")
            lk.exclusive -= 1
            if lk.exclusive == 0:
                lk.owner = None
                lk.cancelling = False
                wake = True
        else:
            kassert(lk.shared != 0, "it is not held")
            lk.shared -= 1
            wake = lk.shared <= 1           # the last, or the upgrader alone
    if wake:
        sleepq.wakeup(u64(address_of(lk)))


def cancel_beg(lk: Ptr[Lock]) -> None:
    """The exclusive owner makes CANCELABLE waiters fail with ENOLCK, now and until it lets go or
    cancel_end()."""
    with lk.spin:
        kassert(lk.owner is curthread())
        lk.cancelling = True
    sleepq.wakeup(u64(address_of(lk)))


def cancel_end(lk: Ptr[Lock]) -> None:
    with lk.spin:
        kassert(lk.owner is curthread())
        lk.cancelling = False


@may_block
def lksleep(ident: u64, lk: Ptr[Lock], how: sleepq.SleepFlag, wmesg: Str, timo: u64) -> i32:
    """tsleep() that lets go of a lock held alone, without a gap in which a wakeup is lost."""
    sleepq.tsleep_interlock(ident, how)
    release(lk)
    error = sleepq.tsleep(ident, how | sleepq.SleepFlag.PINTERLOCKED, wmesg, timo)
    exclusive(lk, NO_FLAGS)
    return error


def held(lk: Ptr[Lock]) -> bool:
    """Whether this thread holds it alone."""
    return lk.owner is curthread()      # races: only this thread makes itself the owner, or not


@may_block
def _wait(lk: Ptr[Lock], how: LockFlag, waited: bool) -> i32:
    """Wait for a change, with the spinlock held on entry and return; an error to give up with."""
    if LockFlag.NOWAIT in how:
        return EBUSY
    if lk.cancelling and LockFlag.CANCELABLE in how:
        return ENOLCK
    ticks = lk.timo if LockFlag.TIMELOCK in how else 0
    error = sleepq.ssleep(u64(address_of(lk)), lk.spin, sleepq.NO_FLAGS, lk.name, ticks)
    if error != 0:
        return EWOULDBLOCK
    if LockFlag.SLEEPFAIL in how:
        return ENOLCK
    return 0


def _give_up(lk: Ptr[Lock], error: i32) -> i32:
    """Let go of the spinlock; others may have waited because of us."""
    spin.unlock(lk.spin)
    sleepq.wakeup(u64(address_of(lk)))
    return error
