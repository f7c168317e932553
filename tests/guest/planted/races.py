# SPDX-License-Identifier: BSD-3-Clause
"""Bugs planted on purpose inside the kernel: what schedules by seed have to find."""
from typing import Final

from kpy import Atomic, kprintf, table, u64

from kernel import machine
from tests.guest import support

ROUNDS: Final = 2000

count: Atomic[u64]


def _add(rounds: u64) -> None:
    for _ in range(rounds):
        count.store(count.load() + 1)       # two operations: what another CPU adds between is lost
    support.done()


@table("guest_test", 400)
def racy_count() -> None:
    """Each CPU adds ROUNDS to one counter, in two steps."""
    rounds = support.rounds(ROUNDS)
    count.store(0)
    for cpu in range(support.cpus()):
        support.spawn(_add, rounds, cpu)
    support.join()
    wanted = u64(support.cpus()) * rounds
    kprintf(f"{count.load()} of {wanted} at tick {machine.cputimer_count()}\n")
    assert count.load() == wanted, "increments were lost"
