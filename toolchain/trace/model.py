# SPDX-License-Identifier: BSD-3-Clause
"""Events to a timeline: what a picture of the run is drawn from.

    before   events of all CPUs by time (rings), names by address (guest.Snapshot)
    after    Timeline: for each CPU the thread that ran, for each thread its states, for each token
             who held and who wanted it, and arrows for what went from one CPU to another

Times are nanoseconds since the first event.  A thread's address may be used again once it has
ended: CREATE begins another thread.

Invariants
  M1  The spans of a CPU, and of a thread, touch and do not overlap.
  M2  Of a token, spans held alone overlap with no other held span.
  M3  An arrow's head is not before its tail.
  M4  What the trace does not say, for it began too late or lost it, is not made up: no state
      before a thread's first event, no arrow with one end, no span held since before the trace.
Tests   tests/toolchain/test_trace_model.py, tests/qemu/test_trace.py
Source  kernel/lwkt/ktr.py, kernel/lwkt/sched.py, kernel/lwkt/token.py
"""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from toolchain.trace.guest import Snapshot
from toolchain.trace.rings import Event

MODE_BITS = 63                              # below a thread's address, which is a multiple of 64
SHARED, LAPSED = 4, 16                      # token.SHARED_STEP, ktr.LAPSED
LOW = (1 << 32) - 1
INTERRUPTS = ("INTR", "TIMER", "DOORBELL")
ANYWHERE = (*INTERRUPTS, "STEP")     # the last is the simulator's
NS = 1_000_000_000


class State(Enum):
    """What a thread does."""

    RUNNING = "running"
    SPINNING = "spinning"       # runs, and tries again for a token
    READY = "ready"
    PREEMPTED = "preempted"
    TOKENS = "tokens"           # runnable but for its tokens
    SLEEPING = "sleeping"
    MIGRATING = "migrating"
    IDLE = "idle"               # the idle thread, halted or looking for work
    ENDED = "ended"


ON_CPU = (State.RUNNING, State.SPINNING)


@dataclass(eq=False)
class Thread:
    """A thread of the run; `name` is unique in it."""

    address: int
    name: str
    idle: bool = False
    spans: list[Span] = field(default_factory=list)


@dataclass(eq=False)
class Token:
    """A token of the run, with what was seen of it."""

    address: int
    name: str
    held: list[Hold] = field(default_factory=list)
    waited: list[Wait] = field(default_factory=list)


@dataclass
class Span:
    """A thread in one state; `what` is the wait message, the token, or who preempts it."""

    start: int
    end: int
    thread: Thread
    state: State
    cpu: int
    what: str = ""


@dataclass
class Hold:
    """A token held from its first reference to its last."""

    start: int
    end: int
    thread: Thread
    shared: bool
    lapsed: bool = False        # ended by a switch: the thread is to have it again


@dataclass
class Wait:
    """A token wanted and not had."""

    start: int
    end: int
    thread: Thread


@dataclass
class Point:
    """Something that happened at one moment, on a CPU, while a thread ran."""

    time: int
    cpu: int
    thread: Thread
    what: str


@dataclass
class Arrow:
    """What went from one place to another."""

    kind: str                   # ipi, message, reply
    what: str                   # the function, or the port's owner
    tail: Point
    head: Point


@dataclass
class Request:
    """What a disk was asked, from the start to its end."""

    start: int
    end: int
    disk: str
    thread: Thread              # that asked
    error: int = 0


@dataclass
class Timeline:
    """The run."""

    end: int = 0
    cpus: dict[int, list[Span]] = field(default_factory=dict)      # who ran
    halts: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    threads: list[Thread] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    interrupts: list[Point] = field(default_factory=list)
    marks: list[Point] = field(default_factory=list)
    queues: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # run queue lengths
    messages: list[tuple[int, int]] = field(default_factory=list)           # sent so far
    unmatched: Counter[str] = field(default_factory=Counter)        # M4: what had no other end
    switches_paired: bool = True    # each switch left the thread that the one before went to


def build(snapshot: Snapshot) -> Timeline:
    """The timeline of a run."""
    return _Builder(snapshot).run()


@dataclass
class _Now:
    """A thread at the moment that is looked at."""

    state: State | None = None
    since: int = 0
    cpu: int = 0
    what: str = ""
    next: tuple[State, str] | None = None               # what it becomes when it is switched out
    lapsed: set[int] = field(default_factory=set)       # tokens it is due
    wanted: str = ""                                    # the token it last waited for


