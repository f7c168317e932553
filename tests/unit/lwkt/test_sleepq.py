# SPDX-License-Identifier: BSD-3-Clause
"""Sleep queues: who is on which, and who is woken."""
from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.sim.suite import scenarios
from tests.unit.lwkt.conftest import run_machine
from tests.unit.lwkt.fake import walk

IDENTS = [0x1000, 0x2000, 0x1008]


def asleep(core, cpu, ident, how=0):
    """A thread of `cpu` that sleeps on `ident`, as if it had been switched out."""
    td = core.run(core.new_thread(cpu))
    core.sleepq.tsleep_interlock(ident, how)
    td.flags = td.flags & ~core.mod.ThreadFlag.RUNNING | core.mod.ThreadFlag.TSLEEP_DESCHEDULED
    core.gd.curthread = core.gd.idlethread
    return td


def sleepers(core):
    """(wchan, address) of each sleeper of the current CPU, from its queues."""
    return [(td.wchan, td.address) for queue in core.gd.tsleep_hash
            for td in walk(queue, "sleep_link")]


def runnable(core, td):
    return core.mod.ThreadFlag.RUNQ in td.flags


def test_l1_one_queue_that_of_its_wchan(one):
    td = one.run(one.new_thread())
    one.sleepq.tsleep_interlock(IDENTS[0], 0)
    one.sleepq.tsleep_interlock(IDENTS[1], 0)
    assert sleepers(one) == [(IDENTS[1], td.address)]
    one.sleepq.tsleep_remove()
    assert sleepers(one) == [] and td.wchan == 0
    assert one.mod.ThreadFlag.TSLEEPQ not in td.flags


def test_l2_the_mask_has_every_cpu_with_a_sleeper(two):
    bucket = two.sleepq._hash(IDENTS[0])
    masks = two.mod.globals.cpumasks
    a = asleep(two, 0, IDENTS[0])
    b = asleep(two, 1, IDENTS[0])
    assert masks[bucket].words[0] == 3
    two.on(0)
    two.sleepq.wakeup_mycpu(IDENTS[0])
    assert runnable(two, a) and not runnable(two, b)
    assert masks[bucket].words[0] == 2


def test_l3_a_wakeup_after_the_interlock_makes_the_sleep_return(one):
    td = one.run(one.new_thread())
    one.sleepq.tsleep_interlock(IDENTS[0], 0)
    one.sleepq.wakeup(IDENTS[0])
    one.sleepq.wait(IDENTS[0], one.mod.SleepFlag.PINTERLOCKED, "test")     # or it would switch
    assert td.wakeups == 0 and sleepers(one) == []


def test_l4_wakeup_one_does_not_count_who_is_not_off_the_run_queue(one):
    sleeper = asleep(one, 0, IDENTS[0])
    awake = one.run(one.new_thread())
    one.sleepq.tsleep_interlock(IDENTS[0], 0)
    first = walk(one.gd.tsleep_hash[one.sleepq._hash(IDENTS[0])], "sleep_link")
    assert [t.address for t in first] == [sleeper.address, awake.address]
    other = asleep(one, 0, IDENTS[0])
    one.sleepq.wakeup_one(IDENTS[0])
    assert runnable(one, sleeper) and not runnable(one, other)
    one.sleepq.wakeup_one(IDENTS[0])        # passes over `awake`, which only was interlocked
    assert runnable(one, other) and one.mod.ThreadFlag.TSLEEPQ not in awake.flags


def test_a_wakeup_reaches_all_cpus_and_no_other_ident(two):
    mine, theirs, others = asleep(two, 0, 0x1000), asleep(two, 1, 0x1000), asleep(two, 1, 0x2000)
    two.on(0)
    two.sleepq.wakeup(0x1000)
    two.hear_all()
    assert [runnable(two, td) for td in (mine, theirs, others)] == [True, True, False]


def test_domains_do_not_meet(one):
    domain = one.mod.SleepFlag.PDOMAIN_UMTX
    plain, umtx = asleep(one, 0, 0x1000), asleep(one, 0, 0x1000, domain)
    one.sleepq.wakeup(0x1000)
    assert (runnable(one, plain), runnable(one, umtx)) == (True, False)
    one.sleepq.wakeup_domain(0x1000, domain)
    assert runnable(one, umtx)


def test_delayed_wakeups_come_at_the_end_and_the_third_at_once(one):
    threads = [asleep(one, 0, ident) for ident in IDENTS]
    one.sleepq.wakeup_start_delayed()
    for ident in IDENTS:
        one.sleepq.wakeup(ident)
    assert [runnable(one, td) for td in threads] == [False, False, True]
    one.sleepq.wakeup_end_delayed()
    assert all(runnable(one, td) for td in threads)


def test_a_timeout_only_ends_a_sleep_that_goes_on(one):
    td = asleep(one, 0, IDENTS[0])
    one.gd.curthread.critcount += 1
    one.sleepq._timeout(one.mod.Callout(arg=td.address))
    assert runnable(one, td) and one.mod.ThreadFlag.TIMEOUT in td.flags
    awake = one.run(one.new_thread())
    awake.critcount = 1
    one.sleepq._timeout(one.mod.Callout(arg=awake.address))
    assert one.mod.ThreadFlag.TIMEOUT not in awake.flags


class Beds(RuleBasedStateMachine):
    """Threads of two CPUs fall asleep on a few idents and are woken, all or one."""

    @initialize()
    def begin(self):
        self.asleep = []                    # (cpu, ident, td)

    @rule(cpu=st.integers(0, 1), ident=st.sampled_from(IDENTS))
    def sleep(self, cpu, ident):
        self.asleep.append((cpu, ident, asleep(self.core, cpu, ident)))

    @rule(cpu=st.integers(0, 1), ident=st.sampled_from(IDENTS))
    def wake(self, cpu, ident):
        self.core.on(cpu)
        self.core.sleepq.wakeup(ident)
        self.core.hear_all()
        for bed in [b for b in self.asleep if b[1] == ident]:
            assert runnable(self.core, bed[2])
            self.asleep.remove(bed)

    @rule(cpu=st.integers(0, 1), ident=st.sampled_from(IDENTS))
    def wake_one(self, cpu, ident):
        self.core.on(cpu)
        here = [b for b in self.asleep if b[:2] == (cpu, ident)]
        there = [b for b in self.asleep if b[:2] == (1 - cpu, ident)]
        self.core.sleepq.wakeup_one(ident)
        self.core.hear_all()
        expected = (here or there)[:1]
        for bed in expected:
            assert runnable(self.core, bed[2])
            self.asleep.remove(bed)

    @precondition(lambda self: hasattr(self, "asleep"))
    @invariant()
    def nobody_else(self):
        for cpu in range(2):
            self.core.on(cpu)
            assert sorted(sleepers(self.core)) == sorted(
                (ident, td.address) for c, ident, td in self.asleep if c == cpu)
            for bucket, queue in enumerate(self.core.gd.tsleep_hash):
                if queue.first is not None:
                    assert self.core.mod.globals.cpumasks[bucket].words[0] >> cpu & 1
        for _, _, td in self.asleep:
            assert not runnable(self.core, td)
        self.core.on(0)


def test_any_sleep(two):
    run_machine(two, Beds, examples=20, steps=20)


@pytest.mark.parametrize("name", ["one_sleeper", "wake_one", "under_spinlock", "timeout"])
def test_no_wakeup_is_lost(name):
    assert scenarios()[name].random(2000).schedules == 2000
