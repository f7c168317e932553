# SPDX-License-Identifier: BSD-3-Clause
"""The periodic clocks of a CPU."""
from __future__ import annotations

from tests.unit.lwkt.fake import HZ


def test_one_interrupt_serves_all_three(one):
    one.clock.start(one.find(0))
    one.pass_time(HZ)
    gd = one.gd
    assert gd.wheel.curticks == 100
    assert gd.counters.schedclocks == 50
    assert gd.counters.idle_ticks == 50 and gd.counters.busy_ticks == 0
    assert gd.counters.timer_interrupts == 100


def test_hardclock_finds_messages_nobody_rang_for(two):
    seen = []

    def called(a, b):
        seen.append(two.gd.cpuid)
    two.on(1)
    two.clock.start(two.find(1))
    two.on(0)
    two.ipiq.send_passive(two.find(1), called, 0, 0)
    two.pass_time(HZ // 100)
    assert seen == [1]


def test_busy_ticks_are_those_of_a_thread(one):
    one.clock.start(one.find(0))
    one.run(one.new_thread())
    one.pass_time(HZ // 10)
    assert one.gd.counters.busy_ticks == 5 and one.gd.curthread.ticks_used == 5
