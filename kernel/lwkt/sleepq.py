# SPDX-License-Identifier: BSD-3-Clause
"""Sleeping on a number, and waking who sleeps on it.

A number (usually an address, the ident) is what is slept on.  Each CPU has a hash of its sleepers;
a global array of CPU masks says, for each bucket, which CPUs may have some there: a hint that may
be stale in one direction only.

    tsleep_interlock(ident)         queue me
    if not condition:               look again: a wakeup from here on is not lost
        tsleep(ident, PINTERLOCKED, "why", 0)

Invariants
  L1  A thread with TSLEEPQ set is on exactly one queue, that of its wchan, on its own CPU.
  L2  If a CPU has a sleeper in a bucket its bit in the bucket's mask is set.
  L3  A wakeup that comes after tsleep_interlock() makes the tsleep() that follows return at once.
  L4  wakeup_one() counts only a thread that was really off the run queue.
Tests     tests/unit/lwkt/test_sleepq.py, tests/guest/sleep.py
Source    DragonFly sys/kern/kern_synch.c (design)
"""
from typing import Final

from kpy import (
    Array,
    Ptr,
    Str,
    VirtAddr,
    address_of,
    bits_of,
    flags,
    from_bits,
    i32,
    kassert,
    may_block,
    pointer_at,
    u32,
    u64,
    wrapping,
    zeroed,
)

from kernel.lib.errno import EWOULDBLOCK
from kernel.lwkt import callout, crit, ipiq, ktr, sched, spin
from kernel.lwkt.cpumask import AtomicCpumask, Cpumask
from kernel.lwkt.globaldata import curthread, find, gd, mycpu
from kernel.lwkt.thread import Thread, ThreadFlag

UNSAFE: Final = True     # idents are addresses, and threads travel in callouts as numbers

HASH_SIZE: Final = 256


@flags(u32)
class SleepFlag:
    """How to sleep, and whom to wake."""
    PINTERLOCKED = 1            # tsleep_interlock() was called
    PCATCH = 2                  # signals end it
    PDOMAIN_UMTX = 0x100        # idents of another kind, that never meet the others
    PDOMAIN_FBSD = 0x200
    PWAKEUP_ONE = 0x1000
    PWAKEUP_MYCPU = 0x2000


NO_FLAGS: Final[SleepFlag] = SleepFlag(0)
PDOMAIN_MASK: Final[u32] = 0xF00

cpumasks: Array[AtomicCpumask, HASH_SIZE]       # [a]


def tsleep_interlock(ident: u64, how: SleepFlag = NO_FLAGS) -> None:
    """Be among the sleepers of `ident`, still running: see the header."""
    kassert(ident != 0)
    td = curthread()
    crit.crit_enter()
    if ThreadFlag.TSLEEPQ in td.flags:
        remove(td)
    bucket = _hash(ident)
    td.wchan = ident
    td.wdomain = bits_of(how) & PDOMAIN_MASK
    td.flags |= ThreadFlag.TSLEEPQ
    gd.tsleep_hash[bucket].push_back(td)
    cpumasks[bucket].add(gd.cpuid)              # L2: a locked operation, so also a full fence
    crit.crit_exit()


def tsleep_remove() -> None:
    """Give up tsleep_interlock() without sleeping."""
    td = curthread()
    crit.crit_enter()
    if ThreadFlag.TSLEEPQ in td.flags:
        remove(td)
    crit.crit_exit()


@may_block
def wait(ident: u64, how: SleepFlag, wmesg: Str) -> None:
    """Sleep until wakeup(ident), or until schedule() of this very thread.

    Context  thread, no spinlock.
    """
    td = curthread()
    crit.crit_enter()
    if SleepFlag.PINTERLOCKED not in how:
        tsleep_interlock(ident, how)
    if ThreadFlag.TSLEEPQ in td.flags:          # L3: else woken meanwhile
        kassert(td.wchan == ident)
        td.wmesg = wmesg
        if ktr.on(ktr.Event.SLEEP):
            ktr.log(ktr.Event.SLEEP, ident, ktr.text(wmesg))
        sched.deschedule_self(td)
        td.flags |= ThreadFlag.TSLEEP_DESCHEDULED
        sched.switch()
        td.flags &= ~ThreadFlag.TSLEEP_DESCHEDULED
        if ThreadFlag.TSLEEPQ in td.flags:      # scheduled directly, not woken
            remove(td)
        td.wmesg = ""
    crit.crit_exit()


@may_block
def tsleep(ident: u64, how: SleepFlag, wmesg: Str, timo: u64) -> i32:
    """Sleep until wakeup(ident), or `timo` ticks of hardclock (0: for ever) have passed.

    Context  thread, no spinlock.
    Returns  0, or EWOULDBLOCK after the time.
    """
    if timo == 0:
        wait(ident, how, wmesg)
        return 0
    td = curthread()
    crit.crit_enter()
    td.flags &= ~ThreadFlag.TIMEOUT
    timer: callout.Callout = zeroed(callout.Callout)
    callout.init(timer)
    callout.reset(timer, timo, _timeout, u64(address_of(td)))
    wait(ident, how, wmesg)
    callout.stop(timer)
    timed_out = ThreadFlag.TIMEOUT in td.flags
    td.flags &= ~ThreadFlag.TIMEOUT
    crit.crit_exit()
    return EWOULDBLOCK if timed_out else 0


@may_block
def ssleep(ident: u64, lock: Ptr[spin.Spinlock], how: SleepFlag, wmesg: Str, timo: u64) -> i32:
    """tsleep() that lets go of a spinlock without a gap in which a wakeup is lost."""
    tsleep_interlock(ident, how)
    spin.unlock(lock)
    error = tsleep(ident, how | SleepFlag.PINTERLOCKED, wmesg, timo)
    spin.lock(lock)
    return error


