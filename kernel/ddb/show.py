# SPDX-License-Identifier: BSD-3-Clause
"""What the commands print.  Everything is read without locks: in the debugger the other CPUs are
stopped; at the prompt what is shown is of one moment only nearly.

Tests     tests/qemu/test_ddb.py
"""
from typing import Final

from kpy import (
    Array,
    Ptr,
    Slice,
    Str,
    address_of,
    bytes_of,
    kprintf,
    ref,
    u8,
    u32,
    u64,
)

from kernel.ddb import backtrace, symbols
from kernel.lwkt import globaldata, ktr
from kernel.lwkt.globaldata import find
from kernel.lwkt.thread import HAVE_ALL, Thread, ThreadFlag
from kernel.lwkt.token import EXCLUSIVE
from kernel.mem import malloc_type, slab

UNSAFE: Final = True     # addresses are shown, and threads are named by them


def name_of(td: Ptr[Thread]) -> Slice[u8]:
    """A thread's name without its padding."""
    length: u64 = 0
    while length < len(td.name) and td.name[length] != 0:
        length += 1
    return td.name[:length]


def state_of(td: Ptr[Thread]) -> Str:
    flags = td.flags
    if ThreadFlag.RUNNING in flags:
        return "run"
    if ThreadFlag.PREEMPT_LOCK in flags:
        return "preempted"
    if ThreadFlag.MIGRATING in flags:
        return "migrating"
    if ThreadFlag.RUNQ in flags:
        return "ready" if td.toks_stop == 0 else "tokens"
    if ThreadFlag.TSLEEPQ in flags:
        return "sleep"
    if ThreadFlag.EXITING in flags:
        return "exited"
    if ThreadFlag.BLOCKED in flags:
        return "blocked"
    return "idle"


def ps() -> None:
    """Every thread of every CPU."""
    kprintf("cpu  thread            pri  state      crit tok  switches  wait        name\n")
    for cpu in globaldata.numbers():
        for td in find(cpu).tdallq:
            kprintf(f"{cpu:>3}  {u64(address_of(td)):016x}  {td.pri:>3}  {state_of(td):<9}  "
                    f"{td.critcount:>4} {td.toks_stop:>3}  {td.switches:>8}  {td.wmesg:<10}  "
                    f"{name_of(td)}\n")


def tokens() -> None:
    """Every token that a thread holds or wants."""
    kprintf("token             name          count  exclusive  collisions  threads\n")
    for cpu in globaldata.numbers():
        for td in find(cpu).tdallq:
            for i in range(td.toks_stop):
                tok = td.toks[i].tok
                if tok is None:
                    continue
                count = tok.count.load_relaxed()
                have = td.toks_have == HAVE_ALL or i < td.toks_have
                running = ThreadFlag.RUNNING in td.flags or ThreadFlag.PREEMPT_LOCK in td.flags
                kprintf(f"{u64(address_of(tok)):016x}  {tok.name:<12}  {count >> 2:>5}  "
                        f"{count & EXCLUSIVE != 0:<9}  {tok.collisions.load_relaxed():>10}  "
                        f"{name_of(td)} ")
                kprintf("holds\n" if have and running else "wants\n")


def ipiqs() -> None:
    """Message queues between CPUs: what is in them, and what went through."""
    kprintf("cpu  sent       received   full     avoided    passive   npoll  waiting for it\n")
    for cpu in globaldata.numbers():
        g = find(cpu)
        c = ref(g.counters)
        waiting: u32 = 0
        for source in globaldata.numbers():
            waiting += find(source).ipiq[cpu].fill()
        kprintf(f"{cpu:>3}  {c.ipiq_sent:<9}  {c.ipiq_received:<9}  {c.ipiq_fifofull:<7}  "
                f"{c.ipiq_avoided:<9}  {c.ipiq_passive:<8}  {g.npoll.load_relaxed():<5}  "
                f"{waiting}\n")


