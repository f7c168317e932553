# SPDX-License-Identifier: BSD-3-Clause
"""What the tests inside the kernel share: crews of threads, waiting for them, random numbers.

A test is a function without arguments in the table "guest_test"; `test NAME` at the prompt runs it.
It says what it counted, and panics where something is wrong.
"""
from typing import Final

from kpy import (
    Atomic,
    Errno,
    Fn,
    Ptr,
    address_of,
    i32,
    may_block,
    ref,
    struct,
    u32,
    u64,
    wrapping,
)

from kernel import machine
from kernel.lib import words
from kernel.lwkt import globaldata, sched, sleepq
from kernel.lwkt.thread import Pri, Thread

UNSAFE: Final = True         # a crew's address is what is slept on

running: Atomic[u32]         # threads of the crew that have not ended


@may_block
def spawn(start: Fn[[u64], None], argument: u64, cpu: u32, pri: Pri = Pri.KERN_DAEMON
          ) -> Ptr[Thread]:
    """A thread of the crew; waits for memory if there is none.  It ends with done()."""
    running.add(1)
    while True:
        try:
            return sched.create(start, argument, b"test", i32(cpu), pri)
        except Errno:
            sleepq.tsleep(u64(address_of(ref(running))), sleepq.NO_FLAGS, "memory", 1)


def done() -> None:
    """The last thing that a thread of the crew does."""
    running.sub(1)
    sleepq.wakeup(u64(address_of(ref(running))))


@may_block
def join(limit: u32 = 0) -> None:
    """Wait until at most `limit` threads of the crew are left."""
    while running.load() > limit:
        sleepq.tsleep_interlock(u64(address_of(ref(running))))
        if running.load() <= limit:
            sleepq.tsleep_remove()
            return
        sleepq.tsleep(u64(address_of(ref(running))), sleepq.SleepFlag.PINTERLOCKED, "join", 10)


@may_block
def pause_ticks(ticks: u64) -> None:
    """Let `ticks` of hardclock pass."""
    ident: u64 = 0
    sleepq.tsleep(u64(address_of(ref(ident))), sleepq.NO_FLAGS, "pause", ticks)


def cpus() -> u32:
    return globaldata.ncpus


def rounds(usual: u64) -> u64:
    """How often a test does what it does: `rounds=` of the command line, else as usual."""
    wanted, given = words.number(words.value_of(machine.command_line(), b"rounds"))
    return max(wanted, 64) if given else usual


def elapsed_ms(since: u64) -> u64:
    """Milliseconds since `since`, an earlier machine.cputimer_count()."""
    return (machine.cputimer_count() - since) * 1000 // machine.cputimer_hz()


@struct
class Random:
    """xorshift64*: the same numbers for the same seed."""
    state: u64

    def next(self, limit: u64) -> u64:
        """A number below `limit`."""
        x = self.state
        x ^= x >> 12
        x ^= wrapping(x << 25)
        x ^= x >> 27
        self.state = x
        return (wrapping(x * 0x2545_F491_4F6C_DD1D) >> 33) % limit
