# SPDX-License-Identifier: BSD-3-Clause
"""Waiting for a device, never for ever.

    for _ in wait.polls(500):                   # CAP.TO
        if registers.CSTS.RDY == 1:
            break
    else:
        raise Errno(ETIMEDOUT)

The first looks come one after the other, later ones a tick apart, and the last one after the time
is up: a thread that did not get to run in time does not take that for the device's fault.

Tests     tests/unit/bus/test_driver.py
"""
from typing import Final

from kpy import (
    Errno,
    Fn,
    Iterator,
    address_of,
    hook,
    inline,
    may_block,
    pause,
    ref,
    throws,
    u64,
    wrapping,
)

from kernel import machine
from kernel.lib.errno import ETIMEDOUT
from kernel.lwkt import sleepq
from kernel.lwkt.clock import HZ

UNSAFE: Final = True     # what is slept on is an address that nobody wakes

SPINS: Final = 64


@inline
def polls(limit_ms: u64) -> Iterator[u64]:
    """Rounds of looking, numbered from 0, until `limit_ms` have passed."""
    began = machine.cputimer_count()
    number: u64 = 0
    late = False
    while not late:
        late = wrapping(machine.cputimer_count() - began) > _ticks(limit_ms)
        yield number
        number += 1
        between(number)


@throws
def wait_until(condition: Fn[[u64], bool], arg: u64, limit_ms: u64) -> None:
    """Wait until condition(arg).

    Blocks   yes.
    Errors   ETIMEDOUT.
    """
    for _ in polls(limit_ms):
        if condition(arg):
            return
    raise Errno(ETIMEDOUT)


@may_block
def sleep_ms(duration_ms: u64) -> None:
    """Let at least so much time pass."""
    for _ in polls(duration_ms):
        pass


@hook("bus_wait")
@may_block
def between(number: u64) -> None:
    """What happens between two looks."""
    if number < SPINS:
        pause()
        return
    nobody: u64 = 0
    sleepq.tsleep(u64(address_of(ref(nobody))), sleepq.NO_FLAGS, "device", max(HZ // 100, 1))


def _ticks(limit_ms: u64) -> u64:
    return limit_ms * machine.cputimer_hz() // 1000
