# SPDX-License-Identifier: BSD-3-Clause
"""Working off what a critical section deferred: messages, the timer, interrupts.

    splz()          from thread context: all that is pending, in the order of urgency
    doreti          the same at the end of an interrupt, in intr.py

Invariants
  Z1  Order: IPI messages, timer, hardware interrupts lowest first; again until nothing is left.
  Z2  Nothing is worked off while a handler runs, nor when nested in itself twice.
Tests     tests/unit/lwkt/test_crit.py
Source    DragonFly sys/platform/pc64/x86_64/ipl.s (design)
"""
from typing import Final

from kpy import compiler_fence, noinline, recursive

from kernel.lwkt import intr, ipiq, systimer
from kernel.lwkt.globaldata import (
    RQF_INTPEND,
    RQF_IPIQ,
    RQF_PENDING,
    RQF_TIMER,
    curthread,
    gd,
)

MAX_NESTING: Final = 2


@noinline
def crit_exit_pending() -> None:
    """The last critical section ended with something pending."""
    td = curthread()
    if gd.intr_nesting_level == 0 and td.nest_count < MAX_NESTING:
        splz()


@noinline
@recursive(3)
def splz() -> None:
    """Work off what is pending (Z1).  Thread context; the caller is in no handler (Z2)."""
    td = curthread()
    td.nest_count += 1
    while True:
        td.critcount += 1
        run_pending()
        td.critcount -= 1
        compiler_fence()
        if gd.reqflags.load_relaxed() & RQF_PENDING == 0:       # crit C1
            break
    td.nest_count -= 1


def splz_check() -> None:
    """splz() if something is pending and nothing forbids it but the caller's own section."""
    td = curthread()
    if gd.reqflags.load_relaxed() & RQF_PENDING != 0 and td.nest_count < MAX_NESTING:
        splz()


def run_pending() -> bool:
    """Work off one kind of pending work, in a critical section; False if there was none."""
    pending = gd.reqflags.load_relaxed()
    if pending & RQF_IPIQ != 0:
        gd.reqflags.and_(~RQF_IPIQ)
        ipiq.process(1)
    elif pending & RQF_TIMER != 0:
        gd.reqflags.and_(~RQF_TIMER)
        systimer.run()
    elif pending & RQF_INTPEND != 0:
        intr.run_deferred()
    else:
        return False
    return True
