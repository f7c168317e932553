# SPDX-License-Identifier: BSD-3-Clause
"""What the machine calls, in a kernel without threads: CPUs idle, exceptions are fatal.

Tests     tests/qemu/test_machine.py
"""
from typing import Final

from kpy import Never, PhysAddr, Ptr, VirtAddr, implements, panic, u8, u32, u64

from kernel import machine
from kernel.machine import upcalls
from kernel.machine.types import PAGE_SIZE, Frame

IDLE_STACK_BYTES: Final = 16384

stacks: VirtAddr = VirtAddr(0)       # of CPU 1 and on, one after the other


def make_stacks() -> None:
    """Make the idle stacks of the other CPUs.  Boot CPU, while boot_alloc() works."""
    global stacks
    others = u64(machine.cpu_count()) - 1
    if others > 0:
        stacks = machine.phys_to_virt(machine.boot_alloc(others * IDLE_STACK_BYTES, PAGE_SIZE))


@implements(upcalls.cpu_entered)
def cpu_entered(cpu: u32) -> Never:
    machine.cpu_ready()
    while True:
        machine.intr_disable()
        machine.idle_halt()


@implements(upcalls.idle_stack)
def idle_stack(cpu: u32) -> VirtAddr:
    return stacks + u64(cpu) * IDLE_STACK_BYTES


@implements(upcalls.interrupt)
def interrupt(frame: Ptr[Frame], vector: u32) -> None:
    panic(f"interrupt {vector}, which nobody asked for")


@implements(upcalls.ipi_arrived)
def ipi_arrived(frame: Ptr[Frame]) -> None:
    pass


@implements(upcalls.timer_expired)
def timer_expired(frame: Ptr[Frame]) -> None:
    pass


@implements(upcalls.cpu_stopped)
def cpu_stopped(frame: Ptr[Frame]) -> None:
    machine.halt()


@implements(upcalls.trap)
def trap(frame: Ptr[Frame]) -> None:
    panic(f"exception {frame.vector}, error code {frame.error:#x}, at {frame.rip:016x}")


@implements(upcalls.page_table_alloc)
def page_table_alloc() -> PhysAddr:
    return PhysAddr(0)


@implements(upcalls.console_input)
def console_input(byte: u8) -> None:
    pass
