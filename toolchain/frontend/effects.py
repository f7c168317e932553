# SPDX-License-Identifier: BSD-3-Clause
"""Effects over the whole program: what may block or raise, what recurses, how deep the stack gets.

    @may_block                         lwkt.switch may block
    def switch() -> None: ...          tsleep calls it, so tsleep may block
                                       vops.read may be hammer2_read, which calls tsleep:
    with spin:                         so a call through vops.read may block,
        vp.ops.read(vp)                and this one stands under a spinlock: K0702, with the chain

The world is closed: a call through a function value may reach every function of that type whose
address is taken; through a field of an operations table, every function ever put in that field.

Invariants
  E1  Summaries hold no tree and no type: they are cached with a module's object.
  E2  A function may block if and only if some chain of calls leads to a @may_block function.
  E3  A bound on the stack counts every frame of the deepest chain, return addresses included.
  E4  A @throws function may raise if it raises itself, or calls through a type that is @throws, or
      if some chain of calls of @throws functions leads to one that does; what is caught on the way
      counts as well.
Tests     tests/toolchain/test_effects.py
"""
from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from toolchain.diagnostics import Sink
from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.source import SourceFile
from toolchain.frontend.tree import Loc

Spot: TypeAlias = "tuple[str, int, int, int, int]"      # path, line, column, end line, end column
CHAIN_LIMIT = 12        # links shown of a call chain


@dataclass(slots=True)
class Summary:
    """What the effect pass knows of one function (E1)."""

    symbol: str
    name: str
    spot: Spot
    may_block: bool
    no_block: bool
    interrupt: bool
    recursive: int
    entry_stack: int
    export: str
    calls: list[tuple[str, Spot, Spot | None]]
    indirect: list[tuple[str, Spot, Spot | None]]
    taken: list[tuple[str, str]]
    must_not_block: list[tuple[str, Spot]]
    frame: int | None = None         # bytes, from the object, the return address included
    keeps: list[tuple[int, int | None, Spot]] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)
    throws: bool = False
    raises: bool = False             # by itself; so does one without a body here, for all we know
    bound: bool = False              # its type is not its own choice: a table's, one of many


@dataclass(slots=True)
class Pass:
    """A call with pointer arguments: for each, what it points into and what it was found from, as
    check/lifetimes.py says.  `trusted`: locals may be lent without a word."""

    key: str
    indirect: bool
    origins: tuple[int | str | None, ...]
    leads: tuple[int | str | None, ...]
    spot: Spot
    trusted: bool


@dataclass(slots=True)
class ModuleEffects:
    """The summaries of a module, and the functions its constant tables hold."""

    functions: list[Summary] = field(default_factory=list)
    taken: list[tuple[str, str]] = field(default_factory=list)
    upcalls: dict[str, Spot] = field(default_factory=dict)              # called or declared here
    implements: dict[str, Spot] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)                       # read here


@dataclass(slots=True)
class Entry:
    """A record of a link-time table, without its tree."""

    table: str
    key: int
    name: str
    unique: bool
    data: tuple[int, ...]
    symbol: str
    spot: Spot


def summarize(module: tree.Module) -> ModuleEffects:
    """The effects of a checked module."""
    out = ModuleEffects([_summary(f) for f in module.functions])
    out.functions += [_summary(f) for f in module.externals.values()
                      if f.attrs.extern or f.attrs.upcall]
    for var in module.globals:
        _taken(var.ty, var.init, out.taken)
    for function in (*module.functions, *module.externals.values()):
        if function.attrs.upcall:
            out.upcalls[function.symbol] = _spot(function.loc)
        if function.effects is not None:
            out.tables |= function.effects.tables
    out.implements = {s: _spot(f.loc) for s, f in module.implements.items()}
    out.entries = [Entry(e.table, e.key, e.name, e.unique, e.data, f.attrs.export or e.symbol,
                         _spot(e.loc)) for f in module.functions for e in f.attrs.tables]
    return out


def _spot(loc: Loc) -> Spot:
    return (loc.source.path, loc.line, loc.col, loc.end_line, loc.end_col)


