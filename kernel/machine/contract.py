# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel asks of a machine, as signatures: the document for porting.

The build binds the name `kernel.machine` to a folder of kernel/platform, which defines exactly
these, with the same types.  What a machine asks of the kernel is in upcalls.py.

Invariants
  M1  Each CPU has its own copy of per-CPU storage before any kernel code runs on it.
  M2  An interrupt, IPI or timer arrives on the interrupted thread's stack with interrupts off,
      its source acknowledged; a level-triggered one is masked until intr_unmask().
  M3  What a machine cannot do it says plainly and stops; it does not go on half-working.
Tests     tests/rules/test_machine.py
"""
from kpy import Never, PhysAddr, Slice, VirtAddr, u8, u32, u64, upcall

from kernel.machine.types import PciAddress, Prot, Region, Trigger

# --- Start ---------------------------------------------------------------------------------


@upcall
def start(magic: u32, info: u64) -> None:
    """First call, on the boot CPU: console, descriptor tables, traps, CPU features, memory map,
    tables of the firmware, the kernel's own page tables (W^X), per-CPU storage of CPU 0.

    Panics   the machine lacks something the kernel needs; says what.
    """


@upcall
def start_clock() -> None:
    """Calibrate the timer and make this CPU's usable.  Boot CPU; after start()."""


@upcall
def start_cpus() -> u32:
    """Start the other CPUs, each in cpu_entered(); wait until each has called cpu_ready().

    Returns  the number of CPUs running, this one included.  One that does not come up within
             a second is named on the console and left out.
    """


@upcall
def cpu_running(cpu: u32) -> bool:
    """Whether `cpu` is one of those that start_cpus() counted."""


@upcall
def cpu_ready() -> None:
    """Called by an application processor once the kernel's structures for it are made."""


@upcall
def cpu_count() -> u32:
    """The usable CPUs that the firmware lists, at most MAX_CPUS.  After start()."""


@upcall
def command_line() -> Slice[u8]:
    """What the loader passed."""


@upcall
def read_file(name: Slice[u8], to: Slice[u8]) -> u64:
    """Read file `name`, handed in from outside the machine, into `to`, as much as fits.

    Returns  the bytes read; 0 where there is no such file.
    """


# --- Memory --------------------------------------------------------------------------------


@upcall
def boot_alloc(size: u64, align: u64) -> PhysAddr:
    """Zeroed physical memory for good, mapped at phys_to_virt().  Before memory_regions().

    Panics   there is no memory left.
    """


@upcall
def memory_regions() -> Slice[Region]:
    """The usable memory that boot_alloc() has left, in order of address, page-aligned.

    The first call ends boot_alloc(): the caller owns the memory from now on.
    """


@upcall
def phys_to_virt(pa: PhysAddr) -> VirtAddr:
    """Where the kernel sees physical memory; one addition."""


@upcall
def virt_to_phys(va: VirtAddr) -> PhysAddr:
    """The physical address behind phys_to_virt(); of such addresses only."""


@upcall
def kernel_space() -> tuple[VirtAddr, u64]:
    """The range (base, bytes) of addresses in which pmap_enter() may map; empty at first."""


@upcall
def pmap_enter(va: VirtAddr, pa: PhysAddr, prot: Prot) -> bool:
    """Map one page of kernel_space().  No TLB needs to be told: it was not mapped before.

    Context  any; the caller serializes calls for one 2 MiB range.
    Returns  False where no memory was to be had for a page table (page_table_alloc()).
    """


@upcall
def pmap_remove(va: VirtAddr) -> PhysAddr:
    """Unmap one page.  Other CPUs may still have it in their TLB: see pmap_invalidate().

    Returns  what was mapped there; 0 if nothing was.
    """


@upcall
def pmap_extract(va: VirtAddr) -> PhysAddr:
    """The physical address of any kernel address; 0 where nothing is mapped."""


