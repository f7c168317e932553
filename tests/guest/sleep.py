# SPDX-License-Identifier: BSD-3-Clause
"""Sleep and wakeup: no wakeup is lost, time-outs come, one wakes one."""
from typing import Final

from kpy import Array, Atomic, address_of, kprintf, ref, table, u32, u64

from kernel import machine
from kernel.lib.errno import EWOULDBLOCK
from kernel.lwkt import clock, sleepq
from kernel.lwkt.globaldata import gd
from tests.guest import support

UNSAFE: Final = True        # addresses are what is slept on

HANDOVERS: Final = 100_000
LENGTHS: Final[Array[u64, 3]] = [1, 5, 20]

turn: Atomic[u64]
woken: Atomic[u32]
asleep: Atomic[u32]


def _take_turns(me: u64) -> None:
    """Wait for one's turn, give it to the other; a lost wakeup would be for ever."""
    for _ in range(HANDOVERS):
        while True:
            sleepq.tsleep_interlock(u64(address_of(turn)))
            if turn.load() % 2 == me:
                sleepq.tsleep_remove()
                break
            sleepq.tsleep(u64(address_of(turn)), sleepq.SleepFlag.PINTERLOCKED, "turn", 0)
        turn.add(1)
        sleepq.wakeup(u64(address_of(turn)))
    support.done()


@table("guest_test", 50)
def no_wakeup_is_lost() -> None:
    """HANDOVERS turns each way between two CPUs, without a time-out to mend it."""
    turn.store(0)
    support.spawn(_take_turns, 0, 0)
    support.spawn(_take_turns, 1, support.cpus() - 1)
    support.join()
    assert turn.load() == 2 * HANDOVERS
    kprintf(f"{2 * HANDOVERS} wakeups\n")


def _sleep_once(unused: u64) -> None:
    sleepq.tsleep_interlock(u64(address_of(asleep)))
    asleep.add(1)
    sleepq.tsleep(u64(address_of(asleep)), sleepq.SleepFlag.PINTERLOCKED, "one", 0)
    woken.add(1)
    support.done()


@table("guest_test", 51)
def wakeup_one_wakes_one() -> None:
    """Sleepers of one CPU are woken one at a time, in order of arrival; wakeup() wakes the rest."""
    asleep.store(0)
    woken.store(0)
    for _ in range(6):
        support.spawn(_sleep_once, 0, 0)
    while asleep.load() < 6:
        support.pause_ticks(1)
    support.pause_ticks(2)
    for wanted in range(1, 4):
        sleepq.wakeup_one(u64(address_of(asleep)))
        support.pause_ticks(2)
        assert woken.load() == wanted
    sleepq.wakeup(u64(address_of(asleep)))
    support.join()
    assert woken.load() == 6
    kprintf("3 woken one by one, 3 together\n")


@table("guest_test", 52)
def sleeps_time_out() -> None:
    """A sleep with a time-out ends after it, not before, with EWOULDBLOCK."""
    ident: u64 = 0
    for ticks in LENGTHS:
        began = machine.cputimer_count()
        error = sleepq.tsleep(u64(address_of(ref(ident))), sleepq.NO_FLAGS, "test", ticks)
        slept = support.elapsed_ms(began)
        assert error == EWOULDBLOCK
        assert slept + 1 >= (u64(ticks) - 1) * 1000 // clock.HZ
    kprintf("1, 5 and 20 ticks\n")


@table("guest_test", 53)
def delayed_wakeups_are_issued_later() -> None:
    """Between start and end of a delayed section a wakeup is held back."""
    asleep.store(0)
    woken.store(0)
    support.spawn(_sleep_once, 0, gd.cpuid)
    while asleep.load() < 1:
        support.pause_ticks(1)
    support.pause_ticks(1)
    sleepq.wakeup_start_delayed()
    sleepq.wakeup(u64(address_of(asleep)))
    assert woken.load() == 0 and gd.delayed_wakeup[0] != 0
    sleepq.wakeup_end_delayed()
    support.join()
    assert woken.load() == 1
    kprintf("held back, then issued\n")
