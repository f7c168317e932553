# SPDX-License-Identifier: BSD-3-Clause
"""Models of the token and of the doorbell: all their states, and runs of the real code in them.

A model says which operation on memory may come next: `steps(state)` gives (operation, state after)
for each.  explore() goes through all states and asks of each whether it is sound, whether somebody
can go on, and whether all can still come to their end (nobody starves for good).  accepts() walks
along the operations that a run of the real code made, as core.c noted them: one that no step allows
is where code and model part.

    Token      CPUs each take the tokens that their program says, in its order, exclusively (X) or
               shared (S), and let go: token.py's gettoken, relalltokens and getalltokens (T1 to T4)
    Doorbell   senders put messages, set their bit, ring; the receiver takes, drains, releases
               npoll, fences, looks again: ipiq.py's interlock (P3), under store buffers

`bug` seeds one: a model that finds none of its own would find none of ours.
Tests     tests/sim/test_model.py
Source    Lamport, "Specifying Systems", 2002 (states, steps, invariants)
"""
from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from toolchain.sim import Operation

EXCLUSIVE, EXCLREQ, STEP = 1, 2, 4
LOAD, STORE, SWAP, ADD, SUB, AND, OR, CAS, BELL = 0, 1, 2, 3, 4, 5, 6, 8, 11
State = Any


class Wrong(AssertionError):  # noqa: N818
    """A state that must not be, and the operations that lead there."""

    def __init__(self, what: str, path: list[Any]) -> None:
        self.what, self.path = what, path
        super().__init__("\n".join([what, *map(str, path)]))


@dataclass(frozen=True, slots=True)
class Explored:
    """How large a model is."""
    states: int
    steps: int
    deepest: int


def explore(model: Any) -> Explored:
    """All states of a model; raises Wrong."""
    start = model.start()
    came: dict[Hashable, tuple[Hashable, Any] | None] = {start: None}
    before: dict[Hashable, list[Hashable]] = {start: []}
    depth = {start: 0}
    todo = deque([start])
    ends, steps = [], 0
    while todo:
        state = todo.popleft()
        problem = model.problem(state)
        if problem:
            raise Wrong(problem, _path(came, state))
        following = list(model.steps(state))
        if model.done(state):
            ends.append(state)
        elif not following:
            raise Wrong(model.stuck(state), _path(came, state))
        steps += len(following)
        for label, after in following:
            if after not in came:
                came[after] = (state, label)
                depth[after] = depth[state] + 1
                before[after] = []
                todo.append(after)
            before[after].append(state)
    able, back = set(ends), list(ends)
    while back:
        for state in before[back.pop()]:
            if state not in able:
                able.add(state)
                back.append(state)
    for state in came:
        if state not in able:
            raise Wrong("from here on somebody waits for ever", _path(came, state))
    return Explored(len(came), steps, max(depth.values()))


def _path(came: dict[Hashable, tuple[Hashable, Any] | None], state: Hashable) -> list[Any]:
    path = []
    link = came[state]
    while link is not None:
        state, label = link
        path.append(label)
        link = came[state]
    return path[::-1]


# ---- the token

@dataclass(frozen=True, slots=True)
class Cpu:
    """A CPU in the token's model: what it holds, and what it is in the middle of."""
    at: int = 0                         # requests of its program that are met
    mode: str = "get"                   # get, drop (T4), give (all it asked for was there), done
    held: tuple[tuple[int, str], ...] = ()
    doing: tuple[str, int] | None = None    # claim, back, unref