def _summary(function: tree.Function) -> Summary:
    attrs, effects = function.attrs, function.effects
    made = Summary(function.symbol, function.name, _spot(function.loc), attrs.may_block,
                   attrs.no_block, attrs.interrupt, attrs.recursive, attrs.entry_stack,
                   attrs.export, [], [], [], [], throws=function.throws,
                   raises=function.throws and (effects is None or effects.raises),
                   bound=bool(attrs.export or attrs.tables or function.is_instance))
    if effects is not None:
        made.calls = [(s, _spot(loc), r and _spot(r)) for s, loc, r in effects.calls]
        made.indirect = [(key if isinstance(key, str) else ".".join(key), _spot(loc),
                          r and _spot(r)) for key, loc, r in effects.indirect]
        made.taken = list(effects.address_taken)
        made.must_not_block = [(s, _spot(loc)) for s, loc in effects.must_not_block]
        made.keeps = [(param, into, _spot(loc)) for param, into, loc in effects.keeps]
        made.passes = [Pass(p.key if isinstance(p.key, str) else ".".join(p.key), p.indirect,
                            p.origins, p.leads, _spot(p.loc), p.trusted) for p in effects.passes]
    return made


def _taken(ty: t.Type, data: Any, out: list[tuple[str, str]], key: str = "") -> None:
    """The functions whose addresses constant data holds."""
    if isinstance(data, tree.SymbolRef) and isinstance(ty, t.FnType):
        out.append((ty.name, data.symbol))
        if key:
            out.append((key, data.symbol))
    elif isinstance(data, dict) and isinstance(ty, t.StructType):
        for name, part in data.items():
            _taken(ty.fields[name].ty, part, out, f"{ty.symbol}.{name}")
    elif isinstance(data, list) and isinstance(ty, t.ArrayType | t.SliceType):
        for part in data:
            _taken(ty.elem, part, out)


def implemented_twice(sink: Sink, symbol: str, loc: Loc, first: Loc) -> None:
    """Report the second implementation of an upcall."""
    sink.error("K0222", loc, f"`{symbol}` is implemented twice", notes=(("the first is", first),),
               help="remove one of them")


def check_bindings(modules: list[ModuleEffects], sink: Sink, whole: bool) -> None:
    """Each @upcall has one @implements, each key of a table one record.

    whole: all of the program is here, so that a missing implementation is an error.
    """
    found: dict[str, Spot] = {}
    for module in modules:
        for symbol, spot in module.implements.items():
            if symbol in found and found[symbol] != spot:
                implemented_twice(sink, symbol, locate(spot), locate(found[symbol]))
            found[symbol] = spot
    if whole:
        wanted = {s: spot for m in modules for s, spot in m.upcalls.items() if s not in found}
        for symbol, spot in wanted.items():
            sink.error("K0222", locate(spot), f"nothing implements the upcall `{symbol}`",
                       help="some module needs a function marked "
                            f"`@implements({symbol.rpartition('.')[2]})`")
    records: dict[tuple[str, int], Entry] = {}
    for module in modules:
        for entry in module.entries:
            first = records.setdefault((entry.table, entry.key), entry)
            if first is not entry and entry.unique:
                sink.error("K0223", locate(entry.spot),
                           f"number {entry.key} of table `{entry.table}` is taken",
                           help="give it a number of its own",
                           notes=((f"`{first.name}` has it", locate(first.spot)),))


