# SPDX-License-Identifier: BSD-3-Clause
"""The local APIC of each CPU: its timer, its interrupts to other CPUs, the end of each interrupt.

Both its forms are handled: xAPIC, with registers in memory, and x2APIC, with registers in MSRs
and CPU ids of 32 bits.  x2APIC is used where the CPU has it.

Tests     tests/qemu/test_machine.py, tests/qemu/test_cpus.py
Source    Intel SDM vol. 3A, chapter 11 "Advanced Programmable Interrupt Controller (APIC)"
"""
from typing import Final

from kpy import (
    Mmio,
    PhysAddr,
    VirtAddr,
    bits_of,
    cast,
    from_bits,
    inline,
    panic,
    pause,
    pointer_at,
    ref,
    u8,
    u32,
    u64,
)

from kernel.arch.x86_64 import cpu, features
from kernel.arch.x86_64.regs import IA32_APIC_BASE, IA32_X2APIC_FIRST, ApicBase
from kernel.machine.types import PAGE_SIZE
from kernel.platform.pc64 import acpi, pmap, regs, vectors

UNSAFE: Final = True     # the register page is found by address
SEND_POLLS: Final = 100_000      # an IPI is accepted within microseconds

window: VirtAddr = VirtAddr(0)   # the xAPIC registers
x2: bool = False


def init() -> None:
    """Find the local APIC.  Boot CPU, once, before id() and init_cpu().

    Panics   the firmware has disabled it.
    """
    global window, x2
    base = from_bits(ApicBase, cpu.rdmsr(IA32_APIC_BASE))
    if base.EN == 0:
        panic("the firmware has disabled the local APIC; enable it in the firmware's set-up")
    x2 = features.x2apic
    if not x2:
        page = acpi.tables.local_apic
        if page == 0:
            page = u64(base.BASE) * PAGE_SIZE
        window = pmap.map_device(PhysAddr(page), PAGE_SIZE)
    _enable()


def init_cpu(uid: u32) -> None:
    """Set this CPU's APIC up: all inputs masked but NMI, errors reported, task priority 0.

    uid      the processor's number in the firmware's tables
    Panics   what answers at the registers' place is not a local APIC.
    """
    _enable()
    version = from_bits(regs.ApicVersion, _read(regs.APIC_VERSION))
    if version.VERSION < 0x10 or version.VERSION > 0x2F:
        panic(f"no local APIC answers at {bits_of(window):#x}: version {bits_of(version):#x}")
    _write(regs.APIC_TPR, 0)
    _write_lvt(regs.APIC_LVT_TIMER, regs.ApicLvt(VECTOR=vectors.TIMER, MASK=1))
    if version.MAX_LVT >= 5:
        _write_lvt(regs.APIC_LVT_THERMAL, regs.ApicLvt(MASK=1))
    if version.MAX_LVT >= 4:
        _write_lvt(regs.APIC_LVT_PERFORMANCE, regs.ApicLvt(MASK=1))
    _write_lvt(regs.APIC_LVT_LINT0, _lint(uid, 0))
    _write_lvt(regs.APIC_LVT_LINT1, _lint(uid, 1))
    _write_lvt(regs.APIC_LVT_ERROR, regs.ApicLvt(VECTOR=vectors.APIC_ERROR))
    _write(regs.APIC_ESR, 0)
    _write(regs.APIC_SVR, bits_of(regs.ApicSvr(VECTOR=vectors.SPURIOUS, ENABLE=1)))
    eoi()


def id() -> u32:
    """This CPU's number among the APICs."""
    if x2:
        return _read(regs.APIC_ID)
    return _read(regs.APIC_ID) >> regs.XAPIC_DESTINATION_SHIFT


@inline
def eoi() -> None:
    """The interrupt being served is done with, for the APIC: the next may come."""
    _write(regs.APIC_EOI, 0)


def take_errors() -> u32:
    """What went wrong since the last call: bits of the error status register."""
    _write(regs.APIC_ESR, 0)
    return _read(regs.APIC_ESR)


def send(apic_id: u32, vector: u32) -> None:
    """An interrupt to another CPU."""
    _command(apic_id, regs.ApicIcr(VECTOR=u8(vector), DELIVERY=regs.DELIVERY_FIXED, ASSERT=1))


def send_nmi(apic_id: u32) -> None:
    """A non-maskable interrupt to another CPU."""
    _command(apic_id, regs.ApicIcr(DELIVERY=regs.DELIVERY_NMI, ASSERT=1))


