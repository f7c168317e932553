# SPDX-License-Identifier: BSD-3-Clause
"""Run queues: threads scheduled from elsewhere, moving, given away, ending.

Covers    kernel/lwkt/sched.py R1 to R5, thread.py H1 to H4
"""
from typing import Final

from kpy import Atomic, Errno, address_of, i32, panic, ref, u32, u64, volatile_load

from kernel.lwkt import crit, globaldata, sched, sleepq
from kernel.lwkt.globaldata import find, gd
from kernel.lwkt.thread import MpFlag, Pri, ThreadFlag
from tests.sim import world

UNSAFE: Final = True        # what is slept on is an address

ROUNDS: Final = 2

ready: Atomic[u32]
woken: Atomic[u32]
stage: Atomic[u32]
born: Atomic[u32]
count: u64 = 0              # one CPU's


# --- Scheduled by another CPU ---------------------------------------------------------------


def _block(times: u64) -> None:
    """Blocks in a critical section, so that the message cannot come between test and sleep."""
    for i in range(times):
        crit.crit_enter()
        while ready.load() <= i:
            sleepq.lwkt_sleep("ready")
        crit.crit_exit()
        woken.add(1)
    world.rest()


def _schedule(times: u64) -> None:
    for _ in range(times):
        ready.add(1)
        sched.schedule(world.td_of(0))


def remote_schedule() -> None:
    """A thread that blocks is scheduled by another CPU, again and again; no wakeup is lost."""
    world.thread(_block, ROUNDS, 0)
    world.thread(_schedule, ROUNDS, 1)


def two_wakers() -> None:
    """Two CPUs schedule one thread at the same time: it is enqueued once."""
    world.thread(_block, 2, 0)
    world.thread(_schedule, 1, 1)
    world.thread(_schedule, 1, 2)
    world.to_quiescence()


# --- Waiting for an end ---------------------------------------------------------------------


def _end_when_awaited(unused: u64) -> None:
    while stage.load() == 0:
        world.wait()


def _await_end(unused: u64) -> None:
    td = world.td_of(0)
    ident = u64(address_of(ref(td.mpflags)))
    td.mpflags.or_(MpFlag.EXITWAIT)
    stage.store(1)
    while MpFlag.EXITSIG not in td.mpflags.load():
        sleepq.tsleep_interlock(ident)
        if MpFlag.EXITSIG not in td.mpflags.load():
            sleepq.wait(ident, sleepq.SleepFlag.PINTERLOCKED, "exit")
        sleepq.tsleep_remove()
    assert ThreadFlag.RUNNING not in volatile_load(td.flags), "it is on its stack"


def end_awaited() -> None:
    """Who waits for a thread's end is woken by it, when the thread is off its stack."""
    world.thread(_end_when_awaited, 0, 0)
    world.thread(_await_end, 0, 1)


# --- Taking turns ---------------------------------------------------------------------------


def _turn(mine: u64) -> None:
    global count
    for _ in range(ROUNDS):
        while count % 3 != mine:
            crit.crit_enter()
            sched.rotate()
            crit.crit_exit()
            sched.switch()
        count += 1


def round_robin() -> None:
    """Three equal threads of a CPU take turns by rotate() and switch()."""
    world.thread(_turn, 0, 0)
    world.thread(_turn, 1, 0)
    world.thread(_turn, 2, 0)
    world.to_quiescence()
    world.check(_six)


def _six() -> None:
    assert count == 6


# --- Moving ---------------------------------------------------------------------------------


def _move(times: u64) -> None:
    for _ in range(times):
        target = 1 - gd.cpuid
        sched.setcpu_self(find(target))
        assert gd.cpuid == target and globaldata.curthread().gd is gd.self
        assert ThreadFlag.MIGRATING not in globaldata.curthread().flags
        world.point()
    stage.add(1)


def migration() -> None:
    """A thread goes to another CPU and back."""
    world.thread(_move, 2, 0)
    world.need(2)
    world.to_quiescence()


