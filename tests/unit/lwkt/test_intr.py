# SPDX-License-Identifier: BSD-3-Clause
"""Interrupts: arrival, fast handlers, the livelock limit; threads under any schedule."""
from __future__ import annotations

import pytest

from tests.sim.suite import scenarios
from tests.unit.lwkt.fake import HZ
from toolchain import host

EINVAL, EBUSY = 22, 16


def fast(core, vector, func, cpu=0):
    info, handler = core.mod.IntrInfo(), core.mod.FastHandler(func=func)
    core.intr.register_fast(info, cpu, vector, handler)
    return info, handler


def slow(core, vector):
    """A vector whose thread exists, asleep."""
    info = core.mod.IntrInfo()
    core.gd.intr.info[vector] = info
    info.vector = vector
    info.thread = core.new_thread(pri=28)
    return info


def interrupt(core, vector):
    core.interrupted(core.intr.arrived, core.mod.Frame(), vector)


def test_n1_handlers_run_in_a_section_interrupts_enabled_and_do_not_nest(one):
    seen = []

    def outer(h):
        seen.append(("outer", one.current.enabled, one.gd.curthread.critcount > 0,
                     one.gd.intr_nesting_level))
        interrupt(one, 8)
        seen.append("end")

    def inner(h):
        seen.append("inner")
    one.run(one.new_thread())
    kept = [fast(one, 7, outer), fast(one, 8, inner)]
    interrupt(one, 7)
    assert seen == [("outer", True, True, 1), "end", "inner"] and kept
    assert one.cpus[0].unmasked == [7, 8]


def test_n2_a_slow_vector_stays_masked_until_its_thread_has_run(one):
    one.run(one.new_thread(pri=30))         # not to be preempted
    info = slow(one, 7)
    interrupt(one, 7)
    assert info.running and one.mod.ThreadFlag.RUNQ in info.thread.flags
    assert one.cpus[0].unmasked == []


def test_n4_a_vector_is_of_one_cpu_and_taken_once(two):
    def called(h):
        pass
    two.run(two.new_thread())
    kept = [fast(two, 7, called)]
    with pytest.raises(host.KpyError) as caught:
        kept.append(fast(two, 7, called))
    assert caught.value.code == EBUSY
    with pytest.raises(host.KpyError) as caught:
        kept.append(fast(two, 192, called))
    assert caught.value.code == EINVAL


def test_nobodys_interrupt_is_counted(one):
    one.run(one.new_thread())
    interrupt(one, 100)
    assert one.gd.intr.spurious == 1 and one.gd.counters.interrupts == 1


def test_a_storm_is_throttled_and_ends(one):
    one.mod.globals.livelock_limit = 1000
    one.run(one.new_thread(pri=30))
    info = slow(one, 7)
    for _ in range(1001):
        interrupt(one, 7)
        one.now += 100
    assert info.throttled
    scheduled = info.thread
    one.crit.crit_enter()
    one.sched._dequeue(scheduled)
    one.crit.crit_exit()
    interrupt(one, 7)                       # does not wake the thread any more, the timer does
    assert one.mod.ThreadFlag.RUNQ not in scheduled.flags
    one.pass_time(2000)
    assert one.mod.ThreadFlag.RUNQ in scheduled.flags
    info.running = False
    one.pass_time(3 * HZ)
    assert not info.throttled


@pytest.mark.parametrize("name", ["level", "deferred", "preemption", "preempted_holder",
                                  "preemption_of_switches", "removal"])
def test_n3_and_preemption_under_any_schedule(name):
    assert scenarios()[name].random(2000).schedules == 2000
