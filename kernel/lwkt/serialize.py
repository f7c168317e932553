# SPDX-License-Identifier: BSD-3-Clause
"""Serializers: the small blocking lock of drivers and interrupt handlers.

Invariants
  E1  word bit 31 is set exactly while somebody holds it; the low bits count those that wait.
  E2  A handler that is disabled is not called: its caller asks handler_try().
Tests     tests/unit/lwkt/test_locks.py, tests/guest/locks.py
Source    DragonFly sys/kern/lwkt_serialize.c (design)
"""
from typing import Final

from kpy import Atomic, Ptr, Str, address_of, i32, kassert, may_block, struct, u32, u64

from kernel.lwkt import sleepq
from kernel.lwkt.globaldata import curthread
from kernel.lwkt.thread import Thread

UNSAFE: Final = True     # its address is what is slept on

HELD: Final[u32] = 0x8000_0000
HANDLER_DISABLED: Final[u32] = 0x4000_0000
WAITERS: Final[u32] = 0x3FFF_FFFF


@struct
class Serializer:
    """Zero is a free one."""
    word: Atomic[u32]                       # [a]
    owner: Atomic[Ptr[Thread] | None]       # [a]
    name: Str                               # [I]

    def __enter__(self) -> None:
        enter(self)

    def __exit__(self) -> None:
        leave(self)


@may_block
def enter(s: Ptr[Serializer]) -> None:
    """Hold it.  Not recursive."""
    kassert(s.owner.load_relaxed() is not curthread())
    if not try_enter(s):
        s.word.add(1)
        while True:
            sleepq.tsleep_interlock(u64(address_of(s)))
            before = s.word.load()
            if before & HELD == 0:
                if s.word.cas(before, (before | HELD) - 1):
                    break
            else:
                sleepq.wait(u64(address_of(s)), sleepq.SleepFlag.PINTERLOCKED, s.name)
        sleepq.tsleep_remove()
        s.owner.store_relaxed(curthread())


def try_enter(s: Ptr[Serializer]) -> bool:
    """Hold it if it is free."""
    before = s.word.load_relaxed()
    while before & HELD == 0:
        if s.word.cas(before, before | HELD):
            s.owner.store_relaxed(curthread())
            return True
        before = s.word.load_relaxed()
    return False


def leave(s: Ptr[Serializer]) -> None:
    kassert(s.owner.load_relaxed() is curthread())
    s.owner.store_relaxed(None)
    if s.word.and_(~HELD, order="seq_cst") & WAITERS != 0:
        sleepq.wakeup_one(u64(address_of(s)))


@may_block
def zsleep(ident: u64, s: Ptr[Serializer], how: sleepq.SleepFlag, wmesg: Str, timo: u64) -> i32:
    """tsleep() that lets go of a serializer, without a gap in which a wakeup is lost."""
    sleepq.tsleep_interlock(ident, how)
    leave(s)
    error = sleepq.tsleep(ident, how | sleepq.SleepFlag.PINTERLOCKED, wmesg, timo)
    enter(s)
    return error


def held(s: Ptr[Serializer]) -> bool:
    """Whether this thread holds it."""
    return s.owner.load_relaxed() is curthread()


def handler_disable(s: Ptr[Serializer]) -> None:
    s.word.or_(HANDLER_DISABLED)


def handler_enable(s: Ptr[Serializer]) -> None:
    s.word.and_(~HANDLER_DISABLED)


def handler_enabled(s: Ptr[Serializer]) -> bool:
    """E2: whether the handler that this protects may be called."""
    return s.word.load() & HANDLER_DISABLED == 0