def msgports() -> None:
    """Ports of threads that have messages, or whose owner waits."""
    kprintf("thread            queued ever  waiting now  owner\n")
    for cpu in globaldata.numbers():
        for td in find(cpu).tdallq:
            waiting: u32 = 0
            for msg in td.msgport.priority:
                waiting += 1
            for msg in td.msgport.normal:
                waiting += 1
            if waiting != 0 or td.msgport.queued != 0:
                kprintf(f"{u64(address_of(td)):016x}  {td.msgport.queued:<11}  {waiting:<11}  "
                        f"{name_of(td)}\n")


def counters() -> None:
    """Scheduler and contention statistics of each CPU."""
    kprintf("cpu  switches   preempt hit/miss/weird  collisions  rounds    spins  migrations  "
            "interrupts  idle%\n")
    for cpu in globaldata.numbers():
        c = ref(find(cpu).counters)
        ticks = c.idle_ticks + c.busy_ticks
        idle = 100 * c.idle_ticks // ticks if ticks != 0 else 0
        kprintf(f"{cpu:>3}  {c.switch_count:<9}  {c.preempt_hit:>7} {c.preempt_miss:>6} "
                f"{c.preempt_weird:>7}  {c.token_collisions:>10}  {c.token_rounds:<8}  "
                f"{c.spin_contention:<5}  {c.migrations:<10}  {c.interrupts:<10}  {idle}\n")


def interrupts() -> None:
    """Vectors that are served, by CPU."""
    kprintf("cpu  vector  count       throttled  thread\n")
    for cpu in globaldata.numbers():
        g = find(cpu)
        for vector in range(len(g.intr.info)):
            info = g.intr.info[vector]
            if info is None:
                continue
            td = info.thread
            kprintf(f"{cpu:>3}  {vector:>6}  {info.count:<10}  {info.throttled:<9}  ")
            if td is None:
                kprintf("(fast)\n")
            else:
                kprintf(f"{name_of(td)}\n")


def trace(cpu: u32, entries: u64) -> None:
    """The last entries of a CPU's trace ring, oldest first."""
    ring = ref(find(cpu).ktr)
    end = ring.index.load_relaxed()
    count = min(entries, end - ring.cleared, ring.size)
    kprintf("sequence    time              event           thread            a                 b\n")
    at = end - count
    while at < end:
        at += 1
        e = ref(ring.entries[at & (ring.size - 1)])
        if e.sequence == at:
            kprintf(f"{e.sequence:<10}  {e.time:<16}  {event_name(e.event):<14}  {e.thread:016x}  "
                    f"{e.a:016x}  {e.b:016x}\n")


