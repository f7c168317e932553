# SPDX-License-Identifier: BSD-3-Clause
"""Bringing several CPUs to a standstill, for a moment, to do something on all of them.

    interlock()     each CPU of the mask acknowledges, and from then on does nothing but look
                    whether the master has let go
    deinterlock()   the master lets go; each CPU calls the function and acknowledges again

The record is the master's, usually on its stack: the second acknowledgement is the last that
anybody else does with it.

Invariants
  Y1  A CPU whose bit is set in `acks` between the two halves executes no thread.
  Y2  The master does not switch between the halves, and executes its own messages while it waits:
      two masters that wait for each other both go on.
Tests     tests/unit/lwkt/test_cpusync.py, tests/guest/ipi.py
Source    DragonFly sys/kern/lwkt_ipiq.c (design)
"""
from typing import Final

from kpy import Ptr, VirtAddr, address_of, pause, pointer_at, struct, u32, u64

from kernel.lwkt import crit, ipiq, ktr
from kernel.lwkt.cpumask import AtomicCpumask, Cpumask
from kernel.lwkt.globaldata import curthread, find, gd, runs
from kernel.lwkt.ipiq import IpiFn

UNSAFE: Final = True     # the record travels as a number in an IPI message


@struct
class Cpusync:
    mask: Cpumask           # the other CPUs taking part
    acks: AtomicCpumask     # those at a standstill, then those that are done
    func: IpiFn             # called on each with (arg, 0)
    arg: u64
    count: u32              # CPUs in mask
    here: bool              # the master takes part


def init(sync: Ptr[Cpusync], mask: Ptr[Cpumask], func: IpiFn, arg: u64) -> None:
    """Fill the record; CPUs that do not run, or have panicked, are left out."""
    sync.func = func
    sync.arg = arg
    sync.here = gd.cpuid in mask
    sync.count = 0
    for cpu in mask:
        if runs(cpu) and cpu != gd.cpuid and find(cpu).panicked == 0:
            sync.mask.add(cpu)
            sync.count += 1


def interlock(sync: Ptr[Cpusync]) -> None:
    """First half: on return no other CPU of the mask executes threads.

    Context  thread, interrupts enabled, no spinlock; do not switch until deinterlock().
    """
    crit.crit_enter()
    curthread().cscount += 1
    gd.counters.cpusyncs += 1
    ktr.log(ktr.Event.CPUSYNC_BEGIN, u64(address_of(sync)), sync.count)
    ipiq.send_mask(sync.mask, _arrive, u64(address_of(sync)), 0)
    _wait_for_all(sync)


def deinterlock(sync: Ptr[Cpusync]) -> None:
    """Second half: on return each CPU of the mask has called the function."""
    sync.acks.clear()
    if sync.here:
        sync.func(sync.arg, 0)
    _wait_for_all(sync)
    ktr.log(ktr.Event.CPUSYNC_END, u64(address_of(sync)), 0)
    curthread().cscount -= 1
    crit.crit_exit()


def simple(mask: Ptr[Cpumask], func: IpiFn, arg: u64) -> None:
    """Call func(arg, 0) on all CPUs of `mask` while all of them stand still."""
    sync = Cpusync(func=func)
    init(sync, mask, func, arg)
    interlock(sync)
    deinterlock(sync)


def _wait_for_all(sync: Ptr[Cpusync]) -> None:
    seen: Cpumask
    while True:
        sync.acks.read(seen)
        if len(seen) == sync.count:
            return
        ipiq.process(0)
        pause()


def _arrive(record: u64, unused: u64) -> None:
    """On a CPU of the mask: acknowledge, then look at the record at every pass."""
    # safe: the master waits for our second acknowledgement before the record goes
    sync = pointer_at(Cpusync, VirtAddr(record))
    sync.acks.add(gd.cpuid)
    ipiq.requeue_cpusync(_stand_still, record)


def _stand_still(record: u64, unused: u64) -> None:
    """Look whether the master has let go (Y1)."""
    # safe: as in _arrive()
    sync = pointer_at(Cpusync, VirtAddr(record))
    if gd.cpuid in sync.acks:
        ipiq.requeue_cpusync(_stand_still, record)
        return
    sync.func(sync.arg, 0)
    sync.acks.add(gd.cpuid)
