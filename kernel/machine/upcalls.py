# SPDX-License-Identifier: BSD-3-Clause
"""What a machine asks of the kernel: upcalls, each implemented by one higher module.

Invariants
  M2 of contract.py holds for interrupt(), ipi_arrived() and timer_expired().
"""
from kpy import Never, PhysAddr, Ptr, VirtAddr, u8, u32, upcall

from kernel.machine.types import Frame


@upcall
def cpu_entered(cpu: u32) -> Never:
    """An application processor is in the kernel, on the stack of its idle thread, interrupts
    off.  Calls cpu_ready() and becomes idle."""


@upcall
def idle_stack(cpu: u32) -> VirtAddr:
    """The top of the stack on which `cpu` shall enter."""


@upcall
def interrupt(frame: Ptr[Frame], vector: u32) -> None:
    """A device's interrupt (M2).  `vector` is 0 to 191: the number given to intr_setup_irq()."""


@upcall
def ipi_arrived(frame: Ptr[Frame]) -> None:
    """Another CPU called ipi_send() for this one (M2)."""


@upcall
def timer_expired(frame: Ptr[Frame]) -> None:
    """The time of cputimer_arm() has come (M2)."""


@upcall
def cpu_stopped(frame: Ptr[Frame]) -> None:
    """ipi_stop_others() of another CPU reached this one, perhaps in the middle of anything: an
    NMI.  Returns when the CPU may go on."""


@upcall
def trap(frame: Ptr[Frame]) -> None:
    """An exception of the CPU: vector, error code and registers in `frame`.  Page faults too."""


@upcall
def page_table_alloc() -> PhysAddr:
    """A zeroed page for a page table, or 0.  Before memory_regions() the machine has its own."""


@upcall
def console_input(byte: u8) -> None:
    """A byte was typed.  In interrupt context."""