@may_block
def lwkt_sleep(wmesg: Str) -> None:
    """Sleep until schedule() of this very thread."""
    td = curthread()
    crit.crit_enter()
    td.wmesg = wmesg
    if ktr.on(ktr.Event.SLEEP):
        ktr.log(ktr.Event.SLEEP, 0, ktr.text(wmesg))
    td.flags |= ThreadFlag.BLOCKED
    sched.deschedule_self(td)
    sched.switch()
    td.wmesg = ""
    crit.crit_exit()


def wakeup(ident: u64) -> None:
    """Wake all who sleep on `ident`, on all CPUs.  Any context but between descheduling and
    switching."""
    _wakeup(ident, NO_FLAGS)


def wakeup_one(ident: u64) -> None:
    """Wake one who sleeps on `ident`."""
    _wakeup(ident, SleepFlag.PWAKEUP_ONE)


def wakeup_mycpu(ident: u64) -> None:
    """Wake those who sleep on `ident` on this CPU."""
    _wakeup(ident, SleepFlag.PWAKEUP_MYCPU)


def wakeup_oncpu(cpu: u32, ident: u64) -> None:
    """Wake those who sleep on `ident` on `cpu`."""
    ipiq.send(find(cpu), _wakeup_remote, ident, bits_of(SleepFlag.PWAKEUP_MYCPU))


def wakeup_domain(ident: u64, how: SleepFlag) -> None:
    """wakeup() for idents of one domain."""
    _wakeup(ident, how)


def wakeup_start_delayed() -> None:
    """From here to wakeup_end_delayed() up to two different wakeups are held back."""
    crit.crit_enter()
    gd.delayed_depth += 1
    crit.crit_exit()


def wakeup_end_delayed() -> None:
    """Issue what was held back."""
    crit.crit_enter()
    gd.delayed_depth -= 1
    if gd.delayed_depth == 0:
        first, second = gd.delayed_wakeup[0], gd.delayed_wakeup[1]
        gd.delayed_wakeup[0] = 0
        gd.delayed_wakeup[1] = 0
        if first != 0:
            _wakeup(first, NO_FLAGS)
        if second != 0:
            _wakeup(second, NO_FLAGS)
    crit.crit_exit()


def remove(td: Ptr[Thread]) -> None:
    """Take `td`, of this CPU, off its sleep queue.  Critical section."""
    kassert(td.gd is mycpu() and ThreadFlag.TSLEEPQ in td.flags)
    bucket = _hash(td.wchan)
    gd.tsleep_hash[bucket].remove(td)
    if gd.tsleep_hash[bucket].first is None:
        cpumasks[bucket].discard(gd.cpuid)
    td.flags &= ~ThreadFlag.TSLEEPQ
    td.wchan = 0


def _wakeup(ident: u64, how: SleepFlag) -> None:
    crit.crit_enter()
    if gd.delayed_depth != 0 and bits_of(how) == 0:
        for i in range(2):
            if gd.delayed_wakeup[i] == 0 or gd.delayed_wakeup[i] == ident:
                gd.delayed_wakeup[i] = ident
                crit.crit_exit()
                return
    one = SleepFlag.PWAKEUP_ONE in how
    woken = _wakeup_here(ident, how)
    ktr.log(ktr.Event.WAKEUP, ident, woken)
    # wakeup_one() that found nobody here has all others look, as the original does.
    if SleepFlag.PWAKEUP_MYCPU not in how and not (one and woken != 0):
        mask: Cpumask
        cpumasks[_hash(ident)].read(mask)
        mask.discard(gd.cpuid)
        for cpu in mask:
            gd.counters.wakeup_ipis += 1
            ipiq.send(find(cpu), _wakeup_remote, ident, bits_of(how | SleepFlag.PWAKEUP_MYCPU))
    crit.crit_exit()


def _wakeup_here(ident: u64, how: SleepFlag) -> u32:
    """Wake sleepers of this CPU; how many were really asleep (L4)."""
    woken: u32 = 0
    domain = bits_of(how) & PDOMAIN_MASK
    td = gd.tsleep_hash[_hash(ident)].first
    while td is not None:
        following = td.sleep_link.next
        if td.wchan == ident and td.wdomain == domain:
            remove(td)
            if ThreadFlag.TSLEEP_DESCHEDULED in td.flags:
                td.flags &= ~ThreadFlag.TSLEEP_DESCHEDULED
                td.wakeups += 1
                sched.schedule(td)
                woken += 1
                if SleepFlag.PWAKEUP_ONE in how:
                    return woken
        td = following
    return woken


def _wakeup_remote(ident: u64, how: u64) -> None:
    _wakeup(ident, from_bits(SleepFlag, u32(how)))


def _timeout(timer: Ptr[callout.Callout]) -> None:
    """The time of a sleep is over.  On the softclock thread of the CPU where the sleep began, which
    tsleep() does not leave before it has stopped the callout."""
    # safe: tsleep() stops the callout before it ends
    td = pointer_at(Thread, VirtAddr(timer.arg))
    crit.crit_enter()
    kassert(td.gd is mycpu())
    if ThreadFlag.TSLEEPQ in td.flags and ThreadFlag.TSLEEP_DESCHEDULED in td.flags:
        remove(td)
        td.flags &= ~ThreadFlag.TSLEEP_DESCHEDULED
        td.flags |= ThreadFlag.TIMEOUT
        sched.schedule(td)
    crit.crit_exit()


def _hash(ident: u64) -> u64:
    mixed = wrapping(ident * 0x9E37_79B9_7F4A_7C15)
    return mixed >> 56
