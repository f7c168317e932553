/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The simulator's core: several virtual CPUs in one process, and who of them runs next.
 *
 * The kernel under test is compiled with hooks and yields, and this file is linked into it.  So
 * every access to shared memory calls kpy.hook.yield first: a schedule point.  There the policy
 * decides which entity goes on: a CPU, or the interrupts of a CPU, which may be delayed at will.
 * A CPU that does not go on is a saved stack pointer; its threads switch stacks among themselves
 * with the kernel's own switch_stack.  The machine contract is implemented at the end.
 *
 *     boot      CPUs one after the other, until each stands before its first scenario thread or
 *               halts; what memory then holds is kept
 *     run       memory put back (only pages that were ever written), a policy seeded, CPUs
 *               resumed until the last thread is done, or nobody can go on
 *
 * Invariants
 *   X1  What a run does depends on the kept memory, the policy and its seed alone.
 *   X2  State of the core lies in section sim_core, which no reset touches but through `kept`.
 *   X3  An interrupt is delivered at a schedule point of its CPU, on the stack it runs on, while
 *       that CPU takes interrupts; they are off when the upcall begins.
 *   X4  A CPU that pauses goes on only when another has written something since, or when nobody
 *       else can: a spin loop costs one step.
 *   X5  What is a CPU's own (its per-CPU storage, its thread's structure, its stack) is no
 *       schedule point unless it is accessed with an order.  Interrupts may come there too.
 *   X6  With store buffers, a store that is not sequentially consistent may wait in its CPU's
 *       buffer, first in first out, until a locked operation, a full fence, an interrupt, a pause
 *       or a plain store to shared memory of that CPU, or until the policy lets it go: all of it
 *       x86-TSO allows, though not all that x86-TSO allows (plain stores do not wait).
 *   X7  A mutant is awake only in a run: booting and what is checked at the end are sound.
 *   X8  A TLB entry is made by the first access of its CPU to a page of kernel space, and goes with
 *       pmap_invalidate() alone.  An access through one that is not what the page table says fails
 *       the run, as does one to a page that is not mapped.
 *   X9  Memory that a scenario says to be a CPU's own (sim_owned) is accessed in a critical section
 *       of that CPU, or with interrupts off; any other access fails the run.
 *   X10 Where races are looked for: of two accesses of different CPUs to one address, one of them
 *       a write and one of them plain, one happens before the other.  What orders is an atomic
 *       operation with an order that reads what another with an order wrote, and program order:
 *       not the schedule.  An access is known by the address at which it begins.
 * Tests     tests/sim/test_core.py, tests/sim/test_store_buffers.py
 * Source    Burckhardt and others, "A Randomized Scheduler with Probabilistic Guarantees of
 *           Finding Bugs", 2010 (PCT); Musuvathi and Qadeer, "Iterative Context Bounding", 2007;
 *           Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems", 1996,
 *           chapter 5 (sleep sets); Sewell and others, "x86-TSO", 2010; Flanagan and Freund,
 *           "FastTrack", 2009 (X10)
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { MAX_CPUS = 16, MAX_ENTITIES = 2 * MAX_CPUS, VECTOR_WORDS = 3 };
enum { PAGE = 4096, MAX_REGIONS = 48, MAX_HOT = 4096, MAX_NODES = 20000, TRACE = 1 << 16 };
enum { STACK_SHIFT = 16 };              /* stacks are aligned blocks of 64 KiB */
enum { READS = 1, WRITES = 2, ORDERED = 4 };
enum { LOWERED = 1 << 21 };             /* PCT: at a change point; below it, those that pause */
enum { BUFFER = 8, SEQ_CST = 4, CAS = 8, FENCE = 10, DOORBELL = 11, EVENT = 12 };
enum { TOKEN_CLASS = 9 };               /* of ktr.Event: tracing it changes what tokens do */
enum { PAUSE_TICKS = 64 };              /* of the clock, where a step takes one */
enum { DELAY_ROUNDS = 64 };             /* pauses of a pure delay loop that count as one */
enum { MET = 8192, ALONE = 1 << 20 };
enum { OWNED = 1 << 20, PLACES = 32, EXCUSED = 1024 };     /* X9: bits, ranges; sites that may */
enum { RACED = 4, WORDS = 1 << 16 };    /* X10: CPUs that are looked at, addresses of a run */
enum { STUTTERS = 400, TIMER_EVERY = 40, JUMPS = 5000 };

enum state { OFF, RUNS, PAUSES, HALTS };
enum result { DONE, DEADLOCK, LIVELOCK, TOO_LONG, DIVERGED, EXHAUSTED, BOOTED, REDUNDANT, STALE,
              UNMAPPED, UNGUARDED, RACE };
enum policy { RANDOM, PCT, EXHAUSTIVE, BOOT };

struct store {                          /* not yet seen by others (X6) */
    void *where;
    uint64_t value;
    uint32_t size;
};

struct access {                         /* what an entity does next */
    uint32_t site, kind;
    uintptr_t address;
};

struct cpu {
    void *sp;                           /* while another CPU runs */
    int64_t offset;                     /* of its per-CPU storage */
    uint8_t state, takes, deliver, parked, wrote, touched;
    uint8_t ipi, armed;                 /* what is pending */
    uint64_t vectors[VECTOR_WORDS];
    uint64_t deadline;                  /* of the timer, if armed */
    uint64_t seen;                      /* `changes` when it paused */
    uint32_t delays, buffered;
    struct access next;
    struct store buffer[BUFFER];
};

struct node {                           /* a choice of the exhaustive search */
    uint8_t count, at;                  /* alternatives, and the one on the present path */
    uint8_t entities[MAX_ENTITIES];
};

struct step {
    uint8_t entity;
    uint64_t thread;
    struct access access;
};

struct operation {                      /* an atomic one, as it was done; or a doorbell (kind 11); */
    uint32_t cpu, kind;                 /* or what ktr.log() was told (12): thread, a, b */
    uint64_t address, before, after;
    uint32_t step, event;
};

struct word {                           /* X10: when each CPU last did what at an address */
    uintptr_t address;
    uint64_t run;
    uint32_t when[4][RACED], site[4][RACED];    /* plain read, write; ordered read, write */
    uint32_t released[RACED];           /* what is known to who reads it with an order */
};

struct kept {                           /* what a reset puts back */
    struct cpu cpus[MAX_CPUS];
    uint64_t base;
    uint32_t left;
};

