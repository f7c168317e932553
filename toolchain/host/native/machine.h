/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The way into compiled kpy and out of it again.
 *
 * kpy_host_call(target, args, result) remembers the stack and calls; kpy_host_unwind goes back to
 * the innermost call that has not returned, which then gives KPY_UNWOUND.  Only frames of compiled
 * kpy lie between the two: kpy_running is set just then, and the dispatcher clears it before any
 * Python code runs.  So a signal while kpy_running is set (a wild address,
 * an endless recursion, Ctrl-C in an endless loop) may unwind in the same way.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define KPY_UNWOUND (1LL << 40)

__asm__(
    ".text\n"
    ".globl kpy_host_call\n.hidden kpy_host_call\n.type kpy_host_call, @function\n"
    "kpy_host_call:\n"
    "  push %rbp\n  mov %rsp, %rbp\n"
    "  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  push kpy_host_top(%rip)\n"
    "  mov %rsp, kpy_host_top(%rip)\n"
    "  mov %rdi, %rax\n  mov %rsi, %rdi\n  mov %rdx, %rsi\n"
    "  movl $1, kpy_running(%rip)\n"
    "  call *%rax\n"
    "  movl $0, kpy_running(%rip)\n"
    "  movslq %eax, %rax\n"
    "kpy_host_out:\n"
    "  pop kpy_host_top(%rip)\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
    "  ret\n"
    ".globl kpy_host_unwind\n.hidden kpy_host_unwind\n.type kpy_host_unwind, @function\n"
    "kpy_host_unwind:\n"
    "  cld\n"
    "  mov kpy_host_top(%rip), %rsp\n"
    "  movabs $0x10000000000, %rax\n"
    "  jmp kpy_host_out\n"
    ".local kpy_host_top\n.comm kpy_host_top, 8, 8\n"
    ".hidden kpy_running\n.comm kpy_running, 4, 4\n");

extern int64_t kpy_host_call(void *target, void *args, void *result);
extern void kpy_host_unwind(void);

extern volatile int kpy_running __attribute__((visibility("hidden")));
static volatile int kpy_signal;         /* what ended it, if a signal did */
static void *volatile kpy_fault_data;   /* the address it touched */
static void *volatile kpy_fault_code;   /* the instruction */

static const int kpy_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGINT, SIGALRM};
enum { KPY_SIGNALS = sizeof kpy_signals / sizeof kpy_signals[0] };
static struct sigaction kpy_before[KPY_SIGNALS];

static int kpy_from_outside(int number) { return number == SIGINT || number == SIGALRM; }

static void kpy_chain(int number, siginfo_t *info, void *context) {
    for (int i = 0; i < KPY_SIGNALS; i++) {
        if (kpy_signals[i] != number) continue;
        struct sigaction *before = &kpy_before[i];
        if (before->sa_flags & SA_SIGINFO) before->sa_sigaction(number, info, context);
        else if (before->sa_handler == SIG_DFL) {
            sigaction(number, before, 0);   /* happens again, and then ends the process */
            if (kpy_from_outside(number)) raise(number);
        } else if (before->sa_handler != SIG_IGN) before->sa_handler(number);
    }
}

/* What comes from outside goes to Python's handler as well, which only makes a note of it. */
static void kpy_on_signal(int number, siginfo_t *info, void *context) {
    ucontext_t *machine = context;
    int running = kpy_running;
    if (!running || kpy_from_outside(number)) kpy_chain(number, info, context);
    if (!running) return;
    kpy_running = 0;
    kpy_signal = number;
    kpy_fault_data = kpy_from_outside(number) ? 0 : info->si_addr;
    kpy_fault_code = (void *)machine->uc_mcontext.gregs[REG_RIP];
    machine->uc_mcontext.gregs[REG_RIP] = (greg_t)kpy_host_unwind;
}

/* Take the signals; again where someone else took them since.  For this thread, a stack for them. */
static void kpy_take_signals(void) {
    stack_t stack = {0};
    if (sigaltstack(0, &stack) == 0 && (stack.ss_flags & SS_DISABLE)) {
        stack.ss_size = 65536;
        stack.ss_sp = malloc(stack.ss_size);
        stack.ss_flags = 0;
        sigaltstack(&stack, 0);
    }
    for (int i = 0; i < KPY_SIGNALS; i++) {
        struct sigaction now;
        sigaction(kpy_signals[i], 0, &now);
        if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == kpy_on_signal) continue;
        kpy_before[i] = now;
        struct sigaction ours = {0};
        ours.sa_sigaction = kpy_on_signal;
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (kpy_from_outside(kpy_signals[i]) ? 0 : SA_NODEFER);
        sigemptyset(&ours.sa_mask);
        sigaction(kpy_signals[i], &ours, 0);
    }
}

/* kpy.hook.atomic without a simulator: the operation itself (kinds as in lower/instrument.py). */
#define KPY_ATOMIC(T) { \
    T *p = where, a = (T)first, b = (T)second; \
    switch (kind) { \
    case 0: return __atomic_load_n(p, __ATOMIC_SEQ_CST); \
    case 1: __atomic_store_n(p, a, __ATOMIC_SEQ_CST); return 0; \
    case 2: return __atomic_exchange_n(p, a, __ATOMIC_SEQ_CST); \
    case 3: return __atomic_fetch_add(p, a, __ATOMIC_SEQ_CST); \
    case 4: return __atomic_fetch_sub(p, a, __ATOMIC_SEQ_CST); \
    case 5: return __atomic_fetch_and(p, a, __ATOMIC_SEQ_CST); \
    case 6: return __atomic_fetch_or(p, a, __ATOMIC_SEQ_CST); \
    case 7: return __atomic_fetch_xor(p, a, __ATOMIC_SEQ_CST); \
    default: __atomic_compare_exchange_n(p, &a, b, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        return a; \
    } }

static uint64_t kpy_atomic(uint32_t kind, void *where, uint32_t size, uint64_t first,
                           uint64_t second) {
    if (kind == 10) { __atomic_thread_fence(__ATOMIC_SEQ_CST); return 0; }
    switch (size) {
    case 1: KPY_ATOMIC(uint8_t)
    case 2: KPY_ATOMIC(uint16_t)
    case 4: KPY_ATOMIC(uint32_t)
    default: KPY_ATOMIC(uint64_t)
    }
}

static uint64_t kpy_load(const char *p, int64_t size) {
    switch (size) {
    case 1: return *(const uint8_t *)p;
    case 2: { uint16_t v; memcpy(&v, p, 2); return v; }
    case 4: { uint32_t v; memcpy(&v, p, 4); return v; }
    default: { uint64_t v; memcpy(&v, p, 8); return v; }
    }
}

static void kpy_store(char *p, int64_t size, uint64_t value) {
    memcpy(p, &value, size);            /* little-endian, so the low bytes come first */
}

static uint64_t kpy_reverse(uint64_t value, int64_t size) {
    return __builtin_bswap64(value) >> (64 - 8 * size);
}

/* Whether the first and last page of a range are mapped; the last answer is kept. */
static int kpy_mapped(const char *p, int64_t size) {
    static uintptr_t known = 1;
    unsigned char in_core;
    uintptr_t ends[2] = {(uintptr_t)p & ~4095UL, ((uintptr_t)p + size - 1) & ~4095UL};
    for (int i = 0; size && i < 2; i++) {
        if (ends[i] == known) continue;
        if (mincore((void *)ends[i], 1, &in_core)) return 0;
        known = ends[i];
    }
    return 1;
}
