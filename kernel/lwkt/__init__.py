# SPDX-License-Identifier: BSD-3-Clause
"""Light-weight kernel threads: the core of the kernel.

Each CPU schedules its own threads and nobody else's; what one CPU wants of another it sends as a
message.  Threads are serialized by tokens, which they hold only while they run, and talk through
message ports.  Interrupts are threads.  Nothing here allocates memory or knows a device.

globaldata   what each CPU has
thread       what a thread is                 sched      run queues, switching, migration
crit, splz   critical sections, deferring     intr       interrupts and their threads
token        serializing tokens               msgport    messages between threads
ipiq         messages between CPUs            cpusync    bringing CPUs to a standstill
sleepq       sleep and wakeup                 systimer   timers at interrupt level
clock        the periodic clocks              callout    timers on a thread
spin         spinlocks, update counters       mutex      blocking, handed over
lockmgr      blocking, shared, upgradable     serialize  the small lock of drivers
ktr          tracing                          start      bringing it all up
"""
from kernel.lwkt.crit import crit_enter, crit_exit
from kernel.lwkt.globaldata import curthread, find, mycpu
from kernel.lwkt.sched import (
    create,
    exit_thread,
    schedule,
    setcpu_self,
    start_thread,
    switch,
    yield_,
)
from kernel.lwkt.sleepq import tsleep, wakeup, wakeup_one
from kernel.lwkt.token import gettoken, gettoken_shared, reltoken

__all__ = [
    "create",
    "crit_enter",
    "crit_exit",
    "curthread",
    "exit_thread",
    "find",
    "gettoken",
    "gettoken_shared",
    "mycpu",
    "reltoken",
    "schedule",
    "setcpu_self",
    "start_thread",
    "switch",
    "tsleep",
    "wakeup",
    "wakeup_one",
    "yield_",
]
