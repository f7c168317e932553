# SPDX-License-Identifier: BSD-3-Clause
"""Walking stacks by their frame pointers.

Each frame is (the caller's frame pointer, return address).  Where the return address lies in the
interrupt entry, the registers of what was interrupted are right behind the frame: the walk goes on
with those, so that the line that faulted is shown too.

Tests     tests/qemu/test_panic.py
Source    System V ABI, AMD64 supplement, 3.2.2 "The Stack Frame"
"""
from typing import Final

from kpy import (
    Array,
    Ptr,
    Slice,
    VirtAddr,
    bytes_of,
    kprintf,
    sizeof,
    struct,
    symbol_address,
    u8,
    u64,
)

from kernel import machine
from kernel.ddb import symbols
from kernel.lwkt.thread import Thread
from kernel.machine.types import Frame

UNSAFE: Final = True     # a stack is raw memory, read by copy_probe()

MAX_FRAMES: Final = 48
SAVED_RBP: Final = 5 * 8         # in what switch_stack() saved: r15 r14 r13 r12 rbx rbp
SAVED_RIP: Final = 6 * 8


@struct
class StackFrame:
    rbp: u64            # of the caller
    rip: u64            # where it goes on


def here(rip: u64, rbp: u64) -> None:
    """The stack whose innermost function is at `rip` with frame pointer `rbp`."""
    pc, frame_pointer = rip, rbp
    show_address(pc)
    for _ in range(MAX_FRAMES):
        frame: StackFrame
        if frame_pointer == 0 or not read(frame_pointer, bytes_of(frame)) or frame.rip == 0:
            return
        if frame.rip == u64(symbol_address("interrupt_return")):
            saved: Frame
            if not read(frame_pointer + sizeof(StackFrame), bytes_of(saved)):
                return
            kprintf(f"  --- vector {saved.vector}, error {saved.error:#x} ---\n")
            show_address(saved.rip)
            frame_pointer = saved.rbp
        else:
            show_address(frame.rip - 1)         # the call, not what follows it
            if frame.rbp <= frame_pointer:      # stacks grow down: else it is no chain
                return
            frame_pointer = frame.rbp


def frame(registers: Ptr[Frame]) -> None:
    """The stack of interrupted code."""
    here(registers.rip, registers.rbp)


def thread(td: Ptr[Thread]) -> None:
    """The stack of a thread that is not running."""
    saved: Array[u64, 2]
    if read(td.sp + SAVED_RBP, bytes_of(saved)):
        here(saved[1], saved[0])
    else:
        kprintf("  its stack cannot be read\n")


def show_address(address: u64) -> None:
    """One line: the address, its function and its source line."""
    at = symbols.find(address)
    kprintf(f"  {address:016x}")
    if len(at.function) != 0:
        kprintf(f"  {at.function}+{at.offset:#x}")
    if at.line != 0:
        kprintf(f"  {at.file}:{at.line}")
    kprintf("\n")


def read(address: u64, to: Slice[u8]) -> bool:
    """Copy memory that may not be there."""
    return machine.copy_probe(VirtAddr(address), to)
