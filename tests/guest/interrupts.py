# SPDX-License-Identifier: BSD-3-Clause
"""Interrupt threads: preemption, and storms."""
from typing import Final

from kpy import Atomic, Errno, Fn, Ptr, kprintf, panic, table, u32, u64, zeroed

from kernel import machine
from kernel.lwkt import intr, sched, systimer, token
from kernel.lwkt.globaldata import find, gd
from kernel.lwkt.thread import Pri
from tests.guest import support

UNSAFE: Final = True        # vectors and timers begin as zeroed storage

VECTOR: Final = 150
STORM_HZ: Final = 20_000
LIMIT: Final = 1000

info: intr.IntrInfo = zeroed(intr.IntrInfo)
handler: intr.Handler = zeroed(intr.Handler)
timer: systimer.Systimer = zeroed(systimer.Systimer)
tok: token.Token = zeroed(token.Token)
served: Atomic[u64]
raised: Atomic[u64]
registered: bool = False
want_token: Atomic[u32]


def serve(h: Ptr[intr.Handler]) -> None:
    served.add(1)
    if want_token.load_relaxed() != 0:
        token.gettoken(tok)             # held by whom it preempted: it goes back, and has it later
        token.reltoken(tok)


def _raise(t: Ptr[systimer.Systimer]) -> None:
    raised.add(1)
    intr.post(VECTOR)


def register_with(func: Fn[[Ptr[intr.Handler]], None]) -> None:
    """Have func called for VECTOR, instead of what was before."""
    global registered
    handler.func = func
    if registered:
        return
    registered = True
    handler.name = "test"
    try:
        intr.register(info, 0, VECTOR, b"intr test", Pri.INT_LOW)
    except Errno as e:
        panic(f"no vector: error {e.code}")
    intr.add_handler(info, 0, handler)


@table("guest_test", 80)
def preemption_is_invisible_to_token_holders() -> None:
    """An interrupt thread preempts a token's holder again and again: the holder keeps the token,
    even when the interrupt thread wants the same one."""
    register_with(serve)
    token.init(tok, "preempt")
    served.store(0)
    raised.store(0)
    for want in range(2):
        want_token.store(u32(want))
        before = gd.counters.preempt_hit
        collisions = tok.collisions.load()
        systimer.add_periodic(timer, find(0), _raise, 0, 1000)
        began = machine.cputimer_count()
        rounds: u64 = 0
        while support.elapsed_ms(began) < 1000:
            with tok:
                for _ in range(1000):
                    assert token.held(tok)
                rounds += 1
            sched.yield_()
        systimer.delete(timer)
        hits = gd.counters.preempt_hit - before
        kprintf(f"{hits} preemptions, {tok.collisions.load() - collisions} for the token\n")
        assert hits > 0, "nothing was preempted"
    want_token.store(0)
    support.pause_ticks(5)
    assert served.load() > 0


@table("guest_test", 81)
def storms_are_throttled() -> None:
    """A vector that comes STORM_HZ times a second is served LIMIT times, and others go on."""
    register_with(serve)
    old = intr.livelock_limit
    intr.livelock_limit = LIMIT
    raised.store(0)
    systimer.add_periodic(timer, find(0), _raise, 0, STORM_HZ)
    support.pause_ticks(150)            # time to be noticed
    served.store(0)
    raised.store(0)
    began = machine.cputimer_count()
    support.pause_ticks(100)
    ms = support.elapsed_ms(began)
    count = served.load()
    total = raised.load()
    assert info.throttled, "it was not noticed"
    systimer.delete(timer)
    kprintf(f"{total} raised, {count} served in {ms} ms\n")
    assert count <= LIMIT * (ms + 100) // 1000 * 11 // 10 + 10
    began = machine.cputimer_count()
    while info.throttled:
        support.pause_ticks(10)
        assert support.elapsed_ms(began) < 10_000, "it stays throttled though all is calm"
    intr.livelock_limit = old


@table("guest_test", 82)
def emergency_polling_calls_what_never_interrupts() -> None:
    """With polling on, a handler whose interrupt never comes is called all the same."""
    register_with(serve)
    served.store(0)
    try:
        intr.poll_all(100)
    except Errno as e:
        panic(f"no memory: error {e.code}")
    began = machine.cputimer_count()
    while served.load() < 10:
        support.pause_ticks(2)
        assert support.elapsed_ms(began) < 10_000
    kprintf(f"called {served.load()} times without an interrupt\n")