def event_name(event: ktr.Event) -> Str:
    """The name of a trace event, as `ktr.Event` has it."""
    match event:
        case ktr.Event.SWITCH:
            return "SWITCH"
        case ktr.Event.PREEMPT:
            return "PREEMPT"
        case ktr.Event.SCHEDULE:
            return "SCHEDULE"
        case ktr.Event.CREATE:
            return "CREATE"
        case ktr.Event.EXIT:
            return "EXIT"
        case ktr.Event.MIGRATE:
            return "MIGRATE"
        case ktr.Event.IDLE_HALT:
            return "IDLE_HALT"
        case ktr.Event.IDLE_WAKE:
            return "IDLE_WAKE"
        case ktr.Event.TOKEN_WAIT:
            return "TOKEN_WAIT"
        case ktr.Event.TOKEN_DROP:
            return "TOKEN_DROP"
        case ktr.Event.TOKEN_REGAIN:
            return "TOKEN_REGAIN"
        case ktr.Event.TOKEN_SPIN:
            return "TOKEN_SPIN"
        case ktr.Event.IPI_SEND:
            return "IPI_SEND"
        case ktr.Event.IPI_RECEIVE:
            return "IPI_RECEIVE"
        case ktr.Event.IPI_FULL:
            return "IPI_FULL"
        case ktr.Event.CPUSYNC_BEGIN:
            return "CPUSYNC_BEGIN"
        case ktr.Event.CPUSYNC_END:
            return "CPUSYNC_END"
        case ktr.Event.MSG_SEND:
            return "MSG_SEND"
        case ktr.Event.MSG_INLINE:
            return "MSG_INLINE"
        case ktr.Event.MSG_REPLY:
            return "MSG_REPLY"
        case ktr.Event.MSG_GET:
            return "MSG_GET"
        case ktr.Event.MSG_ABORT:
            return "MSG_ABORT"
        case ktr.Event.MSG_DONE:
            return "MSG_DONE"
        case ktr.Event.MSG_FORWARD:
            return "MSG_FORWARD"
        case ktr.Event.INTR:
            return "INTR"
        case ktr.Event.INTR_THREAD:
            return "INTR_THREAD"
        case ktr.Event.TIMER:
            return "TIMER"
        case ktr.Event.LIVELOCK:
            return "LIVELOCK"
        case ktr.Event.DOORBELL:
            return "DOORBELL"
        case ktr.Event.SLEEP:
            return "SLEEP"
        case ktr.Event.WAKEUP:
            return "WAKEUP"
        case ktr.Event.ALLOC:
            return "ALLOC"
        case ktr.Event.FREE:
            return "FREE"
        case ktr.Event.FREE_REMOTE:
            return "FREE_REMOTE"
        case ktr.Event.MARK:
            return "MARK"
        case ktr.Event.TOKEN_GET:
            return "TOKEN_GET"
        case ktr.Event.TOKEN_RELEASE:
            return "TOKEN_RELEASE"
        case ktr.Event.BUF_MISS:
            return "BUF_MISS"
        case ktr.Event.BUF_DONE:
            return "BUF_DONE"
        case ktr.Event.BIO_START:
            return "BIO_START"
        case ktr.Event.BIO_DONE:
            return "BIO_DONE"
        case ktr.Event.NAME_MISS:
            return "NAME_MISS"
        case ktr.Event.NAME_RESOLVED:
            return "NAME_RESOLVED"
        case ktr.Event.XOP_BEGIN:
            return "XOP_BEGIN"
        case ktr.Event.XOP_END:
            return "XOP_END"
        case ktr.Event.CHAIN_LOAD:
            return "CHAIN_LOAD"
        case ktr.Event.BLOCK_READ:
            return "BLOCK_READ"


def slabs() -> None:
    """What each type of memory uses, and the zones of each CPU."""
    kprintf("type             bytes       allocations  ever\n")
    for kind in malloc_type.types:
        if kind is not None:
            used = malloc_type.sum(kind)
            kprintf(f"{kind.name:<15}  {used.memuse:<10}  {used.inuse:<11}  {used.calls}\n")
    kprintf("cpu  zones  free  made    returned  freed by others\n")
    for cpu in globaldata.numbers():
        own = slab.slabs[cpu]
        if own is not None:
            c = ref(own.counters)
            kprintf(f"{cpu:>3}  {own.nzones:>5}  {own.nfree_zones:>4}  {c.zones_made:<6}  "
                    f"{c.zones_returned:<8}  {c.remote_frees}\n")


def examine(address: u64, words: u64) -> None:
    """Memory, eight bytes at a time."""
    for i in range(words):
        word: Array[u64, 1]
        if not backtrace.read(address + 8 * i, bytes_of(word)):
            kprintf(f"{address + 8 * i:016x}  not mapped\n")
            return
        kprintf(f"{address + 8 * i:016x}  {word[0]:016x}")
        at = symbols.find(word[0])
        if len(at.function) != 0:
            kprintf(f"  {at.function}+{at.offset:#x}")
        kprintf("\n")


def thread_at(address: u64) -> Ptr[Thread] | None:
    """The thread at `address`, if there is one."""
    for cpu in globaldata.numbers():
        for td in find(cpu).tdallq:
            if u64(address_of(td)) == address:
                return td
    return None
