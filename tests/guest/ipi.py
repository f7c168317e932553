# SPDX-License-Identifier: BSD-3-Clause
"""Messages between CPUs: order, loss, full queues; cpusyncs."""
from typing import Final

from kpy import Array, Atomic, kprintf, table, u32, u64

from kernel import machine
from kernel.lwkt import cpusync, globaldata, ipiq
from kernel.lwkt.cpumask import Cpumask
from kernel.lwkt.globaldata import find, gd
from kernel.machine.types import MAX_CPUS
from tests.guest import support

MESSAGES: Final = 1_000_000
SYNCS: Final = 10_000

expected: Array[u64, MAX_CPUS]      # by source: the number that must come next; receiver's
received: Array[u64, MAX_CPUS]
disorder: Atomic[u64]
synced: Atomic[u64]
inside: Atomic[u32]
overlap: Atomic[u64]
answered: Array[Atomic[u32], MAX_CPUS]


def _count(source: u64, number: u64) -> None:
    if expected[source] != number:
        disorder.add(1)
    expected[source] = number + 1


def _send(target: u64) -> None:
    me = gd.cpuid
    to = find(u32(target))
    for i in range(u64(MESSAGES)):
        ipiq.send(to, _count, me, i)
    seq = ipiq.send(to, _count, me, MESSAGES)
    ipiq.wait(to, seq)
    support.done()


@table("guest_test", 20)
def messages_keep_their_order() -> None:
    """MESSAGES each way between CPUs 0 and 1: none lost, order kept, queues full on the way."""
    if support.cpus() < 2:
        kprintf("needs two CPUs\n")
        return
    disorder.store(0)
    expected[0] = 0
    expected[1] = 0
    before = find(0).counters.ipiq_fifofull + find(1).counters.ipiq_fifofull
    support.spawn(_send, 1, 0)
    support.spawn(_send, 0, 1)
    support.join()
    full = find(0).counters.ipiq_fifofull + find(1).counters.ipiq_fifofull - before
    assert expected[0] == MESSAGES + 1 and expected[1] == MESSAGES + 1
    assert disorder.load() == 0
    assert full > 0, "the queue was never full"
    kprintf(f"{MESSAGES} messages each way, queue full {full} times\n")


def _sync(unused: u64, also: u64) -> None:
    synced.add(1)


def _synchronize(count: u64) -> None:
    mask: Cpumask
    for cpu in range(support.cpus()):
        mask.add(cpu)
    for _ in range(count):
        sync = cpusync.Cpusync(func=_sync)
        cpusync.init(sync, mask, _sync, 0)
        cpusync.interlock(sync)
        if inside.add(1) != 0:
            overlap.add(1)          # two masters at once: each sees the other at a standstill
        inside.sub(1)
        cpusync.deinterlock(sync)
    support.done()


@table("guest_test", 21)
def cpusyncs_from_all_sides() -> None:
    """SYNCS cpusyncs of all CPUs, mastered by every CPU at once."""
    synced.store(0)
    each = SYNCS // support.cpus()
    for cpu in range(support.cpus()):
        support.spawn(_synchronize, each, cpu)
    support.join()
    wanted = u64(each) * support.cpus() * support.cpus()
    assert synced.load() == wanted
    kprintf(f"{each * support.cpus()} cpusyncs, {wanted} calls\n")


def _answer(who: u64, unused: u64) -> None:
    answered[gd.cpuid].add(1)


@table("guest_test", 22)
def every_cpu_answers() -> None:
    """Every CPU answers a message, from CPU 0 and in one broadcast."""
    mask: Cpumask
    count: u32 = 0
    for cpu in globaldata.numbers():
        answered[cpu].store(0)
        mask.add(cpu)
    for cpu in globaldata.numbers():
        seq = ipiq.send(find(cpu), _answer, 0, 0)
        ipiq.wait(find(cpu), seq)
        assert answered[cpu].load() == 1
    cpusync.simple(mask, _answer, 0)
    for cpu in globaldata.numbers():
        assert answered[cpu].load() == 2
        count += 1
    kprintf(f"{count} CPUs answered\n")


@table("guest_test", 23)
def passive_messages_arrive() -> None:
    """A message without a doorbell is executed all the same, a tick later at most."""
    for cpu in range(support.cpus()):
        answered[cpu].store(0)
        ipiq.send_passive(find(cpu), _answer, 0, 0)
    began = machine.cputimer_count()
    for cpu in range(support.cpus()):
        while answered[cpu].load() == 0:
            support.pause_ticks(1)
            assert support.elapsed_ms(began) < 10_000
    kprintf(f"{support.cpus()} CPUs executed it\n")
