# SPDX-License-Identifier: BSD-3-Clause
"""A kernel that tests the machine: kernel/machine/contract.py, with nothing above it.

The command line names a test and gives it a number: `faults 3`.  What a test finds out is
printed, one `name value` a line; the tests of tests/qemu read it.  Then the machine is off.
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    MPtr,
    Never,
    PerCpu,
    PhysAddr,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    asm,
    bits_of,
    cast,
    entry,
    export,
    from_bits,
    implements,
    kprintf,
    panic,
    pause,
    pointer_at,
    ref,
    symbol_address,
    trunc,
    u8,
    u32,
    u64,
)

from kernel.arch.x86_64 import cpu, port
from kernel.arch.x86_64.regs import TABLE_ENTRIES, Pte
from kernel.lib import fmt
from kernel.machine import upcalls
from kernel.machine.types import MAX_CPUS, PAGE_SIZE, Frame, Prot, Trigger
from kernel.platform import pc64 as machine
from kernel.platform.pc64 import acpi, devices, interrupts, lapic, percpu, reference

UNSAFE: Final = True     # tests do what is forbidden
STACK_BYTES: Final = 16384
SPACE: Final = 32
ZERO: Final = 48

stacks: u64 = 0
free_page: u64 = 0               # the next one that page_table_alloc() gives
free_end: u64 = 0
pages_given: u32 = 0
mine: PerCpu[u64]
greeting: PerCpu[u32] = 7
ready: Array[Atomic[u32], MAX_CPUS]
ipis: Array[Atomic[u32], MAX_CPUS]
stops: Array[Atomic[u32], MAX_CPUS]
timers: Array[Atomic[u32], MAX_CPUS]
fired_at: Array[u64, MAX_CPUS]
arrivals: Array[Atomic[u32], devices.vectors.DEVICE_VECTORS]
arrived_on: Array[u32, devices.vectors.DEVICE_VECTORS]
go: Atomic[u32]                  # what the other CPUs do: see the JOB constants
done: Atomic[u32]
typed: Array[u8, 64]
typed_count: Atomic[u32]
held: Atomic[u32]                # 1: stopped CPUs stay so
late: Atomic[u32]                # 1: other CPUs take longer to be ready than they are given
expected_trap: bool = False
seen: Frame
data_code: Array[u8, 16]         # a `ret` in writable memory

JOB_IDLE: Final[u32] = 0
JOB_SPIN: Final[u32] = 1         # with interrupts off
JOB_PRINT: Final[u32] = 2
JOB_FLOOD: Final[u32] = 3        # write until stopped, with interrupts off
NO_SUCH_ID: Final[u32] = 200
PIT: Final[u32] = 1
LINES: Final = 200
STOP_ROUNDS: Final[u32] = 20
STATUS_PANIC: Final[u32] = 70
TIMES_US: Final[Array[u64, 4]] = [100, 1000, 10000, 100000]


@export("kernel.main.kmain")
@entry(60 * 1024)
def kmain(magic: u32, info: u64) -> Never:
    machine.start(magic, info)
    line = machine.command_line()
    test, number = _split(line)
    match test:
        case b"start":
            _start()
        case b"cpus":
            _boot()
            _cpus()
        case b"tables":
            _tables()
        case b"faults":
            _faults(number)
        case b"frame":
            _frame()
        case b"left_out":
            machine.cpus.apic_ids[machine.cpu_count() - 1] = NO_SUCH_ID
            _boot()
        case b"late":
            late.store(1)
            _boot()
            _pass(1_500_000)
            machine.ipi_send(1)
            _pass(10_000)
            kprintf(f"late {ready[1].load()}\nanswered {ipis[1].load()}\n")
        case b"timer":
            if number == PIT:
                acpi.tables.hpet = 0
                acpi.tables.pm_timer = 0
                machine.clock.begin()
            _boot()
            kprintf(f"reference {reference.name()}\n")
            _timer()
        case b"interrupts":
            _boot()
            _interrupts()
        case b"cost":
            _boot()
            _cost()
        case b"level":
            _boot()
            _level()
        case b"console":
            _boot()
            _console()
        case b"print":
            _boot()
            _print()
        case b"stop":
            _boot()
            _stop()
        case b"interrupted":
            _boot()
            _interrupted()
        case b"resumed":
            _boot()
            _resumed()
        case b"pmap":
            _pmap()
        case _:
            kprintf(f"no test `{line}`\n")
    kprintf("end\n")
    machine.power_off(0)


def _split(line: Slice[u8]) -> tuple[Slice[u8], u32]:
    """The word and the number of a command line."""
    end: u64 = 0
    while end < len(line) and line[end] != SPACE:
        end += 1
    number: u32 = 0
    for i in range(min(end + 1, len(line)), len(line)):
        number = number * 10 + line[i] - ZERO
    return line[:end], number


def _boot() -> None:
    """The machine with all its CPUs."""
    global stacks, free_page, free_end
    machine.start_clock()
    pool = machine.boot_alloc(64 * PAGE_SIZE, PAGE_SIZE)
    free_page = u64(pool)
    free_end = free_page + 64 * PAGE_SIZE
    count = u64(machine.cpu_count())
    stacks = u64(machine.phys_to_virt(machine.boot_alloc(count * STACK_BYTES, PAGE_SIZE)))
    machine.memory_regions()
    running = machine.start_cpus()
    kprintf(f"listed {machine.cpu_count()}\nrunning {running}\n")


# --- The upcalls ---------------------------------------------------------------------------


@implements(upcalls.cpu_entered)
@entry(STACK_BYTES)
def cpu_entered(number: u32) -> Never:
    global mine
    mine = number + 1000
    ready[number].store(trunc(u32, mine) + greeting)
    if late.load() == 1:
        end = machine.cputimer_count() + machine.cputimer_hz() * 3 // 2
        while machine.cputimer_count() < end:
            pause()
    machine.cpu_ready()
    machine.intr_enable()
    while True:
        job = go.load()
        if job == JOB_SPIN:
            machine.intr_disable()
            done.add(1)
            while go.load() == JOB_SPIN:
                pause()
            machine.intr_enable()
        elif job == JOB_FLOOD:
            machine.intr_disable()
            while True:
                fmt.console_write(b"................\n")
        elif job == JOB_PRINT:
            _print_lines(number)
            done.add(1)
            while go.load() == JOB_PRINT:
                pause()
        else:
            machine.intr_disable()
            if go.load() == JOB_IDLE:
                machine.idle_halt()
            else:
                machine.intr_enable()


@implements(upcalls.idle_stack)
def idle_stack(number: u32) -> VirtAddr:
    return VirtAddr(stacks + (u64(number) + 1) * STACK_BYTES)


@implements(upcalls.interrupt)
def interrupt(frame: Ptr[Frame], vector: u32) -> None:
    arrived_on[vector] = percpu.this_cpu()
    arrivals[vector].add(1)


@implements(upcalls.ipi_arrived)
def ipi_arrived(frame: Ptr[Frame]) -> None:
    ipis[percpu.this_cpu()].add(1)


@implements(upcalls.timer_expired)
def timer_expired(frame: Ptr[Frame]) -> None:
    fired_at[percpu.this_cpu()] = machine.cputimer_count()
    timers[percpu.this_cpu()].add(1)


@implements(upcalls.cpu_stopped)
def cpu_stopped(frame: Ptr[Frame]) -> None:
    stops[percpu.this_cpu()].add(1)
    while go.load() == JOB_SPIN or held.load() == 1:
        pause()


@implements(upcalls.trap)
def trap(frame: Ptr[Frame]) -> None:
    global expected_trap
    if not expected_trap:
        panic(f"exception {frame.vector}, error code {frame.error:#x}, at {frame.rip:016x}, "
              f"address {cpu.read_cr2():016x}")
    expected_trap = False
    _copy_frame(frame)
    if frame.vector == 3:
        frame.rbx = 0x1234_5678
        return
    kprintf(f"vector {frame.vector}\nerror {frame.error}\naddress {cpu.read_cr2():#x}\n"
            f"rip {frame.rip:#x}\nstack {address_of(frame):#x}\nflags {frame.rflags:#x}\nend\n")
    machine.power_off(0)


@implements(upcalls.page_table_alloc)
def page_table_alloc() -> PhysAddr:
    global free_page, pages_given
    if free_page == free_end:
        return PhysAddr(0)
    free_page += PAGE_SIZE
    pages_given += 1
    return PhysAddr(free_page - PAGE_SIZE)


@implements(upcalls.console_input)
def console_input(byte: u8) -> None:
    at = typed_count.add(1)
    if at < len(typed):
        typed[at] = byte


@implements(fmt.stop)
def stop() -> Never:
    machine.power_off(STATUS_PANIC)


# --- The tests -----------------------------------------------------------------------------


def _start() -> None:
    """What start() found: memory, tables, protections."""
    total: u64 = 0
    last: u64 = 0
    okay = True
    for region in machine.memory_regions():
        base = u64(region.base)
        okay = okay and base >= max(last, PAGE_SIZE) and base % PAGE_SIZE == 0
        okay = okay and region.size % PAGE_SIZE == 0 and region.size > 0
        last = base + region.size
        total += region.size
        # Each region is seen in the physical map, to its last byte.
        pointer_at(u64, machine.phys_to_virt(PhysAddr(base))).value = base
        word = pointer_at(u64, machine.phys_to_virt(PhysAddr(last - 8)))
        word.value = last
        okay = okay and word.value == last
    kprintf(f"memory {total}\nhighest {last:#x}\nregions {okay}\n")
    kprintf(f"cpus {machine.cpu_count()}\nioapics {acpi.tables.io_apic_count}\n"
            f"ecams {acpi.tables.ecam_count}\nhpet {acpi.tables.hpet:#x}\n"
            f"nmis {acpi.tables.nmi_count}\ntimer {reference.name()}\n")
    kprintf(f"cr0 {bits_of(cpu.read_cr0()):#x}\ncr4 {bits_of(cpu.read_cr4()):#x}\n"
            f"efer {cpu.rdmsr(0xC0000080):#x}\n")


def _cpus() -> None:
    """Every CPU has its own storage and answers an IPI; its clock agrees with ours."""
    count = machine.cpu_count()
    stored: u32 = 0
    for i in range(1, count):
        if ready[i].load() == 1007 + i:
            stored += 1
        machine.ipi_send(i)
    deadline = machine.cputimer_count() + 10 * machine.cputimer_hz()
    answered: u32 = 0
    for i in range(1, count):
        while ipis[i].load() == 0 and machine.cputimer_count() < deadline:
            pause()
        answered += 1 if ipis[i].load() == 1 else 0
    kprintf(f"stored {stored}\nanswered {answered}\nown {greeting}\n")


def _tables() -> None:
    """Walk all page tables in use."""
    counts: Array[u64, 5]        # mapped pages; W+X; user; in the lower half; without NX and W
    _walk(cpu.read_cr3(), counts)
    kprintf(f"mapped {counts[0]}\nwritable_executable {counts[1]}\nuser {counts[2]}\n"
            f"low {counts[3]}\nexecutable {counts[4]}\n")
    text = bits_of(symbol_address("__text_start"))
    data = bits_of(symbol_address("__rodata_start"))
    kprintf(f"text_pages {(data - text) // PAGE_SIZE}\n")


def _walk(table: u64, counts: Slice[u64]) -> None:
    """Count what the tables below `table` map; `at[n]` is how far we are in that of level n."""
    at: Array[u64, 5]
    base: Array[u64, 5]
    wide: Array[bool, 5]
    runs: Array[bool, 5]
    base[4] = table
    wide[4] = True
    runs[4] = True
    depth: u64 = 4
    while True:
        if at[depth] == TABLE_ENTRIES:
            if depth == 4:
                return
            depth += 1
            continue
        index = at[depth]
        at[depth] += 1
        word = pointer_at(u64, machine.phys_to_virt(PhysAddr(base[depth] + index * 8))).value
        found = from_bits(Pte, word)
        if not found.P:
            continue
        writes = wide[depth] and found.RW
        executes = runs[depth] and not found.XD
        if depth > 1 and not found.PS:
            depth -= 1
            at[depth] = 0
            base[depth] = u64(found.FRAME) * PAGE_SIZE
            wide[depth] = writes
            runs[depth] = executes
            continue
        counts[0] += 1
        counts[1] += 1 if writes and executes else 0
        counts[2] += 1 if found.US else 0
        top = at[4] - 1
        counts[3] += 1 if top < 256 else 0
        counts[4] += 1 if executes else 0


def _faults(number: u32) -> None:
    """Do what is forbidden."""
    global expected_trap
    expected_trap = True
    text = symbol_address("kernel.main.kmain")
    match number:
        case 0:                  # write to code
            pointer_at(u64, text).value = 0
        case 1:                  # write to constants
            pointer_at(u64, symbol_address("__rodata_start")).value = 0
        case 2:                  # execute data
            data_code[0] = 0xC3
            _call(address_of(ref(data_code)))
        case 3:                  # overflow the boot stack
            pointer_at(u64, symbol_address("boot_stack_guard") + 4088).value = 0
        case 4:                  # use a null pointer
            kprintf(f"{pointer_at(u64, VirtAddr(8)).value}\n")
        case 5:                  # write to code by its alias
            physical = u64(text) - 0xFFFF_FFFF_8000_0000
            pointer_at(u64, machine.phys_to_virt(PhysAddr(physical))).value = 0
        case 6:                  # execute the physical map
            page = machine.boot_alloc(PAGE_SIZE, PAGE_SIZE)
            pointer_at(u8, machine.phys_to_virt(page)).value = 0xC3
            _call(machine.phys_to_virt(page))
        case 7:                  # an address that is none
            pointer_at(u64, VirtAddr(0x1234_0000_0000_0000)).value = 0
        case 8:                  # an instruction that is none
            asm("ud2")
        case 9:                  # no stack to push a frame on: the double fault has its own
            asm("movq $0, %rsp; pushq $$0", ins={"r": u64(0x1000)})
        case _:
            pass


def _call(address: VirtAddr) -> None:
    asm("callq *$0", ins={"r": address},
        clobbers=("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory"))


def _frame() -> None:
    """The frame has the registers, and what is changed in it is seen after the return."""
    global expected_trap
    expected_trap = True
    rbx, r15 = asm("movabsq $$0x1111, %rax; movq $$0x2222, %rbx; movq $$0x3333, %r8;"
                   "movq $$0x4444, %r15; std; int3; cld; movq %r15, %rcx",
                   out={"b": u64, "c": u64},
                   clobbers=("rax", "r8", "r15", "memory"))
    kprintf(f"rax {seen.rax:#x}\nrbx {seen.rbx:#x}\nr8 {seen.r8:#x}\nr15 {seen.r15:#x}\n"
            f"vector {seen.vector}\nerror {seen.error}\nrbx_after {rbx:#x}\nr15_after {r15:#x}\n"
            f"direction {seen.rflags >> 10 & 1}\n")


def _copy_frame(frame: Ptr[Frame]) -> None:
    to = cast(MPtr[u64], ref(seen))
    source = cast(MPtr[u64], frame)
    for i in range(22):
        to[i] = source[i]


def _timer() -> None:
    """Armed times, the overshoot of each in microseconds; an earlier one is replaced."""
    machine.intr_enable()
    hz = machine.cputimer_hz()
    kprintf(f"hz {hz}\n")
    for us in TIMES_US:
        before = machine.cputimer_count()
        fired = timers[0].load()
        machine.cputimer_arm(hz * us // 1_000_000)
        while timers[0].load() == fired:
            machine.intr_disable()
            if timers[0].load() == fired:
                machine.idle_halt()
            else:
                machine.intr_enable()
        passed_us = (fired_at[0] - before) * 1_000_000 // hz
        early = fired_at[0] - before < hz * us // 1_000_000
        kprintf(f"armed {us} passed {passed_us} early {early}\n")
    fired = timers[0].load()
    machine.cputimer_arm(hz // 1000)
    machine.cputimer_arm(hz // 50)
    machine.cputimer_arm(hz // 100)
    _pass(40_000)
    kprintf(f"replaced {timers[0].load() - fired}\n")
    machine.intr_disable()
    clock, start = _both()
    while reference.since(start) < reference.hz // 4:
        pause()
    clock_end, end = _both()
    passed = reference.distance(start, end)
    kprintf(f"measured {(clock_end - clock) * reference.hz // passed}\n")
    # Each other CPU's timer is its own.
    kprintf(f"others {timers[1].load()}\n")


def _cost() -> None:
    """Ticks of an IPI to this CPU, from sending it to being back; under -icount, instructions."""
    machine.intr_enable()
    least = u64.MAX
    for _ in range(10):
        seen_before = ipis[0].load()
        before = machine.cputimer_count()
        machine.ipi_send(0)
        while ipis[0].load() == seen_before:
            pause()
        least = min(least, machine.cputimer_count() - before)
    before = machine.cputimer_count()
    machine.cputimer_arm(machine.cputimer_hz())
    armed = machine.cputimer_count() - before
    kprintf(f"ipi {least}\narm {armed}\n")


def _both() -> tuple[u64, u64]:
    """The clock and the reference at one moment: the reading of 100 that was least disturbed."""
    least = u64.MAX
    clock: u64 = 0
    count: u64 = 0
    for _ in range(100):
        before = machine.cputimer_count()
        now = reference.count()
        after = machine.cputimer_count()
        if after - before < least:
            least = after - before
            clock = before + least // 2
            count = now
    return clock, count


def _interrupts() -> None:
    """The PIT's edges on CPU 1; masking keeps one; a message; a vector nobody knows."""
    machine.intr_enable()
    vector: u32 = 77
    kprintf(f"setup {machine.intr_setup_irq(0, 1, vector)}\n")
    kprintf(f"nowhere {machine.intr_setup_gsi(5000, Trigger.EDGE, False, 0, 1)}\n")
    port.outb(0x43, 0x34)                    # channel 0, rate generator, 1.19 kHz
    port.outb(0x40, 0xE8)
    port.outb(0x40, 0x03)
    _pass(20_000)
    kprintf(f"before_unmask {arrivals[vector].load()}\n")
    machine.intr_unmask(1, vector)
    _pass(100_000)
    machine.intr_mask(1, vector)
    _pass(5_000)
    first = arrivals[vector].load()
    _pass(20_000)
    second = arrivals[vector].load()
    kprintf(f"edges {first}\nwhile_masked {second - first}\non {arrived_on[vector]}\n")
    port.outb(0x43, 0x30)                    # one shot: no more edges
    _pass(2_000)
    machine.intr_unmask(1, vector)
    _pass(20_000)
    kprintf(f"kept {arrivals[vector].load() - second}\n")
    address, data = machine.intr_message(1, 100)
    kprintf(f"message_address {address:#x}\nmessage_data {data:#x}\n")
    lapic.send(percpu_apic(1), data)         # what the device's write would do
    _pass(20_000)
    kprintf(f"messages {arrivals[100].load()}\n")
    before = interrupts.spurious.load()
    lapic.send(percpu_apic(1), 0x21)
    _pass(20_000)
    kprintf(f"unknown {interrupts.spurious.load() - before}\n")