def send_init(apic_id: u32) -> None:
    """Reset a CPU; it then waits for send_startup()."""
    _command(apic_id, regs.ApicIcr(DELIVERY=regs.DELIVERY_INIT, ASSERT=1))


def send_startup(apic_id: u32, page: u32) -> None:
    """Let a CPU that waits begin, in real mode, at physical address 4096 * `page`."""
    _command(apic_id, regs.ApicIcr(VECTOR=u8(page), DELIVERY=regs.DELIVERY_STARTUP, ASSERT=1))


def timer_one_shot() -> None:
    """Let the timer count down once from what timer_start() sets."""
    _write(regs.APIC_TIMER_DIVIDE, regs.DIVIDE_BY_1)
    _write_lvt(regs.APIC_LVT_TIMER, regs.ApicLvt(VECTOR=vectors.TIMER,
                                                 TIMER_MODE=regs.TIMER_ONE_SHOT))


def timer_deadline() -> None:
    """Let the timer compare the time-stamp counter with IA32_TSC_DEADLINE."""
    _write_lvt(regs.APIC_LVT_TIMER, regs.ApicLvt(VECTOR=vectors.TIMER,
                                                 TIMER_MODE=regs.TIMER_TSC_DEADLINE))


def timer_free_running() -> None:
    """Count down from the highest number, without an interrupt: for calibration."""
    _write(regs.APIC_TIMER_DIVIDE, regs.DIVIDE_BY_1)
    _write_lvt(regs.APIC_LVT_TIMER, regs.ApicLvt(VECTOR=vectors.TIMER, MASK=1))
    timer_start(u32.MAX)


@inline
def timer_start(count: u32) -> None:
    """Count down from `count`; 0 stops the timer."""
    _write(regs.APIC_TIMER_INITIAL, count)


@inline
def timer_left() -> u32:
    """What is still to be counted down."""
    return _read(regs.APIC_TIMER_CURRENT)


def _enable() -> None:
    """Put this CPU's APIC into x2APIC mode, if that is what we use."""
    if x2:
        base = from_bits(ApicBase, cpu.rdmsr(IA32_APIC_BASE))
        base.EXTD = 1
        cpu.wrmsr(IA32_APIC_BASE, bits_of(base))


def _lint(uid: u32, lint: u32) -> regs.ApicLvt:
    """What the firmware says of an input: an NMI, or nothing that we use."""
    for i in range(acpi.tables.nmi_count):
        nmi = ref(acpi.tables.nmis[i])
        if nmi.lint == lint and nmi.uid in (uid, acpi.ALL_CPUS):
            return regs.ApicLvt(DELIVERY=regs.DELIVERY_NMI,
                                LOW=1 if nmi.flags.POLARITY == regs.ACTIVE_LOW else 0)
    return regs.ApicLvt(MASK=1)


def _command(apic_id: u32, command: regs.ApicIcr) -> None:
    """Send an interrupt.  Its two writes belong together, so interrupts are off meanwhile."""
    if x2:
        command.DESTINATION = apic_id
        cpu.wrmsr(IA32_X2APIC_FIRST + regs.APIC_ICR, bits_of(command))
        return
    enabled = cpu.read_flags().IF
    cpu.cli()
    polls: u32 = 0
    while (from_bits(regs.ApicIcr, u64(_read(regs.APIC_ICR))).PENDING
           and polls < SEND_POLLS):
        pause()
        polls += 1
    _write(regs.APIC_ICR_HIGH, apic_id << regs.XAPIC_DESTINATION_SHIFT)
    _write(regs.APIC_ICR, u32(bits_of(command) & u32.MAX))
    if enabled:
        cpu.sti()


def _write_lvt(number: u32, entry: regs.ApicLvt) -> None:
    _write(number, bits_of(entry))


@inline
def _read(number: u32) -> u32:
    if x2:
        return u32(cpu.rdmsr(IA32_X2APIC_FIRST + number) & u32.MAX)
    return _page().REG[number]


@inline
def _write(number: u32, value: u32) -> None:
    if x2:
        cpu.wrmsr(IA32_X2APIC_FIRST + number, value)
    else:
        _page().REG[number] = value


@inline
def _page() -> Mmio[regs.Xapic]:
    return cast(Mmio[regs.Xapic], pointer_at(u32, window))   # safe: mapped by init()
