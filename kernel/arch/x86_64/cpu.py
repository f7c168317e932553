# SPDX-License-Identifier: BSD-3-Clause
"""Single instructions of the CPU that the compiler has no other way to make.

Source    Intel SDM vol. 2A-2D, the instruction of each function's name
"""
from kpy import (
    Ptr,
    VirtAddr,
    asm,
    bits_of,
    from_bits,
    inline,
    u16,
    u32,
    u64,
)

from kernel.arch.x86_64 import regs


@inline
def cpuid(leaf: u32, subleaf: u32) -> tuple[u32, u32, u32, u32]:
    """EAX, EBX, ECX and EDX of a leaf."""
    return asm("cpuid", out={"a": u32, "b": u32, "c": u32, "d": u32},
               ins={"a": leaf, "c": subleaf})


@inline
def rdmsr(msr: u32) -> u64:
    """Read a model-specific register."""
    low, high = asm("rdmsr", out={"a": u32, "d": u32}, ins={"c": msr})
    return u64(high) << 32 | low


@inline
def wrmsr(msr: u32, value: u64) -> None:
    """Write a model-specific register."""
    asm("wrmsr", ins={"c": msr, "a": u32(value & u32.MAX), "d": u32(value >> 32)},
        clobbers=("memory",))


@inline
def rdtsc() -> u64:
    """The time-stamp counter; may be read a few instructions early or late."""
    low, high = asm("rdtsc", out={"a": u32, "d": u32})
    return u64(high) << 32 | low


@inline
def rdtsc_ordered() -> u64:
    """The time-stamp counter, read after all loads before it have their values."""
    low, high = asm("lfence; rdtsc", out={"a": u32, "d": u32}, clobbers=("memory",))
    return u64(high) << 32 | low


@inline
def read_cr0() -> regs.Cr0:
    return from_bits(regs.Cr0, asm("movq %cr0, $0", out=("r", u64)))


@inline
def write_cr0(value: regs.Cr0) -> None:
    asm("movq $0, %cr0", ins={"r": bits_of(value)}, clobbers=("memory",))


@inline
def read_cr2() -> VirtAddr:
    """The address of the last page fault on this CPU."""
    return VirtAddr(asm("movq %cr2, $0", out=("r", u64)))


@inline
def read_cr3() -> u64:
    return asm("movq %cr3, $0", out=("r", u64))


@inline
def write_cr3(value: u64) -> None:
    asm("movq $0, %cr3", ins={"r": value}, clobbers=("memory",))


@inline
def read_cr4() -> regs.Cr4:
    return from_bits(regs.Cr4, asm("movq %cr4, $0", out=("r", u64)))


@inline
def write_cr4(value: regs.Cr4) -> None:
    asm("movq $0, %cr4", ins={"r": bits_of(value)}, clobbers=("memory",))


@inline
def invlpg(va: VirtAddr) -> None:
    """Drop one page from this CPU's TLB."""
    asm("invlpg ($0)", ins={"r": bits_of(va)}, clobbers=("memory",))


@inline
def read_flags() -> regs.Rflags:
    return from_bits(regs.Rflags, asm("pushfq; popq $0", out=("r", u64), clobbers=("memory",)))


@inline
def cli() -> None:
    asm("cli", clobbers=("memory",))


@inline
def sti() -> None:
    asm("sti", clobbers=("memory",))


@inline
def sti_hlt() -> None:
    """Enable interrupts and wait for one; STI takes effect after HLT has begun."""
    asm("sti; hlt", clobbers=("memory",))


@inline
def cli_hlt() -> None:
    """Wait for what comes even with interrupts off: an NMI, a reset."""
    asm("cli; hlt", clobbers=("memory",))


@inline
def lgdt(pointer: Ptr[regs.TablePointer]) -> None:
    asm("lgdt ($0)", ins={"r": pointer}, clobbers=("memory",))


@inline
def lidt(pointer: Ptr[regs.TablePointer]) -> None:
    asm("lidt ($0)", ins={"r": pointer}, clobbers=("memory",))


@inline
def ltr(selector: u16) -> None:
    asm("ltrw %ax", ins={"a": selector}, clobbers=("memory",))


@inline
def load_segments(data: u16) -> None:
    """Load the data segment registers but FS and GS, whose bases are in use."""
    asm("movw %ax, %ds; movw %ax, %es; movw %ax, %ss", ins={"a": data})