def migrations_cross() -> None:
    """Two threads change places."""
    world.thread(_move, 1, 0)
    world.thread(_move, 1, 1)
    world.to_quiescence()


def _move_and_block(unused: u64) -> None:
    sched.setcpu_self(find(1))
    crit.crit_enter()
    while ready.load() == 0:
        sleepq.lwkt_sleep("ready")
    crit.crit_exit()
    sched.setcpu_self(find(0))
    woken.add(1)
    world.rest()


def chase() -> None:
    """A thread is scheduled while it moves: the message goes after it."""
    world.thread(_move_and_block, 0, 0)
    world.thread(_schedule, 1, 2)
    world.to_quiescence()
    world.check(_woken)


def _woken() -> None:
    assert woken.load() == 1


def _wait_to_be_given(unused: u64) -> None:
    """Its CPU gives it away while it is blocked."""
    crit.crit_enter()
    stage.store(1)
    while ready.load() == 0:
        sleepq.lwkt_sleep("given")
    crit.crit_exit()
    assert gd.cpuid == 1
    woken.add(1)


def _give(unused: u64) -> None:
    while stage.load() == 0:
        sched.switch()
    td = world.td_of(0)
    while ThreadFlag.BLOCKED not in td.flags:
        sched.switch()
    sched.giveaway(td)
    stage.store(2)


def _take(unused: u64) -> None:
    while stage.load() != 2:
        world.wait()
    td = world.td_of(0)
    sched.acquire(td)
    assert td.gd is gd.self
    ready.store(1)
    sched.schedule(td)


def giveaway() -> None:
    """A blocked thread is given away, and taken over by a CPU that then schedules it."""
    world.thread(_wait_to_be_given, 0, 0)
    world.thread(_give, 0, 0)
    world.thread(_take, 0, 1)
    world.to_quiescence()
    world.check(_woken)


# --- Birth and death ------------------------------------------------------------------------


def _newborn(unused: u64) -> None:
    born.add(1)


def _create(cpu: u64) -> None:
    try:
        sched.create(_newborn, 0, b"new", i32(cpu))
        other = sched.create(_newborn, 0, b"new", i32(cpu), flags=ThreadFlag.NOSTART)
        sched.start_thread(other)
    except Errno:
        panic("no storage")


def births() -> None:
    """Threads made for another CPU begin there, one at once and one when it is started."""
    world.thread(_create, 1, 0)
    world.need(2)
    world.to_quiescence()
    world.check(_both_born)


def births_cross() -> None:
    """Two CPUs make threads for each other."""
    world.thread(_create, 1, 0)
    world.thread(_create, 0, 1)
    world.to_quiescence()
    world.check(_all_born)


def _both_born() -> None:
    assert born.load() == 2


def _all_born() -> None:
    assert born.load() == 4


def _end_early(unused: u64) -> None:
    pass


def _reuse(unused: u64) -> None:
    """Threads that end make room for those that begin, on the same CPU."""
    for _ in range(3):
        try:
            sched.create(_newborn, 0, b"new", 0)
        except Errno:
            panic("no storage")
        sched.switch()


def reaping() -> None:
    """The storage of a thread that ended is taken for the next: never while anybody stands on its
    stack."""
    world.thread(_end_early, 0, 0)
    world.thread(_reuse, 0, 0)
    world.thread(_create, 0, 1)
    world.to_quiescence()
    world.check(_five_born)


def _five_born() -> None:
    assert born.load() == 5


# --- Priorities -----------------------------------------------------------------------------


def _wait_for_turn(unused: u64) -> None:
    """Less urgent than the others, until one of them raises it."""
    assert stage.load() == 1, "it ran before its turn"
    woken.add(1)


def _raise(unused: u64) -> None:
    td = world.td_of(0)
    own = globaldata.curthread()
    stage.store(1)
    sched.setpri(td, own.pri + 1)
    sched.yield_()
    assert woken.load() == 1, "who is more urgent runs at a yield"
    sched.setpri(own, own.pri - 1)
    crit.crit_enter()
    sched.deschedule_self(own)
    sched.schedule_self()
    crit.crit_exit()
    world.rest()