@dataclass(slots=True)
class Token:
    """State: (count, holder) of each token, then the CPUs."""
    programs: list[list[tuple[int, str]]]
    tokens: int = 2
    bug: str = ""

    def start(self) -> State:
        return ((0, None),) * self.tokens, tuple(Cpu() for _ in self.programs)

    def done(self, state: State) -> bool:
        return all(cpu.mode == "done" for cpu in state[1])

    def stuck(self, state: State) -> str:
        return "deadlock: nobody can go on"

    def problem(self, state: State) -> str:
        for number, (count, holder) in enumerate(state[0]):
            alone = [i for i, cpu in enumerate(state[1]) if (number, "X") in cpu.held]
            others = [i for i, cpu in enumerate(state[1]) if (number, "S") in cpu.held
                      and i not in alone]
            if len(alone) > 1 or (alone and others):
                return f"token {number} is held by {alone} alone, and by {others}"
            unref = [i for i, cpu in enumerate(state[1]) if cpu.doing == ("unref", number)]
            if alone and (not count & EXCLUSIVE or (holder != alone[0] and not unref)):
                return f"T1: token {number} has count {count} and holder {holder}"
        return ""

    def steps(self, state: State) -> Iterator[tuple[Any, State]]:
        for me, cpu in enumerate(state[1]):
            yield from self._cpu(state, me, cpu)

    def _cpu(self, state: State, me: int, cpu: Cpu) -> Iterator[tuple[Any, State]]:
        tokens = state[0]
        if cpu.doing is not None:
            what, number = cpu.doing
            count, holder = tokens[number]
            if what == "split":                     # seeded: a compare-and-swap in two parts
                yield self._to(state, me, number, CAS, EXCLUSIVE, holder, cpu.at, cpu.mode,
                               cpu.held, ("claim", number))
            elif what == "claim":
                yield self._to(state, me, number, STORE, count, me, cpu.at + 1, cpu.mode,
                               (*cpu.held, (number, "X")), None)
            elif what == "back":
                yield self._to(state, me, number, SUB, count - STEP, holder, cpu.at, cpu.mode,
                               cpu.held, None)
            else:
                early = self.bug == "flag first"
                yield self._to(state, me, number, STORE if early else AND,
                               count if early else count & ~EXCLUSIVE,
                               None if early else holder, cpu.at, cpu.mode,
                               tuple(h for h in cpu.held if h != (number, "X")), None)
        elif cpu.mode == "get":
            yield from self._get(state, me, cpu)
        elif cpu.held:
            yield from self._let_go(state, me, cpu)
        else:
            mode = "get" if cpu.mode == "drop" else "done"
            yield ((me, "turn"), self._with(state, me, Cpu(0, mode)))

    def _get(self, state: State, me: int, cpu: Cpu) -> Iterator[tuple[Any, State]]:
        program = self.programs[me]
        if cpu.at == len(program):
            yield ((me, "turn"), self._with(state, me, Cpu(cpu.at, "give", cpu.held)))
            return
        number, how = program[cpu.at]
        count, holder = state[0][number]
        if holder == me:
            yield self._to(state, me, number, ADD, count + STEP, holder, cpu.at + 1, cpu.mode,
                           (*cpu.held, (number, "S")), None)
            return
        if how == "X" and count & ~EXCLREQ == 0:
            if self.bug == "split":
                yield ((me, "look"), self._with(state, me, Cpu(
                    cpu.at, cpu.mode, cpu.held, ("split", number))))
                return
            keeps = count if self.bug == "request stays" else 0
            yield self._to(state, me, number, CAS, EXCLUSIVE | keeps, holder, cpu.at, cpu.mode,
                           cpu.held, ("claim", number))
        elif how == "X" and not count & EXCLREQ:
            yield self._to(state, me, number, CAS, count | EXCLREQ, holder, cpu.at, cpu.mode,
                           cpu.held, None)
        elif how == "S" and (not count & EXCLREQ or cpu.at > 0):
            taken = count & EXCLUSIVE and self.bug != "shared anyway"
            yield self._to(state, me, number, ADD, count + STEP, holder,
                           cpu.at if taken else cpu.at + 1, cpu.mode,
                           cpu.held if taken else (*cpu.held, (number, "S")),
                           ("back", number) if taken else None)
        if cpu.held and self.bug != "hold and wait":        # T4: who waits lets go of all
            yield ((me, "turn"), self._with(state, me, Cpu(0, "drop", cpu.held)))

    def _let_go(self, state: State, me: int, cpu: Cpu) -> Iterator[tuple[Any, State]]:
        number, how = cpu.held[-1]
        count, holder = state[0][number]
        if how == "S":
            yield self._to(state, me, number, SUB, count - STEP, holder, cpu.at, cpu.mode,
                           cpu.held[:-1], None)
        elif self.bug == "flag first":
            yield self._to(state, me, number, AND, count & ~EXCLUSIVE, holder, cpu.at, cpu.mode,
                           cpu.held[:-1], ("unref", number))
        else:
            yield self._to(state, me, number, STORE, count, None, cpu.at, cpu.mode, cpu.held,
                           ("unref", number))

    def _to(self, state: State, me: int, number: int, kind: int, count: int, holder: int | None,
            at: int, mode: str, held: tuple[tuple[int, str], ...], doing: tuple[str, int] | None,
            ) -> tuple[Any, State]:
        old = state[0][number]
        what = "ref" if kind == STORE else "count"
        label = (me, number, what, kind, *((old[0], count) if what == "count" else (holder,)))
        tokens = (*state[0][:number], (count, holder), *state[0][number + 1:])
        return label, self._with((tokens, state[1]), me, Cpu(at, mode, held, doing))

    @staticmethod
    def _with(state: State, me: int, cpu: Cpu) -> State:
        return state[0], (*state[1][:me], cpu, *state[1][me + 1:])


