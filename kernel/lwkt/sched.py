# SPDX-License-Identifier: BSD-3-Clause
"""The scheduler of a CPU: fixed priorities, first come first served, switching.

Each CPU has one list of runnable threads, best first; a running thread stays on it.  Only the
CPU itself touches the list: to schedule another CPU's thread one sends it a message.  There is no
lock.  A thread whose tokens cannot be had stays on the list too, and is passed over.

Invariants
  R1  tdrunq is sorted by descending priority, first come first within one; RQF_RUNNING tells
      whether it is empty.
  R2  Between descheduling oneself and switching, nothing of splz() is executed and no message is
      sent: it could be our own wakeup, or another CPU could wait for us.
  R3  A thread is switched to only if it holds all its tokens, or never lost them (preempted).
  R4  A preempting thread that switches, for whatever reason, goes back to the one it preempted.
  R5  The idle thread is never on the list; it holds no tokens; it does not halt while
      RQF_AST_LWKT_RESCHED is set.
  R6  A thread's `gd` is changed by the CPU that it names, in a critical section: who finds itself
      there stays the owner until it leaves its own.  So nobody decides on what another changes.
Tests     tests/unit/lwkt/test_sched.py, tests/guest/threads.py
Source    DragonFly sys/kern/lwkt_thread.c (design)
"""
from typing import Final

from kpy import (
    Atomic,
    Errno,
    Fn,
    MPtr,
    Never,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    bits_of,
    cast,
    compiler_fence,
    entry,
    export,
    from_bits,
    i32,
    inline,
    kassert,
    may_block,
    memset,
    noinline,
    panic,
    pause,
    pointer_at,
    recursive,
    ref,
    sizeof,
    symbol_address,
    throws,
    u8,
    u32,
    u64,
    volatile_load,
    volatile_store,
)

from kernel import machine
from kernel.arch.x86_64 import switch as stack
from kernel.lib.errno import ENOMEM
from kernel.lwkt import crit, globaldata, ipiq, ktr, msgport, sleepq, splz, token, upcalls
from kernel.lwkt.globaldata import (
    RQF_AST_LWKT_RESCHED,
    RQF_RUNNING,
    RQF_WAKE,
    Globaldata,
    curthread,
    find,
    gd,
    mycpu,
)
from kernel.lwkt.thread import HAVE_ALL, MpFlag, Pri, Thread, ThreadFlag

UNSAFE: Final = True     # threads travel as numbers in IPI messages; a new stack is raw memory

THREAD_STACK_USE: Final = 20 * 1024     # of 24 KiB; the rest is for interrupts
SPIN_ROUNDS: Final = 10
OFF_CPU: Final[ThreadFlag] = ThreadFlag.RUNNING | ThreadFlag.PREEMPT_LOCK

_next_cpu: Atomic[u32]      # [a] round robin for threads that may start anywhere


# --- Scheduling ----------------------------------------------------------------------------


@recursive(2)     # _return_from() may wake who waits for the preemptor's end; that preempts nothing
def schedule(td: Ptr[Thread]) -> None:
    """Make `td` runnable on its CPU; it may preempt the running thread if it is of that kind.

    Context  any but between descheduling oneself and switching (R2).
    """
    crit.crit_enter()
    owner = volatile_load(td.gd)        # R6
    if owner is not mycpu():
        ipiq.send(owner, _schedule_remote, u64(address_of(td)), 0)
    elif _may_queue(td):
        td.flags &= ~ThreadFlag.BLOCKED
        _enqueue(td)
        ktr.log(ktr.Event.SCHEDULE, u64(address_of(td)), gd.tdrunqcount)
        if td.preemptable:
            level = 1 if gd.intr_nesting_level == 0 else gd.preempt_level + 1
            _preempt(td, level)
    crit.crit_exit()


