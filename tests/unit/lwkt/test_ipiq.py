# SPDX-License-Identifier: BSD-3-Clause
"""IPI queues by turns: order, the doorbell's interlock, nesting, room."""
from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.lwkt.conftest import run_machine

DEPTH = 256


def queue(core, source, target):
    core.on(source)
    found = core.gd.ipiq[target]
    core.on(0)
    return found


def process(core, cpu):
    """The target looks by itself."""
    core.on(cpu)
    core.crit.crit_enter()
    core.ipiq.process(0)
    core.crit.crit_exit()
    core.on(0)


def test_a_message_to_oneself_is_a_call(two):
    seen = []

    def called(a, b):
        seen.append((a, b))
    assert two.ipiq.send(two.find(0), called, 1, 2) == 0
    assert seen == [(1, 2)] and two.cpus[0].rung == 0


def test_p3_the_doorbell_rings_once_until_the_target_has_looked(two):
    seen = []

    def called(a, b):
        seen.append(a)
    for number in range(3):
        assert two.ipiq.send(two.find(1), called, number, 0) == number + 1
    assert two.cpus[1].rung == 1 and two.find(1).npoll == 1
    assert two.gd.counters.ipiq_avoided == 2
    two.hear(1)
    assert seen == [0, 1, 2] and two.find(1).npoll == 0
    two.ipiq.send(two.find(1), called, 3, 0)
    assert two.cpus[1].rung == 1


def test_p3_a_target_that_polls_is_not_rung(two):
    two.find(1).npoll = 1

    def called(a, b):
        pass
    two.ipiq.send(two.find(1), called, 0, 0)
    assert two.cpus[1].rung == 0
    process(two, 1)
    assert two.find(1).npoll == 0 and two.find(1).counters.ipiq_received == 1


def test_p4_callbacks_run_in_a_section_and_count_as_handlers(two):
    seen = []

    def called(a, b):
        seen.append((two.gd.curthread.critcount, two.gd.intr_nesting_level,
                     two.gd.processing_ipiq, two.gd.cpuid))
    two.ipiq.send(two.find(1), called, 0, 0)
    two.hear(1)
    (critcount, nesting, processing, cpu), = seen
    assert critcount > 0 and nesting > 0 and processing == 1 and cpu == 1


def test_p5_the_doorbell_is_rung_in_a_critical_section(two):
    td = two.run(two.new_thread())
    seen = []

    def ring(cpu):
        seen.append(td.critcount)
    two.mod.provide(ipi_send=ring)

    def called(a, b):
        pass
    two.ipiq.send(two.find(1), called, 0, 0)
    assert seen == [1] and td.critcount == 0


def test_p2_the_slot_is_free_before_the_call_and_counted_as_executed_after_it(two):
    q = queue(two, 0, 1)
    seen = []

    def called(a, b):
        seen.append((q.rindex, q.xindex))
    for number in range(3):
        two.ipiq.send(two.find(1), called, number, 0)
    two.hear(1)
    assert [r for r, _ in seen] == [1, 2, 3]
    assert all(x == 0 for _, x in seen)
    assert (q.rindex, q.xindex, q.windex) == (3, 3, 3)


def test_p2_an_inner_drain_does_not_let_xindex_overtake(two):
    q = queue(two, 0, 1)
    seen = []

    def outer(a, b):
        two.ipiq.send(two.find(0), later, 0, 0)
        two.ipiq.process(0)
        seen.append(("outer", q.rindex, q.xindex))

    def inner(a, b):
        seen.append(("inner", q.rindex, q.xindex))

    def later(a, b):
        seen.append("later")
    two.ipiq.send(two.find(1), outer, 0, 0)
    two.ipiq.send(two.find(1), inner, 0, 0)
    two.find(1).npoll = 0
    two.hear(1)
    assert seen[0][0] in ("inner", "outer")
    assert all(x == 0 for name, r, x in seen if name != "later")
    assert q.xindex == q.windex == 2


def test_passive_messages_do_not_ring(two):
    seen = []

    def called(a, b):
        seen.append(a)
    two.ipiq.send_passive(two.find(1), called, 5, 0)
    assert two.cpus[1].rung == 0 and two.find(1).ipimask.words[0] == 1
    process(two, 1)
    assert seen == [5]


def test_nowait_fails_when_two_thirds_full(two):
    q = queue(two, 0, 1)

    def called(a, b):
        pass
    assert two.ipiq.send_nowait(two.find(1), called, 0, 0) is True
    q.windex = DEPTH * 2 // 3 + 1
    assert two.ipiq.send_nowait(two.find(1), called, 0, 0) is False


@pytest.mark.parametrize(("cpus", "depth"), [(1, 256), (16, 256), (17, 128), (32, 128), (64, 64),
                                             (255, 16)])
def test_depth_follows_the_number_of_cpus(one, cpus, depth):
    assert one.ipiq.depth_for(cpus) == depth


def test_send_mask_leaves_out_who_has_panicked(two):
    seen = []

    def called(a, b):
        seen.append(two.gd.cpuid)
    mask = two.mod.Cpumask()
    mask.add(0)
    mask.add(1)
    two.ipiq.send_mask(mask, called, 0, 0)
    two.hear_all()
    two.find(1).panicked = 1
    two.ipiq.send_mask(mask, called, 0, 0)
    two.hear_all()
    assert sorted(seen) == [0, 0, 1]


class Traffic(RuleBasedStateMachine):
    """Two CPUs send to each other, with and without doorbells; each hears when it likes."""

    @initialize(start=st.sampled_from([0, 0xFFFF_FFF0]))
    def begin(self, start):
        core = self.core
        self.sent = {0: [], 1: []}          # by target
        self.seen = {0: [], 1: []}
        self.number = 0
        self.queues = [queue(core, 0, 1), queue(core, 1, 0)]
        for q in self.queues:
            q.windex = q.rindex = q.xindex = start

        def called(number, unused):
            self.seen[core.gd.cpuid].append(number)
        self.called = called

    @rule(source=st.integers(0, 1), passive=st.booleans(), count=st.integers(1, 20))
    def send(self, source, passive, count):
        core = self.core
        for _ in range(count):
            if len(self.sent[1 - source]) - len(self.seen[1 - source]) > DEPTH // 2:
                return
            core.on(source)
            how = core.ipiq.send_passive if passive else core.ipiq.send
            how(core.find(1 - source), self.called, self.number, 0)
            self.sent[1 - source].append(self.number)
            self.number += 1
        core.on(0)

    @rule(cpu=st.integers(0, 1))
    def hear(self, cpu):
        if self.core.cpus[cpu].rung:
            self.core.hear(cpu)
            assert self.seen[cpu] == self.sent[cpu]

    @rule(cpu=st.integers(0, 1))
    def look(self, cpu):
        process(self.core, cpu)
        assert self.seen[cpu] == self.sent[cpu]

    @precondition(lambda self: hasattr(self, "queues"))
    @invariant()
    def p1(self):
        for target, q in ((1, self.queues[0]), (0, self.queues[1])):
            waiting = len(self.sent[target]) - len(self.seen[target])
            assert (q.windex - q.rindex) & 0xFFFF_FFFF == waiting <= DEPTH
            assert q.rindex == q.xindex
            assert self.seen[target] == self.sent[target][:len(self.seen[target])]


def test_any_traffic(two):
    run_machine(two, Traffic)