@dataclass(slots=True)
class TokenRules:
    """The same operations without programs: what any client may do, for accepts()."""
    addresses: dict[int, int]           # of a token: its number
    tokens: list[list[Any]] = field(default_factory=list)
    cpus: dict[int, dict[str, Any]] = field(default_factory=dict)

    def step(self, op: Operation) -> str:
        """Take one operation of a run: why it is not allowed, or nothing."""
        base, offset = op.address & ~63, op.address & 63
        if base not in self.addresses or offset not in (0, 8) or op.kind == LOAD \
                or (op.kind == CAS and op.before == op.after):
            return ""
        while len(self.tokens) < len(self.addresses):
            self.tokens.append([0, None])
        number = self.addresses[base]
        token = self.tokens[number]
        cpu = self.cpus.setdefault(op.cpu, {"held": [], "doing": None})
        if offset == 0 and op.before != token[0]:
            return f"count was {token[0]:#x} in the model"
        return self._count(op, number, token, cpu) if offset == 0 \
            else self._ref(op, number, token, cpu)

    def _count(self, op: Operation, number: int, token: list[Any], cpu: dict[str, Any]) -> str:
        held, doing = cpu["held"], cpu["doing"]
        token[0] = op.after
        if op.kind == CAS and op.after == EXCLUSIVE and op.before & ~EXCLREQ == 0:
            return self._now(cpu, None, ("claim", number))
        if op.kind == CAS and op.before & ~EXCLREQ and op.after == op.before | EXCLREQ:
            return ""
        if op.kind == ADD and op.after == op.before + STEP:
            if token[1] == op.cpu or not op.before & EXCLUSIVE:
                held.append((number, "S"))
                return ""
            return self._now(cpu, None, ("back", number))
        if op.kind == SUB and op.after == op.before - STEP:
            if doing == ("back", number):
                cpu["doing"] = None
                return ""
            if (number, "S") in held:
                held.remove((number, "S"))
                return ""
            return "gives back a share that it has not"
        if op.kind == AND and op.after == op.before & ~EXCLUSIVE:
            if doing == ("unref", number):
                held.remove((number, "X"))
            return self._now(cpu, ("unref", number), None)
        return "no step of the model"

    def _ref(self, op: Operation, number: int, token: list[Any], cpu: dict[str, Any]) -> str:
        if op.after:
            if token[1] == op.cpu and cpu["doing"] is None:
                return ""                           # moved by swap()
            if token[1] is not None:
                return f"CPU {token[1]} holds it"
            token[1] = op.cpu
            cpu["held"].append((number, "X"))
            return self._now(cpu, ("claim", number), None)
        if token[1] != op.cpu or (number, "S") in cpu["held"]:
            return "gives up what it does not hold alone"
        token[1] = None
        return self._now(cpu, None, ("unref", number))

    @staticmethod
    def _now(cpu: dict[str, Any], expected: Any, then: Any) -> str:
        if cpu["doing"] != expected:
            return f"in the middle of {cpu['doing']}"
        cpu["doing"] = then
        return ""


# ---- the doorbell

