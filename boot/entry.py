# SPDX-License-Identifier: BSD-3-Clause
"""The first instructions: from 32-bit protected mode to kmain() in the higher half.

A loader finds us by the multiboot header or by the PVH note, copies the image to 1 MiB and
enters with paging off.  We check for a 64-bit CPU, map memory, switch to long mode, jump to the
higher-half alias of the code, and call kernel.main.kmain(magic, info) on the boot stack.

The map, of 2 MiB pages, that kmain finds and replaces by its own:

    0                  -> 0     4 GiB, as physical
    0xffff800000000000 -> 0     4 GiB, where the kernel looks for physical memory
    KERNEL_BASE        -> 0     2 GiB, where the kernel is linked

All of it is writable.  What lies above the kernel image is not executable where the CPU has NX.

Invariants
  B1  kmain gets magic 0x2BADB002 with a multiboot information block, or 0x336EC578 with a PVH
      start block; `info` is its physical address.
  B2  Interrupts are off, the direction flag is clear, %rbp is 0: a backtrace ends here.
  B3  On a CPU without long mode the machine halts after saying so on COM1 and on the screen.
Tests   tests/qemu/test_boot_entry.py
Source  Multiboot Specification 0.6.96, section 3; Xen "x86/HVM direct boot ABI" (PVH);
        Intel SDM vol. 3A, 10.8.5 "Initializing IA-32e Mode"
"""

from kpy import asm