def schedule_self() -> None:
    """Undo deschedule_self()."""
    crit.crit_enter()
    td = curthread()
    if _may_queue(td):
        _enqueue(td)
    crit.crit_exit()


def deschedule_self(td: Ptr[Thread]) -> None:
    """Take the running thread off the run queue; what follows is switch() (R2).

    Context  a critical section, until the switch.
    """
    kassert(td.critcount > 0)
    if ThreadFlag.RUNQ in td.flags:
        _dequeue(td)


@inline
def need_resched() -> None:
    gd.reqflags.or_(RQF_AST_LWKT_RESCHED, order="relaxed")


def setpri(td: Ptr[Thread], pri: u32) -> None:
    """Change the priority of a thread of this CPU; sorts anew, never switches."""
    crit.crit_enter()
    kassert(td.gd is mycpu() and pri <= u32(bits_of(Pri.MAX)))
    if ThreadFlag.RUNQ in td.flags:
        _dequeue(td)
        td.pri = pri
        _enqueue(td)
    else:
        td.pri = pri
    crit.crit_exit()


@may_block
def yield_() -> None:
    """Let interrupts in, and equals and betters run if a reschedule is wanted."""
    splz.splz_check()
    if gd.reqflags.load_relaxed() & RQF_AST_LWKT_RESCHED != 0:
        switch()


def tick() -> None:
    """The scheduler clock: round robin among equals.  Interrupt level."""
    td = curthread()
    td.ticks_used += 1
    if ThreadFlag.RUNQ not in td.flags:
        return
    if gd.tdrunq.first is td:
        rotate()
    else:
        need_resched()


def rotate() -> None:
    """Put the running thread behind its equals, if there are any.  Critical section."""
    td = curthread()
    following = td.link.next
    if following is not None and following.pri == td.pri:
        _dequeue(td)
        _enqueue(td)
        need_resched()


# --- Switching -----------------------------------------------------------------------------


@may_block
def switch() -> None:
    """Run the best thread of this CPU that can have its tokens; come back when that is us.

    The caller has descheduled itself if it does not want to be run at once.
    Blocks   yes: tokens are let go of and regained.  The CPU may be another afterwards.
    Panics   in an interrupt or IPI handler, with a spinlock, with a cpusync under way.
    """
    td = curthread()
    if (gd.intr_nesting_level | gd.spinlocks | td.cscount) != 0:
        _refuse(td)
    kassert(gd.processing_ipiq == 0)
    kassert(ThreadFlag.RUNNING in td.flags)
    td.critcount += 1
    if td.toks_stop != 0:
        token.relalltokens(td)
    victim = td.preempted
    if victim is not None:
        _go_back(td, victim)
    else:
        gd.reqflags.and_(~RQF_AST_LWKT_RESCHED, order="relaxed")
        best = gd.tdrunq.first
        if best is None or best.toks_stop != 0:
            best = _choose(td)
        if best is not td:
            _switch_to(td, best)
    if td.critcount > 1:
        splz.splz_check()           # blocked inside a critical section: what came waits no longer
    crit.crit_exit()


@noinline
def _choose(td: Ptr[Thread]) -> Ptr[Thread]:
    """The thread to run next: its tokens are held when this returns (R3).

    switch() itself does what is most common: the best thread is there and wants no token.
    """
    spins: u32 = 0
    while True:
        gd.reqflags.and_(~RQF_AST_LWKT_RESCHED, order="relaxed")
        best = gd.tdrunq.first
        if best is None:
            return _idle()
        if best.toks_stop == 0 or token.getalltokens(best, spins):
            return best
        gd.counters.token_rounds += 1
        other = best.link.next
        while other is not None and other.pri >= u32(bits_of(Pri.KERN_LPSCHED)):
            if other.toks_stop == 0 or token.getalltokens(other, spins):
                return other
            other = other.link.next

        # Everybody runnable waits for a token of another CPU's.
        need_resched()                          # polled, not slept through (R5)
        if ThreadFlag.RUNQ not in td.flags:
            return _idle()                      # R2: we are descheduled, splz() is not for us
        spins += 1
        pause()
        splz.splz_check()                       # still scheduled: messages may come in