class _Builder:
    """The state of the machine between two events."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.out = Timeline()
        self.begin = snapshot.events[0].time if snapshot.events else 0
        self.names = thread_names(snapshot)
        self.living: dict[int, Thread] = {}             # by address
        self.used: Counter[str] = Counter()
        self.generation: Counter[int] = Counter()
        self.now: dict[Thread, _Now] = {}
        self.on: dict[int, Thread] = {}                 # by CPU
        self.tokens: dict[int, Token] = {}
        self.depth: Counter[tuple[int, Thread]] = Counter()
        self.holds: dict[tuple[int, Thread], Hold] = {}
        self.waits: dict[tuple[int, Thread], Wait] = {}
        self.sent: dict[tuple[int, int, int], Point] = {}
        self.flying: dict[int, tuple[str, Point]] = {}  # messages by address
        self.halted: dict[int, int] = {}
        self.asked: dict[int, Request] = {}             # of disks, by address

    def run(self) -> Timeline:
        for event in self.snapshot.events:
            self.time = (event.time - self.begin) * NS // self.snapshot.hz
            self.cpu = event.cpu
            self.thread = self._thread(event.thread)
            if event.cpu not in self.on:
                self._start_cpu()
            elif event.name in ANYWHERE:
                # It may come between the note of a switch and the switch, in the old thread.
                self.thread = self.on[event.cpu]
            elif self.on[event.cpu] is not self.thread:
                self.out.switches_paired = False
                self._switch_to(self.thread)
            handler = getattr(self, f"_on_{event.name.lower()}", None)
            if handler is not None:
                handler(event)
        self._finish()
        return self.out

    # ---- threads ----

    def _on_switch(self, event: Event) -> None:
        self._switch_to(self._thread(event.a))
        self._queue(event.b >> 32)

    def _on_preempt(self, event: Event) -> None:
        preemptor = self._thread(event.a)
        self.now[self.thread].next = (State.PREEMPTED, preemptor.name)
        self._switch_to(preemptor)

    def _on_schedule(self, event: Event) -> None:
        self._queue(event.b)
        thread = self._thread(event.a)
        now = self.now[thread]
        if now.state in (*ON_CPU, State.PREEMPTED):
            return
        now.cpu = self.cpu
        self._runnable(thread)

    def _on_create(self, event: Event) -> None:
        self.generation[event.a] += 1
        self.living.pop(event.a, None)
        self._thread(event.a)

    def _on_exit(self, event: Event) -> None:
        self.now[self.thread].next = (State.ENDED, "")

    def _on_migrate(self, event: Event) -> None:
        thread = self._thread(event.a)
        self._become(thread, State.MIGRATING, f"to CPU {event.b}")

    def _on_sleep(self, event: Event) -> None:
        self.now[self.thread].next = (State.SLEEPING, self.snapshot.texts.get(event.b, ""))

    def _on_idle_halt(self, event: Event) -> None:
        self.halted[self.cpu] = self.time

    def _on_idle_wake(self, event: Event) -> None:
        since = self.halted.pop(self.cpu, None)
        if since is not None:
            self.out.halts[self.cpu].append((since, self.time))

    # ---- tokens ----

    def _on_token_spin(self, event: Event) -> None:
        self._want(event.a, self.thread)
        self._become(self.thread, State.SPINNING, self._token(event.a).name)

    def _on_token_wait(self, event: Event) -> None:
        self._want(event.a, self.thread)
        self.now[self.thread].next = (State.TOKENS, self._token(event.a).name)

    def _on_token_get(self, event: Event) -> None:
        thread = self._thread(event.b & ~MODE_BITS)
        key = (event.a, thread)
        self.now[thread].lapsed.discard(event.a)
        self._have(key)
        self.depth[key] += 1
        if self.depth[key] == 1:
            self.holds[key] = Hold(self.time, -1, thread, bool(event.b & SHARED))
        if self.now[thread].state is State.SPINNING:
            self._become(thread, State.RUNNING)

    def _on_token_release(self, event: Event) -> None:
        thread = self._thread(event.b & ~MODE_BITS)
        key = (event.a, thread)
        if self.depth[key] == 0:
            self.out.unmatched["TOKEN_RELEASE"] += 1
            return
        self.depth[key] -= 1
        if event.b & LAPSED:
            self.now[thread].lapsed.add(event.a)
        if self.depth[key] == 0:
            self._end_hold(key, bool(event.b & LAPSED))

    def _on_token_regain(self, event: Event) -> None:
        thread = self._thread(event.b)
        for key in [key for key in self.waits if key[1] is thread]:
            self._have(key)

    # ---- messages ----

    def _on_ipi_send(self, event: Event) -> None:
        key = (self.cpu, event.a & LOW, event.a >> 32)
        self.sent[key] = self._point(self.snapshot.functions.get(event.b, ""))

    def _on_ipi_receive(self, event: Event) -> None:
        tail = self.sent.pop((event.a & LOW, self.cpu, event.a >> 32), None)
        what = self.snapshot.functions.get(event.b, "")
        if tail is None:
            self.out.unmatched["IPI_RECEIVE"] += 1
        else:
            self.out.arrows.append(Arrow("ipi", what, tail, self._point(what)))

    def _on_msg_send(self, event: Event) -> None:
        self.out.messages.append((self.time, len(self.out.messages) + 1))
        self._fly("message", event)

    def _on_msg_forward(self, event: Event) -> None:
        self._fly("message", event)

    def _on_msg_reply(self, event: Event) -> None:
        self._fly("reply", event)

    def _on_msg_get(self, event: Event) -> None:
        self._land(event)

    def _on_msg_done(self, event: Event) -> None:
        self._land(event)

    def _on_msg_inline(self, event: Event) -> None:
        self.flying.pop(event.a, None)

    # ---- disks ----

    def _on_bio_start(self, event: Event) -> None:
        self.asked[event.a] = Request(self.time, -1, short(event.b), self.thread)

    def _on_bio_done(self, event: Event) -> None:
        request = self.asked.pop(event.a, None)
        if request is None:
            self.out.unmatched["BIO_DONE"] += 1
            return
        request.end, request.error = self.time, event.b
        self.out.requests.append(request)

    # ---- what only happens ----

    def _on_intr(self, event: Event) -> None:
        self._interrupt(f"vector {event.a}", event)

    def _on_timer(self, event: Event) -> None:
        self._interrupt("timer", event)

    def _on_doorbell(self, event: Event) -> None:
        self._interrupt("doorbell", event)

    def _on_mark(self, event: Event) -> None:
        self.out.marks.append(self._point(f"{event.a:#x} {event.b:#x}"))

    def _on_step(self, event: Event) -> None:
        """Of the simulator: what this CPU does next."""
        self.out.marks.append(self._point(self.snapshot.texts.get(event.b, "")))

    # ---- helpers ----

    def _thread(self, address: int) -> Thread:
        found = self.living.get(address)
        if found is None:
            idle = address in self.snapshot.idle
            name = self.names.get((address, self.generation[address])) or f"{address:#x}"
            self.used[name] += 1
            if self.used[name] > 1 and not idle:
                name = f"{name} #{self.used[name]}"
            found = self.living[address] = Thread(address, name, idle)
            self.now[found] = _Now()
            self.out.threads.append(found)
        return found

    def _token(self, address: int) -> Token:
        found = self.tokens.get(address)
        if found is None:
            name = self.snapshot.tokens.get(address) or f"token {address & 0xFFFFFF:#x}"
            found = self.tokens[address] = Token(address, name)
            self.out.tokens.append(found)
        return found

    def _start_cpu(self) -> None:
        self.on[self.cpu] = self.thread
        for each in (self.out.cpus, self.out.halts, self.out.queues):
            each.setdefault(self.cpu, [])
        self.now[self.thread].cpu = self.cpu
        self._become(self.thread, self._running(self.thread))

    def _switch_to(self, thread: Thread) -> None:
        """This CPU leaves the thread that runs."""
        old = self.on[self.cpu]
        now = self.now[old]
        state, what = now.next or (State.READY, "")
        now.next = None
        if old.idle:
            self._become(old, None)
        elif state is State.READY:
            self._runnable(old)
        else:
            self._become(old, state, what)
        self.on[self.cpu] = thread
        self.now[thread].cpu = self.cpu
        self.now[thread].next = None
        self._become(thread, self._running(thread))

    def _running(self, thread: Thread) -> State:
        return State.IDLE if thread.idle else State.RUNNING

    def _runnable(self, thread: Thread) -> None:
        """Ready, or waiting for tokens that it let go of."""
        lapsed = self.now[thread].lapsed
        for address in lapsed:
            self._want(address, thread)
        names = ", ".join(sorted(self._token(address).name for address in lapsed))
        self._become(thread, State.TOKENS if lapsed else State.READY, names)

    def _become(self, thread: Thread, state: State | None, what: str = "") -> None:
        """M1: end the present span of `thread`, begin the next."""
        now = self.now[thread]
        if now.state is not None and now.state is not State.ENDED and self.time > now.since:
            span = Span(now.since, self.time, thread, now.state, now.cpu, now.what)
            thread.spans.append(span)
            if now.state in (*ON_CPU, State.IDLE):
                self._ran(span)
        now.state, now.since, now.what = state, self.time, what
        if state is State.MIGRATING or state in (*ON_CPU, State.IDLE):
            now.cpu = self.cpu

    def _ran(self, span: Span) -> None:
        """On the lane of its CPU spinning is running."""
        lane = self.out.cpus[span.cpu]
        if lane and lane[-1].thread is span.thread and lane[-1].end == span.start:
            lane[-1].end = span.end
        else:
            lane.append(Span(span.start, span.end, span.thread,
                             self._running(span.thread), span.cpu))

    def _want(self, address: int, thread: Thread) -> None:
        self._token(address)
        if self.depth[address, thread] == 0:
            self.waits.setdefault((address, thread), Wait(self.time, -1, thread))

    def _have(self, key: tuple[int, Thread]) -> None:
        wait = self.waits.pop(key, None)
        if wait is not None:
            wait.end = self.time
            self._token(key[0]).waited.append(wait)

    def _end_hold(self, key: tuple[int, Thread], lapsed: bool) -> None:
        hold = self.holds.pop(key)
        hold.end, hold.lapsed = self.time, lapsed
        self._token(key[0]).held.append(hold)

    def _queue(self, length: int) -> None:
        self.out.queues[self.cpu].append((self.time, length))

    def _point(self, what: str) -> Point:
        return Point(self.time, self.cpu, self.thread, what)

    def _fly(self, kind: str, event: Event) -> None:
        owner = self.snapshot.ports.get(event.b)
        what = self._thread(owner).name if owner is not None else f"port {event.b & 0xFFFFFF:#x}"
        self.flying[event.a] = (kind, self._point(what))

    def _land(self, event: Event) -> None:
        kind, tail = self.flying.pop(event.a, ("", None))
        if tail is None:
            self.out.unmatched[event.name] += 1
        else:
            self.out.arrows.append(Arrow(kind, tail.what, tail, self._point(tail.what)))

    def _interrupt(self, what: str, event: Event) -> None:
        self.out.interrupts.append(self._point(what + (", deferred" if event.b else "")))

    def _finish(self) -> None:
        """The trace ends; what goes on is shown up to here."""
        if not self.snapshot.events:
            return
        self.out.end = (self.snapshot.events[-1].time - self.begin) * NS // self.snapshot.hz
        self.time = self.out.end
        for thread in self.out.threads:
            self._become(thread, None)
        for key in list(self.waits):
            self._have(key)
        for key in list(self.holds):
            self._end_hold(key, False)
        for cpu, since in self.halted.items():
            self.out.halts[cpu].append((since, self.time))
        for token in self.out.tokens:
            token.held.sort(key=lambda hold: hold.start)
            token.waited.sort(key=lambda wait: wait.start)


def short(value: int) -> str:
    """The text that ktr.short() made one value of."""
    return value.to_bytes(8, "little").split(b"\0")[0].decode("utf-8", "replace")


def thread_names(snapshot: Snapshot) -> dict[tuple[int, int], str]:
    """The name of each thread that had an address, by how many CREATEs came before.

    The last one's is in memory in full.  Others have what CREATE and EXIT say: eight bytes.
    """
    names: dict[tuple[int, int], str] = {}
    made: Counter[int] = Counter()
    for event in snapshot.events:
        if event.name == "CREATE":
            made[event.a] += 1
        if event.name in ("CREATE", "EXIT"):
            names[event.a, made[event.a]] = short(event.b)
    for address, name in snapshot.threads.items():
        known = names.get((address, made[address]), "")
        if name.startswith(known):
            names[address, made[address]] = name
    return names