@upcall
def pmap_invalidate(va: VirtAddr, pages: u64) -> None:
    """Drop `pages` pages from `va` on from this CPU's TLB."""


@upcall
def copy_probe(address: VirtAddr, to: Slice[u8]) -> bool:
    """Copy memory that may not be mapped; False if some of it is not.  For the debugger."""


# --- This CPU ------------------------------------------------------------------------------


@upcall
def intr_disable() -> None:
    """Take no interrupt on this CPU until intr_enable()."""


@upcall
def intr_enable() -> None:
    """Take interrupts again."""


@upcall
def intr_enabled() -> bool:
    """Whether this CPU takes interrupts."""


@upcall
def idle_halt() -> None:
    """Enable interrupts and wait for one, without a gap between the two in which one that
    arrived would be slept through.  Called with interrupts off, returns with them on."""


@upcall
def halt() -> Never:
    """Stop this CPU for good."""


@upcall
def power_off(status: u32) -> Never:
    """End the machine; under QEMU, `status` is what scripts/run exits with."""


# --- Time ----------------------------------------------------------------------------------


@upcall
def cputimer_count() -> u64:
    """A clock that only rises, the same on all CPUs, in units of 1 / cputimer_hz() seconds."""


@upcall
def cputimer_hz() -> u64:
    """The frequency of cputimer_count() in Hz.  After start_clock()."""


@upcall
def cputimer_arm(ticks: u64) -> None:
    """timer_expired() once on this CPU, `ticks` from now (at least 1); replaces an earlier one."""


# --- Interrupts ----------------------------------------------------------------------------


@upcall
def ipi_send(cpu: u32) -> None:
    """ipi_arrived() on `cpu`.  Several may melt into one."""


@upcall
def ipi_stop_others() -> None:
    """Stop all other CPUs, even with interrupts off (an NMI): cpu_stopped() on each."""


@upcall
def intr_setup_irq(irq: u32, cpu: u32, vector: u32) -> bool:
    """Route ISA interrupt `irq`, with its trigger and polarity from the firmware, to `vector`
    of `cpu`; masked at first.  False where there is no such input."""


@upcall
def intr_setup_gsi(gsi: u32, trigger: Trigger, active_low: bool, cpu: u32, vector: u32) -> bool:
    """As intr_setup_irq(), for an input of the interrupt controllers by its global number."""


@upcall
def intr_message(cpu: u32, vector: u32) -> tuple[u64, u32]:
    """Address and data with which a device signals `vector` on `cpu` (MSI)."""


@upcall
def intr_mask(cpu: u32, vector: u32) -> None:
    """Let the source of `vector` wait.  Nothing happens for message-signalled ones."""


@upcall
def intr_unmask(cpu: u32, vector: u32) -> None:
    """Let the source of `vector` through again; what came meanwhile arrives now."""


# --- Buses ---------------------------------------------------------------------------------


@upcall
def pci_window(index: u32) -> tuple[u32, u32, u32]:
    """(segment, first bus, last bus) of a range of PCI buses that can be reached; first > last
    where there is none of this number.  They are numbered from 0 without a gap."""


@upcall
def pci_read(address: PciAddress, offset: u32, size: u32) -> u32:
    """Read `size` (1, 2 or 4) bytes of a function's configuration space, at an aligned offset.

    Context  any but an NMI.
    Returns  all ones where nothing answers, or the machine has no way to that register.
    """


@upcall
def pci_write(address: PciAddress, offset: u32, size: u32, value: u32) -> None:
    """As pci_read(), the other way.  Nothing happens where nothing answers."""


# --- Console -------------------------------------------------------------------------------


@upcall
def console_start_interrupts() -> None:
    """From polling to interrupts, both ways; after this, console input comes by
    console_input().  Called once device interrupts work."""


@upcall
def console_read_polled() -> u32:
    """The next byte typed, or 0x100 if there is none; touches only the device.  Any context."""
