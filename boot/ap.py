# SPDX-License-Identifier: BSD-3-Clause
"""Where application processors begin: from real mode to ap_entered() in the higher half.

A start-up IPI lets a CPU begin at the start of a page below 1 MiB, to which cpus.py has copied
the code from ap_start to ap_start_end.  It goes to long mode in one step, on the page tables of
boot/entry.py (which map low memory and the kernel), and leaves the copy at once.  In the higher
half the CPU finds its number by its APIC id, and with it its %gs base and its stack.

Invariants
  A1  Any number of CPUs may be in here at once: nothing is written but registers.
  A2  A CPU that is not in the table halts: the firmware lists it as unusable, or not at all.
  A3  Interrupts are off, the direction flag is clear, %rbp is 0: a backtrace ends here.
Tests     tests/qemu/test_cpus.py
Source    Intel SDM vol. 3A, 9.4.4 "MP Initialization Example", 10.8.5 "Initializing IA-32e
          Mode"; vol. 2A "CPUID" (leaf 1: initial APIC ID; leaf 0BH: x2APIC ID)
"""
from kpy import asm

# safe: runs on a CPU that does nothing else yet, and writes no memory.
asm(r"""
.set KERNEL_BASE, 0xffffffff80000000
.set CR0_PE_ET_NE_WP_PG, 0x80010031     # and with CD and NW clear: caches on
.set CR4_PAE, 1 << 5
.set MSR_EFER, 0xc0000080
.set MSR_GS_BASE, 0xc0000101
.set CPUID_TOPOLOGY, 0xb

.section .boot.text, "ax", @progbits
.code16
.global ap_start, ap_start_efer, ap_start_end
.type ap_start, @function
ap_start:                               # at the start of a page: cs is its number * 256, ip is 0
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $(boot_pml4 - KERNEL_BASE), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    xorl %edx, %edx
    movl ap_start_efer - ap_start, %eax
    wrmsr
    lgdtl ap_gdt_pointer - ap_start
    movl $CR0_PE_ET_NE_WP_PG, %eax
    movl %eax, %cr0
    ljmpl $8, $ap_long_mode
.balign 4
ap_start_efer:                          # LME, and NXE where the CPU has it; set in the copy
    .long 0
ap_gdt_pointer:
    .word 3 * 8 - 1
    .long boot_gdt
ap_start_end:
.size ap_start, . - ap_start

.code64
.type ap_long_mode, @function
ap_long_mode:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movabsq $ap_higher_half, %rax
    jmpq *%rax
.size ap_long_mode, . - ap_long_mode

.text
.cfi_sections .debug_frame
.global ap_higher_half
.type ap_higher_half, @function
ap_higher_half:
    .cfi_startproc
    .cfi_undefined %rip                 # A3: nobody called us
    movq ap_tables(%rip), %rax
    movq %rax, %cr3                     # from here on low memory is not mapped

    xorl %eax, %eax
    cpuid
    movl %eax, %esi
    movl $1, %eax
    cpuid
    shrl $24, %ebx
    movl %ebx, %edi                     # edi: APIC id, 8 bits of it
    cmpl $CPUID_TOPOLOGY, %esi
    jb 1f
    movl $CPUID_TOPOLOGY, %eax
    xorl %ecx, %ecx
    cpuid
    testl %ebx, %ebx                    # no processors at this level: the leaf is not there
    jz 1f
    movl %edx, %edi                     # all 32 bits of it
1:
    movq ap_ids(%rip), %rsi
    movl ap_count(%rip), %ecx
    xorl %ebx, %ebx                     # ebx: number of this CPU
2:
    incl %ebx                           # 0 is the boot CPU
    cmpl %ecx, %ebx
    jae 3f                              # A2
    cmpl %edi, (%rsi, %rbx, 4)
    jne 2b

    movq ap_bases(%rip), %rsi
    movl (%rsi, %rbx, 8), %eax
    movl 4(%rsi, %rbx, 8), %edx
    movl $MSR_GS_BASE, %ecx
    wrmsr
    movq ap_stacks(%rip), %rsi
    movq (%rsi, %rbx, 8), %rsp
    xorl %ebp, %ebp
    movl %ebx, %edi
    callq ap_entered
3:
    cli
    hlt
    jmp 3b
    .cfi_endproc
.size ap_higher_half, . - ap_higher_half

.data
.balign 8
.global ap_arguments
ap_arguments:                           # ApArguments of kernel/platform/pc64/cpus.py
ap_tables:
    .quad 0
ap_ids:
    .quad 0
ap_bases:
    .quad 0
ap_stacks:
    .quad 0
ap_count:
    .long 0, 0
""")
