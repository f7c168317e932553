# SPDX-License-Identifier: BSD-3-Clause
"""Schedules by seed in a booted kernel: linked into images of `kpyc build --pauses` only.

There the compiler calls point() before each atomic operation, each fence and each edge of a
critical section.  With `schedule=SEED` on the command line it pauses now and then, by a generator
that SEED begins.  Under QEMU's -icount all CPUs take turns on one host thread, and `pause` ends a
turn: so a seed is a schedule, the same each time, as long as nothing of the machine depends on the
host's time.  How often it pauses is the seed's too: at each point, or at every 32nd.

Invariants
  P1  point() has no schedule point in it, takes no lock, and may be called anywhere: before there
      is per-CPU storage, with interrupts off, in a spinlock.
Tests     tests/qemu/test_schedules.py
"""
from typing import Final

from kpy import export, noinline, pause, sysinit, u64, wrapping

from kernel import machine
from kernel.lib import words

RATES: Final = 6            # pauses at one in 1, 2, 4 ... 32 points
TURNS: Final = 3            # of others that a pause gives away, at most

state: u64 = 0              # of the generator; 0: never pause
mask: u64 = 0


@sysinit(0)
def start() -> None:
    """Begin, if the command line has a seed."""
    global state, mask
    seed, given = words.number(words.value_of(machine.command_line(), b"schedule"))
    if given:
        mask = (1 << seed % RATES) - 1
        state = _mixed(seed)


@export("kpy.hook.schedule")
@noinline
def point() -> None:
    """Let other CPUs go on, or not."""
    global state
    x = state
    if x == 0:
        return
    x ^= x >> 12
    x ^= wrapping(x << 25)
    x ^= x >> 27
    state = x
    drawn = wrapping(x * 0x2545_F491_4F6C_DD1D) >> 32
    if drawn & mask == 0:
        for _ in range(1 + (drawn >> 8) % TURNS):
            pause()


def _mixed(seed: u64) -> u64:
    """A state that is not 0, and differs in all bits for seeds that differ in one (splitmix64)."""
    x = wrapping(seed + 0x9E37_79B9_7F4A_7C15)
    x = wrapping((x ^ x >> 30) * 0xBF58_476D_1CE4_E5B9)
    x = wrapping((x ^ x >> 27) * 0x94D0_49BB_1331_11EB)
    return (x ^ x >> 31) | 1
