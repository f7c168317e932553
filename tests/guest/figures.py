# SPDX-License-Identifier: BSD-3-Clause
"""What the core's operations cost: `figure NAME VALUE HZ` lines: hundredths of cputimer ticks an
operation, and the ticks of a second.

Under -icount the timer ticks once an instruction, so the figures are guest instructions and repeat;
toolchain/bench/nucleus.py reads them.
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Ptr,
    Str,
    address_of,
    compiler_fence,
    i32,
    kprintf,
    may_block,
    ref,
    table,
    u8,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel import machine, mem
from kernel.lwkt import crit, intr, ipiq, msgport, sched, sleepq, token
from kernel.lwkt.globaldata import curthread, find, gd
from kernel.lwkt.msgport import Msg, Port
from kernel.lwkt.thread import Thread
from tests.guest import interrupts, support

UNSAFE: Final = True        # tokens and messages begin as zeroed storage

ROUNDS: Final = 2000
WARM: Final = 100

first: Atomic[Ptr[Thread] | None]
second: Atomic[Ptr[Thread] | None]
tok: token.Token = zeroed(token.Token)
inline_port: Port = zeroed(Port)
server: Atomic[Ptr[Port] | None]
at: u64 = 0
sum_: u64 = 0
answers: Atomic[u64]
over: Atomic[u32]


def show(name: Str, ticks: u64, rounds: u64) -> None:
    kprintf(f"figure {name} {ticks * 100 // rounds} {machine.cputimer_hz()}\n")


def show_loop(name: Str, ticks: u64) -> None:
    """show() for ROUNDS rounds of a loop, whose own cost is taken off."""
    show(name, ticks - min(ticks, _loop_cost()), ROUNDS)


def _loop_cost() -> u64:
    """Ticks of ROUNDS rounds of a loop that does nothing."""
    began = machine.cputimer_count()
    for _ in range(ROUNDS):
        compiler_fence()
    return machine.cputimer_count() - began


def _clock_cost() -> u64:
    """Ticks between two looks at the clock with nothing in between."""
    before = machine.cputimer_count()
    return machine.cputimer_count() - before


def _pass_to(other: Ptr[Thread]) -> None:
    """Make `other` run, and wait until it does the same for us."""
    crit.crit_enter()
    sched.schedule(other)
    sched.deschedule_self(curthread())
    sched.switch()
    crit.crit_exit()


def _ping(unused: u64) -> None:
    while second.load() is None:
        support.pause_ticks(1)
    support.pause_ticks(1)              # it is asleep by then
    other = unwrap(second.load())
    for _ in range(WARM):
        _pass_to(other)
    began = machine.cputimer_count()
    for _ in range(ROUNDS):
        _pass_to(other)
    show("lwkt.wake_and_sleep", machine.cputimer_count() - began, 2 * ROUNDS)
    over.store(1)
    sched.schedule(other)
    support.done()


def _pong(unused: u64) -> None:
    second.store(curthread())
    sleepq.lwkt_sleep("pong")
    while over.load() == 0:
        _pass_to(unwrap(first.load()))
    support.done()


@table("guest_test", 90)
def figure_wake_and_sleep() -> None:
    """From one thread of a CPU to another: schedule the other, deschedule oneself, switch."""
    gd.ktr.mask = 0
    second.store(None)
    over.store(0)
    first.store(support.spawn(_ping, 0, 0))
    support.spawn(_pong, 0, 0)
    support.join()


def _rotate(rounds: u64) -> None:
    global at, sum_
    for _ in range(rounds):
        crit.crit_enter()
        sched.rotate()
        at = machine.cputimer_count()
        sched.switch()
        sum_ += machine.cputimer_count() - at           # `at` is the other's: one way
        crit.crit_exit()
    support.done()


@table("guest_test", 89)
def figure_switch() -> None:
    """switch() from one runnable thread to another, to the line behind it."""
    global sum_
    gd.ktr.mask = 0
    sum_ = 0
    support.spawn(_rotate, ROUNDS, 0)
    support.spawn(_rotate, ROUNDS, 0)
    support.join()
    clock = 2 * ROUNDS * _clock_cost()
    show("lwkt.switch", sum_ - min(clock, sum_), 2 * ROUNDS)


@table("guest_test", 91)
def figure_token() -> None:
    """gettoken and reltoken, nobody else wanting it."""
    token.init(tok, "figure")
    began = machine.cputimer_count()
    for _ in range(ROUNDS):
        token.gettoken(tok)
        token.reltoken(tok)
    show_loop("token.pair", machine.cputimer_count() - began)
    began = machine.cputimer_count()
    for _ in range(ROUNDS):
        token.gettoken_shared(tok)
        token.reltoken(tok)
    show_loop("token.shared_pair", machine.cputimer_count() - began)


def _at_once(msg: Ptr[Msg]) -> i32:
    return 0


def _serve(unused: u64) -> None:
    port = ref(curthread().msgport)
    server.store(port)
    while True:
        msg = msgport.waitport(port)
        last = msg.command == 0
        msgport.replymsg(msg, 0)
        if last:
            break
    support.done()


@may_block
def _round_trip(name: Str, cpu: u32) -> None:
    server.store(None)
    support.spawn(_serve, 0, cpu)
    while server.load() is None:
        support.pause_ticks(1)
    port = unwrap(server.load())
    msg: Msg = zeroed(Msg)
    msgport.init(msg, curthread().msgport)
    msg.command = 1
    for _ in range(WARM):
        msgport.domsg(port, msg)
    began = machine.cputimer_count()
    for _ in range(ROUNDS):
        msgport.domsg(port, msg)
    show(name, machine.cputimer_count() - began, ROUNDS)
    msg.command = 0
    msgport.domsg(port, msg)
    support.join()


@table("guest_test", 92)
def figure_message() -> None:
    """A synchronous message: to an inline port, to a thread of this CPU, to one of another."""
    msg: Msg = zeroed(Msg)
    msgport.init_inline_port(inline_port, _at_once)
    msgport.init(msg, curthread().msgport)
    began = machine.cputimer_count()
    for _ in range(ROUNDS):
        msgport.domsg(inline_port, msg)
    show_loop("msgport.inline", machine.cputimer_count() - began)
    _round_trip("msgport.round_trip", 0)
    if support.cpus() > 1:
        _round_trip("msgport.round_trip_other_cpu", 1)


def _answered(unused: u64, also: u64) -> None:
    answers.add(1)


@table("guest_test", 93)
def figure_ipi() -> None:
    """A message to another CPU, until it is known to be executed."""
    if support.cpus() < 2:
        return
    target = find(1)
    began = machine.cputimer_count()
    for _ in range(ROUNDS):
        seq = ipiq.send(target, _answered, 0, 0)
        ipiq.wait(target, seq)
    show("ipiq.round_trip", machine.cputimer_count() - began, ROUNDS)


def _arrived(h: Ptr[intr.Handler]) -> None:
    global sum_
    sum_ += machine.cputimer_count() - at


@table("guest_test", 94)
def figure_interrupt() -> None:
    """From an interrupt that is noted to the first line of its thread's handler, by preemption."""
    global at, sum_
    interrupts.register_with(_arrived)
    sleepq.tsleep(u64(address_of(ref(interrupts.info))), sleepq.NO_FLAGS, "figure", 1)
    sum_ = 0                            # the thread has begun, and waits
    for _ in range(ROUNDS):
        crit.crit_enter()
        intr.post(interrupts.VECTOR)
        at = machine.cputimer_count()
        crit.crit_exit()
    assert sum_ != 0, "it did not preempt"
    show("intr.to_thread", sum_, ROUNDS)
    interrupts.register_with(interrupts.serve)


