# SPDX-License-Identifier: BSD-3-Clause
"""Sleep and wakeup, with and without a time: no wakeup is lost.

Covers    kernel/lwkt/sleepq.py L1 to L4, callout.py O1 to O3, systimer.py I1 to I3
"""
from typing import Final

from kpy import Array, Atomic, Ptr, address_of, i32, ref, u32, u64, zeroed

from kernel.lwkt import callout, crit, globaldata, ipiq, sched, sleepq, spin
from kernel.lwkt.globaldata import find, gd
from kernel.lwkt.sleepq import SleepFlag
from kernel.lwkt.thread import ThreadFlag
from tests.sim import world

UNSAFE: Final = True        # idents are addresses; spinlocks and callouts begin as zero

DUE: Final = 3              # callouts at one tick

condition: Atomic[u32]
woken: Atomic[u32]
calls: Atomic[u32]
stopped: Atomic[u32]
stage: Atomic[u32]
lock: spin.Spinlock
timer: callout.Callout = zeroed(callout.Callout)
second: callout.Callout = zeroed(callout.Callout)
together: Array[callout.Callout, DUE] = zeroed(Array[callout.Callout, DUE])


def _ident() -> u64:
    return u64(address_of(ref(condition)))


def _sleep(unused: u64) -> None:
    while condition.load() == 0:
        sleepq.tsleep_interlock(_ident())
        if condition.load() == 0:
            sleepq.tsleep(_ident(), SleepFlag.PINTERLOCKED, "condition", 0)
        else:
            sleepq.tsleep_remove()
    woken.add(1)


def _wake(unused: u64) -> None:
    condition.store(1)
    sleepq.wakeup(_ident())


def one_sleeper() -> None:
    """The lost wakeup, in its smallest form."""
    world.thread(_sleep, 0, 0)
    world.thread(_wake, 0, 1)


def own_cpu() -> None:
    """Sleeper and waker on one CPU, another sleeper elsewhere."""
    world.thread(_sleep, 0, 0)
    world.thread(_wake, 0, 0)
    world.thread(_sleep, 0, 1)


def many_sleepers() -> None:
    """One wakeup for three sleepers on two CPUs, from a third."""
    world.thread(_sleep, 0, 0)
    world.thread(_sleep, 0, 0)
    world.thread(_sleep, 0, 1)
    world.thread(_wake, 0, 2)


# --- wakeup_one -----------------------------------------------------------------------------


def _take_one(unused: u64) -> None:
    """Each sleeper takes one of what is there."""
    while True:
        have = condition.load()
        if have != 0 and condition.cas(have, have - 1):
            break
        sleepq.tsleep_interlock(_ident())
        if condition.load() == 0:
            sleepq.tsleep(_ident(), SleepFlag.PINTERLOCKED, "one", 0)
        else:
            sleepq.tsleep_remove()
    woken.add(1)


def _give_one(times: u64) -> None:
    for _ in range(times):
        condition.add(1)
        sleepq.wakeup_one(_ident())


def wake_one() -> None:
    """Two sleepers, two things to take, wakeup_one() for each."""
    world.thread(_take_one, 0, 0)
    world.thread(_take_one, 0, 1)
    world.thread(_give_one, 2, 2)
    world.check(_taken)


def _taken() -> None:
    assert condition.load() == 0 and woken.load() == 2


# --- ssleep ---------------------------------------------------------------------------------


def _sleep_locked(unused: u64) -> None:
    spin.lock(lock)
    while condition.load() == 0:
        sleepq.ssleep(_ident(), lock, SleepFlag(0), "locked", 0)
    condition.store(2)
    spin.unlock(lock)


def _wake_locked(unused: u64) -> None:
    spin.lock(lock)
    condition.store(1)
    spin.unlock(lock)
    sleepq.wakeup(_ident())


def under_spinlock() -> None:
    """ssleep() lets go of the spinlock without a gap."""
    world.thread(_sleep_locked, 0, 0)
    world.thread(_wake_locked, 0, 1)
    world.check(_passed)


def _passed() -> None:
    assert condition.load() == 2


# --- With a time ----------------------------------------------------------------------------


