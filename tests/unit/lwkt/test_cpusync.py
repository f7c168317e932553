# SPDX-License-Identifier: BSD-3-Clause
"""Standstills: the record and the two halves on the CPUs' side; whole ones under any schedule."""
from __future__ import annotations

import pytest

from tests.sim.suite import scenarios


def mask_of(core, *cpus):
    mask = core.mod.Cpumask()
    for cpu in cpus:
        mask.add(cpu)
    return mask


def test_init_leaves_out_who_is_not_there(two):
    def called(a, b):
        pass
    sync = two.mod.Cpusync(func=called)
    two.cpusync.init(sync, mask_of(two, 0, 1, 5), called, 3)
    assert (sync.here, sync.count, sync.mask.words[0]) == (True, 1, 2)
    two.find(1).panicked = 1
    other = two.mod.Cpusync(func=called)
    two.cpusync.init(other, mask_of(two, 1), called, 3)
    assert (other.here, other.count) == (False, 0)


def test_alone_the_function_is_called_once_between_the_halves(one):
    seen = []

    def called(a, b):
        seen.append((a, one.gd.curthread.cscount))
    one.run(one.new_thread())
    one.cpusync.simple(mask_of(one, 0), called, 9)
    assert seen == [(9, 1)] and one.gd.curthread.cscount == 0
    assert one.gd.curthread.critcount == 0


def test_y1_a_cpu_acknowledges_looks_and_calls_once_let_go(two):
    seen = []

    def called(a, b):
        seen.append(two.gd.cpuid)
    sync = two.mod.Cpusync(func=called)
    two.cpusync.init(sync, mask_of(two, 1), called, 0)
    two.on(1)
    two.gd.curthread.cscount = 1            # a master itself: one look a pass
    two.crit.crit_enter()
    two.cpusync._arrive(sync.address, 0)
    assert sync.acks.words[0] == 2
    for _ in range(3):
        two.ipiq.process(0)
        assert seen == [] and two.gd.reqflags & 1
    sync.acks.words[0] = 0                  # the master lets go
    two.ipiq.process(0)
    assert seen == [1] and sync.acks.words[0] == 2
    two.ipiq.process(0)
    assert seen == [1]


@pytest.mark.parametrize("name", ["standstill", "two_masters", "masters_and_walker"])
def test_y1_y2_under_any_schedule(name):
    assert scenarios()[name].random(2000).schedules == 2000