@inline
def _idle() -> Ptr[Thread]:
    kassert(gd.idlethread.toks_stop == 0)
    return ref(gd.idlethread)


@inline
def _switch_to(td: Ptr[Thread], target: Ptr[Thread]) -> None:
    """Leave `td` for `target`; finish what the one we come back from left to do."""
    kassert(ThreadFlag.RUNNING not in target.flags and target.critcount != 0)
    target.flags |= ThreadFlag.RUNNING
    target.switches += 1
    gd.counters.switch_count += 1
    _trace_switch(target)
    _return_from(_low_switch(td, target))


@inline
def _low_switch(td: Ptr[Thread], target: Ptr[Thread]) -> Ptr[Thread]:
    """The switch itself; the thread we came from when we are back."""
    gd.curthread = target
    # safe: what switch_stack() returns is the address of the thread that called it
    return pointer_at(Thread, VirtAddr(stack.switch_stack(ref(td.sp), target.sp,
                                                          u64(address_of(td)))))


@inline
def _return_from(prev: Ptr[Thread]) -> None:
    """We are off the stack of `prev`: let it go (H2), send it on if it migrates."""
    compiler_fence()
    left = prev.flags & ~ThreadFlag.RUNNING
    volatile_store(prev.flags, left)
    if bits_of(left & (ThreadFlag.MIGRATING | ThreadFlag.EXITING)) != 0:
        _send_off(prev)


@noinline
def _send_off(prev: Ptr[Thread]) -> None:
    """`prev` is off its stack, and leaves this CPU, or the world.

    From the moment that it is the target's (R6) our messages for it go there, after this one.
    """
    target = prev.migrate_gd
    if target is not None and ThreadFlag.PREEMPT_LOCK not in prev.flags:
        prev.migrate_gd = None
        volatile_store(prev.gd, target)         # after all else: R6
        ktr.log(ktr.Event.MIGRATE, u64(address_of(prev)), target.cpuid)
        ipiq.send(target, _arrived, u64(address_of(prev)), 0)
    elif ThreadFlag.EXITING in prev.flags:
        prev.mpflags.or_(MpFlag.EXITSIG)
        if MpFlag.EXITWAIT in prev.mpflags.load():
            sleepq.wakeup(u64(address_of(ref(prev.mpflags))))


@inline
def _trace_switch(target: Ptr[Thread]) -> None:
    if ktr.on(ktr.Event.SWITCH):
        ktr.log(ktr.Event.SWITCH, u64(address_of(target)),
                target.pri | u64(gd.tdrunqcount) << ktr.QUEUE_SHIFT)


def _go_back(td: Ptr[Thread], victim: Ptr[Thread]) -> None:
    """R4: to the thread that we preempted.  It never lost its tokens."""
    kassert(ThreadFlag.PREEMPT_LOCK in victim.flags)
    victim.flags |= ThreadFlag.PREEMPT_DONE
    if gd.tdrunq.first is not None and gd.tdrunq.first is not victim:
        need_resched()
    victim.flags |= ThreadFlag.RUNNING
    _trace_switch(victim)
    _return_from(_low_switch(td, victim))


