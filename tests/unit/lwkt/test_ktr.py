# SPDX-License-Identifier: BSD-3-Clause
"""Trace rings."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

MARK = 0x801


def entries(core):
    ring = core.gd.ktr
    return [ring.entries[i] for i in range(ring.size)]


def test_k1_each_entry_has_its_slot_and_number(one):
    taken = one.mod.snapshot()

    @given(st.integers(0, 5000))
    def check(count):
        one.mod.restore(taken)
        one.gd.ktr.mask = 1 << 8
        for number in range(count):
            one.ktr.log(MARK, number, 2 * number)
        ring = one.gd.ktr
        assert ring.index == count
        for sequence in range(max(1, count - ring.size + 1), count + 1):
            entry = ring.entries[sequence & (ring.size - 1)]
            assert (entry.sequence, entry.a, entry.b) == (sequence, sequence - 1,
                                                          2 * (sequence - 1))
    check()


def test_k1_a_cpu_writes_to_its_own_ring(two):
    for cpu in range(2):
        two.on(cpu).ktr.mask = 1 << 8
    two.on(1)
    two.ktr.log(MARK, 1, 2)
    assert two.gd.ktr.index == 1
    assert two.on(0).ktr.index == 0


def test_k2_classes_that_are_off_write_nothing(one):
    one.gd.ktr.mask = 0x1FE & ~(1 << 8)
    one.ktr.log(MARK, 1, 2)
    assert one.gd.ktr.index == 0


def test_an_entry_says_when_and_who(one):
    one.gd.ktr.mask = 1 << 8
    one.now = 77
    td = one.run(one.new_thread())
    td.critcount = 3
    one.ktr.log(MARK, 1, 2)
    entry = one.gd.ktr.entries[1]
    assert (entry.time, entry.thread, entry.depth, int(entry.event)) == (77, td.address, 3, MARK)
