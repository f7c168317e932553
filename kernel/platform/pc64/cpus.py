# SPDX-License-Identifier: BSD-3-Clause
"""The CPUs: their numbers, starting the others, interrupts from one to another.

CPU 0 is the one that booted; the others follow in the order of the firmware's table.  Whatever a
CPU needs from the boot memory is made by init(), for all of them.

All application processors are started at once: an INIT to each, one wait, a start-up IPI to each
(boot/ap.py is where they begin), one more to those that did not hear it.  So the time it takes
does not grow with a wait for each.

Each goes from ABSENT to ENTERED, when it is in the kernel, to READY by cpu_ready(); the boot CPU
takes it from either to LEFT_OUT when its time is over.  A CPU that finds itself left out halts.

Locking   state, stop, stopped [a]; the rest [I] after init() and start_cpus()
Tests     tests/qemu/test_cpus.py
Source    Intel SDM vol. 3A, 9.4.4 "MP Initialization Example", 11.6 "Issuing Interprocessor
          Interrupts"
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    MPtr,
    Never,
    PhysAddr,
    Ptr,
    VirtAddr,
    address_of,
    bits_of,
    cast,
    entry,
    enum,
    export,
    kprintf,
    memcpy,
    panic,
    pause,
    pointer_at,
    ref,
    struct,
    symbol_address,
    trunc,
    u8,
    u32,
    u64,
)

from kernel.arch.x86_64 import cpu as instructions
from kernel.arch.x86_64 import descriptors, features
from kernel.arch.x86_64.regs import Efer
from kernel.machine import upcalls
from kernel.machine.types import MAX_CPUS, PAGE_SIZE, Frame
from kernel.platform.pc64 import acpi, clock, lapic, percpu, physical, pmap, vectors

UNSAFE: Final = True     # the start code is copied to, and tables are read by, address


@enum(u32)
class State:
    """Where a CPU is on its way."""
    ABSENT = 0
    ENTERED = 1
    READY = 2
    LEFT_OUT = 3
    BEHIND = 4                       # its clock is behind the boot CPU's



INIT_WAIT_US: Final = 10_000         # 9.4.4.1: 10 ms after INIT
STARTUP_WAIT_US: Final = 200         # and 200 us between the start-up IPIs
READY_WAIT_US: Final = 1_000_000
XAPIC_IDS: Final[u32] = 255
LOW_END: Final[u64] = 0xA_0000       # real mode reaches 1 MiB; from here on are devices

count: u32 = 0
uid: Array[u32, MAX_CPUS]
state: Array[Atomic[State], MAX_CPUS]
stop: Array[Atomic[u32], MAX_CPUS]   # 1: an NMI to stop is on its way
stopped: Array[Atomic[u32], MAX_CPUS]    # 1: in cpu_stopped()
ready_at: Array[u64, MAX_CPUS]       # the clock in cpu_ready()
started_at: u64 = 0                  # the boot CPU's clock before the others' first instruction
start_page: PhysAddr = PhysAddr(0)
ist_stacks: Array[u64, MAX_CPUS]

apic_ids: Array[u32, MAX_CPUS]
stacks: Array[u64, MAX_CPUS]


@struct
class ApArguments:
    """What boot/ap.py reads: where CPUs find what is theirs."""
    tables: u64                      # the kernel's page tables
    ids: VirtAddr                    # apic_ids
    bases: VirtAddr                  # %gs bases
    stacks: VirtAddr                 # tops of stacks
    count: u32                       # of CPUs
    unused: u32




def init() -> None:
    """Number the CPUs and make what each needs.  Boot CPU, in start()."""
    global count, start_page
    mine = lapic.id()
    count = 1
    apic_ids[0] = mine
    for i in range(acpi.tables.cpu_count):
        apic_id = acpi.tables.apic_id[i]
        if apic_id == mine:
            uid[0] = acpi.tables.uid[i]
        elif apic_id >= XAPIC_IDS and not lapic.x2:
            kprintf(f"note: the CPU with APIC id {apic_id} cannot be addressed; left out\n")
        elif count == MAX_CPUS:
            kprintf(f"note: only {MAX_CPUS} CPUs are used; the others are left out\n")
            break
        else:
            apic_ids[count] = apic_id
            uid[count] = acpi.tables.uid[i]
            percpu.make(count)
            ist_stacks[count] = u64(percpu.make_ist_stacks())
            count += 1
    if count > 1:
        start_page = physical.take(PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, LOW_END)
        if start_page == PhysAddr(0):
            panic("no usable memory below 640 KiB, where other CPUs must start; check the "
                  "firmware, or start with one CPU")


def cpu_count() -> u32:
    """The usable CPUs that the firmware lists, at most MAX_CPUS.  After start()."""
    return count


def start_cpus() -> u32:
    """Start the other CPUs, each in cpu_entered(); wait until each has called cpu_ready().

    Returns  the number of CPUs running, this one included.  One that does not come up within
             a second is named on the console and left out.
    """
    global started_at
    state[0].store(State.READY)
    if count == 1:
        return 1
    page = _copy_start_code()
    for cpu in range(1, count):
        lapic.send_init(apic_ids[cpu])
    wait = clock.cputimer_count() + clock.microseconds(INIT_WAIT_US)
    for cpu in range(1, count):
        stacks[cpu] = u64(upcalls.idle_stack(cpu))
    clock.wait_until(wait)
    started_at = clock.cputimer_count()
    # safe: boot/ap.py has it there, of this shape.
    arguments = pointer_at(ApArguments, symbol_address("ap_arguments"))
    arguments.tables = pmap.root
    arguments.ids = address_of(ref(apic_ids))
    arguments.bases = address_of(ref(percpu.bases))
    arguments.stacks = address_of(ref(stacks))
    arguments.count = count

    # Everything above is there before the first of them looks.
    for cpu in range(1, count):
        lapic.send_startup(apic_ids[cpu], page)
    if not _wait(State.ABSENT, STARTUP_WAIT_US):
        for cpu in range(1, count):
            if state[cpu].load_acquire() == State.ABSENT:
                lapic.send_startup(apic_ids[cpu], page)
    _wait(State.ENTERED, READY_WAIT_US)
    return _roll_call()


def cpu_running(cpu: u32) -> bool:
    """Whether `cpu` is one of those that start_cpus() counted."""
    return state[cpu].load() == State.READY


def cpu_ready() -> None:
    """Called by an application processor once the kernel's structures for it are made."""
    ready_at[percpu.this_cpu()] = clock.cputimer_count()
    if not state[percpu.this_cpu()].cas(State.ENTERED, State.READY):
        _halt()


