# SPDX-License-Identifier: BSD-3-Clause
"""What is typed, from the machine's interrupt to the thread that reads it.

The interrupt puts bytes in a ring and posts a soft interrupt; that wakes the reader.  One byte is
for the debugger: Ctrl-\\ enters it, whatever the reader does.

Invariants
  C1  `head` is moved by the interrupt only, `tail` by the reader only; one reader at a time.
Tests     tests/qemu/test_prompt.py
Limits    one console, one reader; a tty with line discipline comes with user programs
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Ptr,
    address_of,
    implements,
    may_block,
    ref,
    throws,
    u8,
    u32,
    u64,
    wrapping,
    zeroed,
)

from kernel.ddb import debugger
from kernel.lwkt import intr, sleepq
from kernel.machine import upcalls

UNSAFE: Final = True     # the ring's address is what the reader sleeps on

RING: Final = 256
BREAK: Final = 0x1C          # Ctrl-\
VECTOR: Final = 191          # a soft interrupt: no device has it

_ring: Array[u8, RING]
_head: Atomic[u32]           # C1
_tail: Atomic[u32]
_lost: Atomic[u64]           # bytes that came while the ring was full
_info: intr.IntrInfo = zeroed(intr.IntrInfo)
_fast: intr.FastHandler = zeroed(intr.FastHandler)


@throws
def start() -> None:
    """Be ready for what is typed.  On CPU 0, in a thread."""
    _fast.func = _wake
    intr.register_fast(_info, 0, VECTOR, _fast)


@may_block
def read() -> u8:
    """The next byte typed; waits for it."""
    while True:
        sleepq.tsleep_interlock(_ident())
        tail = _tail.load_relaxed()
        if tail != _head.load_acquire():
            sleepq.tsleep_remove()
            byte = _ring[tail % RING]
            _tail.store(wrapping(tail + 1), order="release")
            return byte
        sleepq.tsleep(_ident(), sleepq.SleepFlag.PINTERLOCKED, "console", 0)


@implements(upcalls.console_input)
def console_input(byte: u8) -> None:
    """In the interrupt, whatever was interrupted: touches nothing but the ring."""
    if byte == BREAK:
        debugger.breakpoint()
        return
    head = _head.load_relaxed()
    if wrapping(head - _tail.load_acquire()) == RING:
        _lost.add(1, order="relaxed")
        return
    _ring[head % RING] = byte
    _head.store(wrapping(head + 1), order="release")
    intr.post(VECTOR)


def _wake(fast: Ptr[intr.FastHandler]) -> None:
    sleepq.wakeup(_ident())


def _ident() -> u64:
    return u64(address_of(ref(_ring[0])))