static struct core {
    struct cpu *cur;                    /* the CPU that runs; null outside of a run */
    uint64_t steps, wake, limit;        /* at step `wake` the policy is asked */
    uint64_t changes, base;             /* the clock is base + steps */
    uint32_t count, left;               /* CPUs; threads that are not done */
    struct cpu cpus[MAX_CPUS];
    void *main_sp;
    uint32_t result, policy;
    uintptr_t percpu, percpu_size, curthread, thread_size;
    uint64_t random, gap;
    uint32_t stutters, jumps, turn, to_quiescence;
    uint32_t hasty, hasty_ticks;        /* timers that may still come early; of each run */
    uint64_t quiet_changes;
    uint32_t priority[MAX_ENTITIES], lowest;
    uint32_t depth, passed;             /* PCT: priority changes, those behind us */
    uint64_t points[32], length;        /* where they are; steps that a run takes */
    uint32_t at_node, nodes, bound, preempted, reduce;
    uint32_t sleep;                     /* entities whose next step was covered elsewhere */
    struct access sleeping[MAX_ENTITIES];
    uint64_t runs, total, longest, truncated, redundant;
    uint32_t tracing, traced, telling, stop, tso, no_fences, races;
    uintptr_t physmap, space;           /* where frames are seen; where pages are mapped */
    uint64_t ram, space_size;
    uint64_t *table, *tlb;              /* frames by page; by CPU and page: 0 if none */
    uint32_t mutant, noting, alone;     /* the one that is awake; calls since the last point */
    uint32_t met[MET];                  /* mutants whose place a run came by, as a hash */
    uint32_t regions, hot;
    struct { char *start, *copy; size_t size; } region[MAX_REGIONS];
    struct { char *to, *from; size_t size; } pages[MAX_HOT];
    struct sigaction before;
    struct kept kept;
    struct step trace[TRACE];
    struct operation operations[TRACE];
    uint32_t operated;
    struct node node[MAX_NODES];
    uintptr_t critcount;                /* where a thread has its depth of critical sections */
    uint8_t owned[OWNED / 8];           /* X9: words of per-CPU storage, from its start */
    struct { uintptr_t start, size; } place[PLACES];    /* X9: what lies elsewhere */
    uint32_t places, disowned, excused[EXCUSED];
    struct { uint64_t address; uint32_t site[2], cpu[2]; } conflict;    /* X9, X10: what was found */
    uint64_t run_number;
    uint32_t clock[RACED][RACED];       /* X10: what each CPU knows of each */
    struct word *word;                  /* WORDS of them, while races are looked for */
} S __attribute__((section("sim_core,\"aw\",@nobits#")));

extern int64_t percpu_offset __asm__("kpy.percpu.offset");
extern void kernel_ipi(void *frame) __asm__("kernel.machine.upcalls.ipi_arrived");
extern void kernel_timer(void *frame) __asm__("kernel.machine.upcalls.timer_expired");
extern void kernel_interrupt(void *frame, uint32_t vector)
    __asm__("kernel.machine.upcalls.interrupt");
extern void kernel_crit_enter(void) __asm__("kernel.lwkt.crit.crit_enter");
extern void kernel_crit_exit(void) __asm__("kernel.lwkt.crit.crit_exit");
extern bool kernel_ktr_on(uint16_t event) __asm__("kernel.lwkt.ktr.on");
extern void kernel_ktr_write(uint16_t event, uint64_t a, uint64_t b)
    __asm__("kernel.lwkt.ktr._write");
extern void world_cpu(uint32_t cpu) __asm__("sim_cpu");
extern void world_check(void) __asm__("sim_check");

/* ---- switching between CPUs */

void sim_swap(void **save, void *to);
__asm__(".text\n.hidden sim_swap\n.globl sim_swap\n.type sim_swap, @function\nsim_swap:\n"
        "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
        "  mov %rsp, (%rdi)\n  mov %rsi, %rsp\n"
        "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n  ret\n");

static void resume(void **save, struct cpu *to) {
    S.cur = to;
    percpu_offset = to->offset;
    sim_swap(save, to->sp);
}

/* The run is over: back to where it was started.  Only the end of booting is ever left again. */
static void end(uint32_t result) {
    void **save = &S.cur->sp;
    S.result = result;
    S.cur = 0;
    percpu_offset = 0;
    sim_swap(save, S.main_sp);
}

static void first_code(void) { world_cpu((uint32_t)(S.cur - S.cpus)); }

/* ---- random numbers (xorshift64*, seeded by splitmix64) */

static uint64_t mixed(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static uint32_t below(uint32_t limit) {
    S.random ^= S.random >> 12;
    S.random ^= S.random << 25;
    S.random ^= S.random >> 27;
    return (uint32_t)(((S.random * 0x2545F4914F6CDD1Du >> 32) * limit) >> 32);
}

/* ---- who can go on */

static uint64_t now(void) { return S.base + S.steps; }

/* The timer's time has come, or may come now. */
static bool due(const struct cpu *c) {
    return c->armed && (S.hasty || c->deadline <= now());
}

static bool pending(const struct cpu *c) {
    return c->ipi || due(c) || (c->vectors[0] | c->vectors[1] | c->vectors[2]);
}

static bool can_run(const struct cpu *c) {
    return c->state == RUNS || (c->state == PAUSES && c->seen != S.changes);
}

static uint32_t enabled(uint8_t *out) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < S.count; i++) {
        struct cpu *c = &S.cpus[i];
        if (can_run(c)) out[n++] = (uint8_t)(2 * i);
        if (c->takes && pending(c)) out[n++] = (uint8_t)(2 * i + 1);
    }
    return n;
}

/* Let the time of the next timer come; false if none is set. */
static bool jump(void) {
    struct cpu *first = 0;
    for (uint32_t i = 0; i < S.count; i++) {
        struct cpu *c = &S.cpus[i];
        if (c->armed && c->takes && (!first || c->deadline < first->deadline)) first = c;
    }
    if (!first || ++S.jumps > JUMPS) return false;
    if (first->deadline > now()) S.base += first->deadline - now();
    return true;
}

/* Nobody is enabled: the run is over, or time passes, or a CPU that pauses looks in vain. */
static uint32_t quiet(uint8_t *out) {
    uint32_t pausing = 0, n;
    for (uint32_t i = 0; i < S.count; i++) pausing += S.cpus[i].state == PAUSES;
    if (!pausing && !S.left) end(DONE);
    if (S.quiet_changes != S.changes) {
        S.quiet_changes = S.changes;
        S.stutters = 0;
    }
    if (!pausing || ++S.stutters % TIMER_EVERY == 0)
        if (jump() && (n = enabled(out))) return n;
    if (!pausing) end(DEADLOCK);
    if (S.stutters > STUTTERS * S.count) end(LIVELOCK);
    do S.turn = (S.turn + 1) % S.count; while (S.cpus[S.turn].state != PAUSES);
    out[0] = (uint8_t)(2 * S.turn);
    return 1;
}

/* ---- policies: which of the enabled entities */

static uint32_t by_chance(const uint8_t *list, uint32_t n) {
    S.wake = S.steps + 1 + (S.gap ? below((uint32_t)(2 * S.gap)) : 0);
    return list[n == 1 ? 0 : below(n)];
}

static uint32_t by_priority(struct cpu *c, const uint8_t *list, uint32_t n) {
    uint32_t best = list[0];
    if (c && S.passed < S.depth && S.steps >= S.points[S.passed]) {
        S.priority[2 * (c - S.cpus)] = LOWERED + S.depth - S.passed;
        S.passed++;
    }
    for (uint32_t i = 1; i < n; i++)
        if (S.priority[list[i]] > S.priority[best]) best = list[i];
    S.wake = S.passed < S.depth ? S.points[S.passed] : S.limit;
    for (uint32_t i = 0; i < S.count; i++) {
        struct cpu *other = &S.cpus[i];
        if (other->armed && other->deadline > now() && other->deadline - S.base < S.wake)
            S.wake = other->deadline - S.base;
    }
    return best;
}