# safe: runs before there is anything to break; touches only its own tables and stack.
asm(r"""
.set KERNEL_BASE, 0xffffffff80000000
.set MULTIBOOT_MAGIC, 0x1BADB002        # in the header
.set MULTIBOOT_FLAGS, 0x10003           # page-aligned modules, memory map, address fields
.set PVH_MAGIC, 0x336EC578
.set XEN_PHYS32_ENTRY, 18
.set COM1, 0x3f8
.set VGA_TEXT, 0xb8000

.set CR0_PE_WP_PG, 0x80010001
.set CR4_PAE, 1 << 5
.set MSR_EFER, 0xc0000080
.set EFER_LME, 1 << 8
.set EFER_NXE, 1 << 11
.set CPUID_LM, 1 << 29                  # leaf 0x80000001, edx
.set CPUID_NX, 1 << 20
.set EFLAGS_ID, 1 << 21

.set PTE_TABLE, 3                       # present, writable
.set PTE_2MB, 0x83                      # present, writable, page size
.set PTE_NX_HIGH, 0x80000000            # bit 63, in the upper word
.set PHYS_ENTRY, 256                    # of the top table: 0xffff800000000000
.set BOOT_STACK_BYTES, 65536

.section .boot.header, "a", @progbits
.balign 4
multiboot_header:
    .long MULTIBOOT_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
    .long multiboot_header
    .long __load_start
    .long __load_end
    .long __load_bss_end
    .long boot_entry

.section .note.Xen, "a", @note
.balign 4
    .long 4                             # bytes of the name
    .long 8                             # bytes of the entry address
    .long XEN_PHYS32_ENTRY
    .asciz "Xen"
    .quad boot_entry_pvh

.section .boot.text, "ax", @progbits
.code32
.global boot_entry_pvh
.type boot_entry_pvh, @function
boot_entry_pvh:                         # ebx: start block
    movl $PVH_MAGIC, %eax
    jmp boot_entry
.size boot_entry_pvh, . - boot_entry_pvh

.global boot_entry
.type boot_entry, @function
boot_entry:                             # eax: magic, ebx: information block
    cli
    cld
    movl $(boot_stack_top - KERNEL_BASE), %esp
    movl %eax, %edi
    movl %ebx, %esi

    pushfl                              # CPUID exists if EFLAGS.ID can be changed
    popl %eax
    movl %eax, %ecx
    xorl $EFLAGS_ID, %eax
    pushl %eax
    popfl
    pushfl
    popl %eax
    cmpl %ecx, %eax
    je boot_no_long_mode
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb boot_no_long_mode
    movl $0x80000001, %eax
    cpuid
    testl $CPUID_LM, %edx
    jz boot_no_long_mode

    xorl %ebp, %ebp                     # ebp: upper word of a page that holds no code
    testl $CPUID_NX, %edx
    jz 1f
    movl $PTE_NX_HIGH, %ebp
1:
    movl $(boot_page_directories - KERNEL_BASE), %ebx
    movl $PTE_2MB, %eax                 # four directories map the first 4 GiB
    movl $2048, %ecx
2:
    movl %eax, (%ebx)
    cmpl $__load_bss_end, %eax
    jb 3f
    movl %ebp, 4(%ebx)
3:
    addl $8, %ebx
    addl $0x200000, %eax
    loop 2b

    movl $(boot_page_directories - KERNEL_BASE + PTE_TABLE), %eax
    movl $(boot_pdpt_low - KERNEL_BASE), %ebx
    movl %eax, (%ebx)
    movl $(boot_pdpt_high - KERNEL_BASE), %ecx
    movl %eax, 510*8(%ecx)              # KERNEL_BASE is entry 510
    addl $0x1000, %eax
    movl %eax, 8(%ebx)
    movl %eax, 511*8(%ecx)
    addl $0x1000, %eax
    movl %eax, 16(%ebx)
    addl $0x1000, %eax
    movl %eax, 24(%ebx)
    movl $(boot_pml4 - KERNEL_BASE), %edx
    addl $PTE_TABLE, %ebx
    movl %ebx, (%edx)
    movl %ebx, PHYS_ENTRY*8(%edx)
    addl $PTE_TABLE, %ecx
    movl %ecx, 511*8(%edx)

    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl %edx, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    testl %ebp, %ebp
    jz 4f
    orl $EFER_NXE, %eax
4:
    wrmsr
    movl $CR0_PE_WP_PG, %eax
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $8, $boot_long_mode
.size boot_entry, . - boot_entry

# Says why on COM1 and on the screen, then halts for good.
.type boot_no_long_mode, @function
boot_no_long_mode:
    movl $boot_message, %esi
    movl $VGA_TEXT, %edi
5:
    lodsb
    testb %al, %al
    jz 7f
    movb $0x4f, %ah                     # white on red
    movw %ax, (%edi)
    addl $2, %edi
    movb %al, %bl
    movl $100000, %ecx                  # an absent UART never gets ready: go on
6:
    movw $(COM1 + 5), %dx
    inb %dx, %al
    testb $0x20, %al
    loopz 6b
    movw $COM1, %dx
    movb %bl, %al
    outb %al, %dx
    jmp 5b
7:
    cli
    hlt
    jmp 7b
.size boot_no_long_mode, . - boot_no_long_mode

boot_message:
    .asciz "Damselfly needs a 64-bit CPU (long mode); this one has none.  Halted.\r\n"

.balign 8
.global boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9a000000ffff            # 8: 64-bit code
    .quad 0x00cf92000000ffff            # 16: data
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long boot_gdt
boot_gdt_pointer_high:
    .word boot_gdt_pointer - boot_gdt - 1
    .quad boot_gdt + KERNEL_BASE

.code64
.type boot_long_mode, @function
boot_long_mode:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movabsq $boot_higher_half, %rax
    jmpq *%rax
.size boot_long_mode, . - boot_long_mode

.text
.cfi_sections .debug_frame
.global boot_higher_half
.type boot_higher_half, @function
boot_higher_half:
    .cfi_startproc
    .cfi_undefined %rip                 # B2: nobody called us
    movq $boot_stack_top, %rsp
    movabsq $(boot_gdt_pointer_high + KERNEL_BASE), %rax
    lgdt (%rax)
    xorl %ebp, %ebp
    movl %edi, %edi
    movl %esi, %esi
    callq kernel.main.kmain
8:
    cli
    hlt
    jmp 8b
    .cfi_endproc
.size boot_higher_half, . - boot_higher_half

.bss
.balign 4096
.global boot_pml4
boot_pml4:
    .skip 4096
boot_pdpt_low:
    .skip 4096
boot_pdpt_high:
    .skip 4096
boot_page_directories:
    .skip 4 * 4096
.global boot_stack_guard, boot_stack_bottom, boot_stack_top
boot_stack_guard:                       # the kernel's page tables leave this page out
    .skip 4096
boot_stack_bottom:
    .skip BOOT_STACK_BYTES
boot_stack_top:
""")
