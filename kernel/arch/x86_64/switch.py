# SPDX-License-Identifier: BSD-3-Clause
"""Switching stacks: the few instructions below every scheduler.

Only what a called function must keep is saved: rbx, rbp, r12 to r15, and the stack pointer.
Interrupts stay as they are; the kernel touches no SSE register, so there is none to save.

Invariants
  W1  The switched-out stack's top is: r15 r14 r13 r12 rbx rbp, return address.
  W2  switch_stack() returns, on the new stack, the thread it was called with on the old one.
Tests     tests/unit/lwkt/test_sched.py
Source    System V ABI, AMD64 supplement, 3.2.1 "Registers and the Stack Frame"
"""
from typing import Final

from kpy import MPtr, Never, Ptr, VirtAddr, asm, cast, export, naked, pointer_at, u64

UNSAFE: Final = True      # builds the first frame of a stack

SAVED_WORDS: Final = 7


@naked
def switch_stack(save: Ptr[u64], to: u64, me: u64) -> u64:
    """Save this stack's pointer in `save`, go on from `to`; `me` is what its call returns (W2)."""
    asm("""
        pushq %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
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
        movq %rsp, (%rdi)
        movq %rsi, %rsp
        movq %rdx, %rax
        popq %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        retq
    """)


@export("thread_trampoline")
@naked
def thread_trampoline() -> Never:
    """Where the first switch to a new thread returns to; rax is the thread switched from."""
    asm("""
        .cfi_undefined %rip
        xorl %ebp, %ebp
        movq %rax, %rdi
        callq thread_begin
        ud2
    """)


def first_frame(top: VirtAddr, start: u64) -> u64:
    """Prepare a new stack that ends at `top` so that a switch to it goes on at `start`.

    Returns  the stack pointer to switch to.
    """
    # safe: the caller owns the stack; top is 16-byte aligned, below it lie SAVED_WORDS words, and
    # two that keep it so where the trampoline calls
    frame = cast(MPtr[u64], pointer_at(u64, top - 8 * (SAVED_WORDS + 2)))
    for i in range(SAVED_WORDS - 1):
        frame[i] = 0
    frame[SAVED_WORDS - 1] = start
    return u64(top) - 8 * (SAVED_WORDS + 2)
