# SPDX-License-Identifier: BSD-3-Clause
"""Interrupts of devices: edges, levels and messages arrive on their CPU as promised."""
from __future__ import annotations

import pytest

from tests.harness import guest


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_edges_arrive_on_their_cpu_and_one_is_kept_while_masked(machine):
    found = guest.run("interrupts", cpus=2, machine=machine, icount=True)   # the host is not late
    assert (found["setup"], found["nowhere"]) == ("True", "False")
    assert found["before_unmask"] == "0"
    assert 110 < int(found["edges"]) < 130        # 1.19 kHz for 100 ms
    assert found["while_masked"] == "0"
    assert found["on"] == "1"
    assert found["kept"] == "1"


def test_messages_have_the_address_and_data_that_the_manual_says():
    found = guest.numbers(guest.run("interrupts", cpus=2))
    assert found["message_address"] == 0xFEE01000
    assert found["message_data"] == 0x20 + 100
    assert found["messages"] == 1
    assert found["unknown"] == 1


def test_a_level_is_masked_until_it_is_unmasked():
    found = guest.numbers(guest.run("level", cpus=2))
    assert (found["before_unmask"], found["arrived"]) == (0, 1)
    assert (found["again"], found["quiet"]) == (2, 2)


def test_the_way_through_an_interrupt_is_short():
    """Instructions from sending an IPI to this CPU until after its upcall, both ends included."""
    assert guest.numbers(guest.run("cost", icount=True))["ipi"] <= 125
    release = guest.numbers(guest.run("cost", icount=True, flags=("--release",)))
    assert release["ipi"] <= 110
    assert release["arm"] <= 30
