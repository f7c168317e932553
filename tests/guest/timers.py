# SPDX-License-Identifier: BSD-3-Clause
"""Systimers and callouts."""
from typing import Final

from kpy import Atomic, Ptr, kprintf, pause, table, u32, u64, zeroed

from kernel import machine
from kernel.lwkt import callout, ipiq, sched, systimer
from kernel.lwkt.globaldata import find
from tests.guest import support

UNSAFE: Final = True        # timers begin as zeroed storage

CALLS: Final = 2000

timer: systimer.Systimer = zeroed(systimer.Systimer)
fired: Atomic[u64]
first_at: Atomic[u64]
c: callout.Callout = zeroed(callout.Callout)
called: Atomic[u64]
in_call: Atomic[u32]
after_stop: Atomic[u64]
stopped: Atomic[u32]
round: Atomic[u64]


def _fire(t: Ptr[systimer.Systimer]) -> None:
    if fired.add(1) == 0:
        first_at.store(machine.cputimer_count())


def _delete(arg: u64, unused: u64) -> None:
    systimer.delete(timer)


@table("guest_test", 70)
def systimers_fire_on_their_cpu() -> None:
    """A periodic timer of another CPU fires as often as it should; a one-shot once, not early."""
    owner = find(support.cpus() - 1)
    fired.store(0)
    began = machine.cputimer_count()
    systimer.add_periodic(timer, owner, _fire, 0, 200)
    support.pause_ticks(100)
    seq = ipiq.send(owner, _delete, 0, 0)
    ipiq.wait(owner, seq)
    periods = support.elapsed_ms(began) // 5
    count = fired.load()
    assert count > 0 and count <= periods + 2
    support.pause_ticks(5)
    assert fired.load() == count, "it fired after it was deleted"
    fired.store(0)
    began = machine.cputimer_count()
    wait = machine.cputimer_hz() // 50
    systimer.add_oneshot(timer, owner, _fire, 0, wait)
    support.pause_ticks(20)
    assert fired.load() == 1
    assert first_at.load() - began >= wait
    kprintf(f"{count} of {periods} periods\n")


def _call(timer: Ptr[callout.Callout]) -> None:
    in_call.store(1)
    if stopped.load() != 0:
        after_stop.add(1)
    called.add(1)
    in_call.store(0)


@table("guest_test", 71)
def callouts_are_called_once() -> None:
    """reset() calls once, the last reset() counts, stop() tells whether it came in time."""
    called.store(0)
    stopped.store(0)
    callout.init(c)
    callout.reset(c, 2, _call, 0)
    support.pause_ticks(6)
    assert called.load() == 1
    assert not callout.stop(c)
    callout.reset(c, 50, _call, 0)
    callout.reset(c, 2, _call, 0)
    support.pause_ticks(6)
    assert called.load() == 2
    callout.reset(c, 50, _call, 0)
    assert callout.stop(c)
    support.pause_ticks(60)
    assert called.load() == 2
    callout.reset(c, callout.WHEEL + 3, _call, 0)       # once around the wheel
    support.pause_ticks(callout.WHEEL // 2)
    assert called.load() == 2
    assert callout.stop(c)
    kprintf("reset, reset again, stopped\n")


def _reset_here(cpu: u64) -> None:
    for i in range(u64(CALLS)):
        callout.reset(c, 1, _call, 0)
        round.store(i + 1)
        while round.load() == i + 1:
            sched.yield_()
            pause()
    support.done()


@table("guest_test", 72)
def callouts_stop_from_another_cpu() -> None:
    """After stop() of a callout of another CPU its function neither runs nor will run."""
    called.store(0)
    after_stop.store(0)
    stopped.store(0)
    round.store(0)
    callout.init(c)
    cpu = support.cpus() - 1
    support.spawn(_reset_here, cpu, cpu)
    caught: u64 = 0
    for i in range(u64(CALLS)):
        while round.load() != i + 1:
            sched.yield_()
        if i % 7 == 0:
            support.pause_ticks(1)
        if callout.stop(c):
            caught += 1
        stopped.store(1)
        assert in_call.load() == 0
        for _ in range(20):
            pause()
        stopped.store(0)
        round.store(0)
        if i + 1 == CALLS:
            break
    support.join()
    assert after_stop.load() == 0
    assert called.load() + caught == CALLS
    kprintf(f"{caught} stopped in time, {called.load()} called\n")
