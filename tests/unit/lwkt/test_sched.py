# SPDX-License-Identifier: BSD-3-Clause
"""The run queue of a CPU, and who may touch it; switching itself is in tests/sim."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sim.suite import scenarios
from tests.unit.lwkt.fake import walk
from toolchain import host

RUNNING_BIT, RESCHED = 0x100, 0x20


def queued(core):
    return [td.address for td in walk(core.gd.tdrunq)]


def test_r1_sorted_by_priority_first_come_first_served(one):
    flag = one.mod.ThreadFlag
    taken = one.mod.snapshot()

    @given(st.lists(st.tuples(st.integers(1, 31), st.booleans()), max_size=30))
    def check(plan):
        one.mod.restore(taken)
        threads = [one.new_thread(pri=pri) for pri, _ in plan]
        model = []
        for td in threads:
            one.sched.schedule(td)
            model.append(td)
        assert queued(one) == [td.address for td in sorted(model, key=lambda t: -t.pri)]
        one.gd.curthread.critcount += 1
        for td, (_, out) in zip(threads, plan, strict=True):
            if out:
                one.sched._dequeue(td)
                model.remove(td)
        one.gd.curthread.critcount -= 1
        assert queued(one) == [td.address for td in sorted(model, key=lambda t: -t.pri)]
        assert one.gd.tdrunqcount == len(model)
        assert bool(one.gd.reqflags & RUNNING_BIT) == bool(model)
        assert all((flag.RUNQ in td.flags) == (td in model) for td in threads)
    check()


def test_h3_scheduled_twice_is_queued_once(one):
    td = one.new_thread()
    one.sched.schedule(td)
    one.sched.schedule(td)
    assert queued(one) == [td.address]


@pytest.mark.parametrize("name", ["MIGRATING", "BLOCKQ", "NOSTART"])
def test_h3_not_while_it_is_elsewhere(one, name):
    td = one.new_thread()
    td.flags |= one.mod.ThreadFlag[name]
    one.sched.schedule(td)
    assert queued(one) == []


def test_h1_another_cpu_sends_a_message(two):
    td = two.new_thread(1)
    two.sched.schedule(td)
    assert queued(two) == [] and two.cpus[1].rung == 1
    two.hear(1)
    two.on(1)
    assert queued(two) == [td.address]


def test_r6_a_message_for_a_thread_that_moved_goes_after_it(two):
    td = two.new_thread(1)
    two.sched.schedule(td)
    td.gd = two.find(0)
    two.hear_all()
    two.on(1)
    assert queued(two) == []
    two.on(0)
    assert queued(two) == [td.address]


def test_h1_only_the_owner_may_queue_it(two):
    td = two.new_thread(1)
    two.gd.curthread.critcount += 1
    with pytest.raises(host.Panic):
        two.sched._enqueue(td)


def test_r1_only_in_a_critical_section(one):
    td = one.new_thread()
    one.gd.idlethread.critcount = 0
    with pytest.raises(host.Panic):
        one.sched._enqueue(td)


def test_r5_the_idle_thread_is_not_scheduled(one):
    with pytest.raises(host.Panic, match="idle thread"):
        one.sched.schedule(one.gd.idlethread)


def test_a_better_one_asks_for_a_reschedule_an_equal_one_does_not(one):
    first, equal, better = (one.new_thread(pri=p) for p in (12, 12, 13))
    one.sched.schedule(first)
    one.gd.reqflags = one.gd.reqflags & ~RESCHED
    one.sched.schedule(equal)
    assert not one.gd.reqflags & RESCHED
    one.sched.schedule(better)
    assert one.gd.reqflags & RESCHED
    assert queued(one)[0] == better.address


def test_setpri_sorts_anew(one):
    threads = [one.new_thread(pri=12) for _ in range(3)]
    for td in threads:
        one.sched.schedule(td)
    one.sched.setpri(threads[2], 20)
    assert queued(one) == [threads[i].address for i in (2, 0, 1)]
    one.sched.setpri(threads[2], 5)
    assert queued(one) == [threads[i].address for i in (0, 1, 2)]
    with pytest.raises(host.Panic):
        one.sched.setpri(threads[0], 32)


def test_a_tick_rotates_equals(one):
    threads = [one.new_thread(pri=p) for p in (12, 12, 8)]
    for td in threads:
        one.sched.schedule(td)
    one.run(threads[0])
    one.gd.curthread.critcount += 1
    one.sched.tick()
    assert queued(one) == [threads[i].address for i in (1, 0, 2)]
    assert one.gd.reqflags & RESCHED and threads[0].ticks_used == 1
    one.run(threads[2])
    one.gd.curthread.critcount += 1
    one.sched.tick()
    assert queued(one) == [threads[i].address for i in (1, 0, 2)]


@pytest.mark.parametrize("what", ["intr_nesting_level", "spinlocks"])
def test_switching_is_refused_in_handlers_and_with_locks(one, what):
    one.run(one.new_thread())
    setattr(one.gd, what, 1)
    with pytest.raises(host.Panic, match="switch in a handler"):
        one.sched.switch()


def test_r4_no_preemption_by_what_is_not_better_or_not_free(one):
    """Each condition alone forbids it; the thread is queued as any other."""
    taken = one.mod.snapshot()
    flag = one.mod.ThreadFlag

    def attempt(change):
        one.mod.restore(taken)
        td = one.run(one.new_thread(pri=12))
        interrupter = one.new_thread(pri=28)
        interrupter.preemptable = True
        change(td, interrupter)
        one.sched.schedule(interrupter)
        assert queued(one) == [interrupter.address]
        return one.gd.counters.preempt_miss, one.gd.counters.preempt_weird

    def priority(td, other):
        other.pri = 12

    def section(td, other):
        td.critcount = 1

    def cpusync(td, other):
        td.cscount = 1

    def token(td, other):
        other.toks_stop = 1

    def twice(td, other):
        td.flags |= flag.PREEMPT_LOCK

    def spinlock(td, other):
        one.gd.spinlocks = 1
    assert [attempt(c) for c in (priority, section, cpusync, token)] == [(1, 0)] * 4
    assert [attempt(c) for c in (twice, spinlock)] == [(0, 1)] * 2


@pytest.mark.parametrize("name", ["remote_schedule", "migration", "giveaway", "reaping",
                                  "preemption", "round_robin"])
def test_w1_w2_h2_h4_stacks_are_switched(name):
    """The real switch_stack under schedules by chance: R2 to R4, H2 and H4 are asserted there."""
    assert scenarios()[name].random(2000).schedules == 2000
