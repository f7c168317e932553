# SPDX-License-Identifier: BSD-3-Clause
"""Critical sections defer; what was deferred comes at their end, in order, once."""
from __future__ import annotations

import pytest


@pytest.fixture
def seen(two):
    """What happened, in order; vectors 3, 9 and 70 of CPU 0 are registered."""
    found = []

    def fast(number):
        def called(handler):
            assert two.gd.intr_nesting_level > 0
            found.append(number)
        return called
    two.kept = []
    for vector in (3, 9, 70):
        info, handler = two.mod.IntrInfo(), two.mod.FastHandler(func=fast(vector))
        two.intr.register_fast(info, 0, vector, handler)
        two.kept.append((info, handler))
    two.run(two.new_thread())
    return found


def interrupt(core, vector):
    core.interrupted(core.intr.arrived, core.mod.Frame(), vector)


def message(core, seen, number):
    """A message from CPU 1 to CPU 0, which hears it."""
    def called(a, b):
        seen.append(("message", a))
    core.kept.append(called)
    core.on(1)
    core.ipiq.send(core.find(0), called, number, 0)
    core.on(0)
    core.hear(0)


def test_without_a_section_it_happens_at_once(two, seen):
    interrupt(two, 9)
    assert seen == [9]
    message(two, seen, 1)
    assert seen == [9, ("message", 1)]
    assert two.gd.curthread.critcount == 0


def test_c1_sections_nest_and_the_last_end_lets_it_happen(two, seen):
    two.crit.crit_enter()
    two.crit.crit_enter()
    interrupt(two, 9)
    two.crit.crit_exit()
    assert seen == []
    two.crit.crit_exit()
    assert seen == [9]
    two.crit.crit_enter()
    two.crit.crit_exit()
    assert seen == [9]


def test_z1_messages_then_the_timer_then_vectors_lowest_first(two, seen):
    timer = two.mod.Systimer()

    def expired(t):
        seen.append("timer")
    two.systimer.add_oneshot(timer, two.find(0), expired, 0, 10)
    two.crit.crit_enter()
    for vector in (70, 9, 3):
        interrupt(two, vector)
    two.pass_time(20)
    message(two, seen, 1)
    assert seen == []
    two.crit.crit_exit()
    assert seen == [("message", 1), "timer", 3, 9, 70]


def test_z1_again_until_nothing_is_left(two, seen):
    def raises_another(handler):
        seen.append("first")
        two.intr.post(3)
    info, handler = two.mod.IntrInfo(), two.mod.FastHandler(func=raises_another)
    two.intr.register_fast(info, 0, 100, handler)
    interrupt(two, 100)
    assert seen == ["first", 3]


def test_c2_nothing_is_worked_off_while_a_handler_runs(two, seen):
    def handler_with_a_section(handler):
        two.crit.crit_enter()
        interrupt(two, 3)
        two.crit.crit_exit()
        seen.append("end of the first")
    info, handler = two.mod.IntrInfo(), two.mod.FastHandler(func=handler_with_a_section)
    two.intr.register_fast(info, 0, 5, handler)
    interrupt(two, 5)
    assert seen == ["end of the first", 3]


@pytest.mark.parametrize(("nested", "served"), [(0, [9]), (1, [9]), (2, [])])
def test_z2_at_most_two_deep(two, seen, nested, served):
    two.gd.curthread.nest_count = nested
    two.crit.crit_enter()
    interrupt(two, 9)
    two.crit.crit_exit()
    assert seen == served


def test_noyield_leaves_it_to_others(two, seen):
    two.crit.crit_enter()
    interrupt(two, 9)
    two.crit.crit_exit_noyield()
    assert seen == []
    two.splz.splz_check()
    assert seen == [9]