def _sleep_a_while(unused: u64) -> None:
    error: i32 = 0
    while condition.load() == 0 and error == 0:
        sleepq.tsleep_interlock(_ident())
        if condition.load() != 0:
            sleepq.tsleep_remove()
            break
        error = sleepq.tsleep(_ident(), SleepFlag.PINTERLOCKED, "while", 1)
    woken.add(1)
    sleepq.tsleep(_ident(), SleepFlag(0), "again", 1)       # nothing of the first is left over
    woken.add(1)


def timeout() -> None:
    """The time is over just when a wakeup comes."""
    world.clocks(hasty=6)
    world.thread(_sleep_a_while, 0, 0)
    world.thread(_wake, 0, 1)
    world.check(_awake)


def _awake() -> None:
    assert woken.load() == 2


# --- Callouts -------------------------------------------------------------------------------


def _called(c: Ptr[callout.Callout]) -> None:
    assert stopped.load() == 0, "called after stop() had returned"
    calls.add(1)
    world.point()
    assert stopped.load() == 0, "stop() returned while it is called"


def _set(unused: u64) -> None:
    callout.init(timer)
    callout.reset(timer, 1, _called, 0)
    stage.store(1)
    while stopped.load() == 0:
        sleepq.tsleep_interlock(u64(address_of(ref(stopped))))
        if stopped.load() == 0:
            sleepq.wait(u64(address_of(ref(stopped))), SleepFlag.PINTERLOCKED, "stop")
        else:
            sleepq.tsleep_remove()


def _stop(unused: u64) -> None:
    while stage.load() == 0:
        world.wait()
    was_active = callout.stop(timer)
    assert not was_active or calls.load() == 0
    stopped.store(1)
    sleepq.wakeup(u64(address_of(ref(stopped))))


def stop_elsewhere() -> None:
    """A callout is stopped from another CPU just when it is due."""
    world.clocks(hasty=6)
    world.thread(_set, 0, 0)
    world.thread(_stop, 0, 1)


def _stop_own(unused: u64) -> None:
    callout.init(timer)
    callout.reset(timer, 1, _called, 0)
    world.point()
    callout.stop(timer)
    stopped.store(1)


def stop_here() -> None:
    """The same on its own CPU."""
    world.clocks(hasty=6)
    world.thread(_stop_own, 0, 0)


def _counted(c: Ptr[callout.Callout]) -> None:
    calls.add(1)
    world.point()
    sleepq.wakeup(u64(address_of(ref(calls))))


def _set_all(unused: u64) -> None:
    crit.crit_enter()
    for i in range(DUE):
        callout.init(together[i])
        callout.reset(together[i], 1, _counted, 0)
    crit.crit_exit()
    ident = u64(address_of(ref(calls)))
    while calls.load() != DUE:
        sleepq.tsleep_interlock(ident)
        if calls.load() != DUE:
            sleepq.wait(ident, SleepFlag.PINTERLOCKED, "calls")
        else:
            sleepq.tsleep_remove()


def due_together() -> None:
    """Three callouts are due at one tick, and the clock goes on while they are called."""
    world.clocks(hasty=6)
    world.thread(_set_all, 0, 0)


def _wake_cpu(cpu: u64) -> None:
    condition.store(1)
    sleepq.wakeup_oncpu(u32(cpu), _ident())


def on_one_cpu() -> None:
    """wakeup_oncpu() reaches the sleepers of that CPU."""
    world.thread(_sleep, 0, 0)
    world.thread(_wake_cpu, 0, 1)


def _delayed(unused: u64) -> None:
    sleepq.wakeup_start_delayed()
    condition.store(1)
    sleepq.wakeup(_ident())
    world.point()
    sleepq.wakeup_end_delayed()


def delayed() -> None:
    """A wakeup that is held back comes in the end."""
    world.thread(_sleep, 0, 0)
    world.thread(_delayed, 0, 1)
    world.thread(_sleep, 0, 1)


# --- Wakeups of other kinds -----------------------------------------------------------------


def _sleep_in_domain(unused: u64) -> None:
    while condition.load() == 0:
        sleepq.tsleep_interlock(_ident(), SleepFlag.PDOMAIN_UMTX)
        if condition.load() == 0:
            sleepq.wait(_ident(), SleepFlag.PINTERLOCKED | SleepFlag.PDOMAIN_UMTX, "domain")
        else:
            sleepq.tsleep_remove()
    woken.add(1)