def priorities() -> None:
    """Priorities change, of a thread that waits on the run queue and of the one that runs, while
    another CPU schedules both."""
    world.thread(_wait_for_turn, 0, 0, Pri.USER_NORMAL)
    world.thread(_raise, 0, 0)
    world.thread(_prod, 0, 1)
    world.to_quiescence()
    world.check(_woken)


def _prod(unused: u64) -> None:
    sched.schedule(world.td_of(1))


def _create_anywhere(number: u64) -> None:
    for _ in range(number):
        try:
            sched.create(_newborn, 0, b"new")
        except Errno:
            panic("no storage")


def births_anywhere() -> None:
    """Two CPUs make threads that may begin anywhere: the CPUs take turns."""
    world.thread(_create_anywhere, 2, 0)
    world.thread(_create_anywhere, 2, 1)
    world.to_quiescence()
    world.check(_all_born)


# --- Giving oneself away, being referred to ------------------------------------------------


def _give_self(unused: u64) -> None:
    """Off the run queue, given away, and only then off its stack."""
    td = globaldata.curthread()
    crit.crit_enter()
    sched.deschedule_self(td)
    sched.giveaway(td)
    stage.store(2)
    sched.switch()
    crit.crit_exit()
    assert gd.cpuid == 1 and td.gd is gd.self
    woken.add(1)


def giveaway_self() -> None:
    """Who takes over a thread that gave itself away waits until it is off its stack."""
    world.thread(_give_self, 0, 0)
    world.thread(_take, 0, 1)
    world.to_quiescence()
    world.check(_woken)


def _refer(unused: u64) -> None:
    """A thread that somebody refers to does not end."""
    td = world.td_of(0)
    td.refs.add(1)
    stage.store(1)
    for _ in range(3):
        world.point()
        # races: one bit, of a thread that may change others
        assert ThreadFlag.EXITING not in td.flags
    td.refs.sub(1)


def _end_when_known(unused: u64) -> None:
    while stage.load() == 0:
        sched.switch()
        world.wait()


def referred() -> None:
    """A thread ends when nobody refers to it any more."""
    world.clocks(hasty=2)
    world.thread(_end_when_known, 0, 0)
    world.thread(_refer, 0, 1)


def _rotate(unused: u64) -> None:
    crit.crit_enter()
    sched.rotate()
    crit.crit_exit()
    sched.yield_()
    assert woken.load() == 1, "an equal runs at the yield after rotate()"


def _other(unused: u64) -> None:
    woken.add(1)


def rotation() -> None:
    """rotate() asks for the reschedule that a yield then makes."""
    world.thread(_rotate, 0, 0)
    world.thread(_other, 0, 0)


def _sort(unused: u64) -> None:
    crit.crit_enter()
    for i in range(1, 4):
        sched.setpri(world.td_of(u32(i)), 11 - u32((i + 1) % 3))
        sched.setpri(world.td_of(u32(i)), 10 - u32(i % 3))
    td = gd.tdrunq.first
    while td is not None:
        following = td.link.next
        assert following is None or following.pri <= td.pri, "R1"
        td = following
    crit.crit_exit()


def sorted_queue() -> None:
    """The run queue is sorted, whatever the order in which priorities change."""
    world.thread(_sort, 0, 0)
    world.thread(_other, 0, 0, Pri.USER_NORMAL)
    world.thread(_other, 0, 0, Pri.USER_IDLE)
    world.thread(_other, 0, 0, Pri.USER_HELPER)


def _holes() -> None:
    globaldata.cpu_limit = 3            # of which the last does not run


def births_beside_a_hole() -> None:
    """A thread that may begin anywhere begins on a CPU that runs."""
    world.start_with(_holes)
    world.thread(_create_anywhere, 4, 0)
    world.need(2)
    world.to_quiescence()
    world.check(_all_born)
