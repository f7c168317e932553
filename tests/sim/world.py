# SPDX-License-Identifier: BSD-3-Clause
"""The world of a scenario: virtual CPUs that boot the real nucleus, and threads on them.

A scenario is a function of a file in scenarios/ that says who does what, and what must hold:

    def counts_are_exact() -> None:
        world.thread(_add, 3, cpu=0)            # _add(3) on CPU 0
        world.thread(_add, 4, cpu=1)
        world.check(_seven)                     # called when all threads are done

It only describes; toolchain/sim then boots the CPUs up to the first step of the first thread of
each, and explores what may happen from there on.  Threads are ordinary threads of the nucleus, as
sched.create() makes them.  What a thread asserts, and every kassert of the kernel, is checked in
each run; where a run ends with all CPUs at rest, so is nucleus_holds().

Tests     tests/sim/test_core.py
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Fn,
    MPtr,
    PhysAddr,
    Ptr,
    Slice,
    Str,
    VirtAddr,
    address_of,
    cast,
    export,
    extern,
    i32,
    i64,
    implements,
    may_block,
    memcpy,
    offsetof,
    panic,
    pointer_at,
    recursive,
    ref,
    sizeof,
    struct,
    u8,
    u32,
    u64,
    zeroed,
)

from kernel import machine
from kernel.lwkt import callout, clock, globaldata, sched, sleepq, start, upcalls
from kernel.lwkt.globaldata import find, gd
from kernel.lwkt.sleepq import HASH_SIZE
from kernel.lwkt.thread import Pri, Thread, ThreadFlag
from kernel.machine import contract
from kernel.machine.types import PAGE_SIZE, MemoryKind, Region

UNSAFE: Final = True             # makes CPUs and stacks of raw memory

MAX_THREADS: Final = 24
BLOCK: Final = 64 * 1024         # a stack, and what stacks are aligned to
IDLE_OFFSET: Final = BLOCK - start.IDLE_STACK


@extern("sim_memory")
def _memory(size: u64) -> u64: ...
@extern("sim_region")
def _region(at: u64, size: u64) -> None: ...
@extern("sim_ram")
def _ram(size: u64, space: u64) -> None: ...
@extern("sim_space")
def _space() -> u64: ...
@extern("sim_frame_of")
def frame_of(va: u64) -> u64:
    """The physical address that this CPU finds behind a page of kernel space, 0 if none."""
@extern("sim_layout")
def _layout(percpu: u64, size: u64, curthread: u64, thread_size: u64, critcount: u64
            ) -> None: ...
@extern("sim_add_cpu")
def _add_cpu(offset: i64, top: u64) -> None: ...
@extern("sim_boot")
def _boot(threads: u32, to_quiescence: bool, hasty: u32) -> u32: ...
@extern("sim_explore")
def _explore(policy: u32, seed: u64, count: u64, depth: u32, length: u64, limit: u64) -> u32: ...
@extern("sim_search")
def _search(bound: u32, reduce: bool, most: u64, limit: u64) -> u32: ...
@extern("sim_replay")
def _replay(policy: u32, seed: u64, depth: u32, length: u64, limit: u64) -> u32: ...
@extern("sim_model")
def _model(store_buffers: bool, no_fences: bool, races: bool) -> None: ...
@extern("sim_excuse")
def _excuse(site: u32) -> None: ...
@extern("sim_mutant")
def _mutant(number: u32, noting: bool) -> None: ...
@extern("sim_met")
def _met(number: u32) -> bool: ...
@extern("sim_stop_at")
def _stop_at(at: u32) -> None: ...
@extern("sim_stop")
def _stop() -> None: ...
@extern("sim_figure")
def _figure(which: u32) -> u64: ...
@extern("sim_step")
def _step(at: u32, field: u32) -> u64: ...
@extern("sim_operation")
def _operation(at: u32, field: u32) -> u64: ...
@extern("sim_cpu_state")
def _cpu_state(cpu: u32, field: u32) -> u64: ...
@extern("sim_path")
def _path(out: MPtr[u8], most: u32) -> u32: ...
@extern("sim_set_path")
def _set_path(bound: u32, reduce: bool, path: MPtr[u8], nodes: u32) -> None: ...
@extern("sim_begin")
def _begin() -> None: ...
@extern("sim_done")
def _done() -> None: ...
@extern("sim_interrupt")
def interrupt(cpu: u32, vector: u32) -> None:
    """A device interrupts `cpu`: delivered when the policy likes."""
@extern("sim_owned")
def owned(start: u64, size: u64) -> None:
    """So many bytes are this CPU's, in a critical section: other accesses fail the run.  Per-CPU
    storage is meant for all CPUs.  Called by what on_each() calls."""
@extern("sim_disown")
def disown(start: u64) -> None:
    """What owned() said of bytes elsewhere than in per-CPU storage ends here."""
@extern("sim_point")
def point() -> None:
    """Anybody may go on here."""
@extern("sim_wait")
def wait() -> None:
    """In a loop that waits for others: nothing happens here until somebody has written
    something."""


@struct
class Planned:
    """A thread that the scenario asked for."""
    func: Fn[[u64], None]
    arg: u64
    cpu: u32
    pri: Pri
    flags: ThreadFlag
    td: Ptr[Thread] | None          # once it exists
    name: Str


@struct
class Piece:
    """Storage of a thread."""
    td: Thread
    used: Atomic[bool]


planned: Array[Planned, MAX_THREADS] = zeroed(Array[Planned, MAX_THREADS])
count: u32 = 0                          # threads planned
cpus: u32 = 0                           # CPUs that the plan needs
with_clocks: bool = False
until_quiet: bool = False
pieces: Array[Piece, MAX_THREADS] = zeroed(Array[Piece, MAX_THREADS])
stacks: u64 = 0
hasty_ticks: u32 = 0
ram: u64 = 0                            # bytes of memory, where a scenario has any
space: u64 = 0                          # bytes of kernel space to map it in
regions: Array[Region, 1] = zeroed(Array[Region, 1])
before: Fn[[], None] = nothing
each: Fn[[], None] = nothing
after: Fn[[], None] = nothing


def nothing() -> None:
    pass


# --- What a scenario says ------------------------------------------------------------------


def thread(func: Fn[[u64], None], arg: u64, cpu: u32, pri: Pri = Pri.KERN_DAEMON,
           name: Str = "") -> None:
    """Have a thread call func(arg) on `cpu`; threads of one CPU begin in the order of calls."""
    global count
    at = ref(planned[count])
    at.func = func
    at.arg = arg
    at.cpu = cpu
    at.pri = pri
    at.name = name
    count += 1
    need(cpu + 1)


def need(number: u32) -> None:
    """There are at least so many CPUs, with or without threads."""
    global cpus
    cpus = max(cpus, number)


def start_with(func: Fn[[], None]) -> None:
    """Call func() on CPU 0 before any thread exists, in a critical section of its idle thread."""
    global before
    before = func


def on_each(func: Fn[[], None]) -> None:
    """Call func() on every CPU likewise, before it has threads."""
    global each
    each = func


def check(func: Fn[[], None]) -> None:
    """Call func() when all threads are done; it asserts."""
    global after
    after = func


def clocks(hasty: u32 = 0) -> None:
    """Have timers tick and callouts called.  The time of a timer comes when its number of steps has
    gone by, or when nobody can go on; up to `hasty` times in a run it may come at any step."""
    global with_clocks, hasty_ticks
    with_clocks = True
    hasty_ticks = hasty


def memory(size: u64, room: u64 = 0) -> None:
    """There are `size` bytes of memory, and as much room in kernel space to map pages in, or
    `room`."""
    global ram, space
    ram = size
    space = room if room != 0 else size


def to_quiescence() -> None:
    """A run ends when all CPUs halt, not with the last thread's last step."""
    global until_quiet
    until_quiet = True


