# SPDX-License-Identifier: BSD-3-Clause
"""A counter whose frequency is known: HPET, else the ACPI PM timer, else channel 2 of the PIT.

It serves to measure the frequencies of those counters that are quick to read, and the HPET, where
it has 64 bits, can take the place of a time-stamp counter that cannot be trusted.

Tests     tests/qemu/test_clock.py
Source    IA-PC HPET Specification 1.0a, 2.3 "Register Definitions"; ACPI 6.5, 4.8.2.1 "Power
          Management Timer"; Intel 82C54 data sheet, "Read Operations"
"""
from typing import Final

from kpy import (
    Mmio,
    PhysAddr,
    Str,
    VirtAddr,
    bits_of,
    cast,
    enum,
    from_bits,
    pointer_at,
    u8,
    u64,
)

from kernel.arch.x86_64 import port
from kernel.platform.pc64 import acpi, pmap, regs

UNSAFE: Final = True     # the HPET's registers are found by address
HPET_BYTES: Final = 1024
ALIVE_READS: Final = 10_000      # far longer than a tick of any of the three


@enum(u8)
class Kind:
    """Which counter it is."""
    NONE = 0
    HPET = 1
    PM_TIMER = 2
    PIT = 3


kind: Kind = Kind.NONE
hz: u64 = 0
mask: u64 = 0                    # the counter's width, as all ones
wide_hpet: bool = False          # the counter is an HPET of 64 bits
window: VirtAddr = VirtAddr(0)   # the HPET's registers


def init() -> bool:
    """Find a counter that counts.  False if there is none."""
    return _init_hpet() or _init_pm_timer() or _init_pit()


def count() -> u64:
    """The counter; it rises, and starts anew beyond `mask`."""
    match kind:
        case Kind.HPET:
            return hpet_count() if wide_hpet else u64(_hpet().COUNTER_LOW)
        case Kind.PM_TIMER:
            return port.inl(acpi.tables.pm_timer) & mask
        case Kind.PIT:
            port.outb(regs.PIT_CONTROL, regs.PIT_CHANNEL2_LATCH)
            low: u64 = port.inb(regs.PIT_CHANNEL2)
            high: u64 = port.inb(regs.PIT_CHANNEL2)
            return mask - (high << 8 | low)
        case Kind.NONE:
            return 0


def since(start: u64) -> u64:
    """Ticks from `start` until now."""
    return distance(start, count())


def hpet_count() -> u64:
    """The counter of a 64-bit HPET."""
    return _hpet().COUNTER


def name() -> Str:
    match kind:
        case Kind.HPET:
            return "HPET"
        case Kind.PM_TIMER:
            return "ACPI PM timer"
        case Kind.PIT:
            return "PIT"
        case Kind.NONE:
            return "nothing"


def _init_hpet() -> bool:
    global wide_hpet, window
    if acpi.tables.hpet == 0:
        return False
    window = pmap.map_device(PhysAddr(acpi.tables.hpet), HPET_BYTES)
    capabilities = _hpet().CAPABILITIES
    if not 0 < capabilities.PERIOD <= regs.HPET_MAX_PERIOD:
        return False
    wide_hpet = capabilities.COUNT_SIZE
    _hpet().CONFIGURATION.modify(ENABLE=1, LEGACY=0)
    return _try(Kind.HPET, regs.FEMTOSECONDS // capabilities.PERIOD,
                0xFFFF_FFFF_FFFF_FFFF if wide_hpet else 0xFFFF_FFFF)


def _init_pm_timer() -> bool:
    if acpi.tables.pm_timer == 0:
        return False
    return _try(Kind.PM_TIMER, regs.PM_TIMER_HZ,
                0xFFFF_FFFF if acpi.tables.pm_timer_wide else 0xFF_FFFF)


def _init_pit() -> bool:
    speaker = from_bits(regs.Speaker, port.inb(regs.SPEAKER))
    speaker.GATE2 = 1
    speaker.DATA = 0
    port.outb(regs.SPEAKER, bits_of(speaker))
    port.outb(regs.PIT_CONTROL, regs.PIT_CHANNEL2_RATE)
    port.outb(regs.PIT_CHANNEL2, 0xFF)
    port.outb(regs.PIT_CHANNEL2, 0xFF)
    return _try(Kind.PIT, regs.PIT_HZ, 0xFFFF)


def _try(found: Kind, rate: u64, width: u64) -> bool:
    """Take a counter, if it counts."""
    global kind, hz, mask
    kind = found
    hz = rate
    mask = width
    first = count()
    for _ in range(ALIVE_READS):
        if count() != first:
            return True
    kind = Kind.NONE
    return False


def distance(start: u64, end: u64) -> u64:
    """Ticks from one reading to a later one."""
    if end >= start:
        return end - start
    return mask - start + end + 1


def _hpet() -> Mmio[regs.Hpet]:
    return cast(Mmio[regs.Hpet], pointer_at(u64, window))    # safe: mapped by _init_hpet()
