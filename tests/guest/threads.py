# SPDX-License-Identifier: BSD-3-Clause
"""Threads: birth and death, sharing a CPU, moving between CPUs."""
from typing import Final

from kpy import Array, Atomic, kprintf, table, u32, u64

from kernel import machine
from kernel.lwkt import sched
from kernel.lwkt.globaldata import curthread, find, gd
from kernel.machine.types import MAX_CPUS
from tests.guest import support

BIRTHS: Final = 10_000
MIGRATIONS: Final = 100_000
CREW: Final = 4
SHARE_MS: Final = 4000

ran: Array[Atomic[u64], MAX_CPUS]
wrong_cpu: Atomic[u64]
stop: Atomic[u32]
ticks: Array[u64, CREW]


def _short_life(cpu: u64) -> None:
    if gd.cpuid != cpu:
        wrong_cpu.add(1)
    ran[cpu].add(1)
    support.done()


@table("guest_test", 10)
def threads_are_reaped() -> None:
    """BIRTHS threads on every CPU, and not one left."""
    wrong_cpu.store(0)
    for cpu in range(support.cpus()):
        ran[cpu].store(0)
    for _ in range(BIRTHS):
        for cpu in range(support.cpus()):
            support.spawn(_short_life, cpu, cpu)
        support.join(64)
    support.join()
    for cpu in range(support.cpus()):
        assert ran[cpu].load() == BIRTHS
    assert wrong_cpu.load() == 0
    support.pause_ticks(2)
    for cpu in range(support.cpus()):
        left: u32 = 0
        for td in find(cpu).tdallq:
            if td.name[:4] == b"test":
                left += 1
        assert left == 0
    kprintf(f"{BIRTHS} threads on each of {support.cpus()} CPUs\n")


def _spin(index: u64) -> None:
    td = curthread()
    while stop.load_relaxed() == 0:
        sched.yield_()
    ticks[index] = td.ticks_used
    support.done()


@table("guest_test", 11)
def equals_share_a_cpu() -> None:
    """Four threads of one priority get the same share of a CPU, within 5 percent."""
    stop.store(0)
    cpu = support.cpus() - 1
    began = machine.cputimer_count()
    for i in range(CREW):
        support.spawn(_spin, i, cpu)
    while support.elapsed_ms(began) < SHARE_MS:
        if cpu == 0:
            sched.yield_()
        else:
            support.pause_ticks(10)
    stop.store(1)
    support.join()
    total: u64 = 0
    for t in ticks:
        total += t
    mean = total // CREW
    kprintf(f"ticks {ticks[0]} {ticks[1]} {ticks[2]} {ticks[3]}\n")
    for t in ticks:
        assert t * 100 >= mean * 95 - 100 and t * 100 <= mean * 105 + 100


def _wander(seed: u64) -> None:
    random = support.Random(state=seed + 1)
    cpus = support.cpus()
    for _ in range(MIGRATIONS // CREW):
        cpu = gd.cpuid
        if cpus > 1:                    # to another one, whichever
            cpu = (cpu + 1 + u32(random.next(cpus - 1))) % cpus
        sched.setcpu_self(find(cpu))
        if gd.cpuid != cpu:
            wrong_cpu.add(1)
    support.done()


@table("guest_test", 12)
def threads_migrate() -> None:
    """MIGRATIONS moves to random CPUs, each of which arrives."""
    wrong_cpu.store(0)
    before = _migrations()
    for i in range(CREW):
        support.spawn(_wander, i, u32(i) % support.cpus())
    support.join()
    assert wrong_cpu.load() == 0
    kprintf(f"{_migrations() - before} moves\n")


def _migrations() -> u64:
    total: u64 = 0
    for cpu in range(support.cpus()):
        total += find(cpu).counters.migrations
    return total
