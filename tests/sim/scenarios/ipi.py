# SPDX-License-Identifier: BSD-3-Clause
"""Messages between CPUs: none lost, each once, in order; and CPUs brought to a standstill.

Covers    kernel/lwkt/ipiq.py P1 to P4, cpusync.py Y1, Y2
"""
from typing import Final

from kpy import Array, Atomic, u32, u64

from kernel import machine
from kernel.lwkt import cpusync, crit, globaldata, ipiq, sched
from kernel.lwkt.cpumask import Cpumask
from kernel.lwkt.globaldata import RQF_IPIQ, RQF_TIMER, find, gd
from tests.sim import world

MAX: Final = 4
SMALL: Final = 4                # slots of a FIFO, where it shall run full

next_of: Array[u64, MAX]        # by the receiver: what number comes next from CPU 0, 1, ...
received: Atomic[u32]
walking: Array[bool, MAX]       # inside a step
steps: Array[Atomic[u32], MAX]  # what the thread of each CPU has done
finished: Atomic[u32]


def _receive(number: u64, source: u64) -> None:
    assert gd.intr_nesting_level > 0
    assert next_of[source] == number, "out of order, or lost"
    next_of[source] = number + 1
    received.add(1)


def _send(times: u64) -> None:
    target = find(1 - gd.cpuid)
    for i in range(times):
        ipiq.send(target, _receive, i, gd.cpuid)


def one_way() -> None:
    """Messages to a CPU that idles: it wakes for each, and none waits for ever."""
    world.thread(_send, 3, 0)
    world.need(2)
    world.to_quiescence()
    world.check(_three_came)


def _three_came() -> None:
    assert received.load() == 3


def both_ways() -> None:
    """Two CPUs send to each other at once."""
    world.thread(_send, 2, 0)
    world.thread(_send, 2, 1)
    world.to_quiescence()
    world.check(_four_came)


def _four_came() -> None:
    assert received.load() == 4
    assert next_of[0] == 2 and next_of[1] == 2


def doorbell() -> None:
    """A receiver that is just about to stop looking: the doorbell's race, in its smallest form."""
    world.thread(_send, 2, 0)
    world.need(2)
    world.to_quiescence()
    world.check(_two_came)


def _two_came() -> None:
    assert received.load() == 2


def _small_queues() -> None:
    for cpu in range(world.cpus):
        gd.ipiq[cpu].depth = SMALL


def full() -> None:
    """FIFOs of four slots run full on both sides, and each sender works off its own meanwhile."""
    world.on_each(_small_queues)
    world.thread(_send, 6, 0)
    world.thread(_send, 6, 1)
    world.to_quiescence()
    world.check(_twelve_came)


def _twelve_came() -> None:
    assert received.load() == 12


def _answer(number: u64, source: u64) -> None:
    _receive(number, source)
    ipiq.send(find(u32(source)), _receive_answer, number, gd.cpuid)


def _receive_answer(number: u64, source: u64) -> None:
    finished.add(1)


def _ask(times: u64) -> None:
    target = find(1 - gd.cpuid)
    for i in range(times):
        ipiq.send(target, _answer, i, gd.cpuid)


def nested() -> None:
    """Callbacks that send back, with FIFOs so small that a send drains inside a drain."""
    world.on_each(_small_queues)
    world.thread(_ask, 4, 0)
    world.thread(_ask, 4, 1)
    world.to_quiescence()
    world.check(_eight_answers)


def _eight_answers() -> None:
    assert received.load() == 8 and finished.load() == 8


def _mark(at: u64, unused: u64) -> None:
    assert globaldata.curthread().critcount > 0, "P4"
    world.point()
    steps[at].add(1)


def _send_and_wait(at: u64) -> None:
    target = find(1 - gd.cpuid)
    seq = ipiq.send(target, _mark, at, 0)
    ipiq.wait(target, seq)
    assert steps[at].load() == 1, "wait() returned before the callback had"


def waited_for() -> None:
    """Two CPUs wait for each other's messages at the same time."""
    world.thread(_send_and_wait, 0, 0)
    world.thread(_send_and_wait, 1, 1)


def _deaf(unused: u64) -> None:
    crit.crit_enter()
    steps[2].store(1)
    world.point()
    crit.crit_exit()
    finished.store(1)


def critical_section() -> None:
    """A message for a CPU in a critical section waits for its end, and no longer."""
    world.thread(_send_and_wait, 0, 0)
    world.thread(_deaf, 0, 1)


def _passive(unused: u64) -> None:
    ipiq.send_passive(find(1), _receive, 0, gd.cpuid)
    ipiq.send(find(1), _receive, 1, gd.cpuid)


def passive() -> None:
    """A message without a doorbell is executed before the one that comes after it."""
    world.thread(_passive, 0, 0)
    world.need(2)
    world.to_quiescence()
    world.check(_two_came)


def _fill_passively(times: u64) -> None:
    for i in range(times):
        ipiq.send_passive(find(1), _receive, i, gd.cpuid)
    ipiq.wait(find(1), ipiq.send(find(1), _receive, times, gd.cpuid))
    assert ipiq.send_nowait(find(1), _receive, times + 1, gd.cpuid)


def full_passively() -> None:
    """A FIFO of four slots is filled by messages that ring no bell: who waits for room rings."""
    world.on_each(_small_queues)
    world.thread(_fill_passively, 6, 0)
    world.need(2)
    world.to_quiescence()
    world.check(_eight_came)