def _preempt(target: Ptr[Thread], owned: u32) -> None:
    """Run `target` now, on behalf of an interrupt, and come back when it blocks.

    `owned` critical sections of the running thread are the caller's own.
    """
    td = curthread()
    if target.pri <= td.pri or td.critcount > owned or td.cscount != 0 or target.toks_stop != 0:
        gd.counters.preempt_miss += 1
        return
    if target is td or ThreadFlag.PREEMPT_LOCK in (td.flags | target.flags):
        gd.counters.preempt_weird += 1
        return
    if target.preempted is not None or gd.spinlocks != 0 or ThreadFlag.RUNNING in target.flags:
        gd.counters.preempt_weird += 1
        return
    gd.counters.preempt_hit += 1
    ktr.log(ktr.Event.PREEMPT, u64(address_of(target)), u64(address_of(td)))
    target.preempted = td
    td.flags |= ThreadFlag.PREEMPT_LOCK
    nesting, level, processing = gd.intr_nesting_level, gd.preempt_level, gd.processing_ipiq
    gd.intr_nesting_level = 0
    gd.preempt_level = 0
    gd.processing_ipiq = 0
    target.flags |= ThreadFlag.RUNNING
    target.switches += 1
    gd.counters.switch_count += 1
    back_from = _low_switch(td, target)
    kassert(back_from is target and ThreadFlag.PREEMPT_DONE in td.flags)
    target.preempted = None
    _return_from(target)
    gd.intr_nesting_level = nesting
    gd.preempt_level = level
    gd.processing_ipiq = processing
    td.flags &= ~(ThreadFlag.PREEMPT_LOCK | ThreadFlag.PREEMPT_DONE)


@noinline
def _refuse(td: Ptr[Thread]) -> None:
    """Switching where it is forbidden."""
    if gd.panicked != 0:
        return
    panic(f"switch in a handler or with a lock: nesting {gd.intr_nesting_level}, spinlocks "
          f"{gd.spinlocks}, cpusyncs {td.cscount}")


# --- The run queue -------------------------------------------------------------------------


@inline
def _may_queue(td: Ptr[Thread]) -> bool:
    none_of = ThreadFlag.RUNQ | ThreadFlag.MIGRATING | ThreadFlag.BLOCKQ | ThreadFlag.NOSTART
    return bits_of(td.flags & none_of) == 0


def _enqueue(td: Ptr[Thread]) -> None:
    """R1: behind its equals."""
    kassert(td.gd is mycpu() and curthread().critcount > 0)
    kassert(td is not ref(gd.idlethread), "the idle thread is not scheduled")
    kassert(ThreadFlag.EXITING not in td.flags, "a thread that ended is not scheduled")
    kassert(ThreadFlag.TSLEEPQ not in td.flags or td.wchan != 0)
    td.flags |= ThreadFlag.RUNQ
    gd.tdrunqcount += 1
    first = gd.tdrunq.first
    if first is None:
        gd.tdrunq.push_back(td)
        gd.reqflags.or_(RQF_RUNNING | RQF_AST_LWKT_RESCHED, order="relaxed")
        return
    if td.pri > first.pri:
        gd.tdrunq.push_front(td)
        need_resched()
        return
    last = gd.tdrunq.last
    while last is not None and last.pri < td.pri:
        last = last.link.prev
    assert last is not None, "the first is at least as good"
    following = last.link.next
    if following is None:
        gd.tdrunq.push_back(td)
    else:
        gd.tdrunq.insert_before(following, td)


def _dequeue(td: Ptr[Thread]) -> None:
    kassert(td.gd is mycpu() and curthread().critcount > 0)
    td.flags &= ~ThreadFlag.RUNQ
    gd.tdrunqcount -= 1
    gd.tdrunq.remove(td)
    if gd.tdrunq.first is None:
        gd.reqflags.and_(~RQF_RUNNING, order="relaxed")


def _schedule_remote(arg: u64, unused: u64) -> None:
    """Another CPU wants this thread to run; if it has moved on meanwhile, so does the message."""
    schedule(pointer_at(Thread, VirtAddr(arg)))     # safe: whoever schedules it keeps it alive


# --- Migration -----------------------------------------------------------------------------