def ipi_send(cpu: u32) -> None:
    """ipi_arrived() on `cpu`.  Several may melt into one."""
    lapic.send(apic_ids[cpu], vectors.DOORBELL)


def ipi_stop_others() -> None:
    """Stop all other CPUs, even with interrupts off (an NMI): cpu_stopped() on each."""
    for cpu in range(count):
        if cpu != percpu.this_cpu() and state[cpu].load_acquire() in (State.ENTERED, State.READY):
            stop[cpu].store(1)
            lapic.send_nmi(apic_ids[cpu])


def nmi(frame: Ptr[Frame]) -> None:
    """A non-maskable interrupt came: from ipi_stop_others(), or from hardware."""
    me = percpu.this_cpu()
    if stop[me].swap(0) == 0:
        upcalls.trap(frame)
        return
    stopped[me].store(1)
    upcalls.cpu_stopped(frame)
    stopped[me].store(0)


def is_stopped(cpu: u32) -> bool:
    """Whether `cpu` is in cpu_stopped(), in the middle of whatever it did."""
    return stopped[cpu].load_acquire() == 1


@export("ap_entered")
@entry(16384)
def ap_entered(cpu: u32) -> None:
    """An application processor, on its stack, with %gs and the kernel's page tables set."""
    descriptors.load_idt()
    descriptors.load_gdt(VirtAddr(ist_stacks[cpu]))
    features.protect()
    lapic.init_cpu(uid[cpu])
    clock.init_cpu()
    now = State.BEHIND if clock.cputimer_count() < started_at else State.ENTERED
    if not state[cpu].cas(State.ABSENT, now) or now == State.BEHIND:
        _halt()
    upcalls.cpu_entered(cpu)


def _copy_start_code() -> u32:
    """Copy the real-mode code of boot/ap.py into its page below 1 MiB; the page's number."""
    # safe: the page was taken for this; the code is in the image, seen in the physical map.
    start = u64(symbol_address("ap_start"))
    end = u64(symbol_address("ap_start_end"))
    to = u64(physical.phys_to_virt(start_page))
    memcpy(cast(MPtr[u8], pointer_at(u8, VirtAddr(to))),
           cast(MPtr[u8], pointer_at(u8, physical.phys_to_virt(PhysAddr(start)))), end - start)
    efer = u64(symbol_address("ap_start_efer")) - start
    pointer_at(u32, VirtAddr(to + efer)).value = trunc(
        u32, bits_of(Efer(LME=1, NXE=1 if features.nx else 0)))
    return u32(u64(start_page) // PAGE_SIZE)


def _wait(before: State, time_us: u64) -> bool:
    """Wait until no CPU is in state `before` or an earlier one; False if `time_us` pass in which
    none gets on.  So many CPUs, which a virtual machine has take turns, get time for each."""
    time = clock.microseconds(time_us)
    deadline = clock.cputimer_count() + time
    most = _behind(before)
    while most != 0:
        left = _behind(before)
        if left < most:
            most = left
            deadline = clock.cputimer_count() + time
        elif clock.cputimer_count() >= deadline:
            return False
        else:
            pause()
    return True


def _behind(before: State) -> u32:
    """The CPUs in state `before` or an earlier one."""
    number: u32 = 0
    for cpu in range(1, count):
        if u32(state[cpu].load_acquire()) <= u32(before):
            number += 1
    return number


def _roll_call() -> u32:
    """Leave out who is not ready; the number of those who are."""
    running: u32 = 1
    for cpu in range(1, count):
        was = state[cpu].load_acquire()
        if was != State.READY and was != State.BEHIND and not state[cpu].cas(was, State.LEFT_OUT):
            was = state[cpu].load_acquire()
        match was:
            case State.READY:
                running += 1
                now = clock.cputimer_count()
                if ready_at[cpu] > now:
                    kprintf(f"note: the clock of cpu {cpu} is {ready_at[cpu] - now} ticks ahead\n")
            case State.BEHIND:
                kprintf(f"cpu {cpu} (APIC id {apic_ids[cpu]}) is left out: its clock is behind\n")
            case State.ABSENT:
                kprintf(f"cpu {cpu} (APIC id {apic_ids[cpu]}) is left out: it did not start\n")
            case _:
                kprintf(f"cpu {cpu} (APIC id {apic_ids[cpu]}) is left out: it is not ready\n")
    return running


def _halt() -> Never:
    while True:
        instructions.cli_hlt()
