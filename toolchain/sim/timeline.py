# SPDX-License-Identifier: BSD-3-Clause
"""A replayed run as a timeline: what `make trace` makes of a guest, a Perfetto trace and a picture.

    before   a Story, and the scenario as the replay left it
    after    trace.guest.Snapshot: the kernel's own events (core.c keeps what ktr.log() is told), an
             event a step, and who took and let go of a token, made of what atomic operations did

A step takes a microsecond; what happened in it begins at AFTER, a nanosecond apart.

Invariants
  T1  A thread has a token alone from the store of its reference in Token.ref until that of none.
      It shares one from the operation that raises the count to the one that lowers it.
  T2  What a CPU takes between TOKEN_DROP and TOKEN_REGAIN is for the thread of TOKEN_REGAIN.
Tests     tests/sim/test_story.py
"""
from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elftools.elf.elffile import ELFFile

from toolchain.trace import model, perfetto, picture
from toolchain.trace.guest import TEXT_MOST, TEXT_SHIFT, Snapshot
from toolchain.trace.model import SHARED
from toolchain.trace.rings import Event, Loss

if TYPE_CHECKING:
    from toolchain.sim.story import Story

TRACE, PICTURE = "trace.perfetto-trace", "trace.png"
STEP, AFTER, HZ = 1000, 600, 1_000_000_000
SHOWN = 100                     # steps of a picture, unless told
EXCLUSIVE, KTR = 1, 12          # token.EXCLUSIVE; core.c: the kind of what ktr.log() was told
NAMED = ("SWITCH", "PREEMPT", "SCHEDULE", "CREATE", "EXIT", "MIGRATE")
TOKENS = ("TOKEN_SPIN", "TOKEN_WAIT")
TYPES = {"Event": "ktr", "Thread": "thread", "Token": "token"}


def write(story: Story, title: str, folder: Path, start: int | None = None,
          end: int | None = None) -> tuple[Path, Path]:
    """Write trace and picture, of steps `start` to `end` (the last SHOWN); where they are."""
    timeline = model.build(snapshot(story))
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / TRACE, folder / PICTURE
    files[0].write_bytes(perfetto.encode(timeline))
    steps = len(story.steps)
    end = steps if end is None else end
    start = max(end - SHOWN, 0) if start is None else start
    picture.draw(timeline, files[1], title, start * STEP, end * STEP, unit="steps")
    return files


def snapshot(story: Story) -> Snapshot:
    """What happened in the run, for trace.model; to be asked for before another run."""
    return _Teller(story).snapshot()


@dataclass(frozen=True)
class _Told:
    """One record of the core: an atomic operation, or what ktr.log() was told."""
    cpu: int
    kind: int
    address: int
    before: int
    after: int
    step: int
    event: int