@may_block
def rest() -> None:
    """For a thread that others may still schedule: it is done, but does not end."""
    _done()
    while True:
        sleepq.lwkt_sleep("rest")


def td_of(index: u32) -> Ptr[Thread]:
    """The thread that was planned as number `index`."""
    found = planned[index].td
    assert found is not None, "it does not exist yet"
    return found


# --- Bringing it up ------------------------------------------------------------------------


def create(percpu: u64, size: u64) -> None:
    """Make the CPUs that the plan needs; `percpu` is the section of the first one."""
    global stacks
    need(1)
    globaldata.ncpus = cpus
    globaldata.cpu_limit = cpus
    stacks = _memory(BLOCK * MAX_THREADS)
    _region(stacks, BLOCK * MAX_THREADS)
    _layout(percpu, size, u64(address_of(ref(gd.curthread))), sizeof(Thread),
            offsetof(Thread, "critcount"))
    if ram != 0:
        _ram(ram, space)
        regions[0].base = PhysAddr(PAGE_SIZE)       # 0 is no frame's address
        regions[0].size = ram - PAGE_SIZE
        regions[0].kind = MemoryKind.USABLE
    bytes_ = start.area_bytes(cpus)
    for cpu in range(cpus):
        offset: i64 = 0
        if cpu != 0:
            place = _memory(size)
            memcpy(cast(MPtr[u8], pointer_at(u8, VirtAddr(place))),
                   cast(MPtr[u8], pointer_at(u8, VirtAddr(percpu))), size)
            _region(place, size)
            offset = i64(place) - i64(percpu)
        area = _memory(IDLE_OFFSET + bytes_)
        _region(area, IDLE_OFFSET + bytes_)
        start.prepare(cpu, cpus, VirtAddr(area + IDLE_OFFSET))
        _add_cpu(offset, area + BLOCK)


def boot() -> u32:
    return _boot(count, until_quiet, hasty_ticks)


@export("sim_cpu")
def _cpu(cpu: u32) -> None:
    """The first code of a CPU."""
    start.init_cpu(cpu)
    gd.ktr.mask = 0
    _guard()
    if cpu == 0:
        before()
    each()
    while cpu + 1 < cpus and globaldata.cpus[cpu + 1] is None:
        wait()
    if with_clocks:
        clock.start(gd.self)
        _create(callout.softclock, 0, cpu, Pri.SOFT_TIMER, ThreadFlag.FIXEDCPU)
    for i in range(count):
        if planned[i].cpu == cpu:
            planned[i].td = _create(_thread, i, cpu, planned[i].pri, planned[i].flags)
    machine.intr_enable()
    sched.idle()


