# SPDX-License-Identifier: BSD-3-Clause
"""Descriptor tables: segments and task state of each CPU, and the one interrupt table of all.

A double fault, an NMI and a machine check may find the stack unusable, so each has a stack of its
own per CPU (IST 1 to 3); everything else runs on the stack that it interrupts.

Tests     tests/qemu/test_traps.py
Source    Intel SDM vol. 3A, 3.4.5 "Segment Descriptors", 6.14.1 "64-Bit Mode IDT",
          6.14.5 "Interrupt Stack Table", 7.7 "Task Management in 64-bit Mode"
"""
from typing import Final

from kpy import (
    Array,
    PerCpu,
    VirtAddr,
    address_of,
    asm,
    bits_of,
    ref,
    sizeof,
    struct,
    symbol_address,
    trunc,
    u8,
    u16,
    u32,
    u64,
)

from kernel.arch.x86_64 import cpu, regs

UNSAFE: Final = True     # the CPU takes these tables by address
STUB_BYTES: Final = 16
IST_STACKS: Final = 3
IST_STACK_BYTES: Final = 8192


@struct
class Descriptor16:
    """A descriptor of 16 bytes: gate or TSS."""
    low: u64
    high: u64


idt: Array[Descriptor16, 256]
gdt: PerCpu[Array[u64, 7]]
tss: PerCpu[regs.Tss]


def init_idt() -> None:
    """Fill the interrupt table: an interrupt gate to each vector's stub.  Boot CPU, once."""
    stubs = bits_of(symbol_address("vector_stubs"))
    for n in range(256):
        offset = stubs + n * STUB_BYTES
        idt[n].low = bits_of(regs.Gate(
            OFFSET_LOW=trunc(u16, offset), SELECTOR=regs.KERNEL_CODE, IST=_ist(n),
            TYPE=regs.TYPE_INTERRUPT_GATE, P=1, OFFSET_HIGH=trunc(u16, offset >> 16)))
        idt[n].high = offset >> 32


def load_idt() -> None:
    """Make this CPU use the interrupt table."""
    pointer = regs.TablePointer(limit=sizeof(idt) - 1, base=bits_of(address_of(ref(idt))))
    cpu.lidt(ref(pointer))


def load_gdt(ist_stacks: VirtAddr) -> None:
    """Make and load this CPU's segments and task state.

    ist_stacks  IST_STACKS stacks of IST_STACK_BYTES, one after the other.
    """
    for n in range(IST_STACKS):
        tss.ist[n] = bits_of(ist_stacks) + (n + 1) * IST_STACK_BYTES
    tss.iomap = sizeof(regs.Tss)
    base = bits_of(address_of(ref(tss)))
    gdt[regs.KERNEL_CODE // 8] = regs.CODE_64
    gdt[regs.KERNEL_DATA // 8] = regs.DATA
    gdt[regs.USER_DATA // 8] = regs.DATA_USER
    gdt[regs.USER_CODE // 8] = regs.CODE_64_USER
    gdt[regs.TASK // 8] = bits_of(regs.TaskDescriptor(
        LIMIT_LOW=sizeof(regs.Tss) - 1, BASE_LOW=u32(base & 0xFF_FFFF), TYPE=regs.TYPE_TSS, P=1,
        BASE_HIGH=trunc(u8, base >> 24)))
    gdt[regs.TASK // 8 + 1] = base >> 32
    pointer = regs.TablePointer(limit=sizeof(gdt) - 1, base=bits_of(address_of(ref(gdt))))
    cpu.lgdt(ref(pointer))
    # safe: the new code segment is what the old one was.
    asm("pushq $0; leaq 1f(%rip), %rax; pushq %rax; lretq; 1:",
        ins={"r": u64(regs.KERNEL_CODE)}, clobbers=("rax", "memory"))
    cpu.load_segments(regs.KERNEL_DATA)
    cpu.ltr(regs.TASK)


def set_kernel_stack(top: VirtAddr) -> None:
    """The stack on which this CPU enters the kernel from ring 3."""
    tss.rsp[0] = bits_of(top)


def _ist(vector: u64) -> u8:
    match vector:
        case regs.DOUBLE_FAULT:
            return 1
        case regs.NMI:
            return 2
        case regs.MACHINE_CHECK:
            return 3
        case _:
            return 0