@may_block
def setcpu_self(target: Ptr[Globaldata]) -> None:
    """Go on on `target`.  The thread may hold tokens; FIXEDCPU ones may not move."""
    td = curthread()
    if target is mycpu():
        return
    kassert(ThreadFlag.FIXEDCPU not in td.flags and ThreadFlag.TSLEEPQ not in td.flags)
    gd.counters.migrations += 1
    td.critcount += 1
    deschedule_self(td)
    td.flags |= ThreadFlag.MIGRATING
    gd.tdallq.remove(td)
    td.migrate_gd = target
    switch()
    gd.tdallq.push_back(td)
    crit.crit_exit()


def giveaway(td: Ptr[Thread]) -> None:
    """Let another CPU acquire() a descheduled thread of this one; until then nothing wakes it."""
    crit.crit_enter()
    kassert(td.gd is mycpu() and ThreadFlag.RUNQ not in td.flags)
    kassert(ThreadFlag.TSLEEPQ not in td.flags)
    td.flags |= ThreadFlag.MIGRATING
    gd.tdallq.remove(td)
    crit.crit_exit()


def acquire(td: Ptr[Thread]) -> None:
    """Take over a thread that its CPU gave away; waits until that CPU is off its stack.

    Context  thread, interrupts enabled.
    """
    crit.crit_enter()
    # races: MIGRATING is set before anybody is told of the thread
    kassert(ThreadFlag.MIGRATING in td.flags and td.gd is not mycpu())
    while bits_of(volatile_load(td.flags) & OFF_CPU) != 0:
        ipiq.process(0)             # that CPU may wait for us
        pause()
    owner = td.gd
    ipiq.wait(owner, ipiq.send(owner, _hand_over, u64(address_of(td)),
                               u64(address_of(gd.self))))           # R6
    td.flags &= ~ThreadFlag.MIGRATING
    gd.tdallq.push_back(td)
    crit.crit_exit()


def _hand_over(arg: u64, to: u64) -> None:
    """On the CPU that gave the thread away: it is that of CPU `to` from here on."""
    # safe: acquire() waits for this; Globaldatas stay
    volatile_store(pointer_at(Thread, VirtAddr(arg)).gd, pointer_at(Globaldata, VirtAddr(to)))


def _arrived(arg: u64, unused: u64) -> None:
    """A thread that migrates is off its old CPU, which made it ours."""
    td = pointer_at(Thread, VirtAddr(arg))      # safe: MIGRATING, so nobody else touches it
    kassert(bits_of(td.flags & OFF_CPU) == 0)
    td.flags &= ~ThreadFlag.MIGRATING
    _enqueue(td)
    ktr.log(ktr.Event.SCHEDULE, arg, gd.tdrunqcount)


# --- Birth and death -----------------------------------------------------------------------


def init_thread(td: Ptr[Thread], name: Slice[u8], target: Ptr[Globaldata], pri: Pri,
                start: Fn[[u64], None], argument: u64) -> None:
    """Make of storage with a stack a thread that will call start(argument) on `target`."""
    td.pri = u32(bits_of(pri))
    td.critcount = 1                            # H4; thread_begin() ends it
    td.toks_have = HAVE_ALL
    td.start = start
    td.argument = argument
    td.gd = target
    used = min(len(name), len(td.name) - 1)
    td.name[:used].copy_from(name[:used])
    msgport.init_thread_port(td.msgport, td)
    td.sp = stack.first_frame(VirtAddr(td.stack_base + td.stack_size),
                              u64(symbol_address("thread_trampoline")))


@throws
def create(start: Fn[[u64], None], argument: u64, name: Slice[u8], cpu: i32 = -1,
           pri: Pri = Pri.KERN_DAEMON, flags: ThreadFlag = from_bits(ThreadFlag, 0)
           ) -> Ptr[Thread]:
    """A new thread that calls start(argument) and exits; `cpu` -1 is the next in turn.

    With flag NOSTART it waits for start_thread().
    Errors   ENOMEM.
    """
    target = _next_in_turn() if cpu < 0 else find(u32(cpu))
    td = _storage()
    if td is None:
        raise Errno(ENOMEM)
    init_thread(td, name, target, pri, start, argument)
    td.flags = flags
    if ktr.on(ktr.Event.CREATE):
        ktr.log(ktr.Event.CREATE, u64(address_of(td)), ktr.short(name))
    ipiq.send(target, _adopt, u64(address_of(td)), 0)
    return td