def percpu_apic(number: u32) -> u32:
    """The APIC id of a CPU."""
    return machine.cpus.apic_ids[number]


def _level() -> None:
    """A timer of the HPET, level-triggered: one upcall until it is quiet and unmasked."""
    machine.intr_enable()
    vector: u32 = 9
    base = u64(reference.window)
    timer = pointer_at(u64, VirtAddr(base + 0x100))
    capable = timer.value >> 32
    gsi: u32 = 0
    while capable >> gsi & 1 == 0 or gsi < 16:
        gsi += 1
    kprintf(f"setup {machine.intr_setup_gsi(gsi, Trigger.LEVEL, False, 0, vector)}\n")
    timer.value = u64(gsi) << 9 | 1 << 2 | 1 << 1
    pointer_at(u64, VirtAddr(base + 0x108)).value = reference.count() + reference.hz // 200
    _pass(20_000)
    kprintf(f"before_unmask {arrivals[vector].load()}\n")
    machine.intr_unmask(0, vector)
    _pass(10_000)
    kprintf(f"arrived {arrivals[vector].load()}\n")
    machine.intr_unmask(0, vector)           # the device was not served: it comes again, once
    _pass(10_000)
    kprintf(f"again {arrivals[vector].load()}\n")
    pointer_at(u64, VirtAddr(base + 0x20)).value = 1     # served
    machine.intr_unmask(0, vector)
    _pass(10_000)
    kprintf(f"quiet {arrivals[vector].load()}\n")


