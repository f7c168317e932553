# SPDX-License-Identifier: BSD-3-Clause
"""The three periodic clocks of each CPU.

hardclock    HZ times a second: callouts, messages without a doorbell
statclock    STAT_HZ times: what the CPU was doing
schedclock   SCHED_HZ times: round robin among threads of one priority

Their frequencies divide one another and their phases agree, so one interrupt serves all three.

Tests     tests/unit/lwkt/test_clock.py, tests/guest/timers.py
Source    DragonFly sys/kern/kern_clock.c (design)
"""
from typing import Final

from kpy import Ptr, ref, struct

from kernel.lwkt import callout, sched, systimer
from kernel.lwkt.globaldata import RQF_IPIQ, Globaldata, curthread, gd

HZ: Final = 100
STAT_HZ: Final = 50
SCHED_HZ: Final = 50


@struct
class Clocks:
    """The timers of a CPU."""
    hard: systimer.Systimer
    stat: systimer.Systimer
    sched: systimer.Systimer


def start(cpu: Ptr[Globaldata]) -> None:
    """Start the clocks of `cpu`, which takes messages already."""
    systimer.add_periodic(cpu.clocks.hard, cpu, _hardclock, 0, HZ, systimer.TimerFlag.QUEUED)
    systimer.add_periodic(cpu.clocks.stat, cpu, _statclock, 0, STAT_HZ)
    systimer.add_periodic(cpu.clocks.sched, cpu, _schedclock, 0, SCHED_HZ)


def _hardclock(timer: Ptr[systimer.Systimer]) -> None:
    callout.hardclock()
    if not gd.ipimask.empty():
        gd.reqflags.or_(RQF_IPIQ)       # passive messages: nobody rang for them


def _statclock(timer: Ptr[systimer.Systimer]) -> None:
    if curthread() is ref(gd.idlethread):
        gd.counters.idle_ticks += 1
    else:
        gd.counters.busy_ticks += 1


def _schedclock(timer: Ptr[systimer.Systimer]) -> None:
    gd.counters.schedclocks += 1
    sched.tick()