static bool independent(const struct access *a, const struct access *b) {
    if (!a->address || !b->address) return false;
    return a->address >> 3 != b->address >> 3 || !((a->kind | b->kind) & WRITES);
}

static struct access next_of(uint32_t entity) {
    struct cpu *c = &S.cpus[entity / 2];
    struct access interrupt = {0, WRITES, 0};
    return entity & 1 || c->state != RUNS ? interrupt : c->next;
}

/* Depth first.  A node is a point with more than one alternative; the first is to go on. */
static uint32_t by_turns(struct cpu *c, const uint8_t *list, uint32_t n) {
    uint8_t options[MAX_ENTITIES];
    uint32_t count = 0, current = c ? (uint32_t)(2 * (c - S.cpus)) : MAX_ENTITIES, chosen;
    bool goes_on = c && can_run(c) && c->state == RUNS;
    struct node *node;
    S.wake = 0;
    if (goes_on && !(S.sleep >> current & 1)) options[count++] = (uint8_t)current;
    if (!goes_on || S.preempted < S.bound)
        for (uint32_t odd = 2; odd-- > 0;)      /* interrupts first: what waits may wait for one */
            for (uint32_t i = 0; i < n; i++)
                if ((list[i] & 1) == odd && (list[i] != current || !goes_on)
                    && !(S.sleep >> list[i] & 1)) options[count++] = list[i];
    if (!count) {                       /* all that could be done was done in another order */
        S.redundant++;
        end(REDUNDANT);
    }
    if (count > 1) {
        node = &S.node[S.at_node];
        if (S.at_node < S.nodes) {
            if (!node->count) {
                node->count = (uint8_t)count;
                memcpy(node->entities, options, count);
            }
            if (node->count != count || node->at >= count
                || memcmp(node->entities, options, count)) end(DIVERGED);
        } else {
            if (S.nodes == MAX_NODES) end(TOO_LONG);
            S.nodes++;
            node->count = (uint8_t)count;
            node->at = 0;
            memcpy(node->entities, options, count);
        }
        S.at_node++;
        chosen = options[node->at];
        if (S.reduce)                   /* siblings explored before are asleep below this one */
            for (uint32_t i = 0; i < node->at; i++) {
                S.sleep |= 1u << options[i];
                S.sleeping[options[i]] = next_of(options[i]);
            }
    } else chosen = options[0];
    if (S.reduce && S.sleep) {
        struct access step = next_of(chosen);
        for (uint32_t e = 0; e < 2 * S.count; e++)
            if (S.sleep >> e & 1 && (e / 2 == chosen / 2 || !independent(&S.sleeping[e], &step)))
                S.sleep &= ~(1u << e);
    }
    S.preempted += goes_on && chosen != current;
    return chosen;
}

/* The next path of the search; false when all were taken. */
static bool next_path(void) {
    while (S.nodes) {
        struct node *node = &S.node[S.nodes - 1];
        if (++node->at < node->count) return true;
        S.nodes--;
    }
    return false;
}

/* While booting: one CPU until it waits, then the next. */
static uint32_t by_number(struct cpu *c) {
    S.wake = 0;
    if (c && c->state == RUNS && !c->parked && !(c->takes && pending(c))) return 2 * (c - S.cpus);
    for (uint32_t i = 0; i < S.count; i++) {
        struct cpu *other = &S.cpus[i];
        if (!other->parked && other->takes && pending(other)) return 2 * i + 1;
    }
    for (uint32_t i = 0; i < S.count; i++)
        if (S.cpus[i].state == RUNS && !S.cpus[i].parked) return 2 * i;
    for (uint32_t i = 0; i < S.count; i++) {
        uint32_t other = (S.turn + i) % S.count;
        if (S.cpus[other].state == PAUSES && !S.cpus[other].parked) {
            S.turn = other + 1;
            return 2 * other;
        }
    }
    end(BOOTED);                        /* the first resumption of `c` in a run returns here */
    return 2 * (S.cur - S.cpus) + S.cur->deliver;
}

static uintptr_t thread_of(const struct cpu *c) {
    return *(uintptr_t *)(S.curthread + c->offset);
}

/* A replay stands at the step it was to stop at: for a debugger's breakpoint. */
void sim_stopped(void) __attribute__((noinline));
void sim_stopped(void) { __asm__ volatile(""); }

/* For a replay's story: what this CPU does now, or that it is interrupted. */
static void note(const struct cpu *c, bool interrupted) {
    struct step *s;
    if (!S.tracing || S.traced == TRACE) return;
    s = &S.trace[S.traced++];
    s->entity = (uint8_t)(2 * (c - S.cpus) + interrupted);
    s->thread = thread_of(c);
    s->access = c->next;
    if (S.traced == S.stop) sim_stopped();
}

/* The `n` oldest stores of a CPU become visible. */
static void drain(struct cpu *c, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) memcpy(c->buffer[i].where, &c->buffer[i].value,
                                            c->buffer[i].size);
    c->buffered -= n;
    memmove(c->buffer, c->buffer + n, c->buffered * sizeof *c->buffer);
    if (n) S.changes++;
    if (n && S.policy == PCT) S.wake = 0;
}

static void drain_by_chance(void) {
    for (uint32_t i = 0; i < S.count; i++)
        if (S.cpus[i].buffered && !below(8)) drain(&S.cpus[i], 1);
}

static uint32_t choose(struct cpu *c) {
    uint8_t list[MAX_ENTITIES];
    uint32_t n, chosen;
    if (S.policy == BOOT) return by_number(c);
    if (S.steps >= S.limit) {
        if (S.policy != PCT) end(TOO_LONG);     /* a search counts it, and goes on */
        S.policy = RANDOM;              /* perhaps only unfair: by chance from here on */
        S.gap = 8;
        S.limit *= 2;
        S.truncated++;
    }
    if (S.tso) drain_by_chance();
    n = enabled(list);
    if (!n) n = quiet(list);
    chosen = S.policy == RANDOM ? by_chance(list, n)
        : S.policy == PCT ? by_priority(c, list, n) : by_turns(c, list, n);
    return chosen;
}

/* ---- schedule points */

static void deliver(struct cpu *c) {
    static uint64_t frame[32];
    uint32_t kinds[2 + VECTOR_WORDS], n = 0, kind;
    if (c->ipi) kinds[n++] = 0;
    if (due(c)) kinds[n++] = 1;
    for (uint32_t i = 0; i < VECTOR_WORDS; i++) if (c->vectors[i]) kinds[n++] = 2 + i;
    if (!n) return;
    kind = kinds[n > 1 && S.policy != EXHAUSTIVE ? below(n) : 0];
    note(c, true);
    drain(c, c->buffered);
    c->takes = 0;
    c->state = RUNS;
    if (kind == 0) {
        c->ipi = 0;
        kernel_ipi(frame);
    } else if (kind == 1) {
        c->armed = 0;
        if (c->deadline > now()) {
            S.base += c->deadline - now();
            S.hasty--;
        }
        kernel_timer(frame);
    } else {
        uint32_t bit = (uint32_t)__builtin_ctzll(c->vectors[kind - 2]);
        c->vectors[kind - 2] &= c->vectors[kind - 2] - 1;
        kernel_interrupt(frame, 64 * (kind - 2) + bit);
    }
    S.cur->takes = 1;
}

