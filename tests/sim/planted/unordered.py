# SPDX-License-Identifier: BSD-3-Clause
"""Bugs planted on purpose that no schedule shows: what only X9 and X10 of core.c find."""
from kpy import Atomic, u32, u64

from kernel.lwkt.globaldata import gd
from tests.sim import world

count: u64 = 0
flag: Atomic[u32]


def _publish(unused: u64) -> None:
    global count
    count = 1
    flag.store_relaxed(1)


def _look_when_published(unused: u64) -> None:
    while flag.load_relaxed() == 0:
        world.wait()
    assert count == 1


def published_relaxed() -> None:
    """Right on x86 under every schedule, but nothing orders the store and the load."""
    world.thread(_publish, 0, 0)
    world.thread(_look_when_published, 0, 1)


def _publish_in_order(unused: u64) -> None:
    global count
    count = 1
    flag.store(1, order="release")


def _look_in_order(unused: u64) -> None:
    while flag.load_acquire() == 0:
        world.wait()
    assert count == 1  # ordered by the two


def published() -> None:
    """No bug: the same with a release and an acquire."""
    world.thread(_publish_in_order, 0, 0)
    world.thread(_look_in_order, 0, 1)


def _count_own(unused: u64) -> None:
    gd.delayed_depth += 1
    gd.delayed_depth -= 1


def own_unguarded() -> None:
    """What is the CPU's is changed outside of a critical section; no interrupt comes."""
    world.thread(_count_own, 0, 0)
