# SPDX-License-Identifier: BSD-3-Clause
"""Spinlocks: for a few straight lines of code that several CPUs must not execute at once.

`with lock:` takes one exclusively, `with lock.shared():` together with other readers.  Holding one
is a critical section; nothing that may block may be called (the compiler refuses it).

The word: bits 0-19 count the holders, bits 20-30 the CPUs that wait to be exclusive, bit 31 says
that the holders share.  It may stay set at count 0 as a hint: the next sharer finds it set.

A lock can carry an update counter (a seqlock): odd while its data is changed.  A reader takes
update_begin(), reads, and asks update_same() whether what it read was of one piece.

Invariants
  S1  Count 1 without SHARED: one exclusive holder.  Count n with SHARED: n sharers.  A CPU that
      tries may add 1 for an instant; it takes that back before it waits.
  S2  While somebody waits to be exclusive no new sharer gets in.
  S3  The holder is in a critical section and counted in Globaldata.spinlocks.
Tests     tests/unit/lwkt/test_spin.py, tests/guest/locks.py
Source    DragonFly sys/sys/spinlock2.h, kern_spinlock.c (design)
"""
from typing import Final

from kpy import (
    Atomic,
    Ptr,
    Str,
    cast,
    cold,
    fence,
    forbids_blocking,
    inline,
    klog,
    noinline,
    panic,
    pause,
    struct,
    u32,
    u64,
    wrapping,
)

from kernel import machine
from kernel.lwkt import crit
from kernel.lwkt.globaldata import gd

UNSAFE: Final = True     # SharedSide is the same storage by another name

COUNT: Final[u32] = 0x000F_FFFF
WAITER: Final[u32] = 0x0010_0000
WAITERS: Final[u32] = 0x7FF0_0000
SHARED: Final[u32] = 0x8000_0000
ROUNDS_PER_LOOK: Final = 1 << 16    # spins between two looks at the clock
WARN_S: Final = 1
PANIC_S: Final = 60


@struct
class Spinlock:
    """Zero is a free lock."""
    word: Atomic[u32]       # [a]
    update: Atomic[u32]     # [a] the update counter
    name: Str               # [I] for people

    @forbids_blocking
    @inline
    def __enter__(self) -> None:
        lock(self)

    @inline
    def __exit__(self) -> None:
        unlock(self)

    @inline
    def shared(self) -> Ptr["SharedSide"]:
        """What `with` takes together with other readers."""
        return cast(Ptr[SharedSide], self)


@struct
class SharedSide:
    """A Spinlock as readers take it."""
    lock: Spinlock

    @forbids_blocking
    @inline
    def __enter__(self) -> None:
        lock_shared(self.lock)

    @inline
    def __exit__(self) -> None:
        unlock_shared(self.lock)


@inline
def lock(spin: Ptr[Spinlock]) -> None:
    """Hold `spin` alone.  Context: any but an IPI callback that may interrupt its holder."""
    crit.crit_enter()
    gd.spinlocks += 1
    if spin.word.add(1, order="acquire") != 0:
        _contested(spin)


@inline
def unlock(spin: Ptr[Spinlock]) -> None:
    spin.word.sub(1, order="release")
    gd.spinlocks -= 1
    crit.crit_exit()


def trylock(spin: Ptr[Spinlock]) -> bool:
    """Hold `spin` alone if nobody holds it or waits for it."""
    crit.crit_enter()
    if spin.word.cas(0, 1) or spin.word.cas(SHARED, 1):
        gd.spinlocks += 1
        return True
    crit.crit_exit()
    return False


@inline
def lock_shared(spin: Ptr[Spinlock]) -> None:
    """Hold `spin` together with other readers."""
    crit.crit_enter()
    gd.spinlocks += 1
    before = spin.word.add(1, order="acquire")
    if before & (SHARED | WAITERS) != SHARED:
        _contested_shared(spin, before)


@inline
def unlock_shared(spin: Ptr[Spinlock]) -> None:
    spin.word.sub(1, order="release")
    gd.spinlocks -= 1
    crit.crit_exit()


@inline
def lock_watched(spin: Ptr[Spinlock]) -> bool:
    """lock(); whether somebody else held it, for who counts that."""
    taken = held(spin)
    lock(spin)
    return taken


@inline
def held(spin: Ptr[Spinlock]) -> bool:
    """Whether anybody holds it: for assertions."""
    return spin.word.load_relaxed() & COUNT != 0


@inline
def update_begin(spin: Ptr[Spinlock]) -> u32:
    """Begin to read without locking; odd if a change is under way."""
    return spin.update.load_acquire()


@inline
def update_same(spin: Ptr[Spinlock], began: u32) -> bool:
    """Whether what was read since update_begin() is of one piece."""
    fence("acquire")
    return began & 1 == 0 and spin.update.load_relaxed() == began


@inline
def update_lock(spin: Ptr[Spinlock]) -> None:
    """lock(), and let readers know that a change is under way."""
    lock(spin)
    spin.update.add(1, order="acq_rel")


@inline
def update_unlock(spin: Ptr[Spinlock]) -> None:
    spin.update.add(1, order="release")
    unlock(spin)


@cold
@noinline
def _contested(spin: Ptr[Spinlock]) -> None:
    """Our count is in the word, but so is somebody else: become a waiter, then the holder."""
    gd.counters.spin_contention += 1
    spin.word.add(WAITER - 1, order="relaxed")
    rounds: u64 = 0
    while True:
        value = spin.word.load_relaxed()
        if value & COUNT == 0 and spin.word.cas(value, (value & ~SHARED) - WAITER + 1):
            return
        rounds += 1
        _spin(spin, rounds)


@cold
@noinline
def _contested_shared(spin: Ptr[Spinlock], before: u32) -> None:
    """Our count is in the word; `before` had no SHARED, or waiters."""
    if before == 0:
        spin.word.or_(SHARED)           # nobody else is in: our count becomes a sharer's
        return
    gd.counters.spin_contention += 1
    spin.word.sub(1, order="relaxed")
    rounds: u64 = 0
    while True:
        value = spin.word.load_relaxed()
        free = value & COUNT == 0 or value & SHARED != 0
        if free and value & WAITERS == 0 and spin.word.cas(value, (value | SHARED) + 1):
            return
        rounds += 1
        _spin(spin, rounds)


@cold
def _spin(spin: Ptr[Spinlock], rounds: u64) -> None:
    """One round of waiting: complain after WARN_S, give up after PANIC_S."""
    pause()
    if rounds % ROUNDS_PER_LOOK != 0:
        return
    now = machine.cputimer_count()
    if rounds == ROUNDS_PER_LOOK:
        gd.spin_since = now
    waited_s = wrapping(now - gd.spin_since) // machine.cputimer_hz()
    if waited_s >= PANIC_S:
        panic(f"spinlock {spin.name}: waited {waited_s} s, word {spin.word.load_relaxed():#x}")
    if waited_s >= WARN_S + gd.spin_warned:
        gd.spin_warned += 10
        klog(f"spinlock {spin.name}: indefinite wait, word {spin.word.load_relaxed():#x}\n")
