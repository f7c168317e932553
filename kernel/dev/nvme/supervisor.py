# SPDX-License-Identifier: BSD-3-Clause
"""The thread of a controller: looks after commands that do not come back.

Once a second it advances the pairs' clock, `epoch`, and looks at those that have commands under
way:

    older than timeout_s            look whether it is complete and only the interrupt was lost;
                                    else ask the controller to abort it
    older than twice that           reset the controller; what was under way is sent again
    CSTS.CFS                        the same, at once
    registers read all ones         it is gone: all requests end with ENXIO

A controller that is reset MAX_RESETS times without one command coming back is dead.  One without
interrupts is polled at every tick.

Locking   [s] this thread, see controller.py
Tests     tests/unit/dev/nvme/test_supervisor.py, tests/qemu/test_nvme.py
Source    NVMe 1.4, 5.1 "Abort command", 9.5 "Controller Fatal Status Condition"
"""
from typing import Final

from kpy import (
    Errno,
    Ptr,
    VirtAddr,
    address_of,
    bits_of,
    kprintf,
    may_block,
    pointer_at,
    ref,
    throws,
    u32,
    u64,
    unwrap,
    wrapping,
)

from kernel.bus import driver as kit
from kernel.dev.nvme import admin as admins
from kernel.dev.nvme import controller as controllers
from kernel.dev.nvme import pair as pairs
from kernel.dev.nvme import regs, request
from kernel.dev.nvme.controller import Controller
from kernel.dev.nvme.pair import Pair
from kernel.lwkt import sched, sleepq
from kernel.lwkt.clock import HZ
from kernel.lwkt.thread import Pri

UNSAFE: Final = True     # a controller travels to its thread as a number

MAX_RESETS: Final = 3
RUNS: Final[u32] = 0
TO_END: Final[u32] = 1
ENDED: Final[u32] = 2

timeout_s: u32 = 10          # how long a command may take; for tests to change


@throws
def start(c: Ptr[Controller]) -> None:
    """Begin to look after a controller that is up.

    Errors   ENOMEM.
    """
    c.stopping.store(RUNS)
    sched.create(_run, u64(address_of(c)), b"nvme", -1, Pri.KERN_DAEMON)


@may_block
def end(c: Ptr[Controller]) -> None:
    """Have the thread end, and wait for that."""
    c.stopping.store(TO_END)
    while True:
        sleepq.tsleep_interlock(_ident(c))
        if c.stopping.load_acquire() == ENDED:
            sleepq.tsleep_remove()
            return
        sleepq.wakeup(_thread_ident(c))
        sleepq.tsleep(_ident(c), sleepq.SleepFlag.PINTERLOCKED, "nvmeend", HZ // 10)


def _run(arg: u64) -> None:
    c = pointer_at(Controller, VirtAddr(arg))       # safe: end() is called before it goes
    patience: u64 = HZ if c.messages != 0 else 1
    ticks: u64 = 0
    while c.stopping.load_acquire() == RUNS:
        sleepq.tsleep(_thread_ident(c), sleepq.NO_FLAGS, "nvmetick", patience)
        if c.messages == 0:
            controllers.poll(c)
        ticks += patience
        if ticks >= HZ:
            ticks = 0
            look(c)
    c.stopping.store(ENDED)
    sleepq.wakeup(_ident(c))


@may_block
def look(c: Ptr[Controller]) -> None:
    """What is done once a second."""
    if c.dead:
        return
    now = c.registers.CSTS
    if bits_of(now) == regs.GONE or kit.gone(c.dev):
        kprintf("nvme: a controller is gone\n")
        controllers.die(c)
        return
    if now.CFS:
        kprintf("nvme: a controller reports a fatal error\n")
        _reset(c)
        return
    for number in range(c.pair_count):
        if _look_at(c, unwrap(c.pairs[number])):
            _reset(c)
            return


@may_block
def _reset(c: Ptr[Controller]) -> None:
    """Reset, unless that has not helped so far."""
    if c.resets >= MAX_RESETS:
        kprintf(f"nvme: {MAX_RESETS} resets have not helped\n")
        controllers.die(c)
        return
    kprintf("nvme: reset\n")
    controllers.restart(c)


@may_block
def _look_at(c: Ptr[Controller], pair: Ptr[Pair]) -> bool:
    """Look after the commands of a pair; whether only a reset helps."""
    pairs.lock(pair)
    pair.epoch = wrapping(pair.epoch + 1)
    busy = pair.inflight != 0
    completed = pair.counters.completed
    moved = completed != pair.completed_before
    pair.completed_before = completed
    pairs.unlock(pair)
    if moved:
        c.resets = 0
    if not busy:
        return False
    if (_oldest(pair, timeout_s, False) == pairs.NONE
            and _oldest(pair, 2 * timeout_s, True) == pairs.NONE):
        return False
    request.complete(pair)                          # perhaps only the interrupt was lost
    if _oldest(pair, 2 * timeout_s, True) != pairs.NONE:
        return True
    for _ in range(pair.mask):
        cid = _oldest(pair, timeout_s, False)
        if cid == pairs.NONE:
            break
        _mark(pair, cid)
        try:
            c.aborts += 1
            kprintf(f"nvme: queue {pair.number}: command {cid} takes long: abort\n")
            admins.abort(c.admin, pair.number, cid)
        except Errno:
            return True
    return False


def _oldest(pair: Ptr[Pair], age_s: u32, aborting: bool) -> u32:
    """A command that is `age_s` old or older, and has been told to abort, or not yet; or NONE."""
    found: u32 = pairs.NONE
    pairs.lock(pair)
    for number in range(pair.mask):
        slot = ref(pair.slots[number])
        if (slot.request is not None and slot.aborting == aborting
                and wrapping(pair.epoch - slot.epoch) >= age_s):
            found = number
            break
    pairs.unlock(pair)
    return found


def _mark(pair: Ptr[Pair], cid: u32) -> None:
    """A command is asked to abort now."""
    pairs.lock(pair)
    pair.slots[cid].aborting = True
    pairs.unlock(pair)


def _ident(c: Ptr[Controller]) -> u64:
    return u64(address_of(ref(c.stopping)))


def _thread_ident(c: Ptr[Controller]) -> u64:
    return u64(address_of(ref(c.total_resets)))
