# SPDX-License-Identifier: BSD-3-Clause
"""Interrupts and their threads: none lost, preemption invisible but to the clock.

Covers    kernel/lwkt/intr.py N1, N3, N4, sched.py R4, crit.py C1, C2, splz.py Z1, Z2
"""
from typing import Final

from kpy import Array, Atomic, Errno, Ptr, panic, ref, u32, u64, wrapping, zeroed

from kernel import machine
from kernel.lib.errno import EBUSY
from kernel.lwkt import crit, globaldata, intr, ipiq, sched
from kernel.lwkt.globaldata import find, gd
from kernel.lwkt.thread import ThreadFlag
from tests.sim import world
from tests.sim.scenarios import ipi

UNSAFE: Final = True        # what is registered begins as zero

SLOW: Final = 5
FAST: Final = 9

slow: intr.IntrInfo = zeroed(intr.IntrInfo)
fast: intr.IntrInfo = zeroed(intr.IntrInfo)
handler: intr.Handler = zeroed(intr.Handler)
fast_handler: intr.FastHandler = zeroed(intr.FastHandler)
second: intr.IntrInfo = zeroed(intr.IntrInfo)       # another's wish for the same vector
handlers: Array[intr.Handler, 2] = zeroed(Array[intr.Handler, 2])
refused: Atomic[u32]
raised: Atomic[u32]
seen: Atomic[u32]           # how many of them the last call of the handler knew of
calls: Atomic[u32]
fast_calls: Atomic[u32]
stage: Atomic[u32]


def _serve(self: Ptr[intr.Handler]) -> None:
    assert ThreadFlag.INTTHREAD in globaldata.curthread().flags and gd.intr_nesting_level == 0
    seen.store(raised.load())
    calls.add(1)


def _serve_fast(self: Ptr[intr.FastHandler]) -> None:
    assert gd.intr_nesting_level > 0
    fast_calls.add(1)


def _register() -> None:
    handler.func = _serve
    handler.name = "serve"
    fast_handler.func = _serve_fast
    try:
        intr.register(slow, 0, SLOW, b"serve")
        intr.register_fast(fast, 0, FAST, fast_handler)
    except Errno:
        panic("no interrupt thread")
    intr.add_handler(slow, 0, handler)


def _raise(times: u64) -> None:
    for _ in range(times):
        raised.add(1)
        world.interrupt(0, SLOW)
        world.point()


def _idle(unused: u64) -> None:
    pass


def level() -> None:
    """An interrupt that comes while its handler runs makes it run again."""
    world.start_with(_register)
    world.thread(_idle, 0, 0)
    world.thread(_raise, 3, 1)
    world.to_quiescence()
    world.check(_all_seen)


def _all_seen() -> None:
    assert seen.load() == 3 and calls.load() >= 1 and calls.load() <= 3


def _work(times: u64) -> None:
    for _ in range(times):
        crit.crit_enter()
        before = calls.load() + fast_calls.load()
        world.interrupt(0, FAST)
        world.interrupt(0, SLOW)
        world.point()
        assert calls.load() + fast_calls.load() == before, "served in a critical section"
        crit.crit_exit()
        assert globaldata.curthread().critcount == 0
    stage.store(1)


def deferred() -> None:
    """What comes in a critical section is served at its end."""
    world.start_with(_register)
    world.thread(_work, 2, 0)
    world.to_quiescence()
    world.check(_both_served)


def _both_served() -> None:
    assert calls.load() >= 1 and fast_calls.load() >= 1


def _count_steps(times: u64) -> None:
    """Its own variables and its priority survive being preempted anywhere."""
    total: u64 = 0
    for i in range(times):
        total += i
        world.point()
        assert ThreadFlag.RUNNING in globaldata.curthread().flags
    assert total == times * (times - 1) // 2
    stage.store(1)


def preemption() -> None:
    """Interrupts from two CPUs at a thread that computes, which goes on each time."""
    world.start_with(_register)
    world.thread(_count_steps, 6, 0)
    world.thread(_raise, 2, 1)
    world.to_quiescence()
    world.check(_two_seen)


def _two_seen() -> None:
    assert seen.load() == 2 and stage.load() == 1


def _spawn_below(unused: u64) -> None:
    """Threads that end and begin while interrupt threads preempt."""
    try:
        sched.create(_count_steps, 2, b"below", 0)
    except Errno:
        panic("no storage")
    sched.switch()


def preemption_of_switches() -> None:
    """Interrupts while threads are switched, created and ended."""
    world.start_with(_register)
    world.thread(_spawn_below, 0, 0)
    world.thread(_raise, 2, 1)
    world.to_quiescence()
    world.check(_two_seen)


def _wait_for_handler(unused: u64) -> None:
    """Removes the handler while it may be called."""
    intr.remove_handler(slow, 0, handler)
    stage.store(1)


def removal() -> None:
    """A handler is taken out from another CPU while its interrupt comes."""
    world.start_with(_register)
    world.thread(_idle, 0, 0)
    world.thread(_wait_for_handler, 0, 1)
    world.thread(_raise, 1, 2)
    world.to_quiescence()


# --- Beside a standstill --------------------------------------------------------------------


def _stop_once(unused: u64) -> None:
    ipi._stop_all(1)


def _interrupt_thrice(unused: u64) -> None:
    """Each when the one before has been served."""
    for _ in range(3):
        before = fast_calls.load()
        world.interrupt(0, FAST)
        while fast_calls.load() == before:
            world.wait()