/* Ask the policy, as CPU `c`; returns when it goes on, interrupts that came served. */
static void decide(struct cpu *c) {
    for (;;) {
        uint32_t entity = choose(c);
        struct cpu *to = &S.cpus[entity / 2];
        bool waited = c->state != RUNS;
        to->deliver = entity & 1;
        if (to != c) resume(&c->sp, to);
        if (!c->deliver) return;
        c->deliver = 0;
        deliver(c);
        if (waited) return;
    }
}

/* What the last access wrote is there now: who pauses may look again. */
static inline void settle(struct cpu *c) {
    if (c->wrote) {
        c->wrote = 0;
        S.changes++;
        if (S.policy == PCT) S.wake = 0;
    }
}

static inline bool own(const struct cpu *c, uintptr_t at) {
    return at - S.percpu - (uintptr_t)c->offset < S.percpu_size
        || at - thread_of(c) < S.thread_size
        || (at ^ (uintptr_t)__builtin_frame_address(0)) >> STACK_SHIFT == 0;
}

static void point(uint32_t site, uintptr_t address, uint32_t kind) {
    struct cpu *c = S.cur;
    c->next = (struct access){site, kind, address};
    S.alone = 0;
    if (++S.steps >= S.wake) decide(c);
    note(S.cur, false);
}

/* Plain stores do not wait, so none may overtake; a plain load sees what its CPU stored. */
static void before_plain(struct cpu *c, uintptr_t where, uint32_t kind) {
    bool all = (kind & WRITES) && !own(c, where);
    for (uint32_t i = 0; !all && i < c->buffered; i++)
        all = where >> 3 == (uintptr_t)c->buffer[i].where >> 3;
    if (all) drain(c, c->buffered);
}

/* The frame that this CPU finds a page of kernel space in, by its TLB or by the page table. */
static uint64_t walk(uint64_t page) {
    uint64_t *entry = &S.tlb[(uint64_t)(S.cur - S.cpus) * (S.space_size / PAGE) + page];
    if (!*entry) *entry = S.table[page];
    return *entry;
}

static void translate(uintptr_t where) {
    uint64_t page = (where - S.space) / PAGE, found = walk(page);
    if (!found) end(UNMAPPED);
    if (found != S.table[page]) end(STALE);
}

/* ---- accesses that are wrong whatever comes of them */

static bool excused(uint32_t site) {
    uint32_t at = site % EXCUSED;
    while (S.excused[at] && S.excused[at] != site) at = (at + 1) % EXCUSED;
    return S.excused[at] == site;
}

static void conflict(uintptr_t where, uint32_t result, uint32_t cpu, uint32_t site,
                     uint32_t other_cpu, uint32_t other_site) {
    S.conflict.address = where;
    S.conflict.cpu[0] = other_cpu;
    S.conflict.site[0] = other_site;
    S.conflict.cpu[1] = cpu;
    S.conflict.site[1] = site;
    end(result);
}

/* X9 */
static inline void guard(const struct cpu *c, uintptr_t where, uint32_t site, uint32_t kind) {
    uintptr_t at = where - S.percpu - (uintptr_t)c->offset, thread;
    if (S.policy == BOOT || !c->takes) return;
    thread = *(uintptr_t *)(S.curthread + c->offset);
    if (*(uint32_t *)(thread + S.critcount)) return;
    if (at < S.percpu_size) {
        if (kind & ORDERED || !(S.owned[at >> 6] >> (at >> 3 & 7) & 1)) return;
    } else {
        uint32_t i = 0;
        while (i < S.places && (S.disowned >> i & 1
                                || where - S.place[i].start >= S.place[i].size)) i++;
        if (i == S.places || (kind & (WRITES | ORDERED)) == ORDERED) return;
    }
    if (!excused(site)) conflict(where, UNGUARDED, (uint32_t)(c - S.cpus), site, 0, 0);
}

static struct word *word_at(uintptr_t address) {
    uint64_t at = address * 0x9E3779B97F4A7C15u >> 48;
    for (uint32_t i = 0; i < WORDS; i++, at = (at + 1) % WORDS) {
        struct word *w = &S.word[at];
        if (w->run == S.run_number && w->address != address) continue;
        if (w->run != S.run_number) {
            memset(w, 0, sizeof *w);
            w->run = S.run_number;
            w->address = address;
        }
        return w;
    }
    __builtin_trap();
}

/* X10: which kinds of access conflict with a plain read, a plain write, an ordered read, ... */
static const uint8_t CONFLICTS[4] = {2 | 8, 1 | 2 | 4 | 8, 2, 1 | 2};

static void raced(const struct cpu *c, uint32_t site, uintptr_t where, uint32_t kind) {
    uint32_t cpu = (uint32_t)(c - S.cpus);
    struct word *w;
    if (cpu >= RACED || S.policy == BOOT || !where || excused(site)) return;
    w = word_at(where);
    for (uint32_t write = 0; write < 2; write++) {
        uint32_t own_kind = (kind & ORDERED ? 2 : 0) + write;
        if (!(kind & (write ? WRITES : READS))) continue;
        for (uint32_t k = 0; k < 4; k++)
            for (uint32_t i = 0; i < RACED; i++)
                if (i != cpu && CONFLICTS[own_kind] >> k & 1 && w->when[k][i] > S.clock[cpu][i])
                    conflict(where, RACE, cpu, site, i, w->site[k][i]);
        w->when[own_kind][cpu] = S.clock[cpu][cpu];
        w->site[own_kind][cpu] = site;
    }
}

static void learn(uint32_t *to, const uint32_t *from) {
    for (uint32_t i = 0; i < RACED; i++) if (from[i] > to[i]) to[i] = from[i];
}

/* X10: an operation with an order has been done. */
static void ordered(uintptr_t where, bool reads, bool writes, uint32_t order) {
    uint32_t cpu;
    struct word *w;
    if (!S.cur || !S.races || S.policy == BOOT) return;
    cpu = (uint32_t)(S.cur - S.cpus);
    if (cpu >= RACED) return;
    w = word_at(where);
    if (reads && order != 0 && order != 2) learn(S.clock[cpu], w->released);
    if (!writes) return;
    if (!reads) memset(w->released, 0, sizeof w->released);
    if (order >= 2) {
        learn(w->released, S.clock[cpu]);
        S.clock[cpu][cpu]++;
    }
}

void hook_yield(uint32_t site, void *where, uint32_t kind) __asm__("kpy.hook.yield");
void hook_yield(uint32_t site, void *where, uint32_t kind) {
    struct cpu *c = S.cur;
    if (!c || S.telling) return;
    settle(c);
    if (c->buffered && !(kind & ORDERED)) before_plain(c, (uintptr_t)where, kind);
    if (!(kind & ORDERED) && own(c, (uintptr_t)where)) {
        if (++S.alone > ALONE) end(LIVELOCK);
        guard(c, (uintptr_t)where, site, kind);
        if (c->takes && pending(c)) point(site, 0, 0);      /* X5 */
        if (S.races) raced(S.cur, site, (uintptr_t)where, kind);
        return;
    }
    if (S.places) guard(c, (uintptr_t)where, site, kind);
    c->wrote = (kind & WRITES) != 0;
    c->touched = 1;
    point(site, (uintptr_t)where, kind);
    if (S.races) raced(S.cur, site, (uintptr_t)where, kind);
    if ((uintptr_t)where - S.space < S.space_size) translate((uintptr_t)where);
}

