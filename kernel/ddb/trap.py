# SPDX-License-Identifier: BSD-3-Clause
"""Exceptions of the CPU: what cannot be mended is a panic that says what happened, where, and why.

Source    Intel SDM vol. 3A, 6.15 "Exception and Interrupt Reference"
Tests     tests/qemu/test_panic.py
"""
from typing import Final

from kpy import Ptr, Str, asm, implements, panic, u64

from kernel.ddb import debugger
from kernel.machine import upcalls
from kernel.machine.types import Frame

DEBUG: Final = 1
BREAKPOINT: Final = 3
GENERAL_PROTECTION: Final = 13
PAGE_FAULT: Final = 14


@implements(upcalls.trap)
def trap(frame: Ptr[Frame]) -> None:
    """An exception: a breakpoint enters the debugger, any other is a panic."""
    if frame.vector in (DEBUG, BREAKPOINT):
        debugger.enter(frame)
        return
    if frame.vector == PAGE_FAULT:
        address = asm("movq %cr2, %rax", out=("a", u64))
        panic(f"page fault: {_access(frame.error)} {address:#x} at {frame.rip:#x}")
    panic(f"{_name(frame.vector)} (vector {frame.vector}, error {frame.error:#x}) "
          f"at {frame.rip:#x}")


def _access(error: u64) -> Str:
    """What a page fault's error code says was tried."""
    if error & 16 != 0:
        return "executing what is not executable at"
    if error & 8 != 0:
        return "reserved bits set in the page table of"
    if error & 2 != 0:
        return "writing to read-only" if error & 1 != 0 else "writing to unmapped"
    return "reading protected" if error & 1 != 0 else "reading unmapped"


def _name(vector: u64) -> Str:
    match vector:
        case 0:
            return "divide error"
        case 2:
            return "NMI"
        case 6:
            return "invalid opcode"
        case 7:
            return "no FPU in the kernel"
        case 8:
            return "double fault: most likely the stack is full"
        case 10 | 11 | 12:
            return "segment fault"
        case 13:
            return "general protection fault"
        case 16 | 19:
            return "floating-point exception"
        case 17:
            return "alignment check"
        case 18:
            return "machine check"
        case _:
            return "exception"