class Program:
    """The call graph of all summaries."""

    def __init__(self, modules: list[ModuleEffects], sink: Sink) -> None:
        self.sink = sink
        self.functions: dict[str, Summary] = {}
        self.alias: dict[str, str] = {}         # an upcall's or export's symbol -> who defines it
        self.taken: dict[str, set[str]] = {}
        for module in modules:
            for made in module.functions:
                known = self.functions.get(made.symbol)
                if known is None or (not known.calls and made.calls) or known.frame is None:
                    self.functions[made.symbol] = made
                if made.export and made.export != made.symbol:
                    self.alias[made.export] = made.symbol
                self._take(made.taken)
            self._take(module.taken)
        self.edges = {s: self._callees(f) for s, f in self.functions.items()}
        self.callers: dict[str, list[tuple[str, Spot]]] = {}
        for symbol, edges in self.edges.items():
            for callee, spot, _ in edges:
                self.callers.setdefault(callee, []).append((symbol, spot))
        self.blockers = self._leading_to(
            (s for s, f in self.functions.items() if f.may_block), self.functions)

    def _take(self, pairs: list[tuple[str, str]]) -> None:
        for key, symbol in pairs:
            self.taken.setdefault(key, set()).add(symbol)

    def targets(self, key: str, seen: frozenset[str] = frozenset()) -> set[str]:
        """The functions an indirect call may reach: `key` is a type's name or struct.field."""
        out: set[str] = set()
        for symbol in self.taken.get(key, ()):
            if symbol.startswith("*"):
                if symbol not in seen:
                    out |= self.targets(symbol[1:], seen | {symbol})
            else:
                out.add(self.alias.get(symbol, symbol))
        return out

    def _callees(self, made: Summary) -> list[tuple[str, Spot, Spot | None]]:
        out = [(self.alias.get(s, s), spot, region) for s, spot, region in made.calls]
        for key, spot, region in made.indirect:
            out += [(s, spot, region) for s in sorted(self.targets(key))]
        return out

    def _leading_to(self, ends: Iterable[str], through: Container[str],
                    ) -> dict[str, tuple[str, Spot] | None]:
        """Symbol to its next step towards one of `ends` (None: is one), by calls of functions of
        `through` alone."""
        found: dict[str, tuple[str, Spot] | None] = dict.fromkeys(ends)
        queue = deque(found)
        while queue:
            symbol = queue.popleft()
            for caller, spot in self.callers.get(symbol, ()):
                if caller not in found and caller in through:
                    found[caller] = (symbol, spot)
                    queue.append(caller)
        return found

    # ---- checks ---------------------------------------------------------------------------------

    def check_blocking(self) -> None:
        """Report every place that may block and must not."""
        for made in self.functions.values():
            if made.symbol in self.blockers and (made.no_block or made.interrupt):
                kind = "@interrupt" if made.interrupt else "@no_block"
                self._report("K0701", made.spot, f"`{made.name}` is {kind}, but may block",
                             made.symbol, help="break the chain: hand the work to a thread, or "
                             "use what tries and gives up")
            for callee, spot, region in self.edges[made.symbol]:
                if region is not None and callee in self.blockers:
                    name = self._name(callee)
                    self._report(
                        "K0702", spot, f"`{name}` may block, which this lock forbids", callee,
                        (("the lock is taken here", locate(region)),),
                        "call it after the `with`, or use a lock that may be held while blocking")
            for symbol, spot in made.must_not_block:
                target = self.alias.get(symbol, symbol)
                if target in self.blockers:
                    self._report("K0703", spot, f"`{self._name(symbol)}` may block, but a function "
                                 "that does not is asked for here", target,
                                 help="pass a function that only marks work for a thread")

    def _name(self, symbol: str) -> str:
        found = self.functions.get(symbol)
        return found.name if found else symbol

    def _report(self, code: str, spot: Spot, message: str, start: str,
                notes: tuple[tuple[str, Loc | None], ...] = (), help: str = "") -> None:
        chain: list[tuple[str, Loc | None]] = []
        symbol = start
        while (step := self.blockers.get(symbol)) is not None and len(chain) < CHAIN_LIMIT:
            following, where = step
            chain.append((f"`{self._name(symbol)}` calls `{self._name(following)}`",
                          locate(where)))
            symbol = following
        last = self.functions.get(symbol)
        chain.append((f"`{self._name(symbol)}` is @may_block",
                      locate(last.spot) if last else None))
        self.sink.error(code, locate(spot), message, help=help, notes=(*notes, *chain))

    def check_raising(self, whole: bool) -> None:
        """Warn of functions that are @throws for nothing, and whose own choice that is.

        whole: all of the program is here; if not, somebody else may put what is not private (_name)
        into a table.
        """
        throwing = {s: f for s, f in self.functions.items() if f.throws}
        raising = self._leading_to((s for s, f in throwing.items() if f.raises), throwing)      # E4
        taken = {self.alias.get(s, s) for symbols in self.taken.values() for s in symbols}
        for symbol, made in throwing.items():
            free = not made.bound and (whole or made.name.startswith("_"))
            if free and symbol not in raising and symbol not in taken:
                self.sink.warning("K0707", locate(made.spot),
                                  f"`{made.name}` is @throws, but nothing in it raises",
                                  help="take @throws away; its callers need no `try` then")

    def check_recursion(self) -> None:
        """Report cycles of calls in which no function states a bound."""
        graph = {s: [c for c, _, _ in edges if c in self.functions
                     and not self.functions[c].recursive]
                 for s, edges in self.edges.items() if not self.functions[s].recursive}
        for group in strongly_connected(graph):
            if len(group) == 1 and group[0] not in graph[group[0]]:
                continue
            first = min(group, key=lambda s: self.functions[s].spot)
            self._report_cycle(first, set(group))

    def _report_cycle(self, first: str, group: set[str]) -> None:
        chain: list[tuple[str, Loc | None]] = []
        symbol, seen = first, {first}
        while len(chain) < CHAIN_LIMIT:
            following, spot = next((c, s) for c, s, _ in self.edges[symbol] if c in group)
            for callee, where, _ in self.edges[symbol]:
                if callee in group and callee not in seen:
                    following, spot = callee, where
                    break
            chain.append((f"`{self._name(symbol)}` calls `{self._name(following)}`", locate(spot)))
            if following in seen:
                break
            seen.add(following)
            symbol = following
        made = self.functions[first]
        self.sink.error("K0704", locate(made.spot), f"`{made.name}` recurses without a bound",
                        help="a kernel stack is small: write a loop, or state the greatest depth "
                             "with @recursive(n)", notes=tuple(chain))

    def check_stack(self) -> dict[str, int]:
        """Bytes of stack each function needs at most; reports entry points that need too much."""
        depth, step = self._depths()
        for made in self.functions.values():
            need = depth.get(made.symbol, 0)
            if not made.entry_stack or need <= made.entry_stack:
                continue
            chain: list[tuple[str, Loc | None]] = []
            symbol: str | None = made.symbol
            while symbol is not None and len(chain) < CHAIN_LIMIT:
                chain.append((f"`{self._name(symbol)}` uses {self._frame(symbol)} bytes", None))
                symbol = step.get(symbol)
            self.sink.error("K0705", locate(made.spot), f"`{made.name}` may need {need} bytes of "
                            f"stack; it has {made.entry_stack}", notes=tuple(chain),
                            help="move large locals to the heap or a global, or shorten the chain")
        return depth

    def _frame(self, symbol: str) -> int:
        return self.functions[symbol].frame or 0

    def _depths(self) -> tuple[dict[str, int], dict[str, str]]:
        graph = {s: [c for c, _, _ in edges if c in self.functions]
                 for s, edges in self.edges.items()}
        depth: dict[str, int] = {}
        step: dict[str, str] = {}
        for group in strongly_connected(graph):              # callees before callers
            members = set(group)
            rounds = max((self.functions[s].recursive for s in group), default=0) or 1
            cyclic = len(group) > 1 or group[0] in graph[group[0]]
            inside = sum(self._frame(s) for s in group) * (rounds if cyclic else 1)
            outside, via = 0, None
            for symbol in group:
                for callee in graph[symbol]:
                    if callee not in members and depth[callee] > outside:
                        outside, via = depth[callee], callee
            for symbol in group:
                depth[symbol] = inside + outside
                if via is not None:
                    step[symbol] = via
        return depth, step


def strongly_connected(graph: dict[str, list[str]]) -> list[list[str]]:
    """Tarjan's components, each after those it reaches.  Iterative: chains may be long."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on_stack: set[str] = set()
    stack: list[str] = []
    out: list[list[str]] = []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in graph:
                    continue
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(graph[other])))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    group = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        group.append(member)
                        if member == node:
                            break
                    out.append(group)
    return out


_sources: dict[str, SourceFile] = {}


def locate(spot: Spot) -> Loc:
    """A place in a source file again."""
    path, *numbers = spot
    if path not in _sources:
        try:
            data = Path(path).read_bytes()
        except OSError:
            data = b""
        _sources[path] = SourceFile(path, path, data)
    return Loc(_sources[path], *numbers)