def _pass(us: u64) -> None:
    """Let time pass, with interrupts on."""
    end = machine.cputimer_count() + machine.cputimer_hz() * us // 1_000_000
    while machine.cputimer_count() < end:
        pause()


def _console() -> None:
    """Input by interrupts, repeated at its end."""
    machine.console_start_interrupts()
    machine.intr_enable()
    kprintf("type\n")
    while typed_count.load() == 0 or typed[typed_count.load() - 1] != 13:
        machine.intr_disable()
        machine.idle_halt()
    count = u64(typed_count.load()) - 1
    kprintf(f"typed {typed[:count]}\n")


def _print() -> None:
    """All CPUs print lines, one write each, some of them with interrupts off."""
    machine.console_start_interrupts()
    machine.intr_enable()
    go.store(JOB_PRINT)
    _wake()
    _print_lines(0)
    while done.load() < machine.cpu_count() - 1:
        pause()
    go.store(JOB_IDLE)


def _print_lines(number: u32) -> None:
    line: Array[u8, 48]
    for n in range(LINES):
        line.fill(ZERO + 17 + trunc(u8, number))
        line[40] = 58                        # :
        line[41] = ZERO + u8(n // 100)
        line[42] = ZERO + u8(n // 10 % 10)
        line[43] = ZERO + u8(n % 10)
        line[44] = 10
        if n % 8 == 0:
            machine.intr_disable()
        fmt.console_write(line[:45])
        if n % 8 == 0:
            machine.intr_enable()


def _wake() -> None:
    for i in range(1, machine.cpu_count()):
        machine.ipi_send(i)


def _stop() -> None:
    """CPUs that have interrupts off are stopped, go on, and are stopped again."""
    others = machine.cpu_count() - 1
    go.store(JOB_SPIN)
    _wake()
    while done.load() < others:
        pause()
    machine.ipi_stop_others()
    kprintf(f"stopped {_stops(1)}\n")
    go.store(JOB_IDLE)
    _pass(50_000)
    done.store(0)
    go.store(JOB_SPIN)
    _wake()
    while done.load() < others:
        pause()
    machine.ipi_stop_others()
    kprintf(f"stopped_again {_stops(2)}\n")
    go.store(JOB_IDLE)


def _interrupted() -> None:
    """CPUs are stopped for good, one of them with the console's lock; we still can write."""
    go.store(JOB_FLOOD)
    _wake()
    _pass(20_000)
    go.store(JOB_SPIN)                       # what cpu_stopped() waits in
    machine.ipi_stop_others()
    kprintf(f"\nheld_by_stopped {_stops(1)}\n")
    for i in range(20):
        kprintf(f"line {i}\n")


def _resumed() -> None:
    """CPUs are stopped in the middle of writes, we write, and they go on."""
    machine.console_start_interrupts()
    machine.intr_enable()
    go.store(JOB_PRINT)
    _wake()
    rounds: u32 = 0
    while rounds < STOP_ROUNDS and done.load() < machine.cpu_count() - 1:
        rounds += 1
        held.store(1)
        machine.ipi_stop_others()
        _stops(rounds)
        fmt.console_write(b"!")
        held.store(0)
        _pass(2_000)
    while done.load() < machine.cpu_count() - 1:
        pause()
    go.store(JOB_IDLE)
    kprintf(f"\nrounds {rounds}\n")


def _stops(wanted: u32) -> u32:
    """How many CPUs were stopped `wanted` times, within two seconds."""
    end = machine.cputimer_count() + 2 * machine.cputimer_hz()
    found: u32 = 0
    for i in range(1, machine.cpu_count()):
        while stops[i].load() < wanted and machine.cputimer_count() < end:
            pause()
        found += 1 if stops[i].load() == wanted else 0
    return found


def _pmap() -> None:
    """Mapping, unmapping, looking up."""
    global free_page, free_end
    pool = machine.boot_alloc(64 * PAGE_SIZE, PAGE_SIZE)
    free_page = u64(pool)
    free_end = free_page + 4 * PAGE_SIZE
    one = machine.boot_alloc(PAGE_SIZE, PAGE_SIZE)
    two = machine.boot_alloc(PAGE_SIZE, PAGE_SIZE)
    machine.memory_regions()
    base, size = machine.kernel_space()
    va = base + (5 << 30) + 0x1000
    kprintf(f"space {size}\nempty {u64(machine.pmap_extract(va))}\n")
    kprintf(f"entered {machine.pmap_enter(va, one, Prot.WRITE)}\n")
    machine.pmap_enter(va + PAGE_SIZE, two, Prot.WRITE)
    pointer_at(u64, va + 4092).value = 0x1122_3344_5566_7788
    low = pointer_at(u32, machine.phys_to_virt(one) + 4092).value
    high = pointer_at(u32, machine.phys_to_virt(two)).value
    kprintf(f"low {low:#x}\nhigh {high:#x}\n")
    kprintf(f"extract {machine.pmap_extract(va + PAGE_SIZE + 5) == two + 5}\n")
    kprintf(f"physical {machine.pmap_extract(machine.phys_to_virt(one)) == one}\n")
    text = symbol_address("kernel.main.kmain")
    kprintf(f"image {u64(machine.pmap_extract(text)) == u64(text) - 0xFFFF_FFFF_8000_0000}\n")
    bytes_: Array[u8, 8]
    kprintf(f"probe {machine.copy_probe(va + 4092, bytes_)} {bytes_[0]:#x} {bytes_[7]:#x}\n")
    kprintf(f"probe_hole {machine.copy_probe(va + 2 * PAGE_SIZE - 4, bytes_)}\n")
    kprintf(f"probe_null {machine.copy_probe(VirtAddr(0), bytes_)}\n")
    kprintf(f"probe_bad {machine.copy_probe(VirtAddr(0x8000_0000_0000), bytes_)}\n")
    kprintf(f"probe_end {machine.copy_probe(VirtAddr(0xFFFF_FFFF_FFFF_FFFC), bytes_)}\n")
    kprintf(f"removed {machine.pmap_remove(va) == one}\n")
    machine.pmap_invalidate(va, 1)
    kprintf(f"gone {u64(machine.pmap_extract(va))}\n")
    kprintf(f"removed_twice {u64(machine.pmap_remove(va))}\ntables {pages_given}\n")
    machine.pmap_enter(base, one, Prot.WRITE)
    kprintf(f"no_memory {machine.pmap_enter(base + (9 << 30), one, Prot.WRITE)}\n")