def masters_interrupted() -> None:
    """No interrupt is lost while a master looks after a standstill that waits for its own."""
    world.start_with(_register)
    world.thread(_stop_once, 0, 0)
    world.thread(_stop_once, 0, 1)
    world.thread(_interrupt_thrice, 0, 2)


# --- Beside ticks ---------------------------------------------------------------------------


def _until_all_came(unused: u64) -> None:
    while fast_calls.load() < 3:
        world.wait()


def ticks_interrupted() -> None:
    """No interrupt is lost while a tick is worked off."""
    world.clocks(hasty=12)
    world.start_with(_register)
    world.thread(_until_all_came, 0, 0)
    world.thread(_interrupt_thrice, 0, 1)


def _see(self: Ptr[intr.FastHandler]) -> None:
    seen.store(raised.load())


def _register_seeing() -> None:
    _register()
    fast_handler.func = _see


def _raise_fast(times: u64) -> None:
    for _ in range(times):
        raised.add(1)
        world.interrupt(0, FAST)
        world.point()


def _until_all_seen(times: u64) -> None:
    """Takes no critical section, at whose end something would be looked for."""
    while seen.load() != times:
        world.wait()


def computing_interrupted() -> None:
    """An interrupt that comes while the one before is served is not left until a third comes."""
    world.start_with(_register_seeing)
    world.thread(_until_all_seen, 2, 0)
    world.thread(_raise_fast, 2, 1)


# --- Registered by a thread -----------------------------------------------------------------


def _register_elsewhere(number: u64) -> None:
    """Takes the vector of CPU 0, if it is the first; then what it raises is served."""
    info = ref(slow) if number == 0 else ref(second)
    try:
        intr.register(info, 0, SLOW, b"serve")
    except Errno as e:
        assert e.code == EBUSY, "the vector was taken"
        refused.add(1)
        return
    mine = ref(handlers[number])
    mine.func = _serve
    mine.name = "serve"
    intr.add_handler(info, 0, mine)
    raised.add(1)
    world.interrupt(0, SLOW)
    while calls.load() == 0:
        world.wait()
    intr.remove_handler(info, 0, mine)
    assert info.handlers.empty(), "remove_handler() returned before it was done"


def registered_by_two() -> None:
    """Two CPUs register a vector of a third's: one has it, and its handler is called."""
    world.thread(_register_elsewhere, 0, 1)
    world.thread(_register_elsewhere, 1, 2)
    world.thread(_idle, 0, 0)
    world.check(_one_refused)


def _one_refused() -> None:
    assert refused.load() == 1 and calls.load() >= 1


def _post_own(times: u64) -> None:
    """Posts a vector of this CPU, as if its device had interrupted; then computes until all else
    has come as well."""
    for _ in range(times):
        crit.crit_enter()
        intr.post(FAST)
        crit.crit_exit()
    while seen.load() == 0 or stage.load() == 0:
        world.wait()


def _told(unused1: u64, unused2: u64) -> None:
    stage.store(1)


def _raise_and_tell(unused: u64) -> None:
    _raise(1)
    ipiq.send(find(0), _told, 0, 0)


def posted() -> None:
    """A vector is posted by its own CPU while another comes from a device, and a message."""
    world.start_with(_register)
    world.thread(_post_own, 2, 0)
    world.thread(_raise_and_tell, 0, 1)
    world.check(_posted)


def _posted() -> None:
    assert calls.load() >= 1 and fast_calls.load() >= 1


# --- Storms and silence ---------------------------------------------------------------------


def _register_impatient() -> None:
    """Two interrupts a second are a storm."""
    _register()
    intr.livelock_limit = 2


def _storm(times: u64) -> None:
    """Each when the one before was seen."""
    for _ in range(times):
        _raise(1)
        while seen.load() != raised.load():
            world.wait()


def throttled() -> None:
    """A vector that comes too often is served by a timer: its last interrupt too."""
    world.start_with(_register_impatient)
    world.thread(_idle, 0, 0)
    world.thread(_storm, 4, 1)
    world.check(_throttled)


def _throttled() -> None:
    assert seen.load() == 4 and slow.throttled


def _serve_for_long(self: Ptr[intr.Handler]) -> None:
    """Takes a second, for those who measure."""
    _serve(self)
    crit.crit_enter()
    slow.checked = wrapping(slow.checked - machine.cputimer_hz() - 1)
    crit.crit_exit()


def _register_for_long() -> None:
    _register()
    intr.livelock_limit = 4
    handler.func = _serve_for_long


def _calm(unused: u64) -> None:
    """After the storm a second goes by with little in it."""
    _storm(6)
    while slow.throttled:       # races: waits for what its CPU will write
        world.wait()


def storm_ends() -> None:
    """When the storm is over, interrupts are served at once again."""
    world.start_with(_register_for_long)
    world.thread(_idle, 0, 0)
    world.thread(_calm, 0, 1)
    world.to_quiescence()
    world.check(_calmed)


def _calmed() -> None:
    assert not slow.throttled and find(0).timers.queue.empty()


def _count_call(self: Ptr[intr.Handler]) -> None:
    assert gd.cpuid == 0 and globaldata.curthread() is gd.intr.emergency
    calls.add(1)


def _register_quiet() -> None:
    _register()
    handler.func = _count_call


def _poll_until_called(unused: u64) -> None:
    """The device's interrupt never comes."""
    try:
        intr.poll_all(1000)
    except Errno:
        panic("no thread")
    while calls.load() < 2:
        world.wait()


def polled_in_emergency() -> None:
    """Handlers are called at each tick of the emergency timer, though no interrupt comes."""
    world.start_with(_register_quiet)
    world.thread(_idle, 0, 0)
    world.thread(_poll_until_called, 0, 1)