void hook_pause(uint32_t site) __asm__("kpy.hook.pause");
void hook_pause(uint32_t site) {
    struct cpu *c = S.cur;
    if (!c) return;
    settle(c);
    drain(c, c->buffered);
    if (!c->touched && ++c->delays % DELAY_ROUNDS) return;
    c->touched = 0;
    c->state = PAUSES;
    c->seen = S.changes;
    S.base += PAUSE_TICKS;
    if (S.policy == PCT) S.priority[2 * (c - S.cpus)] = --S.lowest;
    S.wake = 0;
    point(site, 0, 0);
    S.cur->state = RUNS;
}

/* Whether this mutant is the one that is awake (toolchain/lower/mutate.py). */
bool hook_mutant(uint32_t number) __asm__("kpy.hook.mutant");
bool hook_mutant(uint32_t number) {
    if (!S.cur) return false;
    if (S.noting) {
        uint32_t at = number % MET;
        while (S.met[at] && S.met[at] != number) at = (at + 1) % MET;
        S.met[at] = number;
    }
    if (number != S.mutant) return false;
    if (++S.alone > ALONE) end(LIVELOCK);
    return true;
}

static void note_event(uint32_t event, uint32_t kind, uint64_t address, uint64_t before,
                       uint64_t after) {
    if (!S.tracing || !S.cur || S.operated == TRACE) return;
    S.operations[S.operated++] = (struct operation){
        (uint32_t)(S.cur - S.cpus), kind, address, before, after, S.traced, event};
}

static void note_operation(uint32_t kind, uint64_t address, uint64_t before, uint64_t after) {
    note_event(0, kind, address, before, after);
}

/* The kernel's own trace is off, and a replay must not differ from the run: so it is kept here, and
 * what is read only for it is no access.  on() is followed by one _write(). */
bool hook_ktr_on(uint16_t event) __asm__("kpy.hook.ktr_on.kernel.lwkt.ktr.on");
bool hook_ktr_on(uint16_t event) {
    bool on = kernel_ktr_on(event);
    if (!S.cur || !S.tracing || event >> 8 == TOKEN_CLASS) return on;
    S.telling = 1;
    return true;
}

void hook_ktr_write(uint16_t event, uint64_t a, uint64_t b)
    __asm__("kpy.hook.ktr_write.kernel.lwkt.ktr._write");
void hook_ktr_write(uint16_t event, uint64_t a, uint64_t b) {
    if (!S.telling) {
        kernel_ktr_write(event, a, b);
        return;
    }
    S.telling = 0;
    note_event(event, EVENT, thread_of(S.cur), a, b);
}

#define ATOMIC(T) { \
    T *p = where, old = *p; \
    switch (kind) { \
    case 0: break; \
    case 1: case 2: *p = (T)a; break; \
    case 3: *p = (T)(old + (T)a); break; \
    case 4: *p = (T)(old - (T)a); break; \
    case 5: *p = old & (T)a; break; \
    case 6: *p = old | (T)a; break; \
    case 7: *p = old ^ (T)a; break; \
    default: if (old == (T)a) *p = (T)b; else if (S.cur) S.cur->wrote = 0; \
    } \
    note_operation(kind, (uintptr_t)where, old, *p); \
    return old; }

/* What store buffers change of an operation; true where that is all of it. */
static bool through_buffer(struct cpu *c, uint32_t kind, void *where, uint32_t size, uint64_t a,
                           uint32_t order, uint64_t *value) {
    if (kind == FENCE) {
        if (order == SEQ_CST && !S.no_fences) drain(c, c->buffered);
        return true;
    }
    if (kind == 0) {                    /* a load: the newest store of our own, or memory */
        for (uint32_t i = c->buffered; i-- > 0;) {
            struct store *s = &c->buffer[i];
            uintptr_t theirs = (uintptr_t)s->where, ours = (uintptr_t)where;
            if (theirs + s->size <= ours || ours + size <= theirs) continue;
            if (s->where == where && s->size == size) {
                *value = s->value;
                return true;
            }
            drain(c, c->buffered);      /* a part of it */
            return false;
        }
        return false;
    }
    if (kind != 1 || order == SEQ_CST) {
        drain(c, c->buffered);
        return false;
    }
    if (c->buffered == BUFFER) drain(c, 1);
    c->buffer[c->buffered++] = (struct store){where, a, size};
    note_operation(kind, (uintptr_t)where, a, a);
    c->wrote = 0;
    return true;
}

/* One host thread: between two schedule points everything is atomic. */
static uint64_t operate(uint32_t kind, void *where, uint32_t size, uint64_t a, uint64_t b) {
    switch (size) {
    case 1: ATOMIC(uint8_t)
    case 2: ATOMIC(uint16_t)
    case 4: ATOMIC(uint32_t)
    default: ATOMIC(uint64_t)
    }
}

uint64_t hook_atomic(uint32_t kind, void *where, uint32_t size, uint64_t a, uint64_t b,
                     uint32_t order) __asm__("kpy.hook.atomic");
uint64_t hook_atomic(uint32_t kind, void *where, uint32_t size, uint64_t a, uint64_t b,
                     uint32_t order) {
    struct cpu *c = S.cur;
    uint64_t value = 0;
    if (c && S.tso && through_buffer(c, kind, where, size, a, order, &value)) return value;
    if (kind == FENCE) return 0;
    value = operate(kind, where, size, a, b);
    if (S.races) ordered((uintptr_t)where, kind != 1, kind && !(kind >= CAS && value != a), order);
    return value;
}

uint64_t hook_load(const void *where, uint32_t size) __asm__("kpy.hook.volatile_load");
uint64_t hook_load(const void *where, uint32_t size) {
    uint64_t value = 0;
    memcpy(&value, where, size);
    ordered((uintptr_t)where, true, false, 1);
    return value;
}

void hook_store(void *where, uint32_t size, uint64_t value) __asm__("kpy.hook.volatile_store");
void hook_store(void *where, uint32_t size, uint64_t value) {
    memcpy(where, &value, size);
    ordered((uintptr_t)where, false, true, 2);
}

void hook_crit_enter(void) __asm__("kpy.hook.crit_enter.kernel.lwkt.crit.crit_enter");
void hook_crit_enter(void) {
    if (S.cur && S.cur->takes && pending(S.cur)) point(0, 0, 0);
    kernel_crit_enter();
}

void hook_crit_exit(void) __asm__("kpy.hook.crit_exit.kernel.lwkt.crit.crit_exit");
void hook_crit_exit(void) { kernel_crit_exit(); }

