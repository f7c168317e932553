# SPDX-License-Identifier: BSD-3-Clause
"""What functions keep: the address of a local must not stay where it outlives the function.

    def insert(q: Ptr[Queue], n: Ptr[Node]) -> None:
        q.head = n                         insert keeps n in what q leads to
    def submit(n: Ptr[Node]) -> None:
        insert(queue, n)                   submit keeps n in memory that outlives it
    def work() -> None:
        node = Node()
        submit(node)                       K0706: with both steps

A queue that is a local itself may hold locals.  `lend(node)` promises that the address is taken
out again before the function returns; unsafe modules promise it without a word.

Before: effects.Summary of every function of the program.  Seen are stores of parameters and of
pointers into their objects, in fields, globals, atomics and struct values; not seen is what goes
through a function's result, an integer, or a variable assigned in another order than written.

Invariants
  L1  A parameter is kept if a chain of calls leads to a store of it, in memory that is not this
      function's own.
Tests     tests/toolchain/test_keeping.py
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from toolchain.frontend import effects

if TYPE_CHECKING:
    from toolchain.frontend.effects import Pass, Program, Spot
    from toolchain.frontend.tree import Loc

# A function's parameter, and the parameter in whose object it is kept, or None.
Kept: TypeAlias = "tuple[str, int, int | None]"


@dataclass(frozen=True, slots=True)
class Step:
    """Where it happens: a store, or a call of what keeps it (`then`)."""

    spot: Spot
    then: Kept | None


def check(program: Program) -> None:
    """Report every local whose address is kept by what it is passed to."""
    found = _kept(program)
    by_function: dict[str, list[Kept]] = {}
    for kept in found:
        by_function.setdefault(kept[0], []).append(kept)
    for made in program.functions.values():
        for call in made.passes:
            if not call.trusted:
                _check_call(program, made.name, call, by_function, found)


def _kept(program: Program) -> dict[Kept, Step]:
    """Every parameter that is kept, with the first step towards the store (L1)."""
    callers: dict[str, list[tuple[str, Pass]]] = {}
    for symbol, made in program.functions.items():
        for call in made.passes:
            for target in _targets(program, call):
                callers.setdefault(target, []).append((symbol, call))
    found: dict[Kept, Step] = {}
    queue: list[Kept] = []

    def keep(kept: Kept, step: Step) -> None:
        if kept not in found:
            found[kept] = step
            queue.append(kept)
    for symbol, made in program.functions.items():
        for param, into, spot in made.keeps:
            keep((symbol, param, into), Step(spot, None))
    for kept in queue:                               # grows while it is walked
        symbol, param, into = kept
        for caller, call in callers.get(symbol, ()):
            origin = _argument(call.origins, param)
            home = _home(call, into)
            if isinstance(origin, int) and not isinstance(home, str) and origin != home:
                keep((caller, origin, home), Step(call.spot, kept))
    return found


def _check_call(program: Program, name: str, call: Pass, by_function: dict[str, list[Kept]],
                found: dict[Kept, Step]) -> None:
    for target in _targets(program, call):
        for kept in by_function.get(target, ()):
            local = _argument(call.origins, kept[1])
            if isinstance(local, str) and not isinstance(_home(call, kept[2]), str):
                _report(program, name, local, call, kept, found)
                return


def _report(program: Program, name: str, local: str, call: Pass, kept: Kept,
            found: dict[Kept, Step]) -> None:
    chain: list[tuple[str, Loc | None]] = []
    step: Step | None = found[kept]
    symbol = kept[0]
    while step is not None and len(chain) < effects.CHAIN_LIMIT:
        where = effects.locate(step.spot)
        if step.then is None:
            chain.append((f"`{_name(program, symbol)}` stores it", where))
            break
        chain.append((f"`{_name(program, symbol)}` passes it to "
                      f"`{_name(program, step.then[0])}`", where))
        symbol, step = step.then[0], found[step.then]
    program.sink.error(
        "K0706", effects.locate(call.spot), f"`{_name(program, kept[0])}` keeps the address of "
        f"{local}, which ends when `{name}` returns", notes=tuple(chain),
        help="use a global or an allocator, or let the caller pass the storage in; what is taken "
        "out again before the end is said so: `lend(x)`")


def _targets(program: Program, call: Pass) -> list[str]:
    if call.indirect:
        return sorted(program.targets(call.key))
    return [program.alias.get(call.key, call.key)]


def _argument(values: tuple[int | str | None, ...], index: int) -> int | str | None:
    return values[index] if index < len(values) else None


def _home(call: Pass, into: int | None) -> int | str | None:
    """What the memory that a callee stores into is for the caller."""
    return None if into is None else _argument(call.leads, into)


def _name(program: Program, symbol: str) -> str:
    made = program.functions.get(symbol)
    return made.name if made is not None else symbol
