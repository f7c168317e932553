# SPDX-License-Identifier: BSD-3-Clause
"""Time: a counter that is the same on all CPUs, and each CPU's one-shot timer.

The counter is the time-stamp counter where it can be trusted: it does not change its pace
(invariant), or the machine is virtual, whose hypervisor keeps them together, or there is one CPU.
Elsewhere it is a 64-bit HPET.  The timer is the local APIC's: it compares the time-stamp counter
with a deadline where the CPU has that, else it counts down at a pace of its own.

Paces are measured between two moments: begin(), early at the start, and start_clock(), which
waits only for what is then missing of CALIBRATION_US.  At each moment the counters are read some
times in a row, and the reading that was least disturbed counts.

Under QEMU's -icount the time-stamp counter and the reference both advance with instructions.

Invariants
  K1  What cputimer_arm() sets never expires early by this clock.
Tests     tests/qemu/test_clock.py
Source    Intel SDM vol. 3B, 18.17.1 "Invariant TSC"; vol. 3A, 11.5.4 "APIC Timer",
          11.5.4.1 "TSC-Deadline Mode"
"""
from typing import Final

from kpy import PerCpu, Ptr, inline, kprintf, panic, pause, ref, struct, u32, u64

from kernel.arch.x86_64 import cpu, features
from kernel.arch.x86_64.regs import IA32_TSC_DEADLINE
from kernel.machine import upcalls
from kernel.machine.types import Frame
from kernel.platform.pc64 import acpi, lapic, reference

CALIBRATION_US: Final[u64] = 4000
WAIT_READS: Final = 100_000_000      # until a counter that stopped is called stopped
SAMPLE_READS: Final = 8
COUNT_MAX: Final[u64] = 0xFFFF_FFFF
COUNT_SPARE: Final[u64] = 4096       # for rounding up, up to a clock 4096 times the timer's pace
MICROSECONDS: Final[u64] = 1_000_000


@struct
class Sample:
    """The three counters at one moment."""
    tsc: u64
    reference: u64
    apic: u32
    spread: u64          # TSC ticks that the reading took: how far the three are apart at most


first: Sample
hz: u64 = 0
by_hpet: bool = False
by_deadline: bool = False
scale: u64 = 0           # APIC timer ticks a clock tick, times 2**32
longest: u64 = 0         # the most clock ticks that the APIC timer can count down
left: PerCpu[u64]        # what of the armed time is beyond that


def begin() -> None:
    """Start to measure.  Boot CPU, after lapic.init_cpu().

    Panics   the machine has no timer of known frequency.
    """
    if not reference.init():
        panic("this machine has no HPET, ACPI PM timer or PIT that counts; Damselfly needs one "
              "to know the time")
    lapic.timer_free_running()
    _sample(ref(first))


def start_clock() -> None:
    """Calibrate the timer and make this CPU's usable.  Boot CPU; after start()."""
    global hz, by_hpet, by_deadline, scale, longest
    wanted = reference.hz * CALIBRATION_US // MICROSECONDS
    reads: u64 = 0
    while reference.since(first.reference) < wanted:
        reads += 1
        if reads == WAIT_READS:
            panic(f"the {reference.name()} has stopped")
    last: Sample
    _sample(ref(last))
    passed = reference.distance(first.reference, last.reference)
    tsc_hz = (last.tsc - first.tsc) * reference.hz // passed
    apic_hz = u64(first.apic - last.apic) * reference.hz // passed
    if tsc_hz == 0 or apic_hz == 0:
        panic(f"a timer of this CPU does not count: time-stamp counter {tsc_hz} Hz, local APIC "
              f"{apic_hz} Hz")
    steady = features.tsc_invariant or features.hypervisor or acpi.tables.cpu_count == 1
    by_hpet = not steady and reference.wide_hpet
    if not steady and not by_hpet:
        kprintf("note: neither the time-stamp counter nor an HPET can be trusted; clocks of CPUs "
                "may differ\n")
    hz = reference.hz if by_hpet else tsc_hz
    by_deadline = features.tsc_deadline and not by_hpet
    scale = ((apic_hz << 32) + hz - 1) // hz
    longest = (COUNT_MAX - COUNT_SPARE) * hz // apic_hz
    init_cpu()


def init_cpu() -> None:
    """Make this CPU's timer usable."""
    if by_deadline:
        lapic.timer_deadline()
    else:
        lapic.timer_one_shot()


@inline
def cputimer_count() -> u64:
    """A clock that only rises, the same on all CPUs, in units of 1 / cputimer_hz() seconds."""
    if by_hpet:
        return reference.hpet_count()
    return cpu.rdtsc_ordered()


def cputimer_hz() -> u64:
    """The frequency of cputimer_count() in Hz.  After start_clock()."""
    return hz


def cputimer_arm(ticks: u64) -> None:
    """timer_expired() once on this CPU, `ticks` from now (at least 1); replaces an earlier one."""
    global left
    if by_deadline:
        cpu.wrmsr(IA32_TSC_DEADLINE, cpu.rdtsc_ordered() + ticks)
    elif ticks <= longest:
        left = 0
        lapic.timer_start(u32((ticks * scale >> 32) + 1))      # K1: rounded up
    else:
        left = ticks - longest
        lapic.timer_start(u32(COUNT_MAX))


def expired(frame: Ptr[Frame]) -> None:
    """The timer's interrupt came."""
    if left != 0:
        cputimer_arm(left)
    else:
        upcalls.timer_expired(frame)


def microseconds(count: u64) -> u64:
    """`count` microseconds in ticks."""
    return hz * count // MICROSECONDS


def wait_until(deadline: u64) -> None:
    """Return when the clock has reached `deadline`."""
    while cputimer_count() < deadline:
        pause()


def _sample(to: Ptr[Sample]) -> None:
    """Read the counters SAMPLE_READS times, and keep the reading that took least."""
    to.spread = 0xFFFF_FFFF_FFFF_FFFF
    for _ in range(SAMPLE_READS):
        before = cpu.rdtsc_ordered()
        count = reference.count()
        between = cpu.rdtsc_ordered()
        apic = lapic.timer_left()
        after = cpu.rdtsc_ordered()
        if after - before < to.spread:
            to.spread = after - before
            to.tsc = before + (between - before) // 2
            to.reference = count
            to.apic = apic