/* Not by way of Python, on whose stack no other CPU can go on; in builds that have memory. */
__asm__(".text\n.weak \"kernel.mem.page.wait\"\n"
        ".globl \"kpy.hook.page_wait.kernel.mem.page.wait\"\n"
        ".type \"kpy.hook.page_wait.kernel.mem.page.wait\", @function\n"
        "\"kpy.hook.page_wait.kernel.mem.page.wait\":\n"
        "  jmp *\"kernel.mem.page.wait\"@GOTPCREL(%rip)\n");

/* ---- the machine contract */

#define CONTRACT(name) __asm__("kernel.machine.contract." name)

void intr_disable(void) CONTRACT("intr_disable");
void intr_disable(void) {
    if (!S.cur) return;
    if (S.cur->takes && pending(S.cur)) point(0, 0, 0);     /* what comes just before */
    S.cur->takes = 0;
}

void intr_enable(void) CONTRACT("intr_enable");
void intr_enable(void) {
    if (!S.cur) return;
    S.cur->takes = 1;
    if (pending(S.cur)) point(0, 0, 0);
}

bool intr_enabled(void) CONTRACT("intr_enabled");
bool intr_enabled(void) { return S.cur && S.cur->takes; }

void idle_halt(void) CONTRACT("idle_halt");
void idle_halt(void) {
    struct cpu *c = S.cur;
    settle(c);
    drain(c, c->buffered);
    c->takes = 1;
    c->state = HALTS;
    S.steps++;
    decide(c);
}

uint64_t cputimer_count(void) CONTRACT("cputimer_count");
uint64_t cputimer_count(void) { return now(); }

uint64_t cputimer_hz(void) CONTRACT("cputimer_hz");
uint64_t cputimer_hz(void) { return 1000000; }

void cputimer_arm(uint64_t ticks) CONTRACT("cputimer_arm");
void cputimer_arm(uint64_t ticks) {
    if (!S.cur) return;
    S.cur->armed = 1;
    S.cur->deadline = now() + ticks;
    if (S.policy == PCT) S.wake = 0;
}

void ipi_send(uint32_t cpu) CONTRACT("ipi_send");
void ipi_send(uint32_t cpu) {
    struct cpu *c = S.cur;
    if (!c || cpu >= S.count) return;
    settle(c);
    drain(c, c->buffered);              /* the interrupt controller's registers are uncached */
    point(0, (uintptr_t)&S.cpus[cpu], WRITES | ORDERED);
    S.cpus[cpu].ipi = 1;
    note_operation(DOORBELL, cpu, 0, 0);
    if (S.policy == PCT) S.wake = 0;
}

uint64_t phys_to_virt(uint64_t pa) CONTRACT("phys_to_virt");
uint64_t phys_to_virt(uint64_t pa) { return S.physmap + pa; }

uint64_t virt_to_phys(uint64_t va) CONTRACT("virt_to_phys");
uint64_t virt_to_phys(uint64_t va) { return va - S.physmap; }

/* A step on the page table, or on this CPU's TLB, which others do not see. */
static uint64_t table_step(uint64_t va, bool shared) {
    uint64_t page = (va - S.space) / PAGE;
    if (S.cur) {
        settle(S.cur);
        drain(S.cur, S.cur->buffered);
        point(0, shared ? (uintptr_t)&S.table[page] : 0, shared ? WRITES | ORDERED : 0);
    }
    return page;
}

/* Serialized for each 2 MiB of addresses, says the contract: as if it wrote a word of them (X10). */
bool pmap_enter(uint64_t va, uint64_t pa, uint32_t prot) CONTRACT("pmap_enter");
bool pmap_enter(uint64_t va, uint64_t pa, uint32_t prot) {
    (void)prot;
    uint64_t page = table_step(va, true);
    if (S.cur && S.races) raced(S.cur, 1, (uintptr_t)(va >> 21 << 21) + 1, WRITES);
    S.table[page] = pa;
    return true;
}

uint64_t pmap_remove(uint64_t va) CONTRACT("pmap_remove");
uint64_t pmap_remove(uint64_t va) {
    uint64_t page = table_step(va, true), before = S.table[page];
    S.table[page] = 0;
    return before;
}

uint64_t pmap_extract(uint64_t va) CONTRACT("pmap_extract");
uint64_t pmap_extract(uint64_t va) {
    if (va - S.physmap < S.ram) return va - S.physmap;
    return va - S.space < S.space_size ? S.table[(va - S.space) / PAGE] + va % PAGE : 0;
}

void pmap_invalidate(uint64_t va, uint64_t pages) CONTRACT("pmap_invalidate");
void pmap_invalidate(uint64_t va, uint64_t pages) {
    uint64_t page = table_step(va, false);
    uint64_t *tlb = &S.tlb[(S.cur ? (uint64_t)(S.cur - S.cpus) : 0) * (S.space_size / PAGE)];
    memset(tlb + page, 0, pages * sizeof *tlb);
}

void intr_mask(uint32_t cpu, uint32_t vector) CONTRACT("intr_mask");
void intr_mask(uint32_t cpu, uint32_t vector) { (void)cpu, (void)vector; }

void intr_unmask(uint32_t cpu, uint32_t vector) CONTRACT("intr_unmask");
void intr_unmask(uint32_t cpu, uint32_t vector) { (void)cpu, (void)vector; }

void cpu_ready(void) CONTRACT("cpu_ready");
void cpu_ready(void) {}

/* ---- what a scenario's threads call */

/* A thread of the scenario begins: booting ends here, for this CPU. */
void sim_begin(void) {
    struct cpu *c = S.cur;
    if (S.policy != BOOT) return;
    c->parked = 1;
    decide(c);
    S.cur->parked = 0;
}

/* A thread is done.  With the last one the run is over, or goes on until all CPUs halt. */
void sim_done(void) {
    if (--S.left == 0 && !S.to_quiescence) end(DONE);
}

/* A device interrupts. */
void sim_interrupt(uint32_t cpu, uint32_t vector) {
    S.cpus[cpu].vectors[vector / 64] |= 1ull << vector % 64;
    if (S.policy == PCT) S.wake = 0;
}

/* A point of the scenario's own, which may be anywhere. */
void sim_point(void) { if (S.cur) { settle(S.cur); point(0, 0, 0); } }

/* Wait for something that others do, without busy work of the kernel's. */
void sim_wait(void) { if (S.cur) { S.cur->touched = 1; hook_pause(0); } }

/* ---- memory that is put back */

static void mark(size_t i, size_t page) {
    char *start = S.region[i].start, *low = (char *)page, *high = low + PAGE;
    char *stop = start + S.region[i].size;
    if (low < start) low = start;
    if (high > stop) high = stop;
    mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE);
    if (S.hot == MAX_HOT) __builtin_trap();
    S.pages[S.hot].to = low;
    S.pages[S.hot].from = S.region[i].copy + (low - start);
    S.pages[S.hot++].size = (size_t)(high - low);
}

