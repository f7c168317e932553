# SPDX-License-Identifier: BSD-3-Clause
"""What the core asks of higher packages: memory for threads, and to make their part of a CPU.

lwkt itself never allocates.
"""
from kpy import Ptr, u32, upcall

from kernel.lwkt.thread import Thread


@upcall
def thread_alloc() -> Ptr[Thread] | None:
    """Storage for a thread, with stack_base and stack_size set; None if there is no memory.

    Context  thread.
    """


@upcall
def thread_free(td: Ptr[Thread]) -> None:
    """Take back what thread_alloc() gave.  No CPU is on its stack any more.

    Context  thread, critical section; does not block.
    """


@upcall
def cpu_init(cpu: u32) -> None:
    """Make what higher packages have of this CPU, an application processor, before it is ready.

    Context  its idle thread, interrupts off, a critical section.
    """
