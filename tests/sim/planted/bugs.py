# SPDX-License-Identifier: BSD-3-Clause
"""Bugs planted on purpose: what the simulator has to find, each in its simplest form."""
from typing import Final

from kpy import Atomic, address_of, pause, ref, u32, u64

from kernel.lwkt import sleepq, spin
from kernel.lwkt.sleepq import SleepFlag
from tests.sim import world

UNSAFE: Final = True        # idents are addresses; spinlocks begin as zero

count: u64 = 0
flag: Atomic[u32]
first: spin.Spinlock
second: spin.Spinlock


def _add(unused: u64) -> None:
    global count
    count += 1


def _two() -> None:
    assert count == 2


def lost_update() -> None:
    """Two CPUs add to a variable that nothing protects."""
    world.thread(_add, 0, 0)
    world.thread(_add, 0, 1)
    world.check(_two)


def _sleep_without_interlock(unused: u64) -> None:
    if flag.load() == 0:
        sleepq.tsleep(u64(address_of(ref(flag))), SleepFlag(0), "flag", 0)


def _wake(unused: u64) -> None:
    flag.store(1)
    sleepq.wakeup(u64(address_of(ref(flag))))


def lost_wakeup() -> None:
    """A wakeup between test and sleep: a deadlock."""
    world.thread(_sleep_without_interlock, 0, 0)
    world.thread(_wake, 0, 1)


def _lock_both(order: u64) -> None:
    one = ref(first) if order == 0 else ref(second)
    other = ref(second) if order == 0 else ref(first)
    with one, other:
        world.point()


def lock_order() -> None:
    """Two spinlocks in opposite orders: both CPUs spin for ever."""
    world.thread(_lock_both, 0, 0)
    world.thread(_lock_both, 1, 1)


def _wait_for_ever(unused: u64) -> None:
    while flag.load() == 0:
        pause()


def never_set() -> None:
    """A loop that waits for what nobody does."""
    world.thread(_wait_for_ever, 0, 0)


def _set(unused: u64) -> None:
    flag.store(1)


def waits_its_turn() -> None:
    """No bug: a spin loop that ends when the other CPU has run."""
    world.thread(_wait_for_ever, 0, 0)
    world.thread(_set, 0, 1)


def _read_only(unused: u64) -> None:
    seen = count
    world.point()
    assert count == seen


def only_reads() -> None:
    """No bug: steps that do not depend on one another."""
    world.thread(_read_only, 0, 0)
    world.thread(_read_only, 0, 1)
