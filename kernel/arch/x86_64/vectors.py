# SPDX-License-Identifier: BSD-3-Clause
"""Where interrupts and exceptions enter: a stub for each of the 256 vectors, and their way back.

A stub pushes 0 where the CPU pushed no error code, then its vector's number; the common path
pushes the registers, so that memory at %rsp is a kernel.machine.types.Frame, and calls
machine_interrupt(frame).  What that changes in the frame is what the interrupted code sees.

    vector_stubs + 16 * n     the stub of vector n
    interrupt_return          the address to which machine_interrupt() returns

%rbp stays the interrupted code's, so a chain of frame pointers goes through; whoever follows one
and meets the return address interrupt_return finds the Frame right above it.

Invariants
  V1  The gates are interrupt gates: interrupts are off from the first instruction on.
  V2  The direction flag is clear in machine_interrupt(), and the stack aligned to 16.
Tests     tests/qemu/test_traps.py
Source    Intel SDM vol. 3A, 6.14.2 "64-Bit Mode Stack Frame", table 6-1 (which have an error code)
"""
from kpy import asm

# safe: runs on the interrupted stack, or on an IST stack that is this CPU's alone.
asm(r"""
.text
.cfi_sections .debug_frame
.balign 16
.global vector_stubs
.type vector_stubs, @function
vector_stubs:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa %rsp, 40
    .cfi_offset %rip, -40
    .cfi_offset %rsp, -16
.set vector, 0
.rept 256
    .balign 16
    .if vector == 8 || vector == 17 || vector == 21 || vector == 29 || vector == 30
        .cfi_def_cfa_offset 48
    .elseif vector >= 10 && vector <= 14
        .cfi_def_cfa_offset 48
    .else
        .cfi_def_cfa_offset 40
        pushq $0
        .cfi_def_cfa_offset 48
    .endif
    pushq $vector
    .cfi_def_cfa_offset 56
    jmp vector_common
    .set vector, vector + 1
.endr
    .cfi_endproc
.size vector_stubs, . - vector_stubs

.balign 16
.type vector_common, @function
vector_common:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa %rsp, 56
    .cfi_offset %rip, -40
    .cfi_offset %rsp, -16
    pushq %rax
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rax, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq %rcx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rcx, 0
    pushq %rdx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rdx, 0
    pushq %rsi
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rsi, 0
    pushq %rdi
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rdi, 0
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq %r8
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r8, 0
    pushq %r9
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r9, 0
    pushq %r10
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r10, 0
    pushq %r11
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r11, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    cld
    movq %rsp, %rdi
    callq machine_interrupt
.global interrupt_return
interrupt_return:
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_same_value %r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_same_value %r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_same_value %r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_same_value %r12
    popq %r11
    .cfi_adjust_cfa_offset -8
    popq %r10
    .cfi_adjust_cfa_offset -8
    popq %r9
    .cfi_adjust_cfa_offset -8
    popq %r8
    .cfi_adjust_cfa_offset -8
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_same_value %rbp
    popq %rdi
    .cfi_adjust_cfa_offset -8
    popq %rsi
    .cfi_adjust_cfa_offset -8
    popq %rdx
    .cfi_adjust_cfa_offset -8
    popq %rcx
    .cfi_adjust_cfa_offset -8
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_same_value %rbx
    popq %rax
    .cfi_adjust_cfa_offset -8
    addq $16, %rsp
    .cfi_adjust_cfa_offset -16
    iretq
    .cfi_endproc
.size vector_common, . - vector_common

.section .percpu, "aw", @progbits
.balign 8
.global kpy.percpu.base, percpu_base
kpy.percpu.base:                        # this CPU's %gs base, as compiled code finds it
percpu_base:
    .quad 0
""")
