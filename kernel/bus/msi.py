# SPDX-License-Identifier: BSD-3-Clause
"""Interrupts as messages: vectors of CPUs, lent to devices.

A Line is a vector of a CPU with its thread.  It is made when the first device wants one there, and
then goes from device to device: the interrupt threads of lwkt do not end.  The handler of a line is
always the same, deliver(), which calls what the line's present user wants called.

To take a line back from a device that may have just interrupted, the bus marks it closing and has
its vector served once more: when deliver() has seen the mark, no call for the old user is under way
and none will come, because one thread serves the vector.

Invariants
  L1  A line is in `idle` of its CPU, or on the list of the device that has it.
  L2  Between give_back() and the next take() func is not called.
Locking   [b] the bus thread   [a] atomic   [I] fixed once made
Tests     tests/qemu/test_pci.py
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Fn,
    Ptr,
    VirtAddr,
    address_of,
    may_block,
    pointer_at,
    ref,
    struct,
    throws,
    u32,
    u64,
)

from kernel.lib import queue
from kernel.lib.errno import EBUSY, ENOMEM
from kernel.lwkt import intr, ipiq, sleepq
from kernel.lwkt.globaldata import find
from kernel.machine.types import MAX_CPUS
from kernel.mem import slab
from kernel.mem.flags import NOWAIT
from kernel.mem.malloc_type import MallocType

UNSAFE: Final = True     # a line travels to its handler and in IPI messages as a number

FIRST: Final = 16        # vectors that devices may have; those around them are others'
LAST: Final = 143

OPEN: Final = 0
CLOSING: Final = 1
CLOSED: Final = 2


@struct
class Line:
    """A vector of a CPU."""
    link: queue.Link["Line"]            # [b] L1
    info: intr.IntrInfo                 # [I] for lwkt
    handler: intr.Handler               # [I]
    cpu: u32                            # [I]
    vector: u32                         # [I]
    message: u32                        # [b] which of its messages the device sends here
    func: Fn[[Ptr["Line"]], None]        # [b] its present user's
    arg: u64                            # [b] the user's own
    state: Atomic[u32]                  # [a] OPEN, CLOSING, CLOSED


M_LINE: MallocType = MallocType(name="interrupt")
idle: Array[queue.TailQueue[Line, "link"], MAX_CPUS]        # [b]
made: Array[u32, MAX_CPUS]                                  # [b] vectors tried so far


@throws
def take(cpu: u32, func: Fn[[Ptr[Line]], None], arg: u64) -> Ptr[Line]:
    """A line of `cpu` whose thread will call func(line) when its message comes.

    Context  bus thread.
    Errors   EBUSY that CPU's vectors are all in use, ENOMEM.
    """
    line = idle[cpu].pop_front()
    if line is None:
        line = _make(cpu)
    line.func = func
    line.arg = arg
    line.state.store(OPEN)
    return line


@may_block
def give_back(line: Ptr[Line]) -> None:
    """The device has been told to send no more messages: when this returns, func is not running
    and will not be called again (L2).

    Context  bus thread.
    """
    line.state.store(CLOSING)
    ipiq.send(find(line.cpu), _post, line.vector, 0)
    while True:
        sleepq.tsleep_interlock(_ident(line))
        if line.state.load_acquire() == CLOSED:
            break
        sleepq.tsleep(_ident(line), sleepq.SleepFlag.PINTERLOCKED, "line", 10)
    sleepq.tsleep_remove()
    idle[line.cpu].push_back(line)


def deliver(handler: Ptr[intr.Handler]) -> None:
    """The handler of every line, in the thread of its vector."""
    line = pointer_at(Line, VirtAddr(handler.arg))      # safe: lines stay
    state = line.state.load_acquire()
    if state == OPEN:
        line.func(line)
    elif state == CLOSING:
        line.state.store(CLOSED)
        sleepq.wakeup(_ident(line))


@throws
def _make(cpu: u32) -> Ptr[Line]:
    """A new line, on the next vector of the CPU that nobody has."""
    line = slab.new(Line, M_LINE, NOWAIT)
    if line is None:
        raise Errno(ENOMEM)
    line.cpu = cpu
    line.state.store(CLOSED)
    line.handler.func = deliver
    line.handler.arg = u64(address_of(line))
    line.handler.name = "message"
    while FIRST + made[cpu] <= LAST:
        line.vector = FIRST + made[cpu]
        made[cpu] += 1
        try:
            intr.register(line.info, cpu, line.vector, b"interrupt")
        except Errno as e:
            if e.code == EBUSY:
                continue
            slab.kfree(line, M_LINE)
            raise
        intr.add_handler(line.info, cpu, line.handler)
        return line
    slab.kfree(line, M_LINE)
    raise Errno(EBUSY)


def _post(vector: u64, unused: u64) -> None:
    """On the line's CPU."""
    intr.post(u32(vector))


def _ident(line: Ptr[Line]) -> u64:
    return u64(address_of(ref(line.state)))