def _wake_domain(unused: u64) -> None:
    condition.store(1)
    sleepq.wakeup_domain(_ident(), SleepFlag.PDOMAIN_UMTX)


def domain() -> None:
    """Sleepers of one domain on two CPUs, woken from a third."""
    world.thread(_sleep_in_domain, 0, 0)
    world.thread(_sleep_in_domain, 0, 1)
    world.thread(_wake_domain, 0, 2)


def _wake_here(unused: u64) -> None:
    condition.store(1)
    sleepq.wakeup_mycpu(_ident())


def on_own_cpu() -> None:
    """wakeup_mycpu() reaches the sleepers of its own CPU."""
    world.thread(_sleep, 0, 0)
    world.thread(_wake_here, 0, 0)


def _delayed_two(unused: u64) -> None:
    sleepq.wakeup_start_delayed()
    sleepq.wakeup(_other())
    condition.store(1)
    sleepq.wakeup(_ident())
    sleepq.wakeup_end_delayed()
    crit.crit_enter()
    assert gd.delayed_wakeup[0] == 0 and gd.delayed_wakeup[1] == 0 and gd.delayed_depth == 0
    crit.crit_exit()


def _other() -> u64:
    return u64(address_of(ref(woken)))


def delayed_two() -> None:
    """Two wakeups that are held back come both."""
    world.thread(_sleep, 0, 0)
    world.thread(_delayed_two, 0, 1)


def _sleep_plainly(unused: u64) -> None:
    td = globaldata.curthread()
    while condition.load() == 0:
        sleepq.tsleep_interlock(_ident())
        if condition.load() == 0:
            sleepq.wait(_ident(), SleepFlag.PINTERLOCKED, "plain")
            assert ThreadFlag.TSLEEPQ not in td.flags, "awake, and still among the sleepers"
        else:
            sleepq.tsleep_remove()
    world.rest()


def _schedule_twice(unused: u64) -> None:
    """At any time: a sleeper who is scheduled looks again."""
    sched.schedule(world.td_of(0))
    condition.store(1)
    sched.schedule(world.td_of(0))
    sleepq.wakeup(_ident())


def scheduled_directly() -> None:
    """A sleeper that is scheduled, not woken, is no sleeper any more."""
    world.thread(_sleep_plainly, 0, 0)
    world.thread(_schedule_twice, 0, 1)


def _wake_by_message(ident: u64, unused: u64) -> None:
    sleepq.wakeup(ident)


def _sleep_other(unused: u64) -> None:
    while stage.load() == 0:
        sleepq.tsleep_interlock(_other())
        if stage.load() == 0:
            sleepq.wait(_other(), SleepFlag.PINTERLOCKED, "other")
        else:
            sleepq.tsleep_remove()


def _wake_from_afar(unused: u64) -> None:
    stage.store(1)
    ipiq.send(find(0), _wake_by_message, _other(), 0)


def delayed_interrupted() -> None:
    """While wakeups are held back, a message asks for one more."""
    world.thread(_delayed, 0, 0)
    world.thread(_sleep_other, 0, 1)
    world.thread(_sleep, 0, 1)
    world.thread(_wake_from_afar, 0, 2)


def _never(c: Ptr[callout.Callout]) -> None:
    pass


def _set_two(unused: u64) -> None:
    callout.init(timer)
    callout.init(second)
    callout.reset(second, 5, _never, 0)
    stage.store(1)
    callout.reset(timer, 5, _never, 0)
    callout.reset(timer, 5, _never, 0)
    while stopped.load() == 0:
        world.wait()
    assert callout.stop(timer)
    for i in range(len(gd.wheel.buckets)):
        assert gd.wheel.buckets[i].first is None and gd.wheel.buckets[i].last is None


def _stop_second(unused: u64) -> None:
    while stage.load() == 0:
        world.wait()
    assert callout.stop(second)
    stopped.store(1)


def stop_while_set() -> None:
    """A callout is stopped from elsewhere while its neighbour is set again."""
    world.thread(_set_two, 0, 0)
    world.thread(_stop_second, 0, 1)
