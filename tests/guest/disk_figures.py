# SPDX-License-Identifier: BSD-3-Clause
"""What disks and the drivers give: lines for toolchain/bench/storage.py, whose Linux guest
(toolchain/bench/peer/init.c) prints the same of the same requests:

    figure DISK READ CPUS REQUESTS MICROSECONDS
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    PhysAddr,
    Ptr,
    Str,
    VirtAddr,
    address_of,
    kprintf,
    may_block,
    no_block,
    pointer_at,
    ref,
    sizeof,
    struct,
    table,
    u64,
    wrapping,
    zeroed,
)

from kernel import machine
from kernel.io import bio, disk
from kernel.io.bio import Bio, BioCmd
from kernel.lib import words
from kernel.lwkt import globaldata, sleepq
from kernel.machine.types import PAGE_SIZE
from tests.guest import blocks, support

UNSAFE: Final = True        # requests travel as addresses

MAX_DEPTH: Final = 32
MAX_PAGES: Final = 32       # of a request: 128 KiB
MAX_LOADS: Final = 4
BLOCKS: Final = 16384


@struct
class Kind:
    """How to read."""
    name: Str
    depth: u64
    bytes: u64
    sequential: bool


@struct
class Load:
    """What one CPU keeps under way."""
    kind: Ptr[Kind]
    dp: Ptr[disk.Disk]
    first: u64
    asked: u64
    count: u64
    running: Atomic[u64]
    requests: Array[Bio, MAX_DEPTH]
    pages: Array[PhysAddr, 1024]


RANDOM_1: Kind = Kind(name="random_4k_depth_1", depth=1, bytes=4096)
RANDOM_32: Kind = Kind(name="random_4k_depth_32", depth=32, bytes=4096)
SEQUENTIAL: Kind = Kind(name="sequential_128k_depth_4", depth=4, bytes=131072, sequential=True)

loads: Array[Load, MAX_LOADS] = zeroed(Array[Load, MAX_LOADS])


@table("guest_test", 220)
def disk_figures() -> None:
    """Each disk by each kind of read, from all CPUs at once."""
    scale, given = words.number(words.value_of(machine.command_line(), b"blocks"))
    if not given:
        scale = BLOCKS
    index: u64 = 0
    while (dp := disk.nth(index)) is not None:
        _measure(dp, RANDOM_1, scale // 4)
        _measure(dp, RANDOM_32, scale)
        _measure(dp, SEQUENTIAL, scale // 8)
        index += 1
    kprintf("figures end\n")


@may_block
def _measure(dp: Ptr[disk.Disk], kind: Ptr[Kind], each: u64) -> None:
    cpus = min(globaldata.ncpus, MAX_LOADS)
    for cpu in range(cpus):
        load = ref(loads[cpu])
        load.kind = kind
        load.dp = dp
        load.first = cpu * each
        load.count = each
    began = machine.cputimer_count()
    for cpu in range(cpus):
        support.spawn(_read_here, cpu, cpu)
    support.join()
    ticks = machine.cputimer_count() - began
    kprintf(f"figure {disk.name_of(dp)} {kind.name} {cpus} {each * cpus} "
            f"{ticks * 1_000_000 // machine.cputimer_hz()}\n")


def _read_here(cpu: u64) -> None:
    load = ref(loads[cpu])
    for i in range(load.kind.depth * MAX_PAGES):
        if load.pages[i] == PhysAddr(0):
            load.pages[i] = blocks.a_page()
    load.asked = 0
    load.running.store(load.kind.depth)
    for slot in range(load.kind.depth):
        _ask(load, ref(load.requests[slot]))
    ident = u64(address_of(load))
    while True:
        sleepq.tsleep_interlock(ident)
        if load.running.load() == 0:
            sleepq.tsleep_remove()
            break
        sleepq.tsleep(ident, sleepq.SleepFlag.PINTERLOCKED, "figures", 0)
    support.done()


@no_block
def _ask(load: Ptr[Load], request: Ptr[Bio]) -> None:
    kind = load.kind
    number = load.first + load.asked
    if not kind.sequential:
        number = wrapping(number * 2654435761)
    load.asked += 1
    where = number % (disk.size_of(load.dp) // kind.bytes) * kind.bytes
    slot = (u64(address_of(request)) - u64(address_of(ref(load.requests[0])))) // sizeof(Bio)
    bio.init(request, BioCmd.READ, where, kind.bytes, _again, u64(address_of(load)))
    page = slot * MAX_PAGES
    bio.set_pages(request, load.pages[page:page + kind.bytes // PAGE_SIZE], 0)
    disk.strategy(load.dp, request)


@no_block
def _again(request: Ptr[Bio]) -> None:
    load = pointer_at(Load, VirtAddr(bio.info_of(request)))
    assert request.error == 0
    if load.asked < load.count:
        _ask(load, request)
    elif load.running.sub(1) == 1:
        sleepq.wakeup(u64(address_of(load)))