/* The first write to a page since memory was kept: from now on it is put back. */
static void on_fault(int number, siginfo_t *info, void *context) {
    uintptr_t at = (uintptr_t)info->si_addr, page = at & -(uintptr_t)PAGE;
    bool found = false;
    for (uint32_t i = 0; i < S.regions; i++) {
        uintptr_t start = (uintptr_t)S.region[i].start & -(uintptr_t)PAGE;
        uintptr_t stop = (uintptr_t)S.region[i].start + S.region[i].size;
        if (page < start || page >= stop) continue;
        for (uint32_t k = 0; !found && k < S.hot; k++)
            if (((uintptr_t)S.pages[k].to & -(uintptr_t)PAGE) == page) goto real;
        found = true;
    }
    if (found) {
        for (uint32_t i = 0; i < S.regions; i++) {
            uintptr_t start = (uintptr_t)S.region[i].start & -(uintptr_t)PAGE;
            uintptr_t stop = (uintptr_t)S.region[i].start + S.region[i].size;
            if (page >= start && page < stop) mark(i, page);
        }
        return;
    }
real:
    if (S.before.sa_flags & SA_SIGINFO) S.before.sa_sigaction(number, info, context);
    else signal(SIGSEGV, SIG_DFL);
}

static void catch_writes(void) {
    struct sigaction now_set, ours = {0};
    sigaction(SIGSEGV, 0, &now_set);
    if ((now_set.sa_flags & SA_SIGINFO) && now_set.sa_sigaction == on_fault) return;
    S.before = now_set;
    ours.sa_sigaction = on_fault;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&ours.sa_mask);
    sigaction(SIGSEGV, &ours, 0);
}

/* Memory for stacks and per-CPU copies; aligned as a stack. */
uint64_t sim_memory(uint64_t size) {
    size_t align = (size_t)1 << STACK_SHIFT;
    char *found = mmap(0, size + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) return 0;
    return ((uintptr_t)found + align - 1) & -align;
}

/* What lies there is put back by every reset. */
void sim_region(uint64_t start, uint64_t size) {
    if (S.regions == MAX_REGIONS) __builtin_trap();
    S.region[S.regions].start = (char *)(uintptr_t)start;
    S.region[S.regions++].size = size;
}

/* Give the machine `ram` bytes of memory, from address 0 on, and so much room to map pages in.
 * A page that is mapped there has storage of its own: it is not the frame's by another name. */
void sim_ram(uint64_t ram, uint64_t space) {
    size_t entries = space / PAGE * sizeof(uint64_t), tables = entries * (1 + MAX_CPUS);
    S.physmap = sim_memory(ram);
    S.space = sim_memory(space);
    S.table = (uint64_t *)(uintptr_t)sim_memory(tables);
    S.tlb = S.table + space / PAGE;
    S.ram = ram;
    S.space_size = space;
    sim_region(S.physmap, ram);
    sim_region(S.space, space);
    sim_region((uintptr_t)S.table, tables);
}

uint64_t sim_space(void) { return S.space; }

/* The frame in which this CPU finds the page at `va`, for a scenario to compare. */
uint64_t sim_frame_of(uint64_t va) {
    sim_point();
    return walk((va - S.space) / PAGE);
}

/* Copy to memory that is still zero.  Most of a machine's is unused: pages of zeros stay unwritten,
 * and so cost nothing, in the copy of each scenario. */
static void copy_used(char *to, const char *from, size_t size) {
    for (size_t at = 0; at < size; at += PAGE) {
        size_t part = size - at < PAGE ? size - at : PAGE;
        bool zeros = !from[at] && !memcmp(from + at, from + at + 1, part - 1);
        if (!zeros) memcpy(to + at, from + at, part);
    }
}

static void keep(void) {
    uintptr_t page;
    catch_writes();
    for (uint32_t i = 0; i < S.regions; i++) {
        size_t size = S.region[i].size;
        S.region[i].copy = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                                0);
        copy_used(S.region[i].copy, S.region[i].start, size);
    }
    memcpy(S.kept.cpus, S.cpus, sizeof S.cpus);
    S.kept.base = S.base + S.steps;
    S.kept.left = S.left;
    S.hot = 0;
    for (uint32_t i = 0; i < S.regions; i++) {
        page = (uintptr_t)S.region[i].start & -(uintptr_t)PAGE;
        mprotect((void *)page, (uintptr_t)S.region[i].start + S.region[i].size - page, PROT_READ);
    }
}

static void reset(void) {
    for (uint32_t i = 0; i < S.hot; i++) memcpy(S.pages[i].to, S.pages[i].from, S.pages[i].size);
    memcpy(S.cpus, S.kept.cpus, S.count * sizeof(struct cpu));
    S.base = S.kept.base;
    S.left = S.kept.left;
    S.steps = S.wake = S.traced = S.operated = S.telling = S.alone = 0;
    S.stutters = S.jumps = S.turn = 0;
    S.changes = S.quiet_changes = 1;
    S.hasty = S.hasty_ticks;
    S.run_number++;
    memset(S.clock, 0, sizeof S.clock);
    for (uint32_t i = 0; i < RACED; i++) S.clock[i][i] = 1;
    S.disowned = S.at_node = S.preempted = S.sleep = S.passed = 0;
}

/* ---- what Python calls (through world.py) */

/* Say where things are: per-CPU storage, gd.curthread in it; a thread's size, its critcount. */
void sim_layout(uint64_t percpu, uint64_t size, uint64_t curthread, uint64_t thread_size,
                uint64_t critcount) {
    S.critcount = critcount;
    S.percpu = percpu;
    S.percpu_size = size;
    S.curthread = curthread;
    S.thread_size = thread_size;
}

/* One more CPU, which begins on the stack that ends at `top`. */
void sim_add_cpu(int64_t offset, uint64_t top) {
    struct cpu *c = &S.cpus[S.count++];
    uint64_t *frame = (uint64_t *)(uintptr_t)top - 8;
    memset(c, 0, sizeof *c);
    memset(frame, 0, 8 * sizeof *frame);
    frame[6] = (uintptr_t)first_code;
    c->sp = frame;
    c->offset = offset;
    c->state = RUNS;
}

/* Boot the CPUs until each stands before its first thread; keep what memory holds. */
uint32_t sim_boot(uint32_t threads, bool to_quiescence, uint32_t hasty) {
    S.policy = BOOT;
    S.hasty_ticks = hasty;
    S.left = threads;
    S.to_quiescence = to_quiescence;
    S.steps = S.wake = 0;
    S.limit = ~0ull;
    S.changes = 1;
    S.length = 100;
    S.result = DONE;
    resume(&S.main_sp, &S.cpus[0]);
    if (S.result == BOOTED) keep();
    return S.result;
}

/* X10: have what is known of addresses, or give it back: it is much for each of many scenarios. */
static void watch(bool on) {
    size_t size = WORDS * sizeof *S.word;
    if (on && S.races && !S.word) {
        void *found = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (found == MAP_FAILED) __builtin_trap();
        S.word = found;
    }
    if (on || !S.word) return;
    munmap(S.word, size);
    S.word = 0;
}

static void prepare(uint64_t seed) {
    S.random = mixed(seed) | 1;
    if (S.policy == RANDOM) S.gap = (1u << below(5)) - 1;
    if (S.policy != PCT) return;
    S.lowest = LOWERED;
    for (uint32_t i = 0; i < 2 * S.count; i++) S.priority[i] = 2 * LOWERED + below(1u << 30);
    for (uint32_t i = 0; i < S.depth; i++) {
        uint64_t at = 1 + below((uint32_t)S.length), k = i;
        for (; k && S.points[k - 1] > at; k--) S.points[k] = S.points[k - 1];
        S.points[k] = at;
    }
}