class _Teller:
    """Makes the snapshot of one run."""

    def __init__(self, story: Story) -> None:
        self.story, self.mod, self.world = story, story.mod, story.world
        self.told = [_Told(*(self.world.operation(at, field) for field in range(7)))
                     for at in range(self.world.figure(10))]
        self.names = {int(m): m.name for m in self._type("Event")}
        self.thread_size = self._type("Thread").__kpy_type__.size
        self.result = Snapshot([], HZ, {})

    def snapshot(self) -> Snapshot:
        """The whole run."""
        out = self.result
        out.events = sorted([*self._beginnings(), *self._steps(), *self._happened()],
                            key=lambda event: event.time)
        for cpu in range(self.story.cpus):
            gd = self.world.globaldata_of(cpu)
            out.idle.add(gd.idlethread.address)
            out.losses[cpu] = Loss()
        self._name_all()
        return out

    # ---- events ----

    def _beginnings(self) -> Iterator[Event]:
        """Each CPU that did something is there from the beginning."""
        seen: dict[int, int] = {}
        for step in self.story.steps:
            seen.setdefault(step.cpu, step.thread)
        for cpu, thread in seen.items():
            yield Event(0, cpu, 0, "BEGIN", thread, 0, 0)

    def _steps(self) -> Iterator[Event]:
        for number, step in enumerate(self.story.steps):
            text = f"{step.place()}  {step.source}".strip()
            self.result.texts[number] = f"interrupt, at {text}" if step.interrupt else text
            yield Event(number * STEP, step.cpu, 0, "STEP", step.thread, 0, number)
        if self.story.steps:
            last, number = self.story.steps[-1], len(self.story.steps)
            self.result.texts[number] = self.story.what
            yield Event(number * STEP, last.cpu, 0, "STEP", last.thread, 0, number)

    def _happened(self) -> Iterator[Event]:
        """What the kernel told, and what its atomic operations say of tokens."""
        fields = {self._offset("Token", name): name for name in ("count", "ref")}
        at, held = 0, dict[int, int]()                  # held: token -> who has it alone
        for number, told in enumerate(self.told):
            at = max(at + 1, (told.step - 1) * STEP + AFTER)
            thread = self._running(number)
            if told.kind == KTR:
                name = self.names.get(told.event, f"{told.event:#06x}")
                yield Event(at, told.cpu, number, name, told.address, told.before, told.after)
                continue
            token = next((t for t in (told.address - o for o in fields) if t in self.tokens), None)
            if token is None:
                continue
            for name, who, mode in self._taken(number, token, fields[told.address - token], held):
                yield Event(at, told.cpu, number, name, thread, token, who | mode)

    def _taken(self, number: int, token: int, field: str, held: dict[int, int]
               ) -> Iterator[tuple[str, int, int]]:
        """(event, thread, mode) of an operation on a token (T1)."""
        told = self.told[number]
        if field == "ref" and told.before != told.after:
            if token in held:
                yield "TOKEN_RELEASE", held.pop(token), EXCLUSIVE
            who = self._owner(told.after)
            if who is not None:
                held[token] = who
                yield "TOKEN_GET", who, EXCLUSIVE
        elif field == "count":
            more = told.after // SHARED - told.before // SHARED
            if more:
                yield "TOKEN_GET" if more > 0 else "TOKEN_RELEASE", self._for(number), SHARED

    def _running(self, number: int) -> int:
        """The thread that ran when operation `number` was done."""
        told = self.told[number]
        row = min(max(told.step - 1, 0), len(self.story.steps) - 1)
        while row >= 0 and self.story.steps[row].cpu != told.cpu:
            row -= 1
        thread = self.story.steps[row].thread if row >= 0 else 0
        for other in reversed(self.told[:number]):      # perhaps it switched since that step
            if other.step < told.step:
                break
            if other.cpu == told.cpu and self.names.get(other.event) == "SWITCH":
                return other.before
        return thread

    def _for(self, number: int) -> int:
        """For whom a share of a token is taken or given back (T2)."""
        cpu = self.told[number].cpu
        own = [(told, self.names.get(told.event)) for told in self.told if told.cpu == cpu]
        at = next(i for i, (told, _) in enumerate(own) if told is self.told[number])
        before = next((name for _, name in reversed(own[:at])
                       if name in ("TOKEN_DROP", "SWITCH", "TOKEN_REGAIN")), "")
        if before == "TOKEN_DROP":
            for told, name in own[at:]:
                if name == "TOKEN_REGAIN":
                    return told.after
                if name in ("TOKEN_DROP", "SWITCH"):
                    break
        return self._running(number)

    # ---- names ----

    @cached_property
    def tokens(self) -> set[int]:
        """Where there are tokens: variables, and what threads hold or wait for."""
        kind = self._type("Token").__kpy_type__
        found = {told.before for told in self.told if self.names.get(told.event) in TOKENS}
        for entry in self.mod._core.description["globals"]:
            ty = self.mod._core.types[entry["type"]]
            if kind in (ty, ty.elem) and not entry["percpu"]:
                start = self.mod._core.symbol(entry["symbol"])
                found.update(range(start, start + ty.size, kind.size))
        return found

    @cached_property
    def symbols(self) -> list[tuple[int, int, str]]:
        """(address, size, name) of all that the scenario's library has."""
        with Path(self.mod.__file__).open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            all_of = [(s["st_value"], s["st_size"], s.name) for s in table.iter_symbols() if s.name]
        anchor = self.mod._core.symbol("kpy.host.context") - self.mod._core.description["anchor"]
        return [(address + anchor, size, name) for address, size, name in all_of]

    def _name_all(self) -> None:
        """Names of all that the events speak of."""
        out, threads = self.result, set(self.result.idle)
        for event in out.events:
            threads.add(event.thread)
            if event.name in NAMED:
                threads.add(event.a)
            elif event.name == "SLEEP":
                out.texts.setdefault(event.b, self._text(event.b))
            elif event.name in ("IPI_SEND", "IPI_RECEIVE"):
                out.functions.setdefault(event.b, ".".join(self._symbol(event.b).split(".")[-2:]))
        born = {event.a for event in out.events if event.name == "CREATE"}
        port = self._offset("Thread", "msgport")
        for address in threads - {0}:
            td = self.mod.at("Thread", address)
            name = None if address in born else self.story.names.get(address)
            out.threads[address] = name or bytes(td.name).rstrip(b"\0").decode(errors="replace")
            out.ports[address + port] = address
        out.events = [self._renamed(event, born) for event in out.events]
        for address in self.tokens:
            name = str(self.mod.at("Token", address).name)
            out.tokens[address] = name or self._symbol(address).rpartition(".")[2]

    def _renamed(self, event: Event, born: set[int]) -> Event:
        """EXIT says the first letters of a name: those of the one that we use."""
        if event.name != "EXIT" or event.a in born or event.a not in self.story.names:
            return event
        name = self.story.names[event.a].encode()[:8]
        return Event(event.time, event.cpu, event.sequence, event.name, event.thread, event.a,
                     int.from_bytes(name, "little"))

    def _owner(self, address: int) -> int | None:
        """The thread in whose structure an address lies."""
        return next((td for td in self.known if td <= address < td + self.thread_size), None)

    @cached_property
    def known(self) -> set[int]:
        """The threads of the run."""
        found = {step.thread for step in self.story.steps} | set(self.story.names)
        return found | {told.before for told in self.told if self.names.get(told.event) in NAMED}

    def _symbol(self, address: int) -> str:
        return next((name for start, size, name in self.symbols
                     if start <= address < start + max(size, 1)), f"{address:#x}")

    def _text(self, value: int) -> str:
        """What ktr.text() made one value of."""
        length = min(value >> TEXT_SHIFT, TEXT_MOST)
        at = value & ((1 << TEXT_SHIFT) - 1)
        return ctypes.string_at(at, length).decode(errors="replace") if length else ""

    def _type(self, name: str) -> Any:
        return self.mod.types[f"kernel.lwkt.{TYPES[name]}.{name}"]

    def _offset(self, name: str, field: str) -> int:
        fields = self._type(name).__kpy_type__.entry["fields"]
        return next(offset for known, _, offset in fields if known == field)