def _eight_came() -> None:
    assert received.load() == 8


def _send_silently(times: u64) -> None:
    """With interrupts off, as they are again after each wait for room."""
    machine.intr_disable()
    for i in range(times):
        ipiq.send(find(1), _answer, i, gd.cpuid)
        assert not machine.intr_enabled()
    machine.intr_enable()


def full_silently() -> None:
    """A sender with interrupts off waits for room, and works off the answers meanwhile."""
    world.on_each(_small_queues)
    world.thread(_send_silently, 6, 0)
    world.need(2)
    world.to_quiescence()
    world.check(_six_answers)


def _six_answers() -> None:
    assert received.load() == 6 and finished.load() == 6


def _passively_asked(times: u64) -> None:
    for i in range(times):
        ipiq.send_passive(find(1), _receive, i, gd.cpuid)
    ipiq.send(find(1), _receive, times, gd.cpuid)


def _asked(number: u64, source: u64) -> None:
    ipiq.send(find(u32(source)), _receive_answer, number, gd.cpuid)


def _ask_again(times: u64) -> None:
    for i in range(times):
        ipiq.send(find(0), _asked, i, gd.cpuid)


def passive_and_asked() -> None:
    """A sender of passive messages is interrupted by messages that it answers to the same CPU."""
    world.thread(_passively_asked, 2, 0)
    world.thread(_ask_again, 2, 1)
    world.to_quiescence()
    world.check(_three_and_two)


def _three_and_two() -> None:
    assert received.load() == 3 and finished.load() == 2


def _switch_inside(how: u64) -> None:
    """In a critical section, and switching in it."""
    crit.crit_enter()
    while steps[0].load() == 0:
        if how == 0:
            sched.switch()
        else:
            sched.yield_()
        world.wait()
    crit.crit_exit()


def _mark_zero(unused: u64) -> None:
    ipiq.send(find(0), _mark, 0, 0)


def switch_in_section() -> None:
    """Who switches inside a critical section lets messages in."""
    world.thread(_switch_inside, 0, 0)
    world.thread(_mark_zero, 0, 1)


def yield_in_section() -> None:
    """Who yields does too."""
    world.thread(_switch_inside, 1, 0)
    world.thread(_mark_zero, 0, 1)


def _until_both_wait(unused: u64) -> None:
    both: u32 = RQF_IPIQ | RQF_TIMER
    crit.crit_enter()
    while steps[0].load() == 0 and gd.reqflags.load() & both != both:
        world.wait()
    crit.crit_exit()
    assert steps[0].load() == 1, "deferred, and not worked off"
    assert gd.reqflags.load() & RQF_TIMER == 0


def both_deferred() -> None:
    """A tick and a message come in one critical section: both are worked off at its end."""
    world.clocks()
    world.thread(_until_both_wait, 0, 0)
    world.thread(_mark_zero, 0, 1)


def _short_sections(times: u64) -> None:
    while finished.load() == 0:
        crit.crit_enter()
        steps[2].add(1)
        crit.crit_exit()
        world.wait()


def _send_to_ticking(times: u64) -> None:
    for _ in range(times):
        ipiq.wait(find(0), ipiq.send(find(0), _mark, 0, 0))
    finished.store(1)


def ticking() -> None:
    """Ticks and messages come to a CPU that enters and leaves critical sections: none is lost."""
    world.clocks(hasty=4)
    world.thread(_short_sections, 0, 0)
    world.thread(_send_to_ticking, 3, 1)


# --- cpusync --------------------------------------------------------------------------------


def _here(master: u64, zero: u64) -> None:
    """On every CPU, once for each cpusync."""
    assert not walking[gd.cpuid], "a thread's step was torn apart"
    next_of[gd.cpuid] += 1


def _stop_all(times: u64) -> None:
    for _ in range(times):
        mask: Cpumask
        for cpu in range(world.cpus):
            mask.add(cpu)
        sync = cpusync.Cpusync(func=_here)
        cpusync.init(sync, mask, _here, gd.cpuid)
        cpusync.interlock(sync)
        walked = steps[1].load()
        world.point()
        assert steps[1].load() == walked, "a thread runs while its CPU stands still"
        cpusync.deinterlock(sync)
    finished.add(1)


def _walk(masters: u64) -> None:
    while finished.load() != masters:
        crit.crit_enter()           # a standstill may come between two of these, not inside
        walking[gd.cpuid] = True
        steps[gd.cpuid].add(1)
        walking[gd.cpuid] = False
        crit.crit_exit()
        world.wait()


def standstill() -> None:
    """While one CPU is the master, the thread of the other makes no step."""
    world.thread(_stop_all, 1, 0)
    world.thread(_walk, 1, 1)
    world.check(_each_one)


def _each_one() -> None:
    assert next_of[0] == 1 and next_of[1] == 1


def two_masters() -> None:
    """Two CPUs bring each other to a standstill at once: both go on."""
    world.thread(_stop_all, 1, 0)
    world.thread(_stop_all, 1, 1)
    world.check(_each_two)


def _each_two() -> None:
    assert next_of[0] == 2 and next_of[1] == 2


def masters_and_walker() -> None:
    """Two masters, and between them a CPU whose thread stands still for both."""
    world.thread(_stop_all, 1, 0)
    world.thread(_walk, 2, 1)
    world.thread(_stop_all, 1, 2)
    world.check(_each_of_three)


def _each_of_three() -> None:
    assert next_of[0] == 2 and next_of[1] == 2 and next_of[2] == 2