kind: mem.MallocType = mem.MallocType(name="figures")
items: Array[Ptr[u8] | None, ROUNDS]
freed: Atomic[u32]


@table("guest_test", 95)
def figure_kmalloc_pair() -> None:
    """kmalloc and kfree of 64 bytes, by one CPU."""
    for _ in range(WARM):
        mem.kfree(unwrap(mem.kmalloc(64, kind, mem.NOWAIT)), kind)
    began = machine.cputimer_count()
    for _ in range(ROUNDS):
        item = mem.kmalloc(64, kind, mem.NOWAIT)
        if item is not None:
            mem.kfree(item, kind)
    show_loop("kmalloc.pair", machine.cputimer_count() - began)


def _free_all(unused: u64) -> None:
    began = machine.cputimer_count()
    for i in range(ROUNDS):
        item = items[i]
        if item is not None:
            mem.kfree(item, kind)
    show("kmalloc.remote_free", machine.cputimer_count() - began, ROUNDS)
    support.done()


@table("guest_test", 96)
def figure_remote_free() -> None:
    """kfree of what another CPU allocated."""
    if support.cpus() < 2:
        return
    for i in range(ROUNDS):
        items[i] = mem.kmalloc(64, kind, mem.NOWAIT)
    support.spawn(_free_all, 0, 1)
    support.join()


def _contend(rounds: u64) -> None:
    for _ in range(rounds):
        token.gettoken(tok)
        token.reltoken(tok)
    support.done()


@table("guest_test", 97)
def figure_contended_token() -> None:
    """gettoken and reltoken while another CPU does the same with the same token."""
    if support.cpus() < 2:
        return
    token.init(tok, "contended")
    began = machine.cputimer_count()
    support.spawn(_contend, 50 * ROUNDS, 0)
    support.spawn(_contend, 50 * ROUNDS, 1)
    support.join()
    show("token.contended_pair", machine.cputimer_count() - began, 100 * ROUNDS)


@table("guest_test", 98)
def figure_asynchronous() -> None:
    """Messages to a thread of this CPU, 32 under way: send, serve, reply, take the reply."""
    server.store(None)
    support.spawn(_serve, 0, 0)
    while server.load() is None:
        support.pause_ticks(1)
    port = unwrap(server.load())
    msgs: Array[Msg, 32] = zeroed(Array[Msg, 32])
    for i in range(32):
        msgport.init(msgs[i], curthread().msgport)
        msgs[i].command = 1
    began = machine.cputimer_count()
    for _ in range(ROUNDS // 32):
        for i in range(32):
            msgport.sendmsg(port, msgs[i])
        for _ in range(32):
            msgport.waitport(curthread().msgport)
    show("msgport.asynchronous", machine.cputimer_count() - began, ROUNDS // 32 * 32)
    msgs[0].command = 0
    msgport.domsg(port, msgs[0])
    support.join()