def _next_in_turn() -> Ptr[Globaldata]:
    while True:
        cpu = _next_cpu.add(1, order="relaxed") % globaldata.cpu_limit
        if globaldata.runs(cpu):
            return find(cpu)


def start_thread(td: Ptr[Thread]) -> None:
    """Let a thread run that was created with NOSTART."""
    ipiq.send(td.gd, _start, u64(address_of(td)), 0)


def exit_thread() -> Never:
    """End the running thread.  Its storage is taken back by the next thread that ends or begins
    on this CPU: nobody can free the stack it stands on."""
    td = curthread()
    kassert(td.toks_stop == 0, "a thread ends with a token")
    while td.refs.load() != 0:
        sleepq.tsleep(u64(address_of(ref(td.refs))), from_bits(sleepq.SleepFlag, 0), "texit", 1)
    crit.crit_enter()
    if ktr.on(ktr.Event.EXIT):
        ktr.log(ktr.Event.EXIT, u64(address_of(td)), ktr.short(td.name))
    older = gd.freetd
    gd.freetd = None
    if older is not None:
        upcalls.thread_free(older)
    if ThreadFlag.TSLEEPQ in td.flags:
        sleepq.remove(td)
    gd.tdallq.remove(td)
    gd.freetd = td
    td.flags |= ThreadFlag.EXITING
    deschedule_self(td)
    switch()
    panic("a thread that ended runs again")


def _storage() -> Ptr[Thread] | None:
    """Storage for a new thread: the last one that ended here, or new."""
    crit.crit_enter()
    td = gd.freetd
    gd.freetd = None
    crit.crit_exit()
    if td is None:
        td = upcalls.thread_alloc()
        if td is None:
            return None
    base, size = td.stack_base, td.stack_size
    memset(cast(MPtr[u8], td), 0, sizeof(Thread))
    td.stack_base = base
    td.stack_size = size
    return td


def _adopt(arg: u64, unused: u64) -> None:
    """On the CPU of a new thread: it exists here now."""
    td = pointer_at(Thread, VirtAddr(arg))      # safe: create() made it for us
    gd.tdallq.push_back(td)
    if ThreadFlag.NOSTART not in td.flags:
        schedule(td)


def _start(arg: u64, unused: u64) -> None:
    td = pointer_at(Thread, VirtAddr(arg))      # safe: NOSTART, so it has not run and ended
    td.flags &= ~ThreadFlag.NOSTART
    schedule(td)


@export("thread_begin")
@entry(THREAD_STACK_USE)
def thread_begin(prev: u64) -> Never:
    """The first function on a new stack."""
    _return_from(pointer_at(Thread, VirtAddr(prev)))    # safe: what the switch returned
    crit.crit_exit()
    td = curthread()
    td.start(td.argument)
    exit_thread()


# --- Idle ----------------------------------------------------------------------------------


def idle() -> Never:
    """What a CPU does when it has nothing to do.  On the idle thread, critcount 1 or more."""
    td = curthread()
    kassert(td is ref(gd.idlethread) and td.critcount > 0)
    while True:
        splz.splz_check()
        switch()
        machine.intr_disable()
        if gd.reqflags.load() & RQF_WAKE == 0:
            gd.counters.idle_halts += 1
            ktr.log(ktr.Event.IDLE_HALT, 0, 0)
            machine.idle_halt()
            ktr.log(ktr.Event.IDLE_WAKE, gd.reqflags.load_relaxed(), 0)
        else:
            machine.intr_enable()
            pause()
