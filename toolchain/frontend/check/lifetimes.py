# SPDX-License-Identifier: BSD-3-Clause
"""Where pointers come from and where they go, for the effect pass (frontend/keeping.py).

    def push(q: Ptr[Queue], n: Ptr[Node]) -> None:
        n.next = q.head                    nothing: what q.head points to is no parameter
        q.head = n                         keeps: n, into what q leads to
        log(n)                             passes: n, as the first argument of log

An origin is what a pointer certainly points into: a parameter's object (its index), storage of this
function (its name), or something else (None).  What a pointer leads to is coarser: all that was
found from a parameter, or from this function's storage, counts as that.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import body

if TYPE_CHECKING:
    from toolchain.frontend.check.body import Body

Origin: TypeAlias = "int | str | None"


@dataclass(slots=True)
class Pass:
    """A call with a pointer argument whose origin is known.  `trusted`: of an unsafe module, which
    may lend its locals."""

    key: str | tuple[str, str]
    indirect: bool
    origins: tuple[Origin, ...]
    leads: tuple[Origin, ...]
    loc: tree.Loc
    trusted: bool


_POINTERS = t.PtrType | t.SliceType | t.MPtrType


def learned(b: Body, var: tree.Var, made: tree.Expr) -> None:
    """After `var = made`."""
    if isinstance(var.ty, _POINTERS):
        b.origins[var], b.leads[var] = origin(b, made), leads_to(b, made)


def stored(b: Body, place: tree.Expr, made: tree.Expr, loc: tree.Loc) -> None:
    """Note which parameters `place = made` keeps."""
    into = _home(b, place)
    if isinstance(into, str):
        return
    for value in values(made):
        kept = origin(b, value)
        if isinstance(kept, int) and kept != into:
            b.effects.keeps.append((kept, into, loc))


def passed(b: Body, key: str | tuple[str, str], args: list[tree.Expr], loc: tree.Loc,
           indirect: bool = False) -> None:
    """Note which parameters and locals a call passes on.  `key`: of Effects.calls or indirect."""
    origins = tuple(origin(b, arg) for arg in args)
    if any(o is not None for o in origins):
        b.effects.passes.append(Pass(key, indirect, origins, tuple(
            leads_to(b, arg) for arg in args), loc, b.scope.module.unsafe))


def values(made: tree.Expr) -> Iterator[tree.Expr]:
    """The pointers that a value may be or hold."""
    if isinstance(made, tree.StructLit):
        for part in made.fields.values():
            yield from values(part)
    elif isinstance(made, tree.UnionLit):
        yield from values(made.payload)
    elif isinstance(made, tree.ArrayLit):
        for part in made.items:
            yield from values(part)
    elif isinstance(made, tree.IfExp):
        yield from values(made.then)
        yield from values(made.other)
    elif isinstance(made.ty, _POINTERS):
        yield made


def origin(b: Body, made: tree.Expr) -> Origin:
    """What a pointer or slice certainly points into."""
    if not isinstance(made.ty, _POINTERS):
        return None
    local = body.points_to_local(b, made)
    if local is not None:
        return local
    root = body.pointee(made)
    if isinstance(root, tree.Deref):               # ref(p.link): in the object of p
        root = _plain(root.pointer)
    if isinstance(root, tree.Load) and isinstance(root.place, tree.VarPlace):
        return _variable(b, root.place.var, b.origins)
    return None


def leads_to(b: Body, made: tree.Expr) -> Origin:
    """From what a pointer was found, through however many others."""
    while True:
        made = _plain(made)
        if isinstance(made, tree.AddrOf):
            made = body.root_of(made.place)
        elif isinstance(made, tree.SliceOf):
            made = body.root_of(made.base)
        elif isinstance(made, tree.Load):
            held = body.root_of(made.place)
            if isinstance(held, tree.VarPlace):
                return _variable(b, held.var, b.leads)
            made = held
        elif isinstance(made, tree.Deref):
            made = made.pointer
        elif isinstance(made, tree.UnionPayload):
            made = body.root_of(made.base)
        elif isinstance(made, tree.VarPlace | tree.Temp):
            return "storage of this function"
        else:
            return None


def _home(b: Body, place: tree.Expr) -> Origin:
    """What the storage `place` is part of."""
    root = body.root_of(place)
    if isinstance(root, tree.UnionPayload):
        return _home(b, root.base)
    return leads_to(b, root)


def _variable(b: Body, var: tree.Var, known: dict[tree.Var, Origin]) -> Origin:
    if var.kind == "param" and var not in known:
        return next((n for n, p in enumerate(b.function.params) if p is var), None)
    return known.get(var)


def _plain(made: tree.Expr) -> tree.Expr:
    while isinstance(made, tree.Convert):
        made = made.operand
    return made
