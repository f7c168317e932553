# SPDX-License-Identifier: BSD-3-Clause
"""What this CPU can do, and switching on what protects the kernel from itself.

Write protection in ring 0, pages that are not executable (NX), no execution of and no access to
the pages of programs (SMEP, SMAP), no look at descriptor tables for programs (UMIP), pages that
stay in the TLB (PGE).  All CPUs of a machine are taken to be alike; the boot CPU is asked.

Tests     tests/qemu/test_machine.py
Source    Intel SDM vol. 2A "CPUID"; vol. 3A, 2.5 "Control Registers", 4.1.4 "Enumeration of
          Paging Features by CPUID"
"""
from kpy import bits_of, from_bits, panic

from kernel.arch.x86_64 import cpu, regs

nx: bool = False
page_1gb: bool = False
smep: bool = False
smap: bool = False
umip: bool = False
x2apic: bool = False
tsc_deadline: bool = False
tsc_invariant: bool = False
hypervisor: bool = False


def detect() -> None:
    """Ask the CPU.  Boot CPU, once.

    Panics   it has no local APIC or no time-stamp counter.
    """
    global nx, page_1gb, smep, smap, umip, x2apic, tsc_deadline, tsc_invariant, hypervisor
    highest, _, _, _ = cpu.cpuid(0, 0)
    _, _, ecx, edx = cpu.cpuid(regs.CPUID_FEATURES, 0)
    basic = from_bits(regs.Features1Edx, edx)
    if not basic.APIC:
        panic("this CPU has no local APIC, or the firmware hides it; Damselfly needs one.  Under "
              "QEMU take -cpu qemu64 or max, without -apic")
    if not basic.TSC or not basic.MSR:
        panic("this CPU has no time-stamp counter; Damselfly needs one.  Under QEMU take -cpu "
              "qemu64 or max")
    more = from_bits(regs.Features1Ecx, ecx)
    x2apic = more.X2APIC
    tsc_deadline = more.TSC_DEADLINE
    hypervisor = more.HYPERVISOR
    if highest >= regs.CPUID_EXTENDED_FEATURES:
        _, ebx, ecx, _ = cpu.cpuid(regs.CPUID_EXTENDED_FEATURES, 0)
        smep = from_bits(regs.Features7Ebx, ebx).SMEP
        smap = from_bits(regs.Features7Ebx, ebx).SMAP
        umip = from_bits(regs.Features7Ecx, ecx).UMIP
    extended, _, _, _ = cpu.cpuid(regs.CPUID_EXTENDED_MAX, 0)
    _, _, _, edx = cpu.cpuid(regs.CPUID_EXTENDED, 0)
    nx = from_bits(regs.ExtendedEdx, edx).NX
    page_1gb = from_bits(regs.ExtendedEdx, edx).PAGE_1GB
    if extended >= regs.CPUID_POWER:
        _, _, _, edx = cpu.cpuid(regs.CPUID_POWER, 0)
        tsc_invariant = from_bits(regs.PowerEdx, edx).INVARIANT_TSC


def protect() -> None:
    """Switch on, on this CPU, each protection that it has."""
    _, _, _, edx = cpu.cpuid(regs.CPUID_FEATURES, 0)
    if nx:
        efer = from_bits(regs.Efer, cpu.rdmsr(regs.IA32_EFER))
        efer.NXE = 1
        cpu.wrmsr(regs.IA32_EFER, bits_of(efer))
    cr0 = cpu.read_cr0()
    cr0.WP = 1
    cr0.NE = 1
    cr0.MP = 1
    cr0.EM = 0
    cr0.CD = 0
    cr0.NW = 0
    cpu.write_cr0(cr0)
    cr4 = cpu.read_cr4()
    cr4.PGE = 1 if from_bits(regs.Features1Edx, edx).PGE else 0
    cr4.SMEP = 1 if smep else 0
    cr4.SMAP = 1 if smap else 0
    cr4.UMIP = 1 if umip else 0
    cpu.write_cr4(cr4)