@dataclass(slots=True)
class Doorbell:
    """State: npoll, mask, waiting messages, ringing, the receiver, its buffered store; senders."""
    senders: int = 2
    messages: int = 2
    bug: str = ""

    def start(self) -> State:
        return 0, 0, (0,) * self.senders, False, "halts", False, (("put", 0),) * self.senders

    def done(self, state: State) -> bool:
        _, _, queued, ringing, receiver, _, senders = state
        return receiver == "halts" and not ringing and not any(queued) and \
            all(sent == self.messages for _, sent in senders)

    def stuck(self, state: State) -> str:
        return "lost doorbell: messages wait, the receiver halts, nobody will ring"

    def problem(self, state: State) -> str:
        return ""

    def steps(self, state: State) -> Iterator[tuple[Any, State]]:
        npoll, mask, queued, ringing, receiver, buffered, senders = state
        for me, (at, sent) in enumerate(senders):
            if at == "put" and sent == self.messages:
                continue
            other = (npoll, mask, queued, ringing, receiver, buffered)
            if at == "put":
                more = (*queued[:me], queued[me] + 1, *queued[me + 1:])
                then = "ring" if self.bug == "ring first" else "mark"
                yield self._sender(state, me, "put", (npoll, mask, more, *other[3:]), then, sent)
            elif at == "mark":
                last = self.bug == "ring first"
                yield self._sender(state, me, "mark", (npoll, mask | 1 << me, *other[2:]),
                                   "put" if last else "ring", sent + last)
            else:
                first = self.bug == "ring first"
                yield self._sender(state, me, "ring", (1, mask, queued, ringing or npoll == 0,
                                                       receiver, buffered),
                                   "mark" if first else "put", sent + (not first))
        if buffered:
            yield ("receiver", "store arrives"), (0, mask, queued, ringing, receiver, False,
                                                  senders)
        yield from self._receiver(state)

    def _receiver(self, state: State) -> Iterator[tuple[Any, State]]:
        npoll, mask, queued, ringing, at, buffered, senders = state
        def to(then: str, **new: Any) -> tuple[Any, State]:
            now = {"npoll": npoll, "mask": mask, "queued": queued, "ringing": ringing,
                   "buffered": buffered} | new
            return ("receiver", at), (now["npoll"], now["mask"], now["queued"], now["ringing"],
                                      then, now["buffered"], senders)
        if at == "halts":
            if ringing:
                yield to("take", ringing=False)
        elif at == "take":
            yield to(f"drain {mask}", mask=0)
        elif at.startswith("drain"):
            seen = int(at.split()[1])
            yield to("look", queued=tuple(0 if seen >> i & 1 else n
                                          for i, n in enumerate(queued)))
        elif at == "look":
            yield to("take" if mask else "release")
        elif at == "release":
            yield to("halts" if self.bug == "no last look" else "fence", buffered=True)
        elif at == "fence":
            if not buffered or self.bug == "no fence":
                yield to("look again")
        else:
            yield to("take" if mask else "halts")

    @staticmethod
    def _sender(state: State, me: int, what: str, other: tuple[Any, ...], then: str, sent: int,
                ) -> tuple[Any, State]:
        senders = state[6]
        return (me, what), (*other, (*senders[:me], (then, sent), *senders[me + 1:]))


@dataclass(slots=True)
class DoorbellRules:
    """What senders and receiver may do to npoll, masks and indices, for accepts().

    `places` tells of an address what it is: ("npoll", cpu), ("mask", cpu), ("windex", from, to),
    ("rindex", from, to).
    """
    places: dict[int, tuple[Any, ...]]
    depth: int = 256
    claimed: dict[int, int] = field(default_factory=dict)       # a target: who is to ring
    put: dict[tuple[int, int], bool] = field(default_factory=dict)     # not yet in the mask
    index: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def step(self, op: Operation) -> str:
        if op.kind == BELL:
            return "" if self.claimed.pop(op.address, None) == op.cpu \
                else "rings without having claimed npoll"
        place = self.places.get(op.address)
        if place is None or op.kind == LOAD:
            return ""
        if place[0] == "npoll":
            if op.kind == SWAP and op.after == 1:
                if op.before == 0:
                    self.claimed[place[1]] = op.cpu
                return ""
            if op.kind == STORE and op.after == 0 and op.cpu == place[1]:
                return ""
            return "only its CPU releases npoll, and senders swap it to 1"
        if place[0] == "mask":
            if op.kind == SWAP and op.after == 0 and op.cpu == place[1]:
                return ""
            if op.kind == OR and op.after == op.before | 1 << op.cpu:
                self.put[op.cpu, place[1]] = False
                return ""
            return "only its CPU empties a mask, and senders set their bit"
        _, source, target = place
        if op.kind != STORE or op.after != (op.before + 1) % 2**32:
            return "an index moves by one"
        if op.cpu != (source if place[0] == "windex" else target):
            return "P1: an index has one writer"
        self.index[place] = op.after
        if place[0] == "windex":
            if self.put.get((source, target)):
                return "puts again before it has set its bit"
            self.put[source, target] = True
        filled = self.index.get(("windex", source, target), 0) - self.index.get(
            ("rindex", source, target), 0)
        return "" if 0 <= filled <= self.depth else f"P1: {filled} messages of {self.depth}"


def accepts(rules: Any, operations: Iterable[Operation]) -> int:
    """How many operations of a run the rules allow: all, or Wrong is raised with the one."""
    done = 0
    for done, op in enumerate(operations, 1):
        problem = rules.step(op)
        if problem:
            raise Wrong(f"operation {done}: {problem}", [op])
    return done
