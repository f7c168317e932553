# SPDX-License-Identifier: BSD-3-Clause
"""Each CPU has its own Globaldata, and knows the others' by address."""
from __future__ import annotations


def test_g2_self_and_find_agree(two):
    for cpu in range(2):
        gd = two.on(cpu)
        assert gd.cpuid == cpu
        assert gd.self.address == gd.address == two.find(cpu).address
    assert two.find(0).address != two.find(1).address


def test_g1_what_one_cpu_writes_is_its_own(two):
    two.on(1).counters.idle_halts = 7
    assert two.on(0).counters.idle_halts == 0
    assert two.find(1).counters.idle_halts == 7


def test_mycpu_and_curthread(two):
    for cpu in range(2):
        gd = two.on(cpu)
        assert two.globaldata.mycpu() == gd
        assert two.globaldata.curthread() == gd.idlethread
        assert bytes(gd.idlethread.name).rstrip(b"\0") == b"idle"