static uint32_t run(uint32_t policy, uint64_t limit) {
    uint32_t entity;
    S.policy = policy;
    S.limit = limit;
    entity = choose(0);
    S.cpus[entity / 2].deliver = entity & 1;
    resume(&S.main_sp, &S.cpus[entity / 2]);
    for (uint32_t i = 0; i < S.count; i++) drain(&S.cpus[i], S.cpus[i].buffered);
    S.total += S.steps;
    if (S.steps > S.longest) S.longest = S.steps;
    return S.result;
}

/* `count` runs from `seed` on.  Returns how the last one ended: DONE unless it failed. */
uint32_t sim_explore(uint32_t policy, uint64_t seed, uint64_t count, uint32_t depth,
                     uint64_t length, uint64_t limit) {
    catch_writes();
    watch(true);
    S.runs = S.total = S.longest = S.truncated = 0;
    S.depth = depth;
    S.length = length;
    S.tracing = 0;
    for (uint64_t i = 0; i < count; i++) {
        reset();
        S.policy = policy;
        prepare(seed + i);
        if (run(policy, limit) != DONE) return S.result;
        world_check();
        S.runs++;
    }
    watch(false);
    return DONE;
}

/* All schedules with at most `bound` preemptions, or `most` of them.  EXHAUSTED: there are no
 * more; `reduce` leaves out those that differ in the order of independent steps only. */
uint32_t sim_search(uint32_t bound, bool reduce, uint64_t most, uint64_t limit) {
    catch_writes();
    S.runs = S.total = S.longest = S.redundant = S.truncated = S.nodes = S.tracing = 0;
    S.bound = bound;
    S.reduce = reduce;
    for (S.runs = 0; S.runs < most;) {
        reset();
        S.random = 1;
        if (run(EXHAUSTIVE, limit) == DONE) world_check();
        else if (S.result == TOO_LONG) S.truncated++;
        else if (S.result != REDUNDANT) return S.result;
        S.runs++;
        if (!next_path()) return EXHAUSTED;
    }
    return DONE;
}

/* The run that ended an exploration again, noting each step. */
uint32_t sim_replay(uint32_t policy, uint64_t seed, uint32_t depth, uint64_t length,
                    uint64_t limit) {
    catch_writes();
    watch(true);
    reset();
    S.depth = depth;
    S.length = length;
    S.tracing = 1;
    S.policy = policy;
    if (policy != EXHAUSTIVE) prepare(seed);
    if (run(policy, limit) == DONE) world_check();
    return S.result;
}

/* Whether stores may wait in buffers; whether full fences do nothing, to see what needs them;
 * whether races are looked for (X10). */
void sim_model(bool store_buffers, bool no_fences, bool races) {
    S.tso = store_buffers;
    S.no_fences = no_fences;
    S.races = races;
}

/* `size` bytes are this CPU's in its critical sections (X9); if they lie in its per-CPU storage,
 * so do those of the others. */
void sim_owned(uint64_t start, uint64_t size) {
    uintptr_t at = start - S.percpu - (uintptr_t)S.cur->offset;
    if (at < S.percpu_size) {
        if (at + size > 8 * OWNED) __builtin_trap();
        for (uint64_t i = at >> 3; i < (at + size) >> 3; i++)
            S.owned[i >> 3] |= (uint8_t)(1 << (i & 7));
    } else {
        if (S.places == PLACES) __builtin_trap();
        S.place[S.places].start = start;
        S.place[S.places++].size = size;
    }
}

/* The bytes at `start`, not of per-CPU storage, are nobody's own any more in this run. */
void sim_disown(uint64_t start) {
    for (uint32_t i = 0; i < S.places; i++)
        if (S.place[i].start == start) S.disowned |= 1u << i;
}

/* An access that breaks X9 or X10 for a reason that tests/sim/excused.py tells. */
void sim_excuse(uint32_t site) {
    uint32_t at = site % EXCUSED;
    while (S.excused[at] && S.excused[at] != site) at = (at + 1) % EXCUSED;
    S.excused[at] = site;
}

/* Wake a mutant, or none with 0; note those whose place runs come by from now on, if asked. */
void sim_mutant(uint32_t number, bool noting) {
    S.mutant = number;
    S.noting = noting;
}

/* Whether a run has come by the place of a mutant. */
bool sim_met(uint32_t number) {
    uint32_t at = number % MET;
    while (S.met[at] && S.met[at] != number) at = (at + 1) % MET;
    return S.met[at] == number;
}

/* Have replays call sim_stopped() at step `at`, counted from 1; 0: not. */
void sim_stop_at(uint32_t at) { S.stop = at; }

/* After a replay, or where an exception or a failure ended a run. */
void sim_stop(void) {
    watch(false);
    S.cur = 0;
    S.tracing = 0;
    percpu_offset = 0;
}

uint64_t sim_figure(uint32_t which) {
    uint64_t figures[] = {S.runs, S.total, S.longest, S.truncated, S.redundant, S.steps, S.traced,
                          S.hot, S.cur ? (uint64_t)(S.cur - S.cpus) : ~0ull, S.count,
                          S.operated, S.conflict.address, S.conflict.site[0], S.conflict.site[1],
                          S.conflict.cpu[0], S.conflict.cpu[1]};
    return figures[which];
}

/* Step `at` of the replayed run: entity, site, address, kind, thread. */
uint64_t sim_step(uint32_t at, uint32_t field) {
    struct step *s = &S.trace[at];
    uint64_t fields[] = {s->entity, s->access.site, s->access.address, s->access.kind,
                         s->thread};
    return fields[field];
}

/* Atomic operation `at` of the replayed run: CPU, kind, address, value before and after, the step
 * it came in; or what ktr.log() was told then. */
uint64_t sim_operation(uint32_t at, uint32_t field) {
    struct operation *o = &S.operations[at];
    uint64_t fields[] = {o->cpu, o->kind, o->address, o->before, o->after, o->step, o->event};
    return fields[field];
}

/* How CPU `cpu` stands: state, takes interrupts, what is pending, the site it is at. */
uint64_t sim_cpu_state(uint32_t cpu, uint32_t field) {
    struct cpu *c = &S.cpus[cpu];
    uint64_t fields[] = {c->state, c->takes, pending(c), c->next.site, (uint64_t)c->offset};
    return fields[field];
}

/* Have the next replay of a search take this path. */
void sim_set_path(uint32_t bound, bool reduce, const uint8_t *path, uint32_t nodes) {
    S.bound = bound;
    S.reduce = reduce;
    S.nodes = nodes < MAX_NODES ? nodes : MAX_NODES;
    for (uint32_t i = 0; i < S.nodes; i++) {
        S.node[i].at = path[i];
        S.node[i].count = 0;            /* filled as it is met */
    }
}

/* The path that the search stands on; gives its length. */
uint32_t sim_path(uint8_t *out, uint32_t most) {
    uint32_t n = S.nodes < most ? S.nodes : most;
    for (uint32_t i = 0; i < n; i++) out[i] = S.node[i].at;
    return S.nodes;
}