def _guard() -> None:
    """Of what is the CPU's in a critical section (G1, H1), what nobody may look at outside."""
    owned(u64(address_of(ref(gd.tdrunq))), 16)
    owned(u64(address_of(ref(gd.tdallq))), 16)
    owned(u64(address_of(ref(gd.freetd))), 8)
    owned(u64(address_of(ref(gd.delayed_depth))), 24)
    owned(u64(address_of(ref(gd.tsleep_hash))), 16 * HASH_SIZE)
    for i in range(len(gd.ipiq)):
        owned(u64(address_of(ref(gd.ipiq[i].windex))), 4)


def _create(func: Fn[[u64], None], arg: u64, cpu: u32, pri: Pri, flags: ThreadFlag
            ) -> Ptr[Thread]:
    try:
        return sched.create(func, arg, b"scenario", i32(cpu), pri, flags)
    except Errno:
        panic("a scenario has too many threads")


@recursive(2)     # to the compiler a thread's function could be this one
def _thread(index: u64) -> None:
    at = ref(planned[index])
    func, arg = at.func, at.arg
    _begin()
    func(arg)
    _done()


@implements(upcalls.thread_alloc)
def thread_alloc() -> Ptr[Thread] | None:
    for i in range(MAX_THREADS):
        if not pieces[i].used.swap(True):
            pieces[i].td.stack_base = stacks + BLOCK * i
            pieces[i].td.stack_size = BLOCK
            return ref(pieces[i].td)
    return None


@implements(upcalls.thread_free)
def thread_free(td: Ptr[Thread]) -> None:
    for i in range(MAX_THREADS):
        if ref(pieces[i].td) is td:
            pieces[i].used.store(False)


@implements(contract.command_line)
def command_line() -> Slice[u8]:
    return b""


@implements(contract.memory_regions)
def memory_regions() -> Slice[Region]:
    return regions


@implements(contract.kernel_space)
def kernel_space() -> tuple[VirtAddr, u64]:
    return (VirtAddr(_space()), space)


@implements(upcalls.cpu_init)
def cpu_init(cpu: u32) -> None:
    pass


# --- What holds at the end of every run -----------------------------------------------------


@export("sim_check")
def _check() -> None:
    if until_quiet:
        nucleus_holds()
    after()


def nucleus_holds() -> None:
    """R1 and H3 of every CPU that rests."""
    for cpu in range(cpus):
        owner = find(cpu)
        number: u32 = 0
        td = owner.tdrunq.first
        while td is not None:
            following = td.link.next
            assert td.gd is owner and ThreadFlag.RUNQ in td.flags
            assert ThreadFlag.TSLEEP_DESCHEDULED not in td.flags
            assert following is None or following.pri <= td.pri
            number += 1
            td = following
        assert owner.tdrunqcount == number


# --- For toolchain/sim ----------------------------------------------------------------------


def explore(policy: u32, seed: u64, runs: u64, depth: u32, length: u64, limit: u64) -> u32:
    return _explore(policy, seed, runs, depth, length, limit)


def search(bound: u32, reduce: bool, most: u64, limit: u64) -> u32:
    return _search(bound, reduce, most, limit)


def replay(policy: u32, seed: u64, depth: u32, length: u64, limit: u64) -> u32:
    return _replay(policy, seed, depth, length, limit)


def model(store_buffers: bool, no_fences: bool, races: bool) -> None:
    _model(store_buffers, no_fences, races)


def excuse(site: u32) -> None:
    _excuse(site)


def mutant(number: u32, noting: bool) -> None:
    _mutant(number, noting)


def met(number: u32) -> bool:
    return _met(number)


def stop_at(step: u32) -> None:
    """Have replays come by sim_stopped() in this step, counted from 1; 0: not."""
    _stop_at(step)


def stop() -> None:
    _stop()


def figure(which: u32) -> u64:
    return _figure(which)


def step(at: u32, field: u32) -> u64:
    return _step(at, field)


def operation(at: u32, field: u32) -> u64:
    return _operation(at, field)


def cpu_state(cpu: u32, field: u32) -> u64:
    return _cpu_state(cpu, field)


def region(at: u64, size: u64) -> None:
    _region(at, size)


def globaldata_of(cpu: u32) -> Ptr[globaldata.Globaldata]:
    return find(cpu)


def path(out: Slice[u8]) -> u32:
    """The path that a search stands on: at each choice, which one was taken."""
    return _path(cast(MPtr[u8], ref(out[0])), u32(len(out)))


def set_path(bound: u32, reduce: bool, taken: Slice[u8]) -> None:
    """Have replay() take this path."""
    none: Array[u8, 1]
    first = ref(none[0]) if len(taken) == 0 else ref(taken[0])
    _set_path(bound, reduce, cast(MPtr[u8], first), u32(len(taken)))
