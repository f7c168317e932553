# SPDX-License-Identifier: BSD-3-Clause
"""What the core's operations cost: `figure NAME VALUE` lines, in cputimer ticks an operation.

Under -icount the timer ticks once an instruction, so the figures are guest instructions and repeat;
toolchain/bench/kernel.py reads them.
"""
from typing import Final

from kpy import Atomic, Ptr, Str, address_of, i32, kprintf, may_block, pause, ref, table, u32, u64
from kpy import unwrap, zeroed

from kernel import machine
from kernel.lwkt import crit, intr, ipiq, msgport, sched, sleepq, token
from kernel.lwkt.globaldata import curthread, find, gd
from kernel.lwkt.msgport import Msg, Port
from kernel.lwkt.thread import Pri, Thread
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
    kprintf(f"figure {name} {ticks * 100 // rounds}\n")     # in hundredths


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
    show("lwkt.switch", sum_ - 2 * ROUNDS * _clock_cost(), 2 * ROUNDS)


@table("guest_test", 91)
def figure_token() -> None:
    """gettoken and reltoken, nobody else wanting it."""
    token.init(tok, "figure")
    began = machine.cputimer_count()
    for _ in range(ROUNDS):
        token.gettoken(tok)
        token.reltoken(tok)
    show("token.pair", machine.cputimer_count() - began, ROUNDS)
    began = machine.cputimer_count()
    for _ in range(ROUNDS):
        token.gettoken_shared(tok)
        token.reltoken(tok)
    show("token.shared_pair", machine.cputimer_count() - began, ROUNDS)


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
    show("msgport.inline", machine.cputimer_count() - began, ROUNDS)
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
    sum_ = 0
    for _ in range(ROUNDS):
        crit.crit_enter()
        intr.post(interrupts.VECTOR)
        at = machine.cputimer_count()
        crit.crit_exit()
    show("intr.to_thread", sum_, ROUNDS)
    interrupts.register_with(interrupts.serve)
