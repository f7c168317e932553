# SPDX-License-Identifier: BSD-3-Clause
"""Shapes of memory order in their smallest form: what x86 keeps, and what only a fence gives.

Covers    the store buffer of toolchain/sim/core.c (X6)
"""
from kpy import Atomic, fence, u32, u64

from tests.sim import world

x: Atomic[u32]
y: Atomic[u32]
seen_x: Atomic[u32]
seen_y: Atomic[u32]


def _store_x_load_y(unused: u64) -> None:
    x.store(1, order="release")
    fence("seq_cst")
    seen_y.store(y.load(order="acquire"))


def _store_y_load_x(unused: u64) -> None:
    y.store(1, order="release")
    fence("seq_cst")
    seen_x.store(x.load(order="acquire"))


def _one_saw_the_other() -> None:
    assert seen_x.load() + seen_y.load() >= 1, "both loads overtook the stores before them"


def store_buffering() -> None:
    """Two CPUs store, fence, and look what the other stored: one of them sees it."""
    world.thread(_store_x_load_y, 0, 0)
    world.thread(_store_y_load_x, 0, 1)
    world.check(_one_saw_the_other)


def _publish(unused: u64) -> None:
    x.store(1, order="relaxed")
    y.store(1, order="release")


def _consume(unused: u64) -> None:
    if y.load(order="acquire") == 1:
        assert x.load(order="relaxed") == 1, "the stores of a CPU are seen in their order"


def message_passing() -> None:
    """Data, then a flag: who sees the flag sees the data, without a fence."""
    world.thread(_publish, 0, 0)
    world.thread(_consume, 0, 1)


def _own(unused: u64) -> None:
    x.store(7, order="relaxed")
    assert x.load(order="relaxed") == 7
    x.store(8, order="release")
    assert x.load(order="acquire") == 8
    assert x.add(1) == 8


def own_stores() -> None:
    """A CPU sees its own stores at once."""
    world.thread(_own, 0, 0)
    world.need(2)
