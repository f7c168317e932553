# SPDX-License-Identifier: BSD-3-Clause
"""Critical sections: interrupts are deferred, not disabled.

Inside one, this CPU's interrupts, IPI callbacks and preemption do not happen; what arrives is
noted in Globaldata.reqflags, and splz() works it off when the last section ends.  Other CPUs are
not kept out.  The depth is the thread's: it may block inside and takes it along.

Invariants
  C1  The depth is lowered before reqflags is looked at: what arrives between is seen by one of
      the interrupt itself (depth 0) or the look.
  C2  splz() runs nothing while a handler runs (intr_nesting_level) or nested in itself twice.
Tests     tests/unit/lwkt/test_crit.py
Source    DragonFly sys/sys/thread2.h (design)
"""
from kpy import compiler_fence, hook, inline

from kernel.lwkt import splz
from kernel.lwkt.globaldata import RQF_PENDING, curthread, gd


@hook("crit_enter")
@inline
def crit_enter() -> None:
    """Begin a critical section; they nest."""
    curthread().critcount += 1
    compiler_fence()


@hook("crit_exit")
@inline
def crit_exit() -> None:
    """End it; at the outermost end what was deferred happens now (C1)."""
    compiler_fence()
    td = curthread()
    td.critcount -= 1
    compiler_fence()
    if td.critcount == 0 and gd.reqflags.load_relaxed() & RQF_PENDING != 0:
        splz.crit_exit_pending()


@inline
def crit_exit_noyield() -> None:
    """End it, leaving what was deferred to somebody who is about to look."""
    compiler_fence()
    curthread().critcount -= 1
    compiler_fence()
